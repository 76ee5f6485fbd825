// proc_exit, proc_raise, sched_yield.
#include <sched.h>

#include "wasi/preview1.h"

namespace tenon::wasi {

Exit proc_exit(WasiContext&, u32 code) { return {code}; }

std::variant<Errno, Exit> proc_raise(WasiContext&, Signal signal) {
  switch (signal) {
    case Signal::none:
    case Signal::pipe:
    case Signal::chld:
    case Signal::cont:
    case Signal::urg:
    case Signal::winch: return Errno::success;
    case Signal::stop:
    case Signal::tstp:
    case Signal::ttin:
    case Signal::ttou: return Errno::notsup;
    default: return Exit{128 + static_cast<u32>(signal)};
  }
}

Expect<> sched_yield(WasiContext&) {
  ::sched_yield();
  return {};
}

}  // namespace tenon::wasi
