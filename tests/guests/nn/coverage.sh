#!/usr/bin/env bash
# CTest: every function of the tables in wasi-nn/abi is imported by a guest in C and, where Rust is installed, by one in Rust.
#   coverage.sh TENON TABLES_FOLDER GUESTS_FOLDER
set -euo pipefail
tenon=$1 tables=$2 guests=$3
declare -A module=([ephemeral]=wasi_ephemeral_nn [extension]=tenon_nn [legacy]=wasi_nn)

missing=0
for language in C Rust; do
  if [[ $language == C ]]; then
    mapfile -t files < <(ls "$guests"/nn-*.wasm | grep -v rust)
  else
    mapfile -t files < <(ls "$guests"/nn-*-rust.wasm 2>/dev/null)
  fi
  ((${#files[@]})) || continue
  imports=$(for file in "${files[@]}"; do "$tenon" inspect "$file"; done)
  for table in "${!module[@]}"; do
    for name in $(sed -nE 's/^NN_FUNC\((.*)\)/\1/p' "$tables/$table.def"); do
      grep -qE "${module[$table]}[\". ]+$name\b" <<<"$imports" && continue
      echo "no guest in $language calls ${module[$table]}.$name"
      missing=1
    done
  done
done
exit "$missing"
