#!/usr/bin/env bash
# Configures a preset when that is needed and builds targets (default: everything). Quiet unless it takes long or fails;
# the compiler's output is in build/PRESET/tools-build.log.
#   tools/build.sh PRESET [TARGET...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=${1:?usage: tools/build.sh PRESET [TARGET...]}
shift
folder=build/$preset
log=$folder/tools-build.log
mkdir -p "$folder"

# Runs a command with its output in the log. Says what goes on when it takes longer than two seconds, and in a terminal
# shows the log's last line (ninja's progress) meanwhile.
quietly() {  # DESCRIPTION COMMAND...
  local what=$1 status=0 waited=0 pid line
  shift
  "$@" >"$log" 2>&1 &
  pid=$!
  trap 'kill $pid 2>/dev/null' EXIT
  while kill -0 $pid 2>/dev/null; do
    sleep 0.1
    waited=$((waited + 1))
    if ((waited == 20)); then echo "$what"; fi
    if ((waited > 20 && waited % 5 == 0)) && [[ -t 1 ]]; then
      line=$(tail -n 1 "$log" | cut -c "1-$((${COLUMNS:-80} - 1))")
      printf '\r\033[K%s' "$line"
    fi
  done
  wait $pid || status=$?
  trap - EXIT
  if [[ -t 1 ]] && ((waited > 20)); then printf '\r\033[K'; fi
  if ((status)); then
    cat "$log" >&2
    echo "failed: $*" >&2
    exit 1
  fi
}

if [[ ! -e $folder/build.ninja ]]; then
  quietly "configuring $folder" cmake --preset "$preset"
fi
quietly "building $folder" ninja -C "$folder" "$@"
