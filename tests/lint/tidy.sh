#!/usr/bin/env bash
# CTest: clang-tidy finds nothing in the C++ files that this branch changed against main (on main: the last commit).
# Looks at no more than MAX_FILES, the largest changes first, so that a test run stays short. 77 means skipped.
#   tidy.sh SOURCE_FOLDER BUILD_FOLDER [MAX_FILES]
set -euo pipefail
build=$(realpath "$2")
cd "$1"
max=${3:-6}
command -v clang-tidy-22 >/dev/null || { echo "clang-tidy-22 is not installed"; exit 77; }
git rev-parse --verify -q HEAD >/dev/null || { echo "not a git checkout"; exit 77; }

head=$(git rev-parse HEAD)
base=$head
for ref in origin/main main; do
  if merge_base=$(git merge-base HEAD "$ref" 2>/dev/null); then
    base=$merge_base
    break
  fi
done
if [[ $base == "$head" ]]; then
  base=$(git rev-parse --verify -q HEAD~1) || { echo "nothing to compare with"; exit 77; }
fi

# Changed sources that the build knows, largest change first.
mapfile -t changed < <(git diff --numstat --diff-filter=d "$base" -- '*.cpp' | sort -rn | cut -f3)
files=()
for file in "${changed[@]}"; do
  ((${#files[@]} < max)) || break
  if grep -qF "\"$PWD/$file\"" "$build/compile_commands.json"; then files+=("$file"); fi
done
((${#files[@]})) || { echo "no changed C++ file"; exit 0; }
printf '%s\n' "${files[@]}"

# The same commands without the precompiled headers, which need not have been built.
commands=$(mktemp -d)
trap 'rm -rf "$commands"' EXIT
sed -E 's/-Xclang -include-pch -Xclang [^|]*cmake_pch\.hxx\.pch(\\")?//' "$build/compile_commands.json" >"$commands/compile_commands.json"
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P 2 clang-tidy-22 -p "$commands" --quiet
