// random_get.
#include <sys/random.h>

#include <cerrno>

#include "wasi/errno.h"
#include "wasi/preview1.h"

namespace tenon::wasi {

Expect<> random_get(WasiContext&, GuestSpan<u8> buf) {
  std::span<u8> rest = buf.bytes();
  while (!rest.empty()) {
    const ssize_t n = ::getrandom(rest.data(), rest.size(), 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      return host_error();
    }
    rest = rest.subspan(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace tenon::wasi
