// Ahead of time: compiles a module to an artefact, and runs that without a compiler.
#include <cstdio>

#include "common.hpp"

// usage: aot guest.wat
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  tenon::Config config;
  config.tier(TENON_TIER_AOT);
  const tenon::Engine engine(config);

  // On the machine that builds: this takes tenon-jit.so. Keep the bytes, e.g. in a file.
  const auto source = need(tenon::Module::from_file(engine, argv[1]));
  const std::string artefact = need(source.compile(engine));

  // On the machine that runs. Artefacts are native code: load only what you trust.
  const auto module = need(tenon::Module::load(engine, artefact));
  auto linker = make_linker(engine);
  auto store = need(tenon::Store::make(engine));
  const auto instance = need(linker.instantiate(store, module));
  std::printf("42 / 6 = %d, compiled ahead of time\n",
              need(need(instance.get<int32_t(int32_t, int32_t)>("divide"))(42, 6)));

  auto damaged = tenon::Module::load(engine, std::string_view(artefact).substr(0, artefact.size() / 2));
  std::printf("half of it is refused: %s\n", damaged ? "no" : "yes");
  return 0;
}
