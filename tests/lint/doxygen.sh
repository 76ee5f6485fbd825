#!/usr/bin/env bash
# CTest: the API reference is made without a warning. Skips where doxygen is not installed.
#   doxygen.sh REPOSITORY OUTPUT_FOLDER
set -euo pipefail
command -v doxygen >/dev/null || { echo "doxygen is not installed"; exit 77; }
cd "$1"
mkdir -p "$2"
{ cat docs/Doxyfile; echo "OUTPUT_DIRECTORY = \"$2\""; } | doxygen -
[[ -s $2/html/tenon_8h.html && -s $2/html/wasm_8h.html ]] || { echo "no page for tenon.h or wasm.h"; exit 1; }
