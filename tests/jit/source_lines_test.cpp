// Source lines of compiled code: what profilers and debuggers are told of a guest that was compiled with `clang -g`
// (tests/fuzz/seeds/decode/source_lines.wasm), read back by LLVM.
#include <llvm/DebugInfo/DWARF/DWARFContext.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/native/code_source.h"
#include "engine/native/module_code.h"
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

std::vector<u8> read_guest() {
  std::ifstream in(TENON_SOURCE_DIR "/tests/fuzz/seeds/decode/source_lines.wasm", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct SourceLines : testing::Test {
  Guest guest{read_guest()};
  const CodeObject& code() { return *guest.instance().module().code().objects().front(); }
};

TEST_F(SourceLines, TrapsHaveThem) {
  ASSERT_EQ(guest.call("_start").status, Status::trap);
  const DebugLines& lines = guest.instance().module().code().debug_lines();
  std::vector<u32> found;
  for (const TraceFrame& f : guest.store().trap().frames) {
    const auto source = lines.find(f.offset);
    ASSERT_TRUE(source);
    EXPECT_THAT(source->file, testing::EndsWith("dbg.c"));
    found.push_back(source->line);
  }
  EXPECT_THAT(found, testing::ElementsAre(3, 14));  // __builtin_trap in what was inlined, and the call
}

TEST_F(SourceLines, DebuggersGetTheSameAsDwarf) {
  const CodeDwarf dwarf = code_dwarf(code());
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> sections;
  sections["debug_abbrev"] = llvm::MemoryBuffer::getMemBufferCopy(dwarf.abbrev);
  sections["debug_info"] = llvm::MemoryBuffer::getMemBufferCopy(dwarf.info);
  sections["debug_line"] = llvm::MemoryBuffer::getMemBufferCopy(dwarf.line);
  const auto context = llvm::DWARFContext::create(sections, sizeof(u64));
  ASSERT_EQ(context->getNumCompileUnits(), 1u);
  llvm::DWARFUnit* unit = context->getUnitAtIndex(0);
  const auto* table = context->getLineTableForUnit(unit);
  ASSERT_NE(table, nullptr);
  size_t row = 0;
  std::vector<std::string> names;
  for (const CodeFunction& f : code().functions()) {
    const auto rows = code_source(code(), f);
    if (rows.empty()) continue;
    names.push_back(guest.instance().module().function_name(FuncIdx{f.func}));
    for (const CodeSource& r : rows) {
      ASSERT_LT(row, table->Rows.size());
      EXPECT_EQ(table->Rows[row].Address.Address, r.address);
      EXPECT_EQ(table->Rows[row].Line, r.source.line);
      EXPECT_EQ(table->Prologue.FileNames.at(table->Rows[row].File - 1).Name.getAsCString().get(),
                r.source.file);
      ++row;
    }
    EXPECT_TRUE(table->Rows.at(row).EndSequence);
    EXPECT_EQ(table->Rows[row++].Address.Address, reinterpret_cast<u64>(code().address(f.end)));
  }
  EXPECT_EQ(row, table->Rows.size());
  std::vector<std::string> described;
  for (const llvm::DWARFDie& die : unit->getUnitDIE(false).children())
    described.emplace_back(die.getName(llvm::DINameKind::ShortName));
  EXPECT_EQ(described, names);
  EXPECT_THAT(names, testing::Contains("middle"));
}

// What only computes has lines when a profiler or a debugger is there.
TEST(SourceLinesOfAll, AreThereWhenAskedFor) {
  auto rows = [](bool all) {
    Guest::Options options = Guest::at_level(0);
    options.jit.all_lines = all;
    Guest guest(read_guest(), options);
    const CodeObject& code = *guest.instance().module().code().objects().front();
    std::vector<u32> lines;
    for (const CodeFunction& f : code.functions())
      for (const CodeSource& row : code_source(code, f)) lines.push_back(row.source.line);
    return lines;
  };
  EXPECT_THAT(rows(false), testing::Not(testing::Contains(8u)));
  EXPECT_THAT(rows(true), testing::Contains(8u));  // the loop
}

TEST(SourceLinesOfOthers, AreNone) {
  Guest guest(R"((func (export "f") (result i32) (i32.const 1)))");
  const CodeObject& code = *guest.instance().module().code().objects().front();
  EXPECT_TRUE(code_dwarf(code).line.empty());
  for (const CodeFunction& f : code.functions()) EXPECT_TRUE(code_source(code, f).empty());
}

}  // namespace
}  // namespace tenon::jit
