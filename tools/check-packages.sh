#!/usr/bin/env bash
# Makes the Debian packages of a build, installs them into a fresh minimal system, runs what they bring, and builds the
# examples there with that system's compiler. As root; needs debootstrap and the network, so it is no part of the tests.
#   tools/check-packages.sh BUILD_FOLDER [CHROOT]      (an existing CHROOT is used as it is)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$(cd "${1:?usage: tools/check-packages.sh BUILD_FOLDER [CHROOT]}" && pwd)
chroot=${2:-}
release=$(. /etc/os-release && echo "$VERSION_CODENAME")

packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
(cd "$build" && cpack -G DEB -B "$packages" >"$packages/log" 2>&1) || { tail -n 20 "$packages/log"; exit 1; }
ls -l "$packages"/*.deb

if [[ -z $chroot ]]; then
  chroot=$packages/system
fi
if [[ ! -e $chroot/etc/os-release ]]; then
  debootstrap --variant=minbase "$release" "$chroot" >"$packages/log" || { tail -n 20 "$packages/log"; exit 1; }
fi
# The same archives as here: a release's later compilers come from its security archive.
for list in /etc/apt/sources.list /etc/apt/sources.list.d/debian*; do
  [[ ! -e $list ]] || install -D -m 644 "$list" "$chroot${list}"
done
mkdir -p "$chroot/packages"
cp "$packages"/*.deb "$root/examples/hello/hello.wat" "$chroot/packages"
cp -r "$root/examples" "$chroot/packages"
chroot "$chroot" sh -euc '
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -y -o APT::Install-Recommends=0 install /packages/*.deb >/dev/null
  tenon --version
  for engine in interp jit; do tenon run --engine=$engine /packages/hello.wat; done
  ldd /usr/lib/libtenon.so.1 | grep -q "not found" && exit 1
  tenon nn inspect --help >/dev/null
  # libtenon-dev alone brings what programs are built against.
  apt-get -qq -y -o APT::Install-Recommends=0 install g++ gcc libc6-dev pkg-config cmake ninja-build >/dev/null
  cmake -S /packages/examples/embed -B /packages/embed -G Ninja -DCMAKE_BUILD_TYPE=Release >/dev/null
  cmake --build /packages/embed >/dev/null
  ctest --test-dir /packages/embed --output-on-failure
  gcc -std=c99 /packages/examples/embed/standard.c -o /packages/standard $(pkg-config --cflags --libs tenon)
  /packages/standard
  apt-get -qq -y purge tenon libtenon1 libtenon-dev >/dev/null
  test ! -e /usr/bin/tenon && test ! -e /usr/lib/tenon
'
echo "packages install, run and go away again"
