// clock_res_get and clock_time_get.
#include <ctime>

#include "wasi/errno.h"
#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

constexpr clockid_t host_clock(Clockid id) {
  constexpr clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                   CLOCK_THREAD_CPUTIME_ID};
  return kClocks[static_cast<u32>(id)];
}
Timestamp nanoseconds(const timespec& t) {
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

}  // namespace

Expect<Timestamp> clock_res_get(WasiContext&, Clockid id) {
  timespec t;
  if (::clock_getres(host_clock(id), &t) < 0) return host_error();
  return nanoseconds(t);
}

Expect<Timestamp> clock_time_get(WasiContext&, Clockid id, Timestamp) {
  timespec t;
  if (::clock_gettime(host_clock(id), &t) < 0) return host_error();
  return nanoseconds(t);
}

}  // namespace tenon::wasi
