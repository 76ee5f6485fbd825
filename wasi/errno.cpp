// The errno table's look-ups.
#include "wasi/errno.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace tenon::wasi {
namespace {

struct Row {
  std::string_view name;
  int host;
};
constexpr Row kRows[] = {
#define ERRNO(id, host) {#id, host},
#include "wasi/errno.def"
#undef ERRNO
};

constexpr int kHostErrnos = 256;
constexpr auto kFromHost = [] {
  std::array<Errno, kHostErrnos> map;
  map.fill(Errno::io);
  map[0] = Errno::success;
  for (size_t i = 0; i < std::size(kRows); i++)
    if (kRows[i].host) map[kRows[i].host] = static_cast<Errno>(i);
  return map;
}();

}  // namespace

Errno from_host_errno(int host) { return host >= 0 && host < kHostErrnos ? kFromHost[host] : Errno::io; }
std::unexpected<Errno> host_error() { return std::unexpected(from_host_errno(errno)); }
std::string_view errno_name(Errno e) {
  if (e == Errno::toobig) return "2big";
  return e < Errno::count ? kRows[static_cast<u16>(e)].name : "unknown";
}

}  // namespace tenon::wasi
