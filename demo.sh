#!/usr/bin/env bash
# From a clean clone to a WebAssembly guest that reads handwritten digits: installs what is missing (Debian), builds,
# and runs examples/digits in the compiled tier: the guest in C on ten pictures, the one in Rust on two of them. Later
# runs do only what changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools/setup.sh build guests
tools/build.sh release tenon
examples/build-guests.sh build/guests

show() {  # LANGUAGE IMAGE...
  local guest=build/guests/digits-$1.wasm
  [[ -e $guest ]] || return 0
  echo
  echo "== examples/digits, guest in $1: WebAssembly compiled by LLVM, wasi-nn on oneDNN"
  echo
  build/release/tenon run --engine=jit --nn-stats --dir examples/digits --nn-graph digits=examples/digits/digits.onnx \
    "$guest" digits "${@:2}"
}

show c examples/digits/images/digit-{0,1,2,3,4,5,6,7,8,9}.png
show rust examples/digits/images/digit-{3,7}.png
