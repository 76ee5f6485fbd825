#!/usr/bin/env bash
# Builds well-known C programs from Debian's source packages, each for WASI and for this machine: bzip2, lua, minigzip
# (zlib), sqlite3. Their code stays in the output folder; compat/ has what WASI lacks.
#   build.sh OUT [PROGRAM...]
# Leaves OUT/NAME.wasm and OUT/NAME-native. Exit status 77, with the reason, where sources or tools can't be had.
# Sources come from the archive that apt is set up for, through a private apt configuration, so neither root nor
# deb-src lines are needed; TENON_PROGRAM_SOURCES names a folder that has the source packages (.dsc and archives) already.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "${1:?usage: build.sh OUT [PROGRAM...]}"
out=$(cd "$1" && pwd)
shift
programs=("$@")
((${#programs[@]})) || programs=(bzip2 lua minigzip sqlite3)
cc=${CC:-clang-22}

skip() {
  echo "SKIP: $*"
  exit 77
}

command -v "$cc" >/dev/null || skip "no $cc"
command -v dpkg-source >/dev/null || skip "no dpkg-source (package dpkg-dev)"
[[ -e /usr/include/wasm32-wasi/stdio.h ]] || skip "wasi-libc is not installed"

# A private apt: the system's archives with deb-src in place of deb.
make_apt() {
  local apt=$out/apt list
  export APT_CONFIG=$apt/apt.conf
  [[ -e $apt/ready ]] && return
  mkdir -p "$apt"/{lists,state/lists/partial,cache/archives/partial}
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [[ -r $list ]] || continue
    case $list in
      *.sources) sed 's/^Types:.*/Types: deb-src/' "$list" >"$apt/lists/$(basename "$list")" ;;
      *.list) sed -n 's/^deb /deb-src /p' "$list" >"$apt/lists/$(basename "$list")" ;;
    esac
  done
  cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/lists";
Acquire::http::Timeout "20";
Acquire::Retries "1";
APT::Sandbox::User "";
CONF
  timeout 180 apt-get -q update >"$apt/log" 2>&1 || skip "apt-get update: $(grep -m1 '^[EW]:' "$apt/log")"
  touch "$apt/ready"
}

# Gives the unpacked folder of a source package in $source.
fetch() {
  local package=$1 folder=$out/sources/$1
  source=$folder/tree
  [[ -e $source ]] && return
  mkdir -p "$folder"
  if [[ -n ${TENON_PROGRAM_SOURCES:-} ]]; then
    cp "$TENON_PROGRAM_SOURCES/$package"_* "$folder" 2>/dev/null ||
      skip "TENON_PROGRAM_SOURCES has no source package $package"
  else
    command -v apt-get >/dev/null || skip "no apt-get; TENON_PROGRAM_SOURCES can name a folder of source packages"
    make_apt
    (cd "$folder" && timeout 300 apt-get -q source --download-only "$package" >"$folder/log" 2>&1) ||
      skip "apt-get source $package: $(grep -m1 '^E:' "$folder/log")"
  fi
  rm -rf "$source.new"
  dpkg-source --no-check -x "$folder/$package"_*.dsc "$source.new" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
  mv "$source.new" "$source"
}

wasi=(--target=wasm32-wasi --no-wasm-opt -Wno-deprecated -include "$here/compat/posix.h" -isystem "$here/compat"
  -D_GNU_SOURCE -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_MMAN
  -lwasi-emulated-signal -lwasi-emulated-process-clocks -lwasi-emulated-getpid -lwasi-emulated-mman
  -Wl,-z,stack-size=1048576)

# compile NAME -- FLAGS FOR BOTH -- FLAGS FOR WASI -- FLAGS FOR THIS MACHINE
compile() {
  local name=$1 part=0 arg
  local -a both=() guest=() native=()
  shift 2
  for arg in "$@"; do
    case $part-$arg in
      ?---) part=$((part + 1)) ;;
      0-*) both+=("$arg") ;;
      1-*) guest+=("$arg") ;;
      2-*) native+=("$arg") ;;
    esac
  done
  echo "compiling $name"
  "$cc" -w -O2 -ffp-contract=off "${wasi[@]}" "${both[@]}" "${guest[@]}" -o "$out/$name.wasm.new"
  "$cc" -w -O1 -ffp-contract=off "${both[@]}" "${native[@]}" -o "$out/$name-native"
  mv "$out/$name.wasm.new" "$out/$name.wasm"
}

build_bzip2() {
  fetch bzip2
  local s=$source
  compile bzip2 -- -DBZ_UNIX=1 "$s"/{blocksort,huffman,crctable,randtable,compress,decompress,bzlib,bzip2}.c -- --
}

build_minigzip() {
  fetch zlib
  compile minigzip -- -DHAVE_UNISTD_H -DDYNAMIC_CRC_TABLE -I"$source" "$source"/*.c "$source"/test/minigzip.c -- --
}

# Lua reports errors by longjmp: exceptions of WebAssembly.
build_lua() {
  fetch lua5.4
  local -a files=()
  for file in "$source"/src/*.c; do [[ $file == */luac.c ]] || files+=("$file"); done
  : >"$out/lua5.4-deb-multiarch.h"
  compile lua -- -I"$out" '-DDEB_HOST_MULTIARCH=""' "${files[@]}" \
    -- -mexception-handling -mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false "$here/compat/setjmp.c" \
    -- -DLUA_USE_POSIX -lm
}

# The amalgamation is made by the package's own scripts, which are written in Tcl.
build_sqlite3() {
  command -v tclsh >/dev/null || skip "no tclsh (package tcl)"
  fetch sqlite3
  local made=$out/sources/sqlite3/made
  if [[ ! -e $made/shell.c ]]; then
    mkdir -p "$made"
    (cd "$made" && "$source/configure" --disable-tcl --disable-readline && make sqlite3.c shell.c) >"$made/log" 2>&1 ||
      { tail -n 20 "$made/log"; exit 1; }
  fi
  compile sqlite3 -- -I"$made" -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL -DSQLITE_MAX_MMAP_SIZE=0 \
    -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_MATH_FUNCTIONS -DSQLITE_OMIT_POPEN "$made/sqlite3.c" "$made/shell.c" \
    -- '-DSQLITE_DEFAULT_UNIX_VFS="unix-none"' -- -lm
}

for program in "${programs[@]}"; do
  [[ -e $out/$program.wasm && -x $out/$program-native ]] || "build_$program"
done
