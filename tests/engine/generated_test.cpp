// Random modules made from the instruction table (tests/fuzz/generator.h): all are valid, survive printing
// and parsing, and use most of the table.
#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "engine/module.h"
#include "engine/reader.h"
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

}  // namespace
}  // namespace tenon::test
