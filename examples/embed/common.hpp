// What the examples share: the host function that their guest imports, and giving up.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "tenon.hpp"

// The value, or the end of the program with the reason.
template <class T>
T need(tenon::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "%s\n", std::string(result.error().message()).c_str());
  std::exit(1);
}
inline void need(tenon::Result<void> result) {
  if (result) return;
  std::fprintf(stderr, "%s\n", std::string(result.error().message()).c_str());
  std::exit(1);
}

// The guest's imports: a log that nobody reads, and WASI.
inline tenon::Linker make_linker(const tenon::Engine& engine, const tenon::Wasi& wasi = {}) {
  tenon::Linker linker(engine);
  need(linker.func("host", "log", [](int32_t, int32_t) {}));
  need(linker.wasi(wasi));
  return linker;
}
