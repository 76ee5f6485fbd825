// What embedders choose about the meaning of instructions that Wasm leaves open, in compiled code and in the
// interpreter.
#include <bit>
#include <optional>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr u32 kInterpreter = 4;

class Options : public testing::TestWithParam<u32> {
 protected:
  Guest& guest(std::string_view wat, bool deterministic) {
    Guest::Options o = GetParam() == kInterpreter ? Guest::interpreter() : Guest::at_level(GetParam());
    o.engine.deterministic_nans = o.jit.deterministic_nans = deterministic;
    o.engine.deterministic_simd = o.jit.deterministic_simd = deterministic;
    guest_.emplace(wat, std::move(o));
    EXPECT_TRUE(guest_->ok()) << guest_->error()->message;
    return *guest_;
  }
  std::optional<Guest> guest_;
};

TEST_P(Options, NansAreCanonical) {
  Guest& g = guest(R"((module
    (func (export "add") (param f64 f64) (result f64) (f64.add (local.get 0) (local.get 1)))
    (func (export "demote") (param f64) (result f32) (f32.demote_f64 (local.get 0)))
    (func (export "copy") (param f64) (result f64) (f64.neg (local.get 0)))
    (func (export "lanes") (param i64 i64) (result i64) (local $v v128)
      (local.set $v (i64x2.replace_lane 1 (i64x2.splat (local.get 0)) (local.get 1)))
      (i64x2.extract_lane 0 (f32x4.mul (local.get $v) (local.get $v))))))",
                   true);
  constexpr u64 kPayload = 0xfff8'0000'0000'1234, kCanonical = 0x7ff8'0000'0000'0000;
  EXPECT_EQ(g.call("add", {kPayload, 0}).as_u64(), kCanonical);
  EXPECT_EQ(g.call("add", {0x3ff0'0000'0000'0000, 0x4000'0000'0000'0000}).as_u64(), 0x4008'0000'0000'0000u);
  EXPECT_EQ(g.call("demote", {kPayload}).as_u32(), 0x7fc0'0000u);
  EXPECT_EQ(g.call("copy", {kPayload}).as_u64(), kPayload ^ (u64{1} << 63));
  EXPECT_EQ(g.call("lanes", {0xffc0'1234'4000'0000, 0}).as_u64(), 0x7fc0'0000'4080'0000u);
}

// Index 16 of a swizzle is lane 0 to pshufb, and nothing to the deterministic profile.
TEST_P(Options, RelaxedSimdIsTheHostsOrTheProfiles) {
  constexpr const char* kWat = R"((module
    (func (export "swizzle") (result i32)
      (i8x16.extract_lane_u 0 (i8x16.relaxed_swizzle (v128.const i8x16 7 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
                                                     (v128.const i8x16 16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0))))
    (func (export "trunc") (param f32) (result i32)
      (i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (local.get 0)))))
    (func (export "select") (param i32) (result i32)
      (i32x4.extract_lane 0 (i32x4.relaxed_laneselect (v128.const i32x4 -1 0 0 0) (v128.const i32x4 0 0 0 0)
                                                      (i32x4.splat (local.get 0)))))
    (func (export "madd") (param f64 f64 f64) (result f64)
      (f64x2.extract_lane 0 (f64x2.relaxed_madd (f64x2.splat (local.get 0)) (f64x2.splat (local.get 1))
                                                (f64x2.splat (local.get 2)))))
    (func (export "nmadd") (param f64 f64 f64) (result f64)
      (f64x2.extract_lane 0 (f64x2.relaxed_nmadd (f64x2.splat (local.get 0)) (f64x2.splat (local.get 1))
                                                 (f64x2.splat (local.get 2)))))))";
  for (const bool deterministic : {false, true}) {
    Guest& g = guest(kWat, deterministic);
    EXPECT_EQ(g.call("swizzle").as_u32(), deterministic ? 0u : 7u);
    EXPECT_EQ(g.call("trunc", {0x7fc0'0000}).as_u32(), deterministic ? 0u : 0x8000'0000u);
    EXPECT_EQ(g.call("trunc", {0x4020'0000}).as_u32(), 2u);
    EXPECT_EQ(g.call("select", {0x8000'0001}).as_u32(), deterministic ? 0x8000'0001u : 0xffff'ffffu);
    // (1 + 2^-30)^2 - 1 - 2^-29 is 2^-60 when it is rounded once.
    const u64 x = std::bit_cast<u64>(1 + 0x1p-30), y = std::bit_cast<u64>(-1 - 0x1p-29);
    if (deterministic) EXPECT_EQ(g.call("madd", {x, x, y}).as_u64(), 0u);
    if (deterministic) EXPECT_EQ(g.call("nmadd", {x, x, std::bit_cast<u64>(1 + 0x1p-29)}).as_u64(), 0u);
  }
}

// Code for processors without fused operations asks the one that it runs on, so it agrees with the interpreter.
TEST_P(Options, RelaxedMultiplyAddIsTheSameWhateverCodeWasCompiledFor) {
  constexpr const char* kWat = R"((module
    (func (export "f64") (param f64 f64 f64) (result f64)
      (f64x2.extract_lane 1 (f64x2.relaxed_madd (f64x2.splat (local.get 0)) (f64x2.splat (local.get 1))
                                                (f64x2.splat (local.get 2)))))
    (func (export "f32") (param f32 f32 f32) (result f32)
      (f32x4.extract_lane 3 (f32x4.relaxed_nmadd (f32x4.splat (local.get 0)) (f32x4.splat (local.get 1))
                                                 (f32x4.splat (local.get 2)))))))";
  Guest interpreter(kWat, Guest::interpreter());
  for (const char* target : {"native", "x86-64-v2"}) {
    Guest::Options o = GetParam() == kInterpreter ? Guest::interpreter() : Guest::at_level(GetParam());
    o.jit.cpu_features = cpu_features_of_target(target)->bits;
    Guest g(kWat, o);
    ASSERT_TRUE(g.ok());
    const u64 x = std::bit_cast<u64>(1 + 0x1p-30), y = std::bit_cast<u64>(-1 - 0x1p-29);
    EXPECT_EQ(g.call("f64", {x, x, y}).as_u64(), interpreter.call("f64", {x, x, y}).as_u64()) << target;
    const u32 p = std::bit_cast<u32>(1 + 0x1p-15f), q = std::bit_cast<u32>(1 + 0x1p-14f);
    EXPECT_EQ(g.call("f32", {p, p, q}).as_u32(), interpreter.call("f32", {p, p, q}).as_u32()) << target;
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, Options, testing::Values(0u, 1u, 2u, 3u, kInterpreter));

}  // namespace
}  // namespace tenon::jit
