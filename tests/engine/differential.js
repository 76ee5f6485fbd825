// Calls every export of a random module (wasm-opt --translate-to-fuzz) with zeros and prints what came of it, in the
// form of differential_test.cpp. node differential.js FILE.wasm
const fs = require('fs');
const bytes = fs.readFileSync(process.argv[2]);
const out = [];
const show = (v, type) => {
  if (type === 'i64') return BigInt.asUintN(64, v).toString();
  if (type === 'i32') return (v >>> 0).toString();
  if (Number.isNaN(v)) return 'nan';
  const view = new DataView(new ArrayBuffer(8));
  if (type === 'f32') {
    view.setFloat32(0, v);
    return view.getUint32(0).toString();
  }
  view.setFloat64(0, v);
  return view.getBigUint64(0).toString();
};
const log = type => v => { out.push('log ' + show(v, type)); };
const support = {};
for (const type of ['i32', 'i64', 'f32', 'f64']) support['log-' + type] = log(type);
support['log-v128'] = () => { throw new Error('v128'); };
const signatures = JSON.parse(process.argv[3]);  // [[name, [params], [results]]…]
let instance;
try {
  instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { 'fuzzing-support': support });
} catch (e) {
  console.log('no instance ' + (e instanceof WebAssembly.CompileError ? e.message : ''));
  process.exit(0);
}
for (const [name, params, results] of signatures) {
  const f = instance.exports[name];
  if (instance.exports.hangLimitInitializer) instance.exports.hangLimitInitializer();
  try {
    const r = f(...params.map(t => (t === 'i64' ? 0n : 0)));
    const values = results.length > 1 ? [...r] : results.length === 1 ? [r] : [];
    out.push(name + ' ok ' + values.map((v, i) => show(v, results[i])).join(' '));
  } catch (e) {
    out.push(name + ' trap');
  }
}
console.log(out.join('\n'));
