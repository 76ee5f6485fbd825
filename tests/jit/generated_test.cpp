// Random modules (tests/fuzz/generator.h) do the same in the interpreter and compiled: results, traps,
// globals, memory.
#include <gtest/gtest.h>

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

TEST(GeneratedJit, AgreesWithTheInterpreter) {
  for (u64 seed = 0; seed < 40; ++seed) {
    const std::vector<u8> bytes = test::ModuleGenerator(test::entropy_of(seed, 1200)).module();
    JitOptions options;
    options.opt_level = seed % 4 == 0 ? 0 : 2;
    ASSERT_EQ(run(bytes, std::nullopt), run(bytes, options)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace tenon::jit
