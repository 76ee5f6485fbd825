// node run.js FILE.wasm N: calls the module's run(N), as the other peers of engine_bench do.
const fs = require('fs');
const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(process.argv[2])));
console.log(instance.exports.run(Number(process.argv[3])) >>> 0);
