// Control flow, calls, values that cross labels and functions.
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

class Control : public testing::TestWithParam<u32> {
 protected:
  Guest guest(std::string_view wat) { return Guest(wat, Guest::at_level(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(OptLevels, Control, testing::Range(0u, 4u));

TEST_P(Control, RecursiveFibonacci) {
  Guest g(R"((func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2))))))))",
          Guest::at_level(GetParam()));
  EXPECT_EQ(g.call("fib", {20}).as_u32(), 6765u);
}

TEST_P(Control, LoopWithParametersAndResults) {
  Guest g = guest(R"((func (export "sum") (param i64) (result i64)
    (i64.const 0) (local.get 0)
    (loop $l (param i64 i64) (result i64)
      (local.set 0) (i64.add (local.get 0))
      (local.get 0) (i64.const 1) (i64.sub) (local.tee 0)
      (br_if $l (i64.ne (local.get 0) (i64.const 0)))
      (drop))))");
  EXPECT_EQ(g.call("sum", {100}).as_u64(), 5050u);
}

TEST_P(Control, BranchTableSelectsItsTarget) {
  Guest g = guest(R"((func (export "pick") (param i32) (result i32)
    (block $c (result i32) (block $b (result i32) (block $a (result i32)
      (br_table $a $b $a $c (i32.const 7) (local.get 0)))
      (return (i32.add (i32.const 100))))
      (return (i32.add (i32.const 200))))
    (i32.add (i32.const 300))))");
  EXPECT_EQ(g.call("pick", {0}).as_u32(), 107u);
  EXPECT_EQ(g.call("pick", {1}).as_u32(), 207u);
  EXPECT_EQ(g.call("pick", {2}).as_u32(), 107u);
  EXPECT_EQ(g.call("pick", {3}).as_u32(), 307u);
  EXPECT_EQ(g.call("pick", {~u32{0}}).as_u32(), 307u);
}

TEST_P(Control, IfWithoutElsePassesItsParameters) {
  Guest g = guest(R"((func (export "f") (param i32) (result i32)
    (i32.const 5) (local.get 0) (if (param i32) (result i32) (then (i32.const 1) (i32.add)))))");
  EXPECT_EQ(g.call("f", {0}).as_u32(), 5u);
  EXPECT_EQ(g.call("f", {1}).as_u32(), 6u);
}

TEST_P(Control, UnreachableCodeIsSkipped) {
  Guest g = guest(R"((func (export "f") (result i32)
    (block (result i32)
      (br 0 (i32.const 3))
      (if (then (loop (br 0)) (unreachable)) (else (nop)))
      (block (br_table 0 0 (i32.const 1)))
      (i32.add) (drop) (i32.const 9))))");
  EXPECT_EQ(g.call("f").as_u32(), 3u);
}

TEST_P(Control, BranchOutOfLoopsWithOperandsBelow) {
  Guest g = guest(R"((func (export "f") (param i32) (result i32) (local i32)
    (i32.const 1000)
    (block $out (result i32)
      (loop $again
        (local.set 1 (i32.add (local.get 1) (i32.const 3)))
        (br_if $out (local.get 1) (i32.ge_u (local.get 1) (local.get 0))) (drop)
        (br $again))
      (unreachable))
    (i32.add)))");
  EXPECT_EQ(g.call("f", {10}).as_u32(), 1012u);
}

TEST_P(Control, ManyResultsOfEachType) {
  Guest g = guest(R"(
    (func $five (param i32 i64 f32 f64) (result f64 f32 i64 i32 v128 i32)
      (local.get 3) (local.get 2) (local.get 1) (local.get 0)
      (i64x2.splat (i64.const 77)) (i32.const -1))
    (func (export "f") (result i64)
      (local i32 v128 i32 i64 f32 f64)
      (call $five (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4))
      (local.set 2) (local.set 1) (local.set 0) (local.set 3) (local.set 4) (local.set 5)
      (i64.extend_i32_u (local.get 0)) (local.get 3) (i64.add)
      (i64.trunc_f32_s (local.get 4)) (i64.add) (i64.trunc_f64_s (local.get 5)) (i64.add)
      (i64x2.extract_lane 1 (local.get 1)) (i64.add) (i64.extend_i32_s (local.get 2)) (i64.add))
    (func (export "direct") (result f64 f32 i64 i32 v128 i32)
      (call $five (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4))))");
  EXPECT_EQ(g.call("f").as_u64(), 1 + 2 + 3 + 4 + 77 - 1u);
  const Outcome r = g.call("direct");
  EXPECT_EQ(r.slots[0].f64_, 4.0);
  EXPECT_EQ(r.slots[1].f32_, 3.0f);
  EXPECT_EQ(r.slots[2].u64_, 2u);
  EXPECT_EQ(r.slots[3].u32_, 1u);
  EXPECT_EQ(r.slots[4].u64_, 77u);
  EXPECT_EQ(r.slots[5].u64_, 77u);
  EXPECT_EQ(r.slots[6].u32_, ~0u);
}

TEST_P(Control, SignallingNanCrossesCallsUnchanged) {
  Guest g = guest(R"(
    (func $id (param f64 f64 f32 f64 f64) (result f64 f64 f32 f64 f64)
      (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))
    (func (export "f") (param f64 f64 f32 f64 f64) (result f64 f64 f32 f64 f64)
      (call $id (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4))))");
  const u64 snan = 0x7ff0'0000'0000'0001;
  const Outcome r = g.call("f", {snan, snan, 0x7f80'0001, snan, snan});
  for (int i : {0, 1, 3, 4}) EXPECT_EQ(r.slots[static_cast<size_t>(i)].u64_, snan);
  EXPECT_EQ(r.slots[2].u32_, 0x7f80'0001u);
}

TEST_P(Control, ManyArguments) {
  std::string params, gets, args;
  for (int i = 0; i < 40; ++i) {
    params += i % 2 ? " i64" : " f64";
    args += i % 2 ? "(i64.const " + std::to_string(i) + ")" : "(f64.const " + std::to_string(i) + ")";
    gets += (i % 2 ? "(local.get " + std::to_string(i) + ")"
                   : "(i64.trunc_f64_s (local.get " + std::to_string(i) + "))") +
            "(i64.const 31) (i64.mul) (i64.add)";
  }
  Guest g = guest("(func $f (export \"f\") (param" + params + ") (result i64) (i64.const 0)" + gets +
                  ") (func (export \"g\") (result i64) (call $f " + args + "))");
  EXPECT_EQ(g.call("g").as_u64(), 31u * (39 * 40 / 2));
}

TEST_P(Control, TailCallsUseNoStack) {
  Guest g = guest(R"(
    (type $t (func (param i64 i64) (result i64 i64 i64)))
    (table funcref (elem $even $odd))
    (func $even (export "even") (param i64 i64) (result i64 i64 i64)
      (if (i64.eqz (local.get 0)) (then (return (i64.const 1) (local.get 1) (i64.const 5))))
      (return_call_indirect (type $t) (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 2))
                            (i32.const 1)))
    (func $odd (param i64 i64) (result i64 i64 i64)
      (if (i64.eqz (local.get 0)) (then (return (i64.const 0) (local.get 1) (i64.const 6))))
      (return_call $even (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1)))))");
  const Outcome r = g.call("even", {1'000'001, 0});
  ASSERT_EQ(r.status, Status::ok);
  EXPECT_EQ(r.slots[0].u64_, 0u);
  EXPECT_EQ(r.slots[1].u64_, 500'000u * 3 + 2);
  EXPECT_EQ(r.slots[2].u64_, 6u);
}

TEST_P(Control, GlobalsOfEveryType) {
  Guest g = guest(R"(
    (global $i (mut i32) (i32.const 1)) (global $l (mut i64) (i64.const 2)) (global $f (mut f32) (f32.const 3))
    (global $d (mut f64) (f64.const 4)) (global $v (mut v128) (v128.const i64x2 5 6)) (global $c i32 (i32.const 9))
    (func (export "swap") (result i64)
      (global.set $i (i32.add (global.get $i) (global.get $c)))
      (global.set $l (i64.mul (global.get $l) (i64.const 10)))
      (global.set $f (f32.add (global.get $f) (f32.const 1)))
      (global.set $d (f64.mul (global.get $d) (f64.const 2)))
      (global.set $v (i64x2.add (global.get $v) (global.get $v)))
      (i64.extend_i32_u (global.get $i)) (global.get $l) (i64.add)
      (i64.trunc_f32_s (global.get $f)) (i64.add) (i64.trunc_f64_s (global.get $d)) (i64.add)
      (i64x2.extract_lane 0 (global.get $v)) (i64.add) (i64x2.extract_lane 1 (global.get $v)) (i64.add)))");
  EXPECT_EQ(g.call("swap").as_u64(), 10u + 20 + 4 + 8 + 10 + 12);
}

}  // namespace
}  // namespace tenon::jit
