#!/usr/bin/env bash
# Installs the Debian packages (12 or 13) that Tenon needs and that are missing; silent when nothing is.
#   tools/setup.sh [build|guests|tests]...     (default: all three)
# As root it calls apt-get, otherwise through sudo; without either it prints the command and fails.
# TENON_SETUP=skip leaves the system alone: for machines where something else provides the tools.
set -euo pipefail

[[ ${TENON_SETUP:-} == skip ]] && exit 0

# What compiles the engine. (The CMake package of Debian 12's oneDNN asks for OpenCL; Tenon does not use it.)
build=(clang-22 lld-22 llvm-22-dev zlib1g-dev libzstd-dev libclang-rt-22-dev ninja-build cmake ccache pkg-config libfmt-dev libgtest-dev
  libgmock-dev libdnnl-dev ocl-icd-opencl-dev libcli11-dev nlohmann-json3-dev libprotozero-dev libpugixml-dev libre2-dev libstb-dev)
# What compiles guests: C and C++ by clang, Rust by Debian's rustc.
guests=(clang-22 lld-22 wasi-libc libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32 rustc libstd-rust-dev-wasm32
  libstb-dev)
# What only tests use; a release of Debian may lack one of them, then its tests skip.
tests=(g++ dpkg-dev tcl libonnx-testdata wabt binaryen clang-format-22 clang-tidy-22 git doxygen)

wanted=()
for group in "${@:-all}"; do
  case $group in
    build) wanted+=("${build[@]}") ;;
    guests) wanted+=("${guests[@]}") ;;
    tests) wanted+=("${tests[@]}") ;;
    all) wanted+=("${build[@]}" "${guests[@]}" "${tests[@]}") ;;
    *) echo "usage: tools/setup.sh [build|guests|tests]..." >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null; then
  echo "tools/setup.sh knows Debian only; install what corresponds to: ${wanted[*]}" >&2
  exit 1
fi

installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package}\n' | sed -n 's/^installed://p' | tr '\n' ' ')"
missing=()
for package in "${wanted[@]}"; do
  [[ $installed == *" $package "* || " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "Packages are missing. Run this as root, then start again:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends -y ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  if ! "${as_root[@]}" apt-get -qq "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "tools/setup.sh: apt-get $* failed" >&2
    exit 1
  fi
}

echo "setup: apt-get update"
apt update

# A package of the tests group that this release does not have is no reason to fail.
available=()
for package in "${missing[@]}"; do
  if [[ " ${tests[*]} " == *" $package "* ]] && ! apt-cache show "$package" >/dev/null 2>&1; then
    echo "setup: this release has no $package, its tests will be skipped"
  else
    available+=("$package")
  fi
done
((${#available[@]})) || exit 0
echo "setup: installing ${#available[@]} packages: ${available[*]}"
apt install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${available[@]}"
