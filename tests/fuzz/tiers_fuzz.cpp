// Tier against tier: bytes are entropy for the generator of valid modules (generator.h); the interpreter, code
// compiled as a whole, and tiers that change at the first chance must give bit-identical results, traps,
// globals and memories. The first byte chooses the optimisation level, and whether the code goes through an artefact.
#include <fmt/format.h>

#include <cstdlib>

#include "jit/compiler.h"
#include "tests/fuzz/outcome.h"

namespace {

using namespace tenon;

std::string run(std::span<const u8> module, const jit::JitOptions* options) {
  Store store(std::make_shared<Engine>());
  if (options) {
    auto compiler = jit::create_compiler(store, *options);
    if (!compiler) std::abort();
    store.set_compiler(std::move(*compiler));
  }
  return test::run_generated(store, module);
}

// Aborts, with what each tier did, when they differ.
void expect_same(const std::string& tier, const std::string& interpreted, const std::string& compiled) {
  if (compiled == interpreted) return;
  fmt::print(stderr, "interpreter:\n{}\n{}:\n{}\n", interpreted, tier, compiled);
  std::abort();
}

void compare(std::span<const u8> entropy) {
  const u8 level = entropy.empty() ? 2 : entropy[0] % 4;
  const std::vector<u8> module = test::ModuleGenerator(entropy.subspan(entropy.empty() ? 0 : 1)).module();
  jit::JitOptions options;
  options.opt_level = level;
  options.as_artefact = !entropy.empty() && (entropy[0] & 4) != 0;
  options.notice = [](const std::string&) {};
  const std::string interpreted = run(module, nullptr);
  expect_same(fmt::format("{} at level {}", options.as_artefact ? "an artefact" : "compiled", level),
              interpreted, run(module, &options));
  options.as_artefact = false;
  options.eager = false;
  options.tiering = {.automatic = true, .stress = true};
  expect_same("changing tiers", interpreted, run(module, &options));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
  compare({data, size});
  return 0;
}
