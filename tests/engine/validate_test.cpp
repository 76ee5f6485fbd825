// The validator: one rule of the specification a test, in text form; what the suite covers by the thousand is
// left to it.
#include <gtest/gtest.h>

#include <string>

#include "engine/reader.h"
#include "engine/text/wat.h"
#include "engine/validate/func_validator.h"
#include "module_bytes.h"

namespace tenon::test {
namespace {

std::string check(std::string_view wat, const DecodeOptions& options = {}) {
  auto bytes = text::wat_to_wasm(wat);
  if (!bytes) return "text: " + bytes.error().message;
  return outcome(*bytes, options);
}
// A function body in a module with what the tests need around it.
std::string check_body(std::string_view code, std::string_view type = "") {
  return check(std::string(R"((module
    (type $s (struct (field $x (mut i32)) (field $y i8)))
    (type $a (array (mut i16)))
    (type $c (array i64))
    (type $f (func (param i32) (result i64)))
    (memory $m 1) (memory $big i64 1)
    (table $t 1 funcref) (table $r 1 externref) (table $t64 i64 1 funcref)
    (global $g i32 (i32.const 1)) (global $v (mut f32) (f32.const 0))
    (tag $e (param i32))
    (elem $el func $one) (data $d "x")
    (func $one (type $f) (i64.const 1))
    (func )") + std::string(type) +
               " " + std::string(code) + "))");
}
void expect_invalid(std::string_view text, std::string_view code, std::string_view type = "") {
  const std::string got = check_body(code, type);
  EXPECT_TRUE(got.starts_with(text)) << code << "\nexpected: " << text << "\ngot: " << got;
}
#define EXPECT_VALID(...) EXPECT_EQ(check_body(__VA_ARGS__), "ok")

TEST(Validate, OperandsMustHaveTheTypesThatInstructionsTake) {
  EXPECT_VALID("i32.const 1 i32.const 2 i32.add drop");
  expect_invalid("type mismatch: instruction requires [i32 i32] but stack has [i32]",
                 "i32.const 1 i32.add drop");
  expect_invalid("type mismatch: instruction requires [i32 i32] but stack has [i32 i64]",
                 "i32.const 1 i64.const 2 i32.add drop");
  expect_invalid("type mismatch: block requires [] but stack has [f64]", "f64.const 0");
  EXPECT_VALID("v128.const i64x2 1 2 i32.const 3 i32x4.shl drop");
  expect_invalid("type mismatch", "i64.const 1 i64.const 2 i64.const 3 i64.add128 drop drop");
  EXPECT_VALID("i64.const 1 i64.const 2 i64.mul_wide_u drop drop");
}

TEST(Validate, ErrorsNameFunctionAndOffset) {
  auto bytes = text::wat_to_wasm("(module (func) (func $bad (drop)))");
  ASSERT_TRUE(bytes);
  auto m = decode(*bytes);
  ASSERT_FALSE(m);
  EXPECT_EQ(m.error().category, ErrorCategory::invalid);
  EXPECT_TRUE(m.error().message.ends_with("(in function 1, bad)")) << m.error().message;
  ASSERT_TRUE(m.error().offset);
  EXPECT_EQ((*bytes)[*m.error().offset], 0x1a) << "the drop itself";
}

TEST(Validate, BlocksTakeParametersAndGiveResults) {
  EXPECT_VALID("i32.const 1 (block (param i32) (result i32 i32) i32.const 2) drop drop");
  EXPECT_VALID("i32.const 0 (loop (param i32) (result i32) i32.eqz) drop");
  expect_invalid("type mismatch: instruction requires [i32] but stack has []", "(block (result i32)) drop");
  expect_invalid("type mismatch: block requires [i32] but stack has [i32 i32]",
                 "(block (result i32) i32.const 1 i32.const 2) drop");
  expect_invalid("type mismatch", "i32.const 1 (block i32.eqz drop)");
  expect_invalid("type mismatch: if without else",
                 "(if (result i32) (i32.const 1) (then (i32.const 2))) drop");
  EXPECT_VALID("i32.const 7 i32.const 1 if (param i32) (result i32) end drop");
}

TEST(Validate, LabelsOfLoopsTakeParametersOfBlocksResults) {
  EXPECT_VALID("i32.const 1 loop (param i32) br 0 end");
  expect_invalid("type mismatch",
                 "loop (result i32) i32.const 1 br 0 end drop i32.const 1 loop (param i32) drop br 0 end");
  EXPECT_VALID("(block (result i64) i64.const 1 i32.const 0 br_if 0) drop");
  expect_invalid("type mismatch",
                 "(block (result i64) i32.const 1 i32.const 0 br_if 0 drop i64.const 0) drop");
  expect_invalid("unknown label 2", "(block br 2)");
  EXPECT_VALID("(block br 1)");
}

TEST(Validate, BrTableLabelsAgreeInArityAndFitTheOperands) {
  EXPECT_VALID("(block (result i32) (block (result i32) i32.const 1 i32.const 0 br_table 0 1 0 1)) drop");
  expect_invalid("type mismatch", "(block (block (result i32) i32.const 1 i32.const 0 br_table 0 1) drop)");
  expect_invalid(
      "type mismatch",
      "(block (result f32) (block (result i32) i32.const 1 i32.const 0 br_table 0 1) drop f32.const 0) drop");
  EXPECT_VALID(
      "(block (result f32) (block (result i32) unreachable br_table 0 1 1 0 1) drop f32.const 0) drop");
}

TEST(Validate, UnreachableCodeIsPolymorphicButTyped) {
  EXPECT_VALID("unreachable i32.add drop");
  EXPECT_VALID("unreachable select drop");
  EXPECT_VALID("unreachable ref.is_null drop unreachable ref.as_non_null drop unreachable call_ref $f drop");
  EXPECT_VALID("br 0 i64.const 1 i64.add drop");
  expect_invalid("type mismatch", "unreachable f32.const 1 i32.add drop");
  expect_invalid("type mismatch", "unreachable i32.add");
  expect_invalid("type mismatch", "(block unreachable) i32.add drop");
  EXPECT_VALID("(block (result i32) unreachable) drop", "");
  EXPECT_VALID("return i32.const 1 drop");
}

TEST(Validate, SelectWithoutTypeIsForNumbersAndVectors) {
  EXPECT_VALID("i32.const 1 i32.const 2 i32.const 0 select drop");
  EXPECT_VALID("v128.const i64x2 0 0 v128.const i64x2 0 0 i32.const 0 select drop");
  expect_invalid("type mismatch", "i32.const 1 i64.const 2 i32.const 0 select drop");
  expect_invalid("type mismatch", "ref.null func ref.null func i32.const 0 select drop");
  EXPECT_VALID("ref.null func ref.null func i32.const 0 select (result funcref) drop");
  expect_invalid("invalid result arity",
                 "i32.const 0 i32.const 0 i32.const 0 select (result i32 i32) drop drop");
}

TEST(Validate, LocalsAndGlobals) {
  EXPECT_VALID("local.get 0 local.set 1", "(param i32) (local i32)");
  expect_invalid("unknown local 2", "local.get 2 drop", "(param i32) (local i32)");
  expect_invalid("type mismatch", "local.get 0 local.tee 1 drop", "(param i32) (local i64)");
  expect_invalid("immutable global 0", "i32.const 1 global.set $g");
  EXPECT_VALID("f32.const 1 global.set $v");
  expect_invalid("unknown global 9", "global.get 9 drop");
}

TEST(Validate, LocalsWithoutDefaultMustBeSetBeforeUse) {
  const std::string_view type = "(param $p (ref $s)) (local $x (ref $s))";
  EXPECT_VALID("(local.set $x (local.get $p)) (drop (local.get $x))", type);
  expect_invalid("uninitialized local 1", "(drop (local.get $x))", type);
  expect_invalid("uninitialized local 1", "(block (local.set $x (local.get $p))) (drop (local.get $x))",
                 type);
  EXPECT_VALID("(local.set $x (local.get $p)) (block (drop (local.get $x)))", type);
  expect_invalid("uninitialized local 1",
                 "(if (i32.const 0) (then (local.set $x (local.get $p))) (else (drop (local.get $x))))",
                 type);
  EXPECT_VALID("(block (drop (local.tee $x (local.get $p))) (drop (local.get $x)))", type);
}

// Beyond the first thousand they are kept as runs.
TEST(Validate, LocalsFarBehindTheFirstHaveTheirTypes) {
  const Bytes runs = Bytes{4} + leb(1500) + Bytes{I32} + leb(1) + Bytes{0x64, 0x6e} + leb(2000) + Bytes{I64} +
                     leb(40'000) + Bytes{F32};  // i32 × 1500, (ref any), i64 × 2000, f32 × 40,000
  const auto get = [&](u32 local, u8 type) {
    return outcome(OneFunction{.results = {type}, .code = Bytes{0x20} + leb(local), .locals = runs}.bytes());
  };
  for (const u32 local : {0, 1023, 1024, 1499}) EXPECT_EQ(get(local, I32), "ok") << local;
  for (const u32 local : {1501, 3500}) EXPECT_EQ(get(local, I64), "ok") << local;
  for (const u32 local : {3501, 43'500}) EXPECT_EQ(get(local, F32), "ok") << local;
  EXPECT_TRUE(get(1501, I32).starts_with("type mismatch"));
  EXPECT_TRUE(get(1500, I32).starts_with("uninitialized local"));
  EXPECT_TRUE(get(43'501, F32).starts_with("unknown local"));
}

TEST(Validate, CallsAndTailCalls) {
  EXPECT_VALID("(drop (call $one (i32.const 1)))");
  expect_invalid("type mismatch", "(drop (call $one (i64.const 1)))");
  expect_invalid("unknown function 99", "call 99");
  EXPECT_VALID("(return_call $one (i32.const 1))", "(result i64)");
  expect_invalid("type mismatch: tail call of [i32] -> [i64] from a function of [] -> [i32]",
                 "(return_call $one (i32.const 1))", "(result i32)");
  EXPECT_VALID("(drop (call_indirect $t (type $f) (i32.const 1) (i32.const 0)))");
  EXPECT_VALID("(drop (call_indirect $t64 (type $f) (i32.const 1) (i64.const 0)))");
  expect_invalid("type mismatch", "(drop (call_indirect $t64 (type $f) (i32.const 1) (i32.const 0)))");
  expect_invalid("type mismatch: indirect call through a table of",
                 "(drop (call_indirect $r (type $f) (i32.const 1) (i32.const 0)))");
  expect_invalid("unknown table 8", "(drop (call_indirect 8 (type $f) (i32.const 1) (i32.const 0)))");
  EXPECT_VALID("(drop (call_ref $f (i32.const 1) (ref.func $one)))");
  expect_invalid("type mismatch", "(drop (call_ref $f (i32.const 1) (ref.null extern)))");
  expect_invalid("non-function type", "unreachable call_ref $s");
}

TEST(Validate, MemoryInstructionsFollowTheirMemorysAddressType) {
  EXPECT_VALID("(drop (i32.load (i32.const 0)))");
  EXPECT_VALID("(drop (i32.load $big (i64.const 0)))");
  expect_invalid("type mismatch", "(drop (i32.load $big (i32.const 0)))");
  expect_invalid("unknown memory 7", "(drop (i32.load 7 (i32.const 0)))");
  EXPECT_VALID("(drop (i32.load $big offset=0x100000000 (i64.const 0)))");
  expect_invalid("offset out of range", "(drop (i32.load offset=0x100000000 (i32.const 0)))");
  expect_invalid("alignment must not be larger than natural", "(drop (i32.load16_u align=4 (i32.const 0)))");
  EXPECT_VALID("(drop (memory.grow $big (i64.const 1)))");
  EXPECT_VALID("(memory.copy $big $m (i64.const 0) (i32.const 0) (i32.const 1))");
  EXPECT_VALID("(memory.copy $big $big (i64.const 0) (i64.const 0) (i64.const 1))");
  expect_invalid("type mismatch", "(memory.copy $big $m (i64.const 0) (i32.const 0) (i64.const 1))");
  EXPECT_VALID("(memory.init $big $d (i64.const 0) (i32.const 0) (i32.const 1)) (data.drop $d)");
  expect_invalid("unknown data segment 5", "data.drop 5");
}

TEST(Validate, AtomicsNeedTheirExactAlignment) {
  EXPECT_VALID("(drop (i32.atomic.load (i32.const 0)))");
  expect_invalid("atomic alignment must be natural", "(drop (i64.atomic.load align=4 (i32.const 0)))");
  EXPECT_VALID("(drop (i64.atomic.rmw16.cmpxchg_u (i32.const 0) (i64.const 0) (i64.const 0))) atomic.fence");
}

TEST(Validate, LanesMustExist) {
  EXPECT_VALID("v128.const i64x2 0 0 i8x16.extract_lane_s 15 drop");
  const std::string_view type = "(param v128)";
  EXPECT_VALID("(drop (f64x2.extract_lane 1 (local.get 0)))", type);
  expect_invalid("invalid lane index", "(drop (f64x2.extract_lane 2 (local.get 0)))", type);
  expect_invalid("invalid lane index", "(drop (i16x8.replace_lane 8 (local.get 0) (i32.const 0)))", type);
  expect_invalid("invalid lane index", "(drop (v128.load32_lane 4 (i32.const 0) (local.get 0)))", type);
  expect_invalid("invalid lane index",
                 "(drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 32 (local.get 0) (local.get 0)))",
                 type);
}

TEST(Validate, Tables) {
  EXPECT_VALID("(table.set $t (i32.const 0) (table.get $t (i32.const 0)))");
  expect_invalid("type mismatch", "(table.set $r (i32.const 0) (table.get $t (i32.const 0)))");
  EXPECT_VALID("(drop (table.grow $t64 (ref.null func) (i64.const 1)))");
  EXPECT_VALID("(table.copy $t $t64 (i32.const 0) (i64.const 0) (i32.const 0))");
  expect_invalid("type mismatch", "(table.copy $r $t (i32.const 0) (i32.const 0) (i32.const 0))");
  EXPECT_VALID("(table.init $t $el (i32.const 0) (i32.const 0) (i32.const 0)) (elem.drop $el)");
  expect_invalid("type mismatch", "(table.init $r $el (i32.const 0) (i32.const 0) (i32.const 0))");
  expect_invalid("unknown elem segment 4", "elem.drop 4");
  EXPECT_VALID("(table.fill $t64 (i64.const 0) (ref.null func) (i64.const 0)) (drop (table.size $t64))");
}

TEST(Validate, ReferencesToFunctionsMustBeDeclared) {
  EXPECT_VALID("(drop (ref.func $one))");
  EXPECT_TRUE(check("(module (func $f (drop (ref.func $f))))").starts_with("undeclared function reference"));
  EXPECT_EQ(check("(module (func $f (export \"f\") (drop (ref.func $f))))"), "ok");
  EXPECT_EQ(check("(module (global funcref (ref.func $f)) (func $f (drop (ref.func $f))))"), "ok");
}

TEST(Validate, BranchesOnNullAndCasts) {
  const std::string_view p = "(param (ref null $s)) (param anyref)";
  EXPECT_VALID("(block (drop (br_on_null 0 (local.get 0))))", p);
  EXPECT_VALID("(block (result (ref $s)) (br_on_non_null 0 (local.get 0)) unreachable) drop", p);
  expect_invalid("type mismatch", "(block (br_on_non_null 0 (local.get 0)))", p);
  EXPECT_VALID("(block (result (ref $s)) (br_on_cast 0 anyref (ref $s) (local.get 1)) drop unreachable) drop",
               p);
  expect_invalid(
      "type mismatch: cast of",
      "(block (result (ref $s)) (br_on_cast 0 (ref null $s) anyref (local.get 0)) drop unreachable) drop", p);
  // What is left after a failed cast to a nullable type is not null.
  EXPECT_VALID(
      "(block (result (ref any)) (br_on_cast_fail 0 anyref (ref null $s) (local.get 1)) drop unreachable) "
      "drop",
      p);
  expect_invalid(
      "type mismatch",
      "(block (result (ref any)) (br_on_cast_fail 0 anyref (ref $s) (local.get 1)) drop unreachable) drop",
      p);
  EXPECT_VALID("(drop (ref.test (ref $s) (local.get 1))) (drop (ref.cast (ref null $a) (local.get 1)))", p);
  expect_invalid("type mismatch", "(drop (ref.test (ref func) (local.get 1)))", p);
  EXPECT_VALID("(drop (ref.eq (local.get 0) (ref.i31 (i32.const 1))))", p);
  expect_invalid("type mismatch", "(drop (ref.eq (local.get 1) (ref.null eq)))", p);
}

TEST(Validate, StructuresAndArrays) {
  EXPECT_VALID("(drop (struct.get $s 0 (struct.new $s (i32.const 1) (i32.const 2))))");
  EXPECT_VALID("(drop (struct.get_u $s 1 (struct.new_default $s)))");
  expect_invalid("type mismatch: a packed field", "(drop (struct.get $s 1 (struct.new_default $s)))");
  expect_invalid("type mismatch: the field is not packed",
                 "(drop (struct.get_s $s 0 (struct.new_default $s)))");
  EXPECT_VALID("(struct.set $s 0 (struct.new_default $s) (i32.const 1))");
  expect_invalid("immutable field 1", "(struct.set $s 1 (struct.new_default $s) (i32.const 1))");
  expect_invalid("unknown field 2", "unreachable struct.get $s 2 drop");
  EXPECT_VALID(
      "(array.set $a (array.new_fixed $a 2 (i32.const 1) (i32.const 2)) (i32.const 0) (i32.const 1))");
  expect_invalid("type mismatch", "(drop (array.new_fixed $a 3 (i32.const 1) (i32.const 2)))");
  expect_invalid("immutable array 2",
                 "(array.set $c (array.new_default $c (i32.const 1)) (i32.const 0) (i64.const 1))");
  expect_invalid("array types do not match", "unreachable array.copy $a $c");
  EXPECT_VALID("(drop (array.new_data $a $d (i32.const 0) (i32.const 0))) unreachable array.init_data $a $d");
  expect_invalid("type mismatch", "unreachable array.new_elem $a $el drop");
  EXPECT_VALID("(drop (array.len (array.new_default $c (i32.const 1))))");
  EXPECT_VALID("(drop (any.convert_extern (extern.convert_any (ref.i31 (i32.const 1)))))");
}

TEST(Validate, ExceptionsAndTheirHandlers) {
  EXPECT_VALID("(throw $e (i32.const 1))");
  expect_invalid("type mismatch", "(throw $e)");
  expect_invalid("unknown tag 3", "(throw 3)");
  EXPECT_VALID("(block (result i32) (try_table (catch $e 0) (throw $e (i32.const 1))) unreachable) drop");
  EXPECT_VALID("(block (result i32 exnref) (try_table (catch_ref $e 0)) unreachable) throw_ref");
  EXPECT_VALID("(block (result (ref exn)) (try_table (catch_all_ref 0)) unreachable) drop");
  expect_invalid("type mismatch: catch clause", "(block (try_table (catch $e 0)))");
  // Labels of clauses count from outside the try_table.
  expect_invalid("unknown label 1", "(try_table (catch_all 1))");
}

TEST(Validate, LegacyExceptions) {
  EXPECT_VALID("(try (result i32) (do (i32.const 1)) (catch $e)) drop");
  EXPECT_VALID("(try (do) (catch $e drop rethrow 0) (catch_all rethrow 0))");
  EXPECT_VALID("try try delegate 0 catch_all end");
  expect_invalid("invalid rethrow label 0", "try rethrow 0 end");
  expect_invalid("type mismatch", "(try (result i32) (do (i64.const 1)) (catch $e)) drop");
  EXPECT_ERROR("type mismatch: catch without try", OneFunction{.code = {0x19}}.bytes());
  EXPECT_ERROR("type mismatch: delegate without try", OneFunction{.code = {0x02, 0x40, 0x18, 0}}.bytes());
  EXPECT_ERROR("type mismatch: else without if", OneFunction{.code = {0x02, 0x40, 0x05, 0x0b}}.bytes());
}

TEST(Validate, ConstantExpressions) {
  EXPECT_EQ(check("(module (global i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))))"),
            "ok");
  EXPECT_EQ(check("(module (global $a i32 (i32.const 1)) (global i32 (global.get $a)))"), "ok");
  EXPECT_TRUE(check("(module (global i32 (global.get 1)) (global i32 (i32.const 1)))")
                  .starts_with("unknown global 1"));
  EXPECT_TRUE(check("(module (global $a (mut i32) (i32.const 1)) (global i32 (global.get $a)))")
                  .starts_with("constant expression required"));
  EXPECT_TRUE(check("(module (global i32 (i32.div_u (i32.const 1) (i32.const 1))))")
                  .starts_with("constant expression required: i32.div_u"));
  DecodeOptions plain;
  plain.features.set(Feature::extended_const, false);
  EXPECT_TRUE(check("(module (global i32 (i32.add (i32.const 1) (i32.const 1))))", plain)
                  .starts_with("constant expression required"));
  EXPECT_EQ(check("(module (type $s (struct (field i32))) (global (ref $s) (struct.new $s (i32.const 1))))"),
            "ok");
  EXPECT_EQ(check("(module (table 1 (ref func) (ref.func $f)) (func $f))"), "ok");
  EXPECT_EQ(check("(module (memory i64 1) (data (i64.const 0) \"x\"))"), "ok");
  EXPECT_TRUE(check("(module (memory i64 1) (data (i32.const 0) \"x\"))").starts_with("type mismatch"));
}

TEST(Validate, TagsHaveNoResults) {
  EXPECT_EQ(check("(module (tag (param i32)))"), "ok");
  EXPECT_TRUE(check("(module (tag (result i32)))").starts_with("non-empty tag result type"));
}

TEST(Validate, BodiesMustEndOnce) {
  const Bytes head = kHeader + section(kType, vec({func_type({}, {})})) + section(kFunction, vec({{0}}));
  const auto code = [&](const Bytes& body) { return head + section(kCode, vec({sized(body)})); };
  EXPECT_ERROR("unexpected end of section or function", code({0, 0x01}));
  EXPECT_ERROR("section size mismatch", code({0, 0x0b, 0x0b}));
  EXPECT_ERROR("END opcode expected", code({0, 0x01}) + section(kCustom, name("x")));
  EXPECT_ERROR("unexpected end of section or function", code({0, 0x41}));
  EXPECT_ERROR("unexpected end of section or function", code({}));
}

TEST(Validate, LazyBodiesAreCheckedOneByOne) {
  auto bytes = text::wat_to_wasm("(module (func) (func drop))");
  ASSERT_TRUE(bytes);
  DecodeOptions lazy;
  lazy.lazy_bodies = true;
  auto m = decode(*bytes, lazy);
  ASSERT_TRUE(m) << m.error().message;
  EXPECT_TRUE(validate_function(**m, FuncIdx{0}, lazy.limits));
  EXPECT_FALSE(validate_function(**m, FuncIdx{1}, lazy.limits));
}

TEST(Validate, TranslatorsSeeTheStacksBeforeEachInstruction) {
  auto bytes = text::wat_to_wasm(
      "(module (func (param i32) (result f32) local.get 0 (block (param i32) drop) f32.const 1 br 0))");
  ASSERT_TRUE(bytes);
  auto m = decode(*bytes);
  ASSERT_TRUE(m) << m.error().message;
  const Function& f = (*m)->functions[0];
  CodeReader reader(**m, f.body, f.offset);
  FuncValidator v(**m, FuncIdx{0});
  std::vector<LocalRun> runs;
  ASSERT_TRUE(reader.read_locals(runs) && v.locals(runs));
  EXPECT_EQ(v.local_count(), 1u);
  EXPECT_EQ(v.local_type(0), kI32);
  Instr i;
  while (!v.done() && reader.next(i)) {
    if (i.op == Op::drop) {
      EXPECT_EQ(v.height(), 1u);
      EXPECT_EQ(v.operand(0), kI32);
      EXPECT_EQ(v.control_depth(), 2u);
      EXPECT_EQ(v.control(0).op, Op::block);
      EXPECT_EQ(v.control(0).height, 0u);
      EXPECT_EQ(v.control(1).end_types.size(), 1u);
    }
    if (i.op == Op::br) EXPECT_EQ(v.operand(0), kF32);
    ASSERT_TRUE(v.step(i));
    if (i.op == Op::br) {
      EXPECT_FALSE(v.reachable());
      EXPECT_EQ(v.operand(0), kBottom);
    }
  }
  EXPECT_TRUE(v.done());
}

}  // namespace
}  // namespace tenon::test
