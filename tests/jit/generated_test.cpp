// Random modules (tests/fuzz/generator.h) do the same in the interpreter, compiled, and from artefacts: results,
// traps, globals, memory.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "jit/compiler.h"
#include "tests/fuzz/outcome.h"

namespace tenon::jit {
namespace {

std::string run(std::span<const u8> bytes, std::optional<JitOptions> options) {
  Store store(std::make_shared<Engine>());
  if (options) {
    auto compiler = create_compiler(store, *options);
    if (!compiler) return compiler.error().message;
    store.set_compiler(std::move(*compiler));
  }
  return test::run_generated(store, bytes);
}

// TENON_GENERATED_SEEDS=FIRST:LAST for a longer search.
std::pair<u64, u64> seeds() {
  unsigned long first = 0, last = 40;
  if (const char* env = std::getenv("TENON_GENERATED_SEEDS")) std::sscanf(env, "%lu:%lu", &first, &last);
  return {first, last};
}

TEST(GeneratedJit, AgreesWithTheInterpreter) {
  const auto [first, last] = seeds();
  for (u64 seed = first; seed < last; ++seed) {
    const std::vector<u8> bytes = test::ModuleGenerator(test::entropy_of(seed, 1200)).module();
    JitOptions options;
    options.opt_level = seed % 4 == 0 ? 0 : 2;
    options.as_artefact = seed % 2 == 1;
    const std::string interpreted = run(bytes, std::nullopt);
    ASSERT_EQ(interpreted, run(bytes, options)) << "seed " << seed;
    options.as_artefact = false;
    options.eager = false;
    options.tiering = {.automatic = true, .stress = true};
    ASSERT_EQ(interpreted, run(bytes, options)) << "tiers change at the first chance, seed " << seed;
  }
}

}  // namespace
}  // namespace tenon::jit
