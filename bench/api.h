// What benchmarks that are clients of the public API share: errors end them, and the wall clock.
#pragma once
#include <errno.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tenon.hpp"

namespace tenon::bench {

[[noreturn]] inline void die(std::string_view message) {
  std::fprintf(stderr, "%s: %.*s\n", program_invocation_short_name, static_cast<int>(message.size()),
               message.data());
  std::exit(1);
}
template <class T>
T need(Result<T> r) {
  if (!r) die(r.error().message());
  return std::move(*r);
}
inline void need(Result<void> r) {
  if (!r) die(r.error().message());
}

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace tenon::bench
