#!/usr/bin/env bash
# CTest: every tracked C and C++ file is formatted as .clang-format says. 77 means skipped.
#   format.sh SOURCE_FOLDER
set -euo pipefail
cd "$1"
command -v clang-format-22 >/dev/null || { echo "clang-format-22 is not installed"; exit 77; }
git rev-parse --git-dir >/dev/null 2>&1 || { echo "not a git checkout"; exit 77; }
git ls-files -z -- '*.cpp' '*.h' '*.hpp' '*.c' | xargs -0 -r clang-format-22 --dry-run -Werror
