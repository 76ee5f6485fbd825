#!/usr/bin/env bash
# CTest: the digits example names all ten of its pictures, C and Rust print the same, and no tensor byte is copied.
#   digits.sh ENGINE TENON SOURCE_FOLDER GUEST.wasm...
set -euo pipefail
engine=$1 tenon=$2
cd "$3/examples/digits"
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for model in digits digits.onnx; do
  for guest in "$@"; do
    "$tenon" run --engine="$engine" --nn-stats --dir . --nn-graph digits=digits.onnx "$guest" "$model" images/digit-{0,1,2,3,4,5,6,7,8,9}.png \
      >"$work/stdout" 2>"$work/stderr" || { cat "$work/stdout" "$work/stderr"; exit 1; }
    sed -E 's/[0-9.]+ ms/T ms/g' "$work/stdout" >"$work/$model-$(basename "$guest").txt"
    grep -o 'digit [0-9]' "$work/stdout" >"$work/answers"
    printf 'digit %d\n' {0..9} | diff - "$work/answers" || { cat "$work/stdout"; exit 1; }
    for call in set_input get_output; do
      if ! grep -Eq "^ *$call .* [1-9][0-9]* bytes viewed +0 bytes copied" "$work/stderr"; then
        cat "$work/stderr"
        echo "$call: bytes were copied, or --nn-stats does not say"
        exit 1
      fi
    done
  done
  for other in "$work/$model"-*.txt; do diff "$work/$model-$(basename "$1").txt" "$other"; done
done
