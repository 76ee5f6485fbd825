// Runs a WASI command and keeps what it prints.
#include <cstdio>
#include <string>

#include "common.hpp"

// usage: wasi_capture guest.wat
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::string output;
  const auto keep = [](void* env, int, const void* bytes, size_t size) {
    static_cast<std::string*>(env)->append(static_cast<const char*>(bytes), size);
  };
  tenon::Wasi wasi;
  wasi.arg("guest").env("LANG", "C").stdin_bytes("what it reads").output(keep, &output);

  const tenon::Engine engine;
  const auto module = need(tenon::Module::from_file(engine, argv[1]));
  auto linker = make_linker(engine, wasi);
  auto store = need(tenon::Store::make(engine));
  const auto instance = need(linker.instantiate(store, module));
  const auto start = need(instance.get<void()>("_start"));
  int status = 0;
  if (auto ran = start(); !ran) {
    if (ran.error().kind() != TENON_ERROR_EXIT) need(std::move(ran));
    status = ran.error().exit_status();
  }
  std::printf("exit status %d, output: %s", status, output.c_str());
  return 0;
}
