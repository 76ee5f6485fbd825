#!/usr/bin/env bash
# Builds everything and runs all tests; the last line says how many passed, failed and were skipped.
#   ./test.sh [CTEST_ARGUMENT...]      e.g. ./test.sh -R kernels
# TENON_PRESET chooses another preset, e.g. TENON_PRESET=asan ./test.sh. What a preset does not run is in
# tests/not-under-PRESET.txt: a label of CTest in each line, and why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

tools/setup.sh
preset=${TENON_PRESET:-release}
tools/build.sh "$preset"

folder=build/$preset
echo "testing $folder"
status=0
left_out=tests/not-under-$preset.txt
if [[ -e $left_out ]]; then
  echo "without what $left_out names"
  set -- --label-exclude "^($(sed -n 's/^\([a-z]\+\) .*/\1/p' "$left_out" | paste -sd '|'))$" "$@"
fi
ctest --test-dir "$folder" --parallel 2 --output-on-failure --output-junit tests.xml "$@" \
  >"$folder/tests.log" 2>&1 || status=$?
if ((status)); then
  # Failing tests with their output, without the lines of those that passed.
  grep -Ev ' Passed +[0-9.]+ sec$|^ +Start +[0-9]+:' "$folder/tests.log" || true
fi

count() { sed -n "s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" <<<"$head" | head -n 1; }
head=$(sed '/<testcase/,$d' "$folder/tests.xml" | tr ' ' '\n')
total=$(count tests) failed=$(count failures) skipped=$(($(count skipped) + $(count disabled)))
echo "$((total - failed - skipped)) passed, $failed failed, $skipped skipped"
((total > 0)) || { echo "no tests ran" >&2; exit 1; }
exit "$status"
