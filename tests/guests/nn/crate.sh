#!/usr/bin/env bash
# CTest: the example with the public crate wasi-nn, built by cargo and run in one engine. Needs the network, so it is skipped
# unless TENON_NETWORK_TESTS is set.
#   crate.sh ENGINE TENON REPOSITORY OUTPUT_FOLDER
set -euo pipefail
engine=$1 tenon=$2 root=$3 out=$4
[[ -n ${TENON_NETWORK_TESTS:-} ]] || { echo "skipped: TENON_NETWORK_TESTS is not set" && exit 77; }
"$root/examples/wasi-nn-crate/build.sh" "$out"
text=$("$tenon" run --engine="$engine" --nn-graph digits="$root/examples/digits/digits.onnx" "$out/wasi-nn-crate.wasm" digits)
echo "$text"
grep -q "^40 bytes, sum is one: true" <<<"$text"
grep -q "^an unknown name: .*[Nn]ot" <<<"$text"
