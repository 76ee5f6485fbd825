// Host functions in C++: a guest calls the host with a pointer, the host calls the guest and survives its trap.
#include <cstdio>
#include <string>

#include "tenon.hpp"

namespace {

int fail(tenon::Error& error) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(error.message().size()), error.message().data());
  return 1;
}

}  // namespace

// usage: host_functions guest.wat
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  tenon::Engine engine;
  auto module = tenon::Module::from_file(engine, argv[1]);  // .wasm or .wat
  if (!module) return fail(module.error());

  tenon::Linker linker(engine);
  if (auto wasi = linker.wasi(tenon::Wasi()); !wasi) return fail(wasi.error());
  auto defined =
      linker.func("host", "log", [](tenon::Caller caller, uint32_t at, uint32_t size) -> tenon::Result<void> {
        const auto bytes = caller.memory(at, size);  // checked against the guest's memory
        if (!bytes) return tenon::Error("log: outside the guest's memory");
        std::printf("guest says: %.*s\n", static_cast<int>(size),
                    reinterpret_cast<const char*>(bytes->data()));
        return {};
      });
  if (!defined) return fail(defined.error());

  auto store = tenon::Store::make(engine);
  if (!store) return fail(store.error());
  auto instance = linker.instantiate(*store, *module);
  if (!instance) return fail(instance.error());

  auto divide = instance->get<int32_t(int32_t, int32_t)>("divide");
  if (!divide) return fail(divide.error());
  std::printf("7 / 2 = %d\n", (*divide)(7, 2).value());

  auto trapped = (*divide)(1, 0);
  if (!trapped) {
    std::printf("trap: %s\n", std::string(trapped.error().message()).c_str());
    for (const tenon_frame_t& f : trapped.error().backtrace())
      std::printf("  in %.*s\n", static_cast<int>(f.function.size), f.function.data);
  }
  return 0;
}
