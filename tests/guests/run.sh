#!/usr/bin/env bash
# CTest: runs a guest in one engine and compares output and exit code with what its source says and, where the guest
# was also compiled for this machine, with what the native program prints.
#   run.sh ENGINE TENON GUEST.wasm SOURCE [NATIVE_PROGRAM]
# Lines at the head of the source, `// KEY: VALUE` (`;; KEY: VALUE` in the text format):
#   args    arguments, quoted as in a shell      env     a variable, one line for each
#   stdin   one line of input                    dir     yes: an empty preopened folder as the working folder
#   exit    the exit code, 0 unless given        trap    the guest must trap, and stderr say this
#   stderr  stderr must contain this             expect  one line of expected output (without a native program)
#   host    options of `tenon run`, quoted as in a shell; $root is the repository
set -euo pipefail
engine=$1 tenon=$2 wasm=$3 source=$4 native=${5:-}

values() { sed -nE "s#^(//|;;) $1: ?##p" "$source"; }
declare -a args=() env=() host=()
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)  # for options in `host`
eval "args=($(values args))"
eval "host=($(values host))"
mapfile -t env < <(values env)
exit_code=$(values exit)
trap_text=$(values trap)
stderr_text=$(values stderr)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
values stdin >"$work/stdin"
mkdir "$work/guest" "$work/native"
echo secret >"$work/outside.txt"

for variable in "${env[@]}"; do host+=(--env "$variable"); done
if [[ $(values dir) == yes ]]; then host+=(--dir .); fi

failed=0
complain() {
  echo "$*"
  failed=1
}

status=0
(cd "$work/guest" && "$tenon" run --engine="$engine" "${host[@]}" "$wasm" "${args[@]}") \
  <"$work/stdin" >"$work/stdout" 2>"$work/stderr" || status=$?

if [[ -n $native ]]; then
  wanted=0
  (cd "$work/native" && env "${env[@]}" "$native" "${args[@]}") <"$work/stdin" >"$work/expected" 2>/dev/null || wanted=$?
  [[ $wanted == "${exit_code:-0}" ]] || complain "the native program exits with $wanted, not ${exit_code:-0}"
else
  values expect >"$work/expected"
fi

diff -u --label expected --label "$engine" "$work/expected" "$work/stdout" || complain "output differs"
if [[ -n $trap_text ]]; then
  # 134 is the customary code for a trap; other codes above 128 are signals that killed the host.
  ((status != 0 && (status < 128 || status == 134))) || complain "exit code $status is not that of a trap"
  grep -qF "$trap_text" "$work/stderr" || complain "stderr does not say '$trap_text'"
else
  [[ $status == "${exit_code:-0}" ]] || complain "exit code $status, not ${exit_code:-0}"
fi
if [[ -n $stderr_text ]]; then
  grep -qF "$stderr_text" "$work/stderr" || complain "stderr does not say '$stderr_text'"
fi
if ((failed)); then
  echo "stderr:"
  cat "$work/stderr"
fi
exit "$failed"
