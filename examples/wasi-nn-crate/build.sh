#!/usr/bin/env bash
# Builds the guest with cargo into OUTPUT_FOLDER/wasi-nn-crate.wasm, or says why it can't and exits with 77: it needs cargo, a
# Rust target for WASI, and crates (the network, or what cargo has fetched before).
#   examples/wasi-nn-crate/build.sh OUTPUT_FOLDER
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build.sh OUTPUT_FOLDER}
mkdir -p "$out"

skip() {
  echo "skipping the guest with the crate wasi-nn: $*"
  exit 77
}
command -v cargo >/dev/null || skip "cargo is not installed"
target=""
for name in wasm32-wasip1 wasm32-wasi; do
  [[ -d $(rustc --print target-libdir --target $name 2>/dev/null) ]] && target=$name && break
done
[[ -n $target ]] || skip "this Rust has no target for WASI (rustup target add wasm32-wasip1)"
export CARGO_TARGET_DIR=$out/cargo
work=$out/wasi-nn-crate-source  # cargo writes a lock file beside the manifest
rm -rf "$work" && cp -r "$here" "$work"
timeout 60 cargo fetch --quiet --manifest-path "$work/Cargo.toml" --target $target 2>/dev/null || skip "no crates are reachable"
cargo build --quiet --release --offline --manifest-path "$work/Cargo.toml" --target $target
cp "$CARGO_TARGET_DIR/$target/release/wasi-nn-crate.wasm" "$out/wasi-nn-crate.wasm"
