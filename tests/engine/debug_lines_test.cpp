// DWARF line tables: both forms of header, functions that the linker dropped, and damage of every kind.
#include "engine/debug_lines.h"

#include <gmock/gmock.h>

#include "tests/engine/module_bytes.h"

namespace tenon::test {
namespace {

Bytes number(u64 v, u32 size) {
  Bytes out;
  for (; size != 0; --size, v >>= 8) out.push_back(static_cast<u8>(v));
  return out;
}
Bytes text(std::string_view s) { return Bytes(s.begin(), s.end()) + Bytes{0}; }

enum : u8 { kCopy = 1, kAdvancePc = 2, kAdvanceLine = 3, kSetFile = 4, kConstAddPc = 8, kFixedAdvance = 9 };
constexpr u8 kLineRange = 14, kOpcodeBase = 13;
const Bytes kCommon = {1, 0xfb, kLineRange, kOpcodeBase, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
const Bytes kEnd = {0, 1, 1};
Bytes at(u64 address) { return Bytes{0, 5, 2} + number(address, 4); }
// The special opcode for these steps.
u8 special(u8 pc, int line) { return static_cast<u8>(line + 5 + kLineRange * pc + kOpcodeBase); }

Bytes unit(u16 version, const Bytes& header, const Bytes& program) {
  const Bytes rest =
      number(version, 2) + (version == 5 ? Bytes{4, 0} : Bytes{}) + number(header.size(), 4) + header;
  return number(rest.size() + program.size(), 4) + rest + program;
}
// Files: 1 is dir/one.c, 2 is /abs/two.c.
Bytes version4(const Bytes& program) {
  const Bytes files =
      text("dir") + Bytes{0} + text("one.c") + Bytes{1, 0, 0} + text("/abs/two.c") + Bytes{1, 0, 0, 0};
  return unit(4, Bytes{1, 1} + kCommon + files, program);
}
// The same, and file 0 is dir/zero.c; names in .debug_line_str and in place.
const Bytes kLineStrings = text("dir") + text("zero.c");
Bytes version5(const Bytes& program) {
  enum : u8 { kPath = 1, kDirectory = 2, kString = 8, kUdata = 0x0f, kLineStrp = 0x1f };
  const Bytes directories = Bytes{1, kPath, kLineStrp, 1} + number(0, 4);
  const Bytes files = Bytes{2, kPath, kString, kDirectory, kUdata, 3} + text("zero.c") + Bytes{0} +
                      text("one.c") + Bytes{0} + text("/abs/two.c") + Bytes{0};
  return unit(5, Bytes{1, 1} + kCommon + directories + files, program);
}

Bytes module_with(const Bytes& lines) {
  OneFunction f{.code = Bytes(20, 0x01)};
  f.after = section(kCustom, name(".debug_line") + lines) +
            section(kCustom, name(".debug_line_str") + kLineStrings);
  return f.bytes();
}

constexpr u64 kBody = 2;  // of the function in the code section: behind count and size

// Lines by offset in the code section: "file:line", or "-".
std::string line_at(const Module& module, u64 address) {
  const u64 code = module.functions[0].offset - kBody;
  const auto found = DebugLines(module).find(code + address);
  return found ? found->file + ":" + std::to_string(found->line) : "-";
}

const Bytes kProgram = at(kBody) + Bytes{kAdvanceLine, 9, kCopy} + Bytes{special(3, 2)} +
                       Bytes{kSetFile, 2, kAdvancePc, 4, kAdvanceLine, 0x7f, kCopy} +
                       Bytes{kFixedAdvance, 2, 0} + Bytes{special(0, 1)} + Bytes{kConstAddPc} + kEnd;

TEST(DebugLines, FindLinesInBothFormsOfHeader) {
  for (const Bytes& lines : {version4(kProgram), version5(kProgram)}) {
    const auto m = decode(module_with(lines));
    ASSERT_TRUE(m);
    EXPECT_EQ(line_at(**m, 1), "-");
    EXPECT_EQ(line_at(**m, 2), "dir/one.c:10");
    EXPECT_EQ(line_at(**m, 4), "dir/one.c:10");
    EXPECT_EQ(line_at(**m, 5), "dir/one.c:12");
    EXPECT_EQ(line_at(**m, 9), "/abs/two.c:11");
    EXPECT_EQ(line_at(**m, 11), "/abs/two.c:12");
    EXPECT_EQ(line_at(**m, 27), "/abs/two.c:12");
    EXPECT_EQ(line_at(**m, 28), "-");
    EXPECT_EQ(line_at(**m, ~u64{0} >> 1), "-");
  }
}

TEST(DebugLines, FunctionsThatTheLinkerDroppedHaveNone) {
  for (const u64 nowhere : {0x0u, 0xffff'ffffu, 0x7fff'ffffu, 5000u}) {
    const Bytes dropped = at(nowhere) + Bytes{kAdvanceLine, 50, kCopy, kAdvancePc, 40} + kEnd;
    const auto m = decode(module_with(version4(dropped + kProgram)));
    ASSERT_TRUE(m);
    EXPECT_EQ(line_at(**m, 1), "-");
    EXPECT_EQ(line_at(**m, 5), "dir/one.c:12") << nowhere;
  }
}

TEST(DebugLines, ModulesWithoutHaveNone) {
  const auto m = decode(OneFunction{}.bytes());
  EXPECT_TRUE(DebugLines(**m).empty());
  EXPECT_EQ(DebugLines(**m).find(30), std::nullopt);
}

TEST(DebugLines, NamesAreFitForTerminals) {
  const Bytes files = Bytes{0} + text("\x1b[31mred\n\xff.c") + Bytes{0, 0, 0, 0};
  const auto m = decode(
      module_with(unit(4, Bytes{1, 1} + kCommon + files, at(kBody) + Bytes{kCopy, kAdvancePc, 9} + kEnd)));
  ASSERT_TRUE(m);
  EXPECT_EQ(line_at(**m, 3), "?[31mred??.c:1");
}

TEST(DebugLines, DamageIsLeftOut) {
  for (const Bytes& lines : {version4(kProgram), version5(kProgram)}) {
    for (size_t size = 0; size < lines.size(); ++size) {
      const auto m =
          decode(module_with(Bytes(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(size))));
      ASSERT_TRUE(m);
      EXPECT_EQ(line_at(**m, 5), "-") << size;
    }
    for (size_t i = 0; i < lines.size(); ++i)
      for (const u8 wrong : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
        Bytes damaged = lines;
        damaged[i] = wrong;
        const auto m = decode(module_with(damaged));
        ASSERT_TRUE(m);
        line_at(**m, 5);  // any answer will do
      }
  }
}

// Small sections that claim, or come to, a lot.
TEST(DebugLines, ClaimsCostNothing) {
  const Bytes many = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
  const Bytes nothing_each = Bytes{0} + many;           // entries without fields
  const Bytes empty_fields = Bytes{1, 1, 0x09} + many;  // and with blocks that end the section
  const Bytes huge_advance = at(kBody) + Bytes{kAdvancePc} + many + Bytes{kCopy} + kEnd;
  for (const Bytes& tables : {nothing_each, empty_fields}) {
    const auto m = decode(module_with(unit(5, Bytes{1, 1} + kCommon + tables, kProgram)));
    ASSERT_TRUE(m);
    EXPECT_EQ(line_at(**m, 5), "-");
  }
  const auto far = decode(module_with(version4(huge_advance)));
  ASSERT_TRUE(far);
  line_at(**far, 5);
  // A line range and an opcode base of zero would divide by it, and count below it.
  for (const size_t i : {2u, 3u}) {
    Bytes common = kCommon;
    common[i] = 0;
    const auto m = decode(module_with(unit(4, Bytes{1, 1} + common + Bytes{0, 0}, kProgram)));
    ASSERT_TRUE(m);
    EXPECT_EQ(line_at(**m, 5), "-");
  }
}

// Many entries that share one long name are read in time linear in the section.
TEST(DebugLines, SharedNamesAreNotReadWhole) {
  enum : u8 { kPath = 1, kLineStrp = 0x1f };
  constexpr size_t kEntries = 100'000;
  const Bytes files = Bytes{0, 0, 1, kPath, kLineStrp} + leb(kEntries) + Bytes(4 * kEntries, 0);
  OneFunction f{.code = Bytes(20, 0x01)};
  f.after = section(kCustom, name(".debug_line") + unit(5, Bytes{1, 1} + kCommon + files, kProgram)) +
            section(kCustom, name(".debug_line_str") + Bytes(1'000'000, 'x'));
  const auto m = decode(f.bytes());
  ASSERT_TRUE(m);
  EXPECT_EQ(line_at(**m, 5), std::string(1000, 'x') + ":12");
}

}  // namespace
}  // namespace tenon::test
