#!/usr/bin/env bash
# CTest: guests in languages whose compilers Debian has not, or has not for WebAssembly; each runs in every engine.
#   run.sh LANGUAGE TENON ENGINE…       LANGUAGE: go, zig, assemblyscript
# Skips unless TENON_TEST_LANGUAGES is set (the compilers take minutes when they run first) and the compiler is there:
#   go               PATH; Go 1.21 and later compile for wasip1 themselves. TINYGO=1 takes tinygo instead
#   zig              TENON_ZIG or PATH; the Python package "ziglang" brings it as ziglang/zig
#   assemblyscript   TENON_ASC: the folder below which npm installed "assemblyscript" and "@assemblyscript/wasi-shim"
# Go and Zig are compared with the same source as a native program, AssemblyScript with the lines `// expect:` of its source.
set -euo pipefail
language=$1 tenon=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
skip() {
  echo "skipped: $*"
  exit 77
}
[[ -n ${TENON_TEST_LANGUAGES:-} ]] || skip "TENON_TEST_LANGUAGES is not set"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/guest" "$work/native"
echo "a b a c b a the end" >"$work/stdin"
native=

case $language in
  go)
    if [[ -n ${TINYGO:-} ]]; then
      command -v tinygo >/dev/null || skip "tinygo is not installed"
      tinygo build -target=wasip1 -o "$work/guest.wasm" "$here/words.go"
    else
      command -v go >/dev/null || skip "go is not installed"
      GOOS=wasip1 GOARCH=wasm go build -o "$work/guest.wasm" "$here/words.go"
    fi
    go build -o "$work/program" "$here/words.go"
    native=$work/program
    ;;
  zig)
    zig=${TENON_ZIG:-zig}
    command -v "$zig" >/dev/null || skip "zig is not installed"
    export ZIG_LOCAL_CACHE_DIR=$work/cache
    "$zig" build-exe "$here/words.zig" -target wasm32-wasi -O ReleaseSafe -femit-bin="$work/guest.wasm"
    "$zig" build-exe "$here/words.zig" -O ReleaseSafe -femit-bin="$work/program"
    native=$work/program
    ;;
  assemblyscript)
    modules=${TENON_ASC:-}/node_modules
    [[ -x $modules/.bin/asc ]] || skip "there is no asc in $modules/.bin"
    cp "$here/numbers.ts" "$work"
    (cd "$work" && ln -s "$modules" node_modules && node_modules/.bin/asc numbers.ts -O3 -o guest.wasm \
      --config node_modules/@assemblyscript/wasi-shim/asconfig.json)
    sed -n 's|^// expect: ||p' "$here/numbers.ts" >"$work/expected"
    ;;
  *) echo "unknown language $language"; exit 2 ;;
esac

status=0
if [[ -n $native ]]; then
  (cd "$work/native" && GREETING=hello "$native" one zwei) <"$work/stdin" >"$work/expected" || status=$?
  ((status == 7)) || { echo "the native program exits with $status"; exit 1; }
fi
for engine; do
  status=0
  # Go looks for absolute paths: its working folder is the preopened "/".
  (cd "$work/guest" && "$tenon" run --engine="$engine" --dir .::/ --env GREETING=hello ../guest.wasm one zwei) \
    <"$work/stdin" >"$work/stdout" || status=$?
  diff -u --label expected --label "$engine" "$work/expected" "$work/stdout"
  ((status == 7)) || { echo "$engine: exit status $status"; exit 1; }
  echo "$language in $engine: as expected"
done
