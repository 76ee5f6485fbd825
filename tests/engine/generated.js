// Runs modules of tests/fuzz/generator.h and prints a line for each, in the form of generated_test.cpp: how "run" ended,
// the memory's pages, and a hash of its bytes after "save". node generated.js DIRECTORY COUNT
const fs = require('fs');
const hash = bytes => {  // FNV-1a
  let h = 0x811c9dc5;
  for (const b of bytes) h = Math.imul(h ^ b, 0x01000193);
  return (h >>> 0).toString(16);
};
for (let i = 0; i < Number(process.argv[3]); ++i) {
  let exports;
  try {
    exports = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(`${process.argv[2]}/${i}.wasm`))).exports;
  } catch (e) {
    console.log('refused ' + e.message);
    continue;
  }
  let end = 'ok';
  try {
    exports.run();
  } catch (e) {
    end = e instanceof WebAssembly.RuntimeError ? 'trap' : String(e);
  }
  exports.save();
  console.log(`${end} ${exports.memory.buffer.byteLength >> 16} ${hash(new Uint8Array(exports.memory.buffer))}`);
}
