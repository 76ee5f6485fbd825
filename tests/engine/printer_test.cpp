// The module printer: text → binary → text → binary gives the same bytes; what it prints is what one would
// write.
#include "engine/text/printer.h"

#include <gtest/gtest.h>

#include "engine/text/wat.h"
#include "module_bytes.h"

namespace tenon::test {
namespace {

std::string print(std::string_view wat) {
  auto bytes = text::wat_to_wasm(wat);
  if (!bytes) return "text: " + bytes.error().message;
  auto printed = text::wasm_to_wat(*bytes);
  if (!printed) return "print: " + printed.error().message;
  auto again = text::wat_to_wasm(*printed);
  if (!again) return "again: " + again.error().message + "\n" + *printed;
  EXPECT_EQ(*bytes, *again) << *printed;
  return *printed;
}
void expect_prints(std::string_view wat, std::string_view part) {
  const std::string got = print(wat);
  EXPECT_NE(got.find(part), std::string::npos) << "expected: " << part << "\ngot:\n" << got;
}

TEST(Printer, AFunctionWithNamesAndBlocks) {
  EXPECT_EQ(print(R"((module $m (func $fac (export "fac") (param $n i64) (result i64)
      (if (result i64) (i64.eqz (local.get $n)) (then (i64.const 1))
        (else (i64.mul (local.get $n) (call $fac (i64.sub (local.get $n) (i64.const 1)))))))))"),
            R"((module $m
  (type (func (param i64) (result i64)))
  (func $fac (type 0) (param $n i64) (result i64)
    local.get $n
    i64.eqz
    if (result i64)
      i64.const 1
    else
      local.get $n
      local.get $n
      i64.const 1
      i64.sub
      call $fac
      i64.mul
    end)
  (export "fac" (func $fac)))
)");
}

TEST(Printer, TypesKeepTheirIndicesAndGroups) {
  // Equal types and the bracketed group of one survive, though they are one type to the validator.
  expect_prints(
      "(module (type (func)) (type (func)) (rec (type $r (struct (field (ref null $r)) (field (mut i8))))))",
      "(rec\n    (type $r (struct (field (ref null $r)) (field (mut i8)))))");
  expect_prints(
      "(module (type $a (sub (array f32))) (type (sub final $a (array f32))) (type (sub $a (array f32))))",
      "(type (sub final $a (array f32)))");
  expect_prints("(module (type $f (func)) (func (type 1)) (type $g (func)))", "(func (type $g))");
}

TEST(Printer, ConstantsReadBackBitForBit) {
  expect_prints(
      "(module (func f32.const nan:0x200001 drop f64.const -nan drop f32.const -0 drop f64.const 0x1p-1074 "
      "drop))",
      "f32.const nan:0x200001");
  expect_prints("(module (func f64.const 0.1 drop f32.const inf drop f64.const 1e300 drop))",
                "f64.const 0.1");
  expect_prints("(module (func i64.const 0x8000000000000000 drop i32.const 0xffffffff drop))",
                "i64.const -9223372036854775808");
  expect_prints("(module (func v128.const i64x2 1 -1 drop))",
                "v128.const i32x4 0x00000001 0x00000000 0xffffffff");
}

TEST(Printer, ImportsExportsAndLimits) {
  expect_prints(R"((module (import "a" "b\00" (func $f (param i32))) (import "a" "t" (table 1 2 externref))
                   (import "a" "m" (memory i64 1 5 shared)) (import "a" "g" (global (mut (ref null any))))
                   (import "a" "e" (tag (param i64)))))",
                R"((func $f (import "a" "b\00") (type 0)))");
  expect_prints("(module (memory 1 2 (pagesize 1)) (memory 0 (pagesize 65536)) (memory 0))",
                "(memory 0 (pagesize 65536))");
  expect_prints("(module (table i64 1 funcref) (table 1 (ref func) (ref.func 0)) (func))",
                "(table 1 (ref func) ref.func 0)");
}

TEST(Printer, SegmentsOfEveryForm) {
  expect_prints(
      R"((module (table $t 4 funcref) (table $u 4 externref) (memory $m 1) (memory $n i64 1) (func $f)
                   (elem (i32.const 0) func $f $f) (elem (table $u) (i32.const 1) externref (ref.null extern))
                   (elem $p func $f) (elem declare func $f) (elem funcref (ref.func $f) (ref.null func))
                   (data (i32.const 8) "a\22\\\ff") (data (memory $n) (i64.const 0) "b") (data $d "c")
                   (func (memory.init $n $d (i64.const 0) (i32.const 0) (i32.const 1)) (table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 0)))))",
      R"((data (offset i32.const 8) "a\"\\\ff"))");
}

TEST(Printer, InstructionsWithUnusualImmediates) {
  const std::string_view wat =
      R"((module (type $s (struct (field i8))) (type $a (array (mut i32))) (tag $e (param i32))
    (table $t 1 funcref) (memory 1) (memory $n 1) (type $f (func))
    (func (param anyref v128) (result i32)
      (block (result (ref $s)) (br_on_cast 0 anyref (ref $s) (local.get 0)) unreachable) drop
      (block (result i32) (try_table (catch $e 0) (catch_all 1)) (i32.const 1)) drop
      (drop (struct.get_s $s 0 (struct.new $s (i32.const 1)))) (drop (array.new_fixed $a 1 (i32.const 2)))
      (drop (ref.test (ref null $a) (local.get 0))) (drop (ref.cast i31ref (local.get 0)))
      (drop (select (result anyref) (local.get 0) (local.get 0) (i32.const 0)))
      (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (local.get 1) (local.get 1)))
      (drop (v128.load16_lane $n offset=4 align=1 7 (i32.const 0) (local.get 1)))
      (drop (v128.load8_lane 3 (i32.const 0) (local.get 1)))
      (call_indirect $t (type $f) (i32.const 0)) atomic.fence
      (block (block (br_table 0 1 0 (i32.const 1))))
      (i32.const 0))))";
  expect_prints(wat, "br_on_cast 0 anyref (ref $s)");
  expect_prints(wat, "v128.load16_lane $n offset=4 align=1 7");
  expect_prints(wat, "try_table (catch $e 0) (catch_all 1)");
}

TEST(Printer, LegacyExceptionsBranchHintsAndCustomSections) {
  expect_prints(
      "(module (tag $e) (func (try (do) (catch $e rethrow 0) (catch_all)) (try (do) (delegate 0))))",
      "catch $e\n");
  expect_prints(
      "(module (func (param i32) (@metadata.code.branch_hint \"\\01\") (if (local.get 0) (then nop))))",
      "(@metadata.code.branch_hint \"\\01\")\n    if");
  expect_prints("(module (@custom \"x\" (after func) \"\\00y\") (func))",
                "(@custom \"x\" (after func) \"\\00y\")");
}

TEST(Printer, NamesThatAreNoIdentifiersAndNamesThatClash) {
  expect_prints("(module (func $\"a b\" (call $\"a b\")))", "call $\"a b\"");
  expect_prints("(module (func $x) (func (@name \"x\") (call 1)))",
                "(func (@name \"x\") (type 0)\n    call 1)");
}

TEST(Printer, VariablesWithoutNamesShareParentheses) {
  expect_prints("(module (func (param i32 i32) (param $x f32) (local i64) (local $y i64) (local i64 v128)))",
                "(param i32 i32) (param $x f32) (local i64) (local $y i64) (local i64 v128)");
}

TEST(Printer, DeepNestingAndManyLocalsDoNotBlowUp) {
  Bytes deep;
  for (int i = 0; i < 50'000; ++i) deep.insert(deep.end(), {0x02, 0x40});
  deep.insert(deep.end(), 50'000, 0x0b);
  auto printed = text::wasm_to_wat(OneFunction{.code = deep}.bytes());
  ASSERT_TRUE(printed) << printed.error().message;
  EXPECT_LT(printed->size(), 10'000'000u);
  // Thousands of functions with 50,000 locals each: an error, not gigabytes.
  const Bytes one = sized(Bytes{1} + leb(50'000) + Bytes{EXTERNREF, 0x0b});
  Bytes code = leb(2000);
  for (int i = 0; i < 2000; ++i) code.insert(code.end(), one.begin(), one.end());
  const auto big = text::wasm_to_wat(kHeader + section(kType, vec({func_type({}, {})})) +
                                     section(kFunction, leb(2000) + Bytes(2000, 0)) + section(kCode, code));
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().category, ErrorCategory::limit);
}

TEST(Printer, PrintsInvalidModulesButNotMalformedOnes) {
  const Bytes invalid = OneFunction{.code = {0x1a, 0x10, 77}}.bytes();
  EXPECT_ERROR("type mismatch", invalid);
  auto printed = text::wasm_to_wat(invalid);
  ASSERT_TRUE(printed) << printed.error().message;
  EXPECT_NE(printed->find("call 77"), std::string::npos);
  const Bytes malformed = OneFunction{.code = {0xff}}.bytes();
  EXPECT_FALSE(text::wasm_to_wat(malformed));
}

}  // namespace
}  // namespace tenon::test
