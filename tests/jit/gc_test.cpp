// Structs, arrays, i31 and casts in compiled code, and that the collector finds what compiled frames hold. The
// store collects at each allocation.
#include <optional>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr u32 kInterpreter = 4;

class Gc : public testing::TestWithParam<u32> {
 protected:
  Guest& guest(std::string_view wat) {
    Guest::Options options = GetParam() == kInterpreter ? Guest::interpreter() : Guest::at_level(GetParam());
    options.jit.notice = [](const std::string& text) { ADD_FAILURE() << text; };
    guest_.emplace(wat, std::move(options));
    guest_->store().heap().set_stress(true);
    return *guest_;
  }
  Outcome run(std::string_view wat, std::vector<u64> args = {}) {
    Guest& g = guest(wat);
    return g.ok() ? g.call("f", std::move(args)) : Outcome{};
  }
  std::optional<Guest> guest_;
};

TEST_P(Gc, ListsSurviveCollectionsInTheirMaker) {
  const Outcome o = run(R"((module
    (rec (type $node (struct (field $value i32) (field $next (mut (ref null $node))))))
    (func $make (param $n i32) (result (ref null $node)) (local $list (ref null $node))
      (loop $l
        (local.set $list (struct.new $node (local.get $n) (local.get $list)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $l (local.get $n)))
      (local.get $list))
    (func (export "f") (param $n i32) (result i32) (local $list (ref null $node)) (local $sum i32)
      (local.set $list (call $make (local.get $n)))
      (drop (call $make (local.get $n)))
      (loop $l
        (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 3))
                                 (struct.get $node $value (local.get $list))))
        (br_if $l (i32.eqz (ref.is_null (local.tee $list (struct.get $node $next (local.get $list)))))))
      (local.get $sum)))
  )",
                        {50});
  u32 expected = 0;
  for (u32 i = 1; i <= 50; ++i) expected = expected * 3 + i;
  EXPECT_EQ(o.as_u32(), expected);
}

// The loop's pointers into the array may be all that optimised code keeps of it.
TEST_P(Gc, AnArrayIsKeptByPointersIntoIt) {
  const Outcome o = run(R"((module
    (type $ints (array (mut i64))) (type $box (struct (field i64)))
    (func (export "f") (param $n i32) (result i64) (local $a (ref null $ints)) (local $i i32) (local $sum i64)
      (local.set $a (array.new $ints (i64.const 7) (local.get $n)))
      (loop $fill
        (array.set $ints (local.get $a) (local.get $i)
          (struct.get $box 0 (struct.new $box (i64.extend_i32_u (local.get $i)))))
        (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (loop $add
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (local.set $sum (i64.add (local.get $sum) (i64.mul
          (array.get $ints (local.get $a) (local.get $i))
          (struct.get $box 0 (struct.new $box (i64.const 3))))))
        (br_if $add (local.get $i)))
      (local.get $sum)))
  )",
                        {100});
  EXPECT_EQ(o.as_u64(), 3u * 4950u);
}

TEST_P(Gc, PackedFieldsWidenAsTheInstructionSays) {
  const Outcome o = run(R"((module
    (type $s (struct (field i8) (field (mut i16)) (field f32) (field v128) (field i8)))
    (type $bytes (array (mut i8)))
    (func (export "f") (result i32 i32 i32 i32 i64 i32 i32) (local $s (ref null $s)) (local $b (ref null $bytes))
      (local.set $s (struct.new $s (i32.const 0x1ff) (i32.const 5) (f32.const 1.5)
                                   (v128.const i64x2 11 22) (i32.const 0x80)))
      (struct.set $s 1 (local.get $s) (i32.const 0xabcd8001))
      (local.set $b (array.new_fixed $bytes 3 (i32.const 1) (i32.const 0xfe) (i32.const 3)))
      (struct.get_s $s 0 (local.get $s)) (struct.get_u $s 0 (local.get $s))
      (struct.get_s $s 1 (local.get $s)) (struct.get_u $s 4 (local.get $s))
      (i64x2.extract_lane 1 (struct.get $s 3 (local.get $s)))
      (array.get_s $bytes (local.get $b) (i32.const 1)) (array.get_u $bytes (local.get $b) (i32.const 1))))
  )");
  ASSERT_EQ(o.status, Status::ok);
  EXPECT_EQ(o.slots[0].u32_, 0xffff'ffff);
  EXPECT_EQ(o.slots[1].u32_, 0xffu);
  EXPECT_EQ(o.slots[2].u32_, 0xffff'8001);
  EXPECT_EQ(o.slots[3].u32_, 0x80u);
  EXPECT_EQ(o.slots[4].u64_, 22u);
  EXPECT_EQ(o.slots[5].u32_, 0xffff'fffe);
  EXPECT_EQ(o.slots[6].u32_, 0xfeu);
}

// Ten levels: more than the display's places that are read inline.
constexpr const char* kDeepTypes = R"(
    (type $t0 (sub (struct))) (type $t1 (sub $t0 (struct))) (type $t2 (sub $t1 (struct (field i32))))
    (type $t3 (sub $t2 (struct (field i32) (field i64)))) (type $t4 (sub $t3 (struct (field i32) (field i64) (field i8))))
    (type $t5 (sub $t4 (struct (field i32) (field i64) (field i8) (field i8))))
    (type $t6 (sub $t5 (struct (field i32) (field i64) (field i8) (field i8) (field i8))))
    (type $t7 (sub $t6 (struct (field i32) (field i64) (field i8) (field i8) (field i8) (field i8))))
    (type $t8 (sub $t7 (struct (field i32) (field i64) (field i8) (field i8) (field i8) (field i8) (field i8))))
    (type $t9 (sub final $t8 (struct (field i32) (field i64) (field i8) (field i8) (field i8) (field i8) (field i8))))
    (type $other (sub $t0 (struct (field f64)))) (type $array (array i8)) (type $fn (sub (func)))
    (type $fn2 (sub final $fn (func)))
    (func $plain (type $fn)) (func $special (type $fn2)) (elem declare func $plain $special))";

TEST_P(Gc, CastsLookAtTheDisplay) {
  // Each row: an operand, and for each target whether ref.test says yes.
  struct Row {
    const char* operand;
    u32 answers;
  };
  const std::string targets[] = {"$t0",   "$t2", "$t8", "$t9", "$other", "$array",   "struct",
                                 "array", "i31", "eq",  "any", "none",   "null $t9", "null none"};
  const Row rows[] = {
      {"(struct.new_default $t9)", 0b01'0110'0100'1111},
      {"(struct.new_default $t8)", 0b00'0110'0100'0111},
      {"(struct.new_default $t2)", 0b00'0110'0100'0011},
      {"(struct.new_default $other)", 0b00'0110'0101'0001},
      {"(array.new_default $array (i32.const 3))", 0b00'0110'1010'0000},
      {"(ref.i31 (i32.const 5))", 0b00'0111'0000'0000},
      {"(ref.null none)", 0b11'0000'0000'0000},
      {"(any.convert_extern (extern.convert_any (struct.new_default $t2)))", 0b00'0110'0100'0011},
  };
  std::string wat = "(module " + std::string(kDeepTypes);
  for (size_t r = 0; r < std::size(rows); ++r) {
    wat += "(func (export \"row" + std::to_string(r) + "\") (result i32) (local $x anyref)";
    wat += "(local.set $x " + std::string(rows[r].operand) + ") (i32.const 0)";
    for (size_t t = 0; t < std::size(targets); ++t)
      wat += "(i32.or (i32.shl (ref.test (ref " + targets[t] + ") (local.get $x)) (i32.const " +
             std::to_string(t) + ")))";
    wat += ")";
  }
  Guest& g = guest(wat + ")");
  ASSERT_TRUE(g.ok()) << g.error()->message;
  // "array" answers for arrays, "eq" (bit 9) and "any" (bit 10) for all that is not null.
  for (size_t r = 0; r < std::size(rows); ++r) {
    const Outcome o = g.call("row" + std::to_string(r));
    ASSERT_EQ(o.status, Status::ok);
    Guest::Options reference = Guest::interpreter();
    Guest other(wat + ")", reference);
    EXPECT_EQ(o.as_u32(), other.call("row" + std::to_string(r)).as_u32()) << rows[r].operand;
    EXPECT_EQ(o.as_u32() & 0xf, rows[r].answers & 0xf) << rows[r].operand;
  }
}

TEST_P(Gc, FunctionReferencesAreCastByTheirType) {
  Guest& g = guest("(module " + std::string(kDeepTypes) + R"(
    (func (export "f") (result i32 i32 i32)
      (ref.test (ref $fn) (ref.func $special)) (ref.test (ref $fn2) (ref.func $plain))
      (ref.test (ref null $fn2) (ref.null nofunc))))
  )");
  const Outcome o = g.call("f");
  ASSERT_EQ(o.status, Status::ok);
  EXPECT_EQ(o.slots[0].u32_, 1u);
  EXPECT_EQ(o.slots[1].u32_, 0u);
  EXPECT_EQ(o.slots[2].u32_, 1u);
}

TEST_P(Gc, BranchesOnCastsKeepTheOperands) {
  Guest& g = guest(R"((module
    (type $a (struct (field i32))) (type $b (struct (field i64)))
    (func $kind (param $x anyref) (result i32)
      (block $is_a (result i32 (ref $a))
        (block $not_b (result i32 anyref)
          (i32.const 10) (local.get $x)
          (br_on_cast $is_a anyref (ref $a))
          (br_on_cast_fail $not_b anyref (ref $b))
          (drop) (drop) (return (i32.const 2)))
        (drop) (return))
      (struct.get $a 0) (i32.add) (return))
    (func (export "f") (result i32 i32 i32)
      (call $kind (struct.new $a (i32.const 5))) (call $kind (struct.new $b (i64.const 5)))
      (call $kind (ref.i31 (i32.const 1))))) )");
  ASSERT_TRUE(g.ok()) << g.error()->message;
  const Outcome o = g.call("f");
  EXPECT_EQ(o.slots[0].u32_, 15u);
  EXPECT_EQ(o.slots[1].u32_, 2u);
  EXPECT_EQ(o.slots[2].u32_, 10u);
}

TEST_P(Gc, TrapsNameTheirReason) {
  struct Row {
    const char* body;
    TrapCode trap;
  };
  const Row rows[] = {
      {"(drop (struct.get $s 0 (ref.null $s)))", TrapCode::null_structure_reference},
      {"(struct.set $s 0 (ref.null $s) (i32.const 1))", TrapCode::null_structure_reference},
      {"(drop (array.get $a (ref.null $a) (i32.const 1)))", TrapCode::null_array_reference},
      {"(drop (array.get $a (array.new_default $a (i32.const 2)) (i32.const 2)))",
       TrapCode::array_out_of_bounds},
      {"(array.set $a (array.new_default $a (i32.const 2)) (i32.const -1) (i64.const 1))",
       TrapCode::array_out_of_bounds},
      {"(drop (array.len (ref.null array)))", TrapCode::null_array_reference},
      {"(array.fill $a (array.new_default $a (i32.const 2)) (i32.const 1) (i64.const 0) (i32.const 2))",
       TrapCode::array_out_of_bounds},
      {"(drop (i31.get_s (ref.null i31)))", TrapCode::null_i31_reference},
      {"(drop (ref.cast (ref $s) (ref.i31 (i32.const 1))))", TrapCode::cast_failure},
      {"(drop (array.new_data $a $d (i32.const 1) (i32.const 9)))", TrapCode::memory_out_of_bounds},
      {"(drop (array.new_default $a (i32.const -1)))", TrapCode::out_of_memory},
  };
  for (const Row& row : rows) {
    Guest& g = guest(std::string("(module (type $s (struct (field (mut i32)))) (type $a (array (mut i64)))"
                                 "(data $d \"abcdefgh\") (func $f (export \"f\")") +
                     row.body + "))");
    ASSERT_TRUE(g.ok()) << g.error()->message;
    const Outcome o = g.call("f");
    EXPECT_EQ(o.status, Status::trap) << row.body;
    EXPECT_EQ(o.trap, row.trap) << row.body;
    EXPECT_THAT(o.trace, testing::ElementsAre("f")) << row.body;
    EXPECT_GT(o.offsets.at(0), 0u) << row.body;
  }
}

// A store that comes before a fault is visible after it, one that comes after is not.
TEST_P(Gc, StoresToObjectsKeepTheirOrderWithFaults) {
  Guest& g = guest(R"((module (memory 1)
    (type $s (struct (field (mut i32)))) (global $s (ref $s) (struct.new $s (i32.const 0)))
    (func (export "f") (param i32)
      (struct.set $s 0 (global.get $s) (i32.const 1))
      (drop (i32.load (local.get 0)))
      (struct.set $s 0 (global.get $s) (i32.const 2)))
    (func (export "seen") (result i32) (struct.get $s 0 (global.get $s)))))");
  EXPECT_EQ(g.call("f", {65536}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("seen").as_u32(), 1u);
  EXPECT_EQ(g.call("f", {0}).status, Status::ok);
  EXPECT_EQ(g.call("seen").as_u32(), 2u);
}

INSTANTIATE_TEST_SUITE_P(Levels, Gc, testing::Values(0u, 1u, 2u, 3u, kInterpreter));

}  // namespace
}  // namespace tenon::jit
