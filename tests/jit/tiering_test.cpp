// Functions that change their tier while they run: compiled entries, loops taken over in the middle, background
// compilation.
#include <thread>

#include "engine/native/module_code.h"
#include "engine/native/tier_queue.h"
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

Guest::Options automatic(bool stress, u8 level = 2) {
  Guest::Options o;
  o.jit.eager = false;
  o.jit.tiering = {.automatic = true, .stress = stress};
  o.jit.opt_level = level;
  o.jit.verify_ir = true;
  return o;
}

ModuleCode::Variant& code_of(Guest& g) { return *g.instance().module().code().variants().at(0); }
FuncIdx index_of(Guest& g, std::string_view name) {
  return FuncIdx{std::get<FuncRef*>(*g.instance().find_export(name))->index};
}
bool is_compiled(Guest& g, std::string_view name) { return code_of(g).entry(index_of(g, name)) != nullptr; }
size_t loops_taken(Guest& g) {
  size_t loops = 0;
  for (const auto& object : code_of(g).objects()) loops += object->loops().size();
  return loops;
}

class Replacement : public testing::TestWithParam<u32> {
 protected:
  // Calls "f" in the interpreter and with its loops replaced at their first iteration.
  void agree(const std::string& body, const std::vector<u64>& args, size_t loops = 1) {
    Guest replaced(body, automatic(true, static_cast<u8>(GetParam())));
    Guest interpreted(body, Guest::interpreter());
    for (int call = 0; call < 2; ++call) {  // the second is compiled from its entry
      const Outcome a = interpreted.call("f", args), b = replaced.call("f", args);
      EXPECT_EQ(a.status, b.status);
      EXPECT_EQ(a.trap, b.trap);
      EXPECT_EQ(a.trace, b.trace);
      EXPECT_EQ(a.offsets, b.offsets);
      ASSERT_EQ(a.slots.size(), b.slots.size());
      if (a.status == Status::ok)
        for (size_t i = 0; i < a.slots.size(); ++i) EXPECT_EQ(a.slots[i].u64_, b.slots[i].u64_) << i;
    }
    EXPECT_EQ(loops_taken(replaced), loops);
    EXPECT_TRUE(is_compiled(replaced, "f"));
  }
};
INSTANTIATE_TEST_SUITE_P(OptLevels, Replacement, testing::Values(0u, 1u, 2u));

TEST_P(Replacement, KeepsLocalsOfAllTypes) {
  agree(R"((func (export "f") (param i64 f64) (result i64 f64 f32 i64) (local v128 f32 i64 i32)
    (local.set 2 (v128.const i64x2 5 6)) (local.set 3 (f32.const 1.5))
    (loop $l
      (local.set 2 (i64x2.add (local.get 2) (v128.const i64x2 1 2)))
      (local.set 3 (f32.add (local.get 3) (f32.const 0.25)))
      (local.set 1 (f64.mul (local.get 1) (f64.const 1.5)))
      (local.set 4 (i64.add (local.get 4) (local.get 0)))
      (br_if $l (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
    (local.get 4) (local.get 1) (local.get 3) (i64x2.extract_lane 1 (local.get 2))))",
        {10, 0x3ff8'0000'0000'0000});
}

TEST_P(Replacement, KeepsOperandsBelowTheLoopAndItsParameters) {
  agree(R"((func (export "f") (param i32) (result i64)
    (i64.const 1000) (v128.const i64x2 7 9) (f64.const 0.5)
    (i32.const 3) (i64.const 4)
    (loop $l (param i32 i64) (result i32 i64)
      (i64.add (i64.const 1)) (local.get 0) (drop)
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.set 0 (i32.wrap_i64)) (local.set 0 (i32.add (local.get 0)))
    (drop) (i64x2.extract_lane 1) (i64.add) (i64.add (i64.extend_i32_u (local.get 0)))))",
        {9});
}

TEST_P(Replacement, KeepsOperandsBelowAnIfOnBothWays) {
  agree(R"((func (export "f") (param i32) (result i32) (local i32 i32)
    (local.set 1 (i32.const 6))
    (loop $l
      (i32.add (local.get 1) (i32.const 100))  ;; below the if
      (if (result i32) (i32.and (local.get 1) (i32.const 1))
        (then (i32.const 1))
        (else (i32.const 2)))
      (i32.mul)
      (local.set 2 (i32.add (i32.mul (local.get 2) (i32.const 3))))
      (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (local.get 2)))",
        {0});
}

// Nobody but an inlined function calls a function of this type, and that one is interpreted: it needs a thunk. The
// first iteration is interpreted: a call of $small there would have that compiled, with thunks of its own.
TEST_P(Replacement, CallsFromInlinedFunctionsReachTheInterpreter) {
  agree(R"((type $t (func (param f32 i64) (result f64))) (table funcref (elem $far))
    (func $far (type $t) (f64.add (f64.promote_f32 (local.get 0)) (f64.convert_i64_s (local.get 1))))
    (func $small (param i32) (result i64)
      (i64.trunc_f64_s (call_indirect (type $t) (f32.const 1.5) (i64.extend_i32_u (local.get 0)) (i32.const 0))))
    (func (export "f") (param i32) (result i64) (local i64)
      (loop $l
        (if (i32.lt_s (local.get 0) (i32.const 9))
          (then (local.set 1 (i64.add (local.get 1) (call $small (local.get 0))))))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (local.get 1)))",
        {9});
}

// Entered in the innermost loop: the outer ones begin again in compiled code, with what lay below them.
TEST_P(Replacement, OfANestedLoopGoesOnInTheOuterOnes) {
  agree(R"((func (export "f") (param i32) (result i32) (local i32 i32 i32)
    (i32.const 100)
    (local.set 1 (i32.const 5))
    (loop $a
      (i32.mul (local.get 1) (i32.const 3))
      (block $out
        (i32.const 17)
        (if (i32.and (local.get 1) (i32.const 1))
          (then
            (local.set 2 (i32.const 4))
            (loop $b
              (local.set 3 (i32.add (local.get 3) (local.get 2)))
              (br_if $b (local.tee 2 (i32.sub (local.get 2) (i32.const 1))))))
          (else (local.set 3 (i32.add (local.get 3) (i32.const 1000)))))
        (local.set 3 (i32.add (local.get 3))) (br_if $out (i32.eq (local.get 1) (i32.const 2)))
        (local.set 3 (i32.add (local.get 3) (i32.const 50))))
      (local.set 3 (i32.add (local.get 3)))
      (br_if $a (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (i32.add (local.get 3))))",
        {0});
}

TEST_P(Replacement, ManyResultsAndTailCalls) {
  agree(R"((func $g (param i64 i32) (result i64 f64 v128 i32 i64)
      (local.get 0) (f64.const 2.5) (v128.const i64x2 3 4) (local.get 1) (i64.const 6))
    (func (export "f") (param i32) (result i64 f64 v128 i32 i64) (local i64)
      (loop $l (local.set 1 (i64.add (local.get 1) (i64.const 3)))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (if (i64.eq (local.get 1) (i64.const 15)) (then (return_call $g (local.get 1) (i32.const 8))))
      (i64.const 1) (f64.const 2) (v128.const i64x2 7 8) (i32.const 5) (local.get 1)))",
        {5});
}

TEST_P(Replacement, TrapsHaveTheirPlaceAndCallersTheirFrames) {
  agree(R"((memory 1)
    (func $g (param i32) (result i32) (i32.load (local.get 0)))
    (func $loop (param i32) (result i32) (local i32)
      (loop $l (local.set 1 (i32.add (local.get 1) (call $g (local.get 0))))
        (local.set 0 (i32.add (local.get 0) (i32.const 16384))) (br $l)) (unreachable))
    (func (export "f") (param i32) (result i32) (call $loop (local.get 0))))",
        {0});
}

TEST_P(Replacement, CallersInTheInterpreterGoOn) {
  agree(R"((func $sum (param i32) (result i32) (local i32)
      (loop $l (local.set 1 (i32.add (local.get 1) (local.get 0)))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
    (func (export "f") (param i32) (result i32) (local i32)
      (loop $l (local.set 1 (i32.add (local.get 1) (call $sum (local.get 0))))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1)))",
        {20}, 2);
}

constexpr const char* kHot = R"((memory 1)
  (func $leaf (export "leaf") (param i32) (result i32) (i32.xor (i32.mul (local.get 0) (i32.const 31)) (i32.const 7)))
  (func (export "calls") (param i32) (result i32) (local i32)
    (loop $l (local.set 1 (call $leaf (local.get 1)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
  (func (export "spin") (loop $l (br $l)))
  (func (export "cold") (result i32) (i32.const 1)))";

u32 expected_of_calls(u32 n) {
  u32 x = 0;
  for (u32 i = 0; i < n; ++i) x = (x * 31) ^ 7;
  return x;
}

TEST(Automatic, CompilesWhatIsHotAndLeavesTheRest) {
  Guest g(kHot, automatic(false));
  EXPECT_EQ(g.call("calls", {3'000'000}).as_u32(), expected_of_calls(3'000'000));
  TierQueue::of_process().drain();
  EXPECT_TRUE(is_compiled(g, "calls"));
  EXPECT_EQ(g.call("calls", {3'000'000}).as_u32(), expected_of_calls(3'000'000));
  EXPECT_FALSE(is_compiled(g, "cold"));
  EXPECT_EQ(g.call("cold").as_u32(), 1u);
}

TEST(Automatic, AnEndlessLoopIsTakenOverAndInterrupted) {
#ifdef TENON_THREAD_SANITIZER
  GTEST_SKIP() << "ThreadSanitizer holds back the signals that interrupt compiled code";
#endif
  Guest g(kHot, automatic(false));
  std::thread other([&g] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    TierQueue::of_process().drain();
    g.store().interrupt();
  });
  EXPECT_EQ(g.call("spin").trap, TrapCode::interrupted);
  other.join();
}

// Stores on threads of their own share what each of them asks for.
TEST(Automatic, StoresShareAModulesCode) {
  auto engine = std::make_shared<Engine>();
  auto module = engine->compile(Guest::assemble(kHot));
  ASSERT_TRUE(module);
  auto run = [&] {
    Store store(engine);
    store.set_compiler(std::move(*create_compiler(store, automatic(false).jit)));
    auto instance = store.instantiate(*module, {});
    ASSERT_TRUE(instance);
    for (int i = 0; i < 4; ++i) {
      Slot slots[1] = {{.u64_ = 500'000}};
      ASSERT_EQ(store.call(std::get<FuncRef*>(*(*instance)->find_export("calls")), slots), Status::ok);
      EXPECT_EQ(slots[0].u32_, expected_of_calls(500'000));
    }
  };
  std::thread threads[3] = {std::thread(run), std::thread(run), std::thread(run)};
  for (std::thread& t : threads) t.join();
  TierQueue::of_process().drain();
  EXPECT_EQ((*module)->code().variants().size(), 1u);
}

// As on a server: no guest runs long enough to be worth compiling, all of them together are.
TEST(Automatic, ManyShortGuestsAreHotTogether) {
  auto engine = std::make_shared<Engine>();
  auto module = engine->compile(Guest::assemble(kHot));
  ASSERT_TRUE(module);
  ModuleCode::Variant* code = nullptr;
  for (int i = 0; i < 100; ++i) {
    Store store(engine);
    store.set_compiler(std::move(*create_compiler(store, automatic(false).jit)));
    auto instance = store.instantiate(*module, {});
    ASSERT_TRUE(instance);
    Slot slots[1] = {{.u64_ = 5'000}};  // some ten samples of fifty that it takes
    ASSERT_EQ(store.call(std::get<FuncRef*>(*(*instance)->find_export("calls")), slots), Status::ok);
    EXPECT_EQ(slots[0].u32_, expected_of_calls(5'000));
    if (i == 0) {
      TierQueue::of_process().drain();
      code = (*module)->code().variants().at(0);
      EXPECT_EQ(code->objects_published(), 0u);
    }
  }
  TierQueue::of_process().drain();
  EXPECT_GT(code->objects_published(), 0u);
}

TEST(Automatic, WithoutACompilerGoesOnInTheInterpreter) {
  Guest::Options options = automatic(true);
  options.jit.max_function_weight = 1;
  Guest g(kHot, options);
  EXPECT_EQ(g.call("calls", {1000}).as_u32(), expected_of_calls(1000));
  EXPECT_FALSE(is_compiled(g, "calls"));
}

}  // namespace
}  // namespace tenon::jit
