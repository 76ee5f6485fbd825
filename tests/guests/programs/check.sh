#!/usr/bin/env bash
# CTest: runs a program that build.sh made, in one engine, and compares what it prints, leaves in files and exits with, with
# what the same source does as a native program.
#   check.sh PROGRAM ENGINE TENON OUT
set -euo pipefail
program=$1 engine=$2 tenon=$3 out=$4
input=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/input
[[ -e $out/$program.wasm ]] || { echo "SKIP: $program was not built, see the test programs.build"; exit 77; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/guest" "$work/native"
failed=0

# both STDIN ARGS…: runs guest and native program, each in a folder of its own, and compares.
both() {
  local stdin=$1 status=0 wanted=0
  shift
  (cd "$work/native" && HOME=/nowhere GREETING=hello "$out/$program-native" "$@") <"$stdin" >"$work/out.native" 2>"$work/err.native" ||
    wanted=$?
  (cd "$work/guest" && timeout 250 "$tenon" run --engine="$engine" --dir . --env GREETING=hello --env HOME=/nowhere "$out/$program.wasm" "$@") \
    <"$stdin" >"$work/out.guest" 2>"$work/err.guest" || status=$?
  # Programs print their own name; the C libraries word one error differently.
  sed -i "s|\($out/\)\?$program-native|PROGRAM|g; s|Inappropriate ioctl for device|Not a tty|" "$work/err.native"
  sed -i "s|\($out/\)\?$program.wasm|PROGRAM|g" "$work/err.guest"
  if [[ $status != "$wanted" ]] || ! cmp -s "$work/out.native" "$work/out.guest" ||
    ! cmp -s "$work/err.native" "$work/err.guest" || ! diff -r "$work/native" "$work/guest"; then
    echo "FAILED: $program $* (exit status $status, native $wanted)"
    diff -a -u "$work/err.native" "$work/err.guest" | head -n 30
    diff -a -u "$work/out.native" "$work/out.guest" | head -n 30
    failed=1
  fi
}

# 600 KB that compress neither well nor badly, alike on every machine.
sample() {
  awk 'BEGIN {
    for (i = 0; i < 30000; ++i) {
      seed = (seed * 1103515245 + 12345) % 2147483648
      printf "%d %s%c", seed % 9973, substr("the quick brown fox", 1 + seed % 7), i % 11 ? 32 : 10
    }
  }'
}

# Compressors give the same bytes, read their own, and refuse what is damaged.
compressor() {
  local suffix=$1
  sample >"$work/sample"
  cp "$work/sample" "$work/guest/file"
  cp "$work/sample" "$work/native/file"
  both "$work/sample" ${2:+"$2"}
  cp "$work/out.native" "$work/packed"
  [[ $(stat -c %s "$work/packed") -lt $(stat -c %s "$work/sample") ]] || { echo "FAILED: nothing was packed"; failed=1; }
  both "$work/packed" -d
  cmp "$work/out.guest" "$work/sample" || failed=1
  both /dev/null file
  [[ -e $work/guest/file$suffix ]] || { echo "FAILED: no file$suffix"; failed=1; }
  both /dev/null -d "file$suffix"
  cmp "$work/guest/file" "$work/sample" || failed=1
  { head -c 5000 "$work/packed"; head -c 64 /dev/zero; tail -c +5065 "$work/packed"; } >"$work/damaged"
  both "$work/damaged" -d
  head -c 1000 "$work/packed" >"$work/short"
  both "$work/short" -d
  both /dev/null -d no-such-file
}

case $program in
  bzip2) compressor .bz2 -c && both /dev/null --help ;;
  minigzip) compressor .gz ;;
  lua)
    for script in language library; do
      cp "$input/$script.lua" "$work/guest"
      cp "$input/$script.lua" "$work/native"
      both /dev/null $script.lua one "two words"
    done
    echo 'print(#arg, 1 // 0.0, pcall(load, 1))' >"$work/program"
    both "$work/program" -
    both "$input/queries.sql" -e 'for line in io.lines() do print(#line, line:reverse()) end'
    both /dev/null -e 'error("uncaught")'
    both /dev/null no-such-file.lua
    ;;
  sqlite3)
    both "$input/queries.sql" test.db
    both /dev/null test.db 'SELECT name, price FROM item ORDER BY price DESC, id LIMIT 5; PRAGMA integrity_check'
    both /dev/null -json test.db 'SELECT id, name, kind FROM item WHERE id > 4995'
    echo "no database at all, but long enough to have a header of one hundred bytes, were it one of those files" |
      tee "$work/guest/broken.db" >"$work/native/broken.db"
    both /dev/null broken.db 'SELECT * FROM sqlite_schema'
    both /dev/null -readonly missing.db 'SELECT 1 FROM t'
    # A guest's database is a database for everybody else.
    [[ $("$out/sqlite3-native" "$work/guest/test.db" 'PRAGMA integrity_check') == ok ]] || { echo "FAILED: integrity"; failed=1; }
    ;;
  *) echo "no such program: $program"; exit 2 ;;
esac
exit "$failed"
