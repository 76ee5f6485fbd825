#!/usr/bin/env bash
# Builds the example guests whose compilers are installed, and says which it leaves out. Only what changed is built.
#   examples/build-guests.sh OUTPUT_FOLDER
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build-guests.sh OUTPUT_FOLDER}
clang=${TENON_GUEST_CLANG:-clang-22}
rustc=${TENON_GUEST_RUSTC:-/usr/bin/rustc}
mkdir -p "$out"

outdated() {  # TARGET SOURCE...
  local target=$1 source
  shift
  for source in "$@" "$here/build-guests.sh"; do
    [[ ! -e $target || $source -nt $target ]] && return 0
  done
  return 1
}

build_c() {  # NAME SOURCE
  local target=$out/$1.wasm
  outdated "$target" "$2" "$here/include/wasi_nn.h" || return 0
  echo "building guest $1.wasm (C)"
  "$clang" --target=wasm32-wasi -Wno-deprecated -std=gnu11 -O3 -Wall -Wextra -I "$here/include" \
    -isystem /usr/include/stb "$2" -o "$target"
}

# Debian 12's Rust calls the target wasm32-wasi, Debian 13's wasm32-wasip1. Prints the one that is installed.
rust_target() {
  local target
  for target in wasm32-wasip1 wasm32-wasi; do
    [[ -d $("$rustc" --print target-libdir --target "$target" 2>/dev/null) ]] && echo "$target" && return 0
  done
  return 1
}

build_rust() {  # NAME SOURCE
  local target=$out/$1.wasm triple
  outdated "$target" "$2" || return 0
  triple=$(rust_target)
  echo "building guest $1.wasm (Rust)"
  "$rustc" --target "$triple" --edition 2021 -C opt-level=3 -C linker=wasm-ld-22 -C link-arg=--no-fatal-warnings -C strip=debuginfo \
    "$2" -o "$target"
}

if [[ ! -d /usr/include/wasm32-wasi ]] || ! command -v "$clang" >/dev/null; then
  echo "skipping the guests in C: $clang or wasi-libc is not installed (tools/setup.sh guests)"
elif [[ ! -e /usr/include/stb/stb_image.h ]]; then
  echo "skipping the guests in C: libstb-dev is not installed (tools/setup.sh guests)"
else
  build_c digits-c "$here/digits/guest-c/digits.c"
  build_c mobilenet-c "$here/mobilenet/guest-c/classify.c"
fi

if ! command -v "$rustc" >/dev/null || ! rust_target >/dev/null; then
  echo "skipping the guest in Rust: rustc or libstd-rust-dev-wasm32 is not installed (tools/setup.sh guests)"
else
  build_rust digits-rust "$here/digits/guest-rust/digits.rs"
fi
