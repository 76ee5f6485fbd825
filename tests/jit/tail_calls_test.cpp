// Tail calls that leave their tier or module: any number of them needs no stack.
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr u64 kCalls = 10'000'000, kFewer = 200'000;

// A function body that the compiler's budget in these tests leaves to the interpreter.
std::string too_large() {
  std::string nops;
  for (int i = 0; i < 3000; ++i) nops += "(nop)";
  return nops;
}

class TailCalls : public testing::Test {
 protected:
  TailCalls() : engine_(std::make_shared<Engine>()), store_(engine_, limits()) {
    JitOptions options;
    options.max_function_weight = 2000;
    options.notice = [](const std::string&) {};
    store_.set_compiler(std::move(*create_compiler(store_, options)));
  }
  static StoreLimits limits() {
    StoreLimits l;
    l.native_stack_bytes = 128 << 10;
    l.value_stack_bytes = 64 << 10;
    return l;
  }
  Instance* add(std::string_view wat, const std::string& name) {
    auto module = engine_->compile(Guest::assemble(wat));
    EXPECT_TRUE(module) << module.error().message;
    auto instance = linker_.instantiate(store_, *module);
    EXPECT_TRUE(instance) << instance.error().message;
    linker_.define_instance(name, **instance);
    return *instance;
  }
  void expect_sum(Instance* i, std::string_view name, u64 n, u64 sum) {
    Slot slots[4] = {{.u64_ = n}, {.u64_ = 0}};
    const Status status = store_.call(std::get<FuncRef*>(*i->find_export(name)), slots);
    ASSERT_EQ(status, Status::ok) << name << ": " << store_.trap_error(status).message;
    EXPECT_EQ(slots[0].u64_, sum) << name;
  }
  std::shared_ptr<Engine> engine_;
  Store store_;
  Linker linker_;
};

// (n, sum) → sum + 3 for each pair of calls: the callee takes more arguments than the caller, some in memory.
std::string pair_of_tiers() {
  return R"(
  (func $compiled (export "compiled") (param i64 i64) (result i64)
    (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $interpreted (f64.const 1) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
      (i32.const 6) (i32.const 7) (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1))))
  (func $interpreted (export "interpreted") (param f64 i32 i32 i32 i32 i32 i32 i32 i64 i64) (result i64)
    (if (i64.eqz (local.get 8)) (then (return (local.get 9))))
    (return_call $compiled (i64.sub (local.get 8) (i64.const 1)) (i64.add (local.get 9) (i64.const 2))))" +
         too_large() + R"()
  (func (export "from_compiled") (param i64 i64) (result i64)
    (i64.add (call $compiled (local.get 0) (local.get 1)) (i64.const 0)))
  (func (export "from_interpreted") (param i64 i64) (result i64)
    (i64.add (call $compiled (local.get 0) (local.get 1)) (i64.const 0)))" +
         too_large() + R"()
  (func (export "started_interpreted") (param i64 i64) (result i64)
    (return_call $compiled (local.get 0) (local.get 1))" +
         too_large() + "))";
}

TEST_F(TailCalls, BetweenTiersDoNotNest) {
  Instance* i = add(pair_of_tiers(), "m");
  for (const char* name : {"compiled", "from_compiled", "from_interpreted", "started_interpreted"})
    expect_sum(i, name, kFewer, kFewer / 2 * 3);
  expect_sum(i, "from_compiled", kCalls, kCalls / 2 * 3);
}

// Results beyond the registers go through a pointer that tail calls hand on.
TEST_F(TailCalls, BetweenTiersKeepManyResults) {
  const std::string five = "(result i64 f64 v128 i32 i64)";
  Instance* i = add("(func $a (param i64) " + five + R"(
      (if (i64.ne (local.get 0) (i64.const 0)) (then (return_call $b (i64.sub (local.get 0) (i64.const 1)))))
      (i64.const 1) (f64.const 2) (v128.const i64x2 3 4) (i32.const 5) (i64.const 6))
    (func $b (param i64) )" +
                        five + "(return_call $a (local.get 0))" + too_large() +
                        ") (func (export \"f\") (param i64 i64) (result i64)" +
                        R"((local f64 v128 i32 i64 i64)
      (call $a (local.get 0)) (local.set 5) (local.set 4) (local.set 3) (local.set 2) (local.set 6)
      (i64.add (i64.add (local.get 6) (i64.trunc_f64_s (local.get 2)))
        (i64.add (i64x2.extract_lane 1 (local.get 3)) (i64.add (i64.extend_i32_u (local.get 4)) (local.get 5))))))",
                    "m");
  expect_sum(i, "f", 100'000, 1 + 2 + 4 + 5 + 6);
}

TEST_F(TailCalls, BetweenModulesAndTiersDoNotNest) {
  for (const bool first_interpreted : {false, true}) {
    const std::string name = first_interpreted ? "ai" : "ac";
    add(R"((type $t (func (param i64 i64) (result i64))) (table (export "table") 2 funcref)
      (func $a (export "a") (type $t)
        (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
        (return_call_indirect (type $t) (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 1))
          (i32.const 0)))" +
            (first_interpreted ? too_large() : "") + ")",
        name);
    for (const bool second_interpreted : {false, true}) {
      Instance* b = add(
          "(type $t (func (param i64 i64) (result i64))) (import \"" + name + R"(" "a" (func $a (type $t)))
        (import ")" +
              name + R"(" "table" (table 2 funcref))
        (func $b (export "b") (type $t)
          (if (i64.eqz (local.get 0)) (then (return (local.get 1))))
          (return_call $a (i64.sub (local.get 0) (i64.const 1)) (i64.add (local.get 1) (i64.const 2))))" +
              (second_interpreted ? too_large() : "") +
              R"() (elem (i32.const 0) $b) (func (export "f") (type $t) (call $b (local.get 0) (local.get 1))))",
          name + (second_interpreted ? "i" : "c"));
      for (const char* entry : {"b", "f"}) expect_sum(b, entry, kFewer, kFewer / 2 * 3);
    }
  }
}

}  // namespace
}  // namespace tenon::jit
