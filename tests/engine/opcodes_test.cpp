// The instruction and feature tables: look-ups agree with the rows, and rows agree with themselves.
#include "engine/opcodes.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tenon {
namespace {

TEST(Opcodes, EveryRowIsFoundByItsCode) {
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    EXPECT_EQ(op_from_code(op_info(op).prefix, op_info(op).code), op) << op_info(op).text;
  }
}

TEST(Opcodes, EveryKeywordIsFoundAndTheFirstRowOfItWins) {
  std::set<std::string_view> seen;
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    auto found = op_from_name(op_info(op).text);
    ASSERT_TRUE(found.has_value()) << op_info(op).text;
    if (seen.insert(op_info(op).text).second) {
      EXPECT_EQ(*found, op) << op_info(op).text;
    } else {
      EXPECT_EQ(op_info(*found).text, op_info(op).text);
    }
  }
  EXPECT_EQ(op_from_name("select"), Op::select);
  EXPECT_EQ(op_from_name("ref.cast"), Op::ref_cast);
  EXPECT_FALSE(op_from_name("i32.ad").has_value());
  EXPECT_FALSE(op_from_name("").has_value());
}

TEST(Opcodes, UnknownCodesAreNothing) {
  EXPECT_FALSE(op_from_code(0, 0x16).has_value());
  EXPECT_FALSE(op_from_code(0, 0xfb).has_value());
  EXPECT_FALSE(op_from_code(0xfc, 18).has_value());
  EXPECT_FALSE(op_from_code(0xfd, 0x9a).has_value());
  EXPECT_FALSE(op_from_code(0xfd, 0x114).has_value());
  EXPECT_FALSE(op_from_code(0xfe, 0xffffffff).has_value());
  EXPECT_FALSE(op_from_code(0xff, 0).has_value());
  EXPECT_FALSE(op_from_code(0x12, 0).has_value());
}

// One encoding from the specification's index of instructions for each run of the table.
TEST(Opcodes, CodesMatchTheSpecification) {
  EXPECT_EQ(op_from_code(0, 0x0b), Op::end);
  EXPECT_EQ(op_from_code(0, 0x1f), Op::try_table);
  EXPECT_EQ(op_from_code(0, 0x2a), Op::f32_load);
  EXPECT_EQ(op_from_code(0, 0x3e), Op::i64_store32);
  EXPECT_EQ(op_from_code(0, 0x6a), Op::i32_add);
  EXPECT_EQ(op_from_code(0, 0x8a), Op::i64_rotr);
  EXPECT_EQ(op_from_code(0, 0xa6), Op::f64_copysign);
  EXPECT_EQ(op_from_code(0, 0xbf), Op::f64_reinterpret_i64);
  EXPECT_EQ(op_from_code(0, 0xc4), Op::i64_extend32_s);
  EXPECT_EQ(op_from_code(0, 0xd6), Op::br_on_non_null);
  EXPECT_EQ(op_from_code(0xfb, 15), Op::array_len);
  EXPECT_EQ(op_from_code(0xfb, 30), Op::i31_get_u);
  EXPECT_EQ(op_from_code(0xfc, 17), Op::table_fill);
  EXPECT_EQ(op_from_code(0xfc, 22), Op::i64_mul_wide_u);
  EXPECT_EQ(op_from_code(0xfd, 0x22), Op::f64x2_replace_lane);
  EXPECT_EQ(op_from_code(0xfd, 0x53), Op::v128_any_true);
  EXPECT_EQ(op_from_code(0xfd, 0x82), Op::i16x8_q15mulr_sat_s);
  EXPECT_EQ(op_from_code(0xfd, 0xba), Op::i32x4_dot_i16x8_s);
  EXPECT_EQ(op_from_code(0xfd, 0xd5), Op::i64x2_mul);
  EXPECT_EQ(op_from_code(0xfd, 0xf7), Op::f64x2_pmax);
  EXPECT_EQ(op_from_code(0xfd, 0x113), Op::i32x4_relaxed_dot_i8x16_i7x16_add_s);
  EXPECT_EQ(op_from_code(0xfe, 0x4e), Op::i64_atomic_rmw32_cmpxchg_u);
}

TEST(Opcodes, SignaturesUseKnownLettersAndAddressesNeedAMemoryOrTable) {
  for (size_t i = 0; i < kOpCount; ++i) {
    const OpInfo& info = op_info(static_cast<Op>(i));
    std::string letters;
    for (int p = 0; p < info.signature.param_count; ++p) letters += info.signature.params[p];
    for (int r = 0; r < info.signature.result_count; ++r) letters += info.signature.results[r];
    EXPECT_EQ(letters.find_first_not_of("ilfdva"), std::string::npos) << info.text;
    const bool has_address = letters.find('a') != std::string::npos;
    const bool has_space = info.imm == Imm::memarg || info.imm == Imm::memarg_lane || info.imm == Imm::mem ||
                           info.imm == Imm::data_mem || info.imm == Imm::table;
    if (!info.signature.by_hand) EXPECT_EQ(has_address, has_space) << info.text;
  }
}

TEST(Opcodes, LoadsAndStoresHaveTheirWidth) {
  EXPECT_EQ(op_info(Op::i32_load).width, 4);
  EXPECT_EQ(op_info(Op::i64_load8_u).width, 1);
  EXPECT_EQ(op_info(Op::v128_load).width, 16);
  EXPECT_EQ(op_info(Op::v128_load32x2_u).width, 8);
  EXPECT_EQ(op_info(Op::v128_store16_lane).width, 2);
  EXPECT_EQ(op_info(Op::i64_atomic_rmw16_xchg_u).width, 2);
  EXPECT_EQ(op_info(Op::memory_size).width, 0);
}

TEST(Features, NamesRoundTripAndMvpCannotBeSwitchedOff) {
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const Feature f = static_cast<Feature>(i);
    EXPECT_EQ(feature_from_name(feature_name(f)), f);
    EXPECT_TRUE(FeatureSet::all().has(f));
  }
  EXPECT_FALSE(feature_from_name("no-such-feature").has_value());
  FeatureSet s = FeatureSet::defaults();
  EXPECT_TRUE(s.has(Feature::gc));
  s.set(Feature::gc, false).set(Feature::mvp, false);
  EXPECT_FALSE(s.has(Feature::gc));
  EXPECT_TRUE(s.has(Feature::mvp));
  EXPECT_FALSE(FeatureSet::mvp().has(Feature::simd));
}

}  // namespace
}  // namespace tenon
