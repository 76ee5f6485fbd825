// The binary decoder: every section, good and bad.
#include <gtest/gtest.h>

#include "module_bytes.h"

namespace tenon::test {
namespace {

TEST(Decode, HeaderAlone) {
  EXPECT_OK(kHeader);
  EXPECT_ERROR("unexpected end", (Bytes{0, 'a', 's'}));
  EXPECT_ERROR("magic header not detected", (Bytes{0, 'a', 's', 'x', 1, 0, 0, 0}));
  EXPECT_ERROR("unknown binary version", (Bytes{0, 'a', 's', 'm', 2, 0, 0, 0}));
}

TEST(Decode, SectionsOutOfOrderTwiceOrUnknown) {
  const Bytes empty_types = section(kType, {0}), empty_functions = section(kFunction, {0});
  EXPECT_OK(kHeader + empty_types + empty_functions);
  EXPECT_ERROR("unexpected content after last section", kHeader + empty_functions + empty_types);
  EXPECT_ERROR("unexpected content after last section", kHeader + empty_types + empty_types);
  EXPECT_ERROR("malformed section id", kHeader + section(14, {0}));
  EXPECT_ERROR("length out of bounds", kHeader + Bytes{kType, 40, 0});
  EXPECT_ERROR("section size mismatch", kHeader + section(kType, {0, 0}));
}

TEST(Decode, AVectorOfFourBillionEntriesNeedsNoMemory) {
  for (u8 id : {kType, kImport, kFunction, kTable, kMemory, kGlobal, kExport, kElement, kCode, kData})
    EXPECT_ERROR("length out of bounds", kHeader + section(id, {0xff, 0xff, 0xff, 0xff, 0x0f}));
}

TEST(Decode, AFunctionOfEachPartIsSeen) {
  OneFunction f{.params = {I32},
                .results = {I32},
                .code = {0x20, 0},
                .after = section(kCustom, name("x") + Bytes{1, 2})};
  auto m = decode(f.bytes());
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_EQ((*m)->functions.size(), 1u);
  EXPECT_EQ(to_string((*m)->func_type(FuncIdx{0})), "[i32] -> [i32]");
  ASSERT_EQ((*m)->customs.size(), 1u);
  EXPECT_EQ((*m)->customs[0].name, "x");
  EXPECT_EQ((*m)->customs[0].bytes.size(), 2u);
  EXPECT_EQ((*m)->function_name(FuncIdx{0}), "func[0]");
}

}  // namespace
}  // namespace tenon::test
