#!/usr/bin/env bash
# From a clean clone to a WebAssembly guest that reads handwritten digits: installs what is missing (Debian), builds,
# and runs examples/digits in the compiled tier, once as a guest in C and once in Rust. Later runs do only what changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools/setup.sh build guests
tools/build.sh release tenon
examples/build-guests.sh build/guests

for guest in c rust; do
  [[ -e build/guests/digits-$guest.wasm ]] || continue
  echo
  echo "== examples/digits, guest in $guest: WebAssembly compiled by LLVM, wasi-nn on oneDNN"
  echo
  build/release/tenon run --engine=jit --nn-stats --dir examples/digits --nn-graph digits=examples/digits/digits.onnx \
    "build/guests/digits-$guest.wasm" digits examples/digits/images/digit-{0,1,2,3,4,5,6,7,8,9}.png
done
