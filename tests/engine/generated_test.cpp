// Random modules made from the instruction table (tests/fuzz/generator.h): all are valid, survive printing
// and parsing, use most of the table, and do in the interpreter what they do in V8.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "engine/module.h"
#include "engine/reader.h"
#include "engine/runtime/store.h"
#include "engine/text/printer.h"
#include "engine/text/wat.h"
#include "module_bytes.h"
#include "tests/fuzz/generator.h"

namespace tenon::test {
namespace {

TEST(Generated, ModulesAreValidAndRoundTripThroughText) {
  std::set<Op> used;
  for (u64 seed = 0; seed < 200; ++seed) {
    const std::vector<u8> bytes = ModuleGenerator(entropy_of(seed, 2000)).module();
    auto module = decode(bytes);
    ASSERT_TRUE(module) << "seed " << seed << ": " << module.error().message;
    for (const Function& f : (*module)->functions) {
      CodeReader reader(**module, f.body, f.offset);
      std::vector<LocalRun> locals;
      ASSERT_TRUE(reader.read_locals(locals));
      for (Instr i; reader.next(i);) used.insert(i.op);
    }
    if (seed % 10 != 0) continue;
    const auto text = text::wasm_to_wat(bytes);
    ASSERT_TRUE(text) << text.error().message;
    const auto again = text::wat_to_wasm(*text);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*text, text::wasm_to_wat(*again))
        << "but for sections that text leaves out when nothing needs them";
  }
  EXPECT_GT(used.size(), 450u) << "of " << kOpCount;
}

TEST(Generated, NoEntropyGivesTheSimplestModule) { EXPECT_OK(ModuleGenerator({}).module()); }

namespace fs = std::filesystem;

// TENON_GENERATED_SEEDS=FIRST:LAST for a longer search.
std::pair<u64, u64> seeds() {
  unsigned long first = 0, last = 60;
  if (const char* env = std::getenv("TENON_GENERATED_SEEDS")) std::sscanf(env, "%lu:%lu", &first, &last);
  return {first, last};
}

// What V8 in node 20 and later runs without flags.
FeatureSet features_of_v8() {
  FeatureSet features = FeatureSet::all();
  for (const Feature f : {Feature::exceptions, Feature::legacy_exceptions, Feature::gc,
                          Feature::wide_arithmetic, Feature::function_references, Feature::memory64})
    features.set(f, false);
  return features;
}

// The line that generated.js prints.
std::string run_here(std::span<const u8> bytes) {
  Store store(std::make_shared<Engine>());
  const auto module = store.engine().compile(bytes);
  if (!module) return "refused " + module.error().message;
  const auto instance = store.instantiate(*module, {});
  if (!instance) return "refused " + instance.error().message;
  const auto call = [&](std::string_view name) {
    Slot none[1]{};
    return store.call(std::get<FuncRef*>(*(*instance)->find_export(name)), none);
  };
  const std::string end = call("run") == Status::ok ? "ok" : "trap";
  EXPECT_EQ(call("save"), Status::ok);
  const Memory& memory = *(*instance)->memory(MemoryIdx{0});
  const MemoryDesc& desc = (*instance)->memory(MemoryIdx{0})->desc();
  u32 hash = 0x811c9dc5;
  for (const u8 b : std::span(desc.base, desc.length)) hash = (hash ^ b) * 0x01000193;
  return fmt::format("{} {} {:x}", end, memory.pages(), hash);
}

std::vector<std::string> run_in_node(const fs::path& dir, u64 count) {
  const std::string command =
      fmt::format("node {}/tests/engine/generated.js {} {} 2>&1", TENON_SOURCE_DIR, dir.string(), count);
  std::vector<std::string> lines;
  FILE* pipe = popen(command.c_str(), "r");
  char line[1024];
  while (pipe && std::fgets(line, sizeof line, pipe)) {
    lines.emplace_back(line);
    if (lines.back().ends_with('\n')) lines.back().pop_back();
  }
  if (pipe) pclose(pipe);
  return lines;
}

TEST(Generated, ModulesBehaveAsInV8) {
  if (std::system("node --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "node is not there";
  const auto [first, last] = seeds();
  const fs::path dir = fs::temp_directory_path() / fmt::format("tenon-generated-{}", getpid());
  fs::create_directories(dir);
  std::vector<std::string> ours;
  for (u64 seed = first; seed < last; ++seed) {
    const auto bytes = ModuleGenerator(entropy_of(seed, 1500), features_of_v8()).module();
    std::ofstream(dir / fmt::format("{}.wasm", seed - first), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    ours.push_back(run_here(bytes));
  }
  const std::vector<std::string> theirs = run_in_node(dir, last - first);
  ASSERT_EQ(theirs.size(), ours.size());
  if (theirs[0].starts_with("refused")) GTEST_SKIP() << "this V8 is too old: " << theirs[0];
  u64 ok = 0;
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_EQ(ours[i], theirs[i]) << "seed " << first + i << ", kept in " << dir;
    ok += ours[i].starts_with("ok");
  }
  EXPECT_GT(ok, ours.size() / 2) << "most programs should reach their end";
  if (!HasFailure()) fs::remove_all(dir);
}

}  // namespace
}  // namespace tenon::test
