// Indirect calls through tables whose content is known when the module is compiled, and through those that look
// alike but change: null, other types, subtypes, imports, the table's end, tail calls.
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

class Tables : public testing::TestWithParam<u32> {};
INSTANTIATE_TEST_SUITE_P(OptLevels, Tables, testing::Range(0u, 4u));

// `more` is put into the module: what exports the table or changes it.
std::string module_with(const std::string& more) {
  return R"((module
    (type $none (func (result i32)))
    (type $one (func (param i32) (result i32)))
    (type $open (sub (func (result i64))))
    (type $closed (sub final $open (func (result i64))))
    (table $t 9 9 funcref)
    (elem (i32.const 1) $seven $eight $double $wide $narrow)
    (elem (i32.const 7) $many)
    (func $seven (type $none) (i32.const 7))
    (func $eight (type $none) (i32.const 8))
    (func $double (type $one) (i32.mul (local.get 0) (i32.const 2)))
    (func $wide (type $open) (i64.const 40))
    (func $narrow (type $closed) (i64.const 50))
    (func $many (param i64 i64 i64 i64 i64 i64 i64 f64) (result i32)
      (i32.wrap_i64 (i64.add (local.get 6) (i64.trunc_f64_s (local.get 7)))))
    (func (export "none") (param i32) (result i32) (call_indirect (type $none) (local.get 0)))
    (func (export "open") (param i32) (result i64) (call_indirect (type $open) (local.get 0)))
    (func (export "one") (param i32) (result i32)
      (return_call_indirect (type $one) (i32.const 21) (local.get 0)))
    (func (export "many") (param i32) (result i32)
      (return_call_indirect (param i64 i64 i64 i64 i64 i64 i64 f64) (result i32)
        (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7)
        (f64.const 8) (local.get 0))))" +
         more + ")";
}

void check_content(Guest& g) {
  EXPECT_EQ(g.call("none", {1}).as_u32(), 7u);
  EXPECT_EQ(g.call("none", {2}).as_u32(), 8u);
  EXPECT_EQ(g.call("none", {0}).trap, TrapCode::uninitialized_element);
  EXPECT_EQ(g.call("none", {3}).trap, TrapCode::indirect_call_type_mismatch);
  EXPECT_EQ(g.call("none", {9}).trap, TrapCode::undefined_element);
  EXPECT_EQ(g.call("none", {0xffff'ffff}).trap, TrapCode::undefined_element);
  EXPECT_EQ(g.call("open", {4}).as_u64(), 40u);
  EXPECT_EQ(g.call("open", {5}).as_u64(), 50u) << "a subtype";
  EXPECT_EQ(g.call("open", {1}).trap, TrapCode::indirect_call_type_mismatch);
  EXPECT_EQ(g.call("one", {3}).as_u32(), 42u);
  EXPECT_EQ(g.call("one", {6}).trap, TrapCode::uninitialized_element);
  EXPECT_EQ(g.call("many", {7}).as_u32(), 15u) << "more parameters than registers";
}

TEST_P(Tables, KnownContent) {
  Guest g(module_with(""), Guest::at_level(GetParam()));
  check_content(g);
}

TEST_P(Tables, ContentThatChanges) {
  Guest g(module_with(R"(
    (elem declare func $eight)
    (func (export "set") (param i32) (table.set $t (local.get 0) (ref.func $eight)))
    (func (export "clear") (param i32) (table.set $t (local.get 0) (ref.null func))))"),
          Guest::at_level(GetParam()));
  check_content(g);
  EXPECT_EQ(g.call("set", {1}).status, Status::ok);
  EXPECT_EQ(g.call("none", {1}).as_u32(), 8u);
  EXPECT_EQ(g.call("clear", {1}).status, Status::ok);
  EXPECT_EQ(g.call("none", {1}).trap, TrapCode::uninitialized_element);
}

TEST_P(Tables, ContentThatAHostMayChange) {
  Guest g(module_with(R"((export "t" (table $t)))"), Guest::at_level(GetParam()));
  check_content(g);
  auto* table = std::get<Table*>(*g.instance().find_export("t"));
  table->desc().elements[1] = table->desc().elements[2];
  EXPECT_EQ(g.call("none", {1}).as_u32(), 8u);
}

TEST_P(Tables, With64BitIndices) {
  constexpr const char* kModule = R"((module (type $none (func (result i32)))
    (table $t i64 4 4 funcref) (elem (i64.const 1) $seven $eight)
    (func $seven (type $none) (i32.const 7))
    (func $eight (type $none) (i32.const 8))
    (func (export "none") (param i64) (result i32) (call_indirect $t (type $none) (local.get 0)))))";
  Guest g(kModule, Guest::at_level(GetParam()));
  EXPECT_EQ(g.call("none", {1}).as_u32(), 7u);
  EXPECT_EQ(g.call("none", {2}).as_u32(), 8u);
  EXPECT_EQ(g.call("none", {3}).trap, TrapCode::uninitialized_element);
  for (const u64 past : {u64{4}, u64{1} << 32 | 1, ~u64{0}})
    EXPECT_EQ(g.call("none", {past}).trap, TrapCode::undefined_element) << past;
  // A segment that begins beyond the table ends instantiation, as it does in the interpreter.
  const std::string beyond = R"((module (table i64 4 4 funcref) (elem (i64.const -1) $f $f) (func $f)))";
  EXPECT_FALSE(Guest(beyond, Guest::at_level(GetParam())).ok());
}

}  // namespace
}  // namespace tenon::jit
