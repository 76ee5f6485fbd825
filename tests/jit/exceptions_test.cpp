// Exceptions in compiled code: what is caught where, with which values, and what of the frames survives. The
// store collects at each allocation.
#include <optional>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr u32 kInterpreter = 4;
// Functions with more weight than this stay in the interpreter: those named "heavy" below hold 300 nops.
constexpr u64 kMixedBudget = 250;

class Exceptions : public testing::TestWithParam<u32> {
 protected:
  static Guest::Options options() {
    Guest::Options o = GetParam() == kInterpreter ? Guest::interpreter() : Guest::at_level(GetParam());
    o.engine.decode.features.set(Feature::legacy_exceptions);
    return o;
  }
  Guest& guest(std::string_view wat, Guest::Options o = options(), const Linker* imports = nullptr) {
    if (!o.jit.notice) o.jit.notice = [](const std::string& text) { ADD_FAILURE() << text; };
    guest_.emplace(wat, std::move(o), imports);
    if (!guest_->ok()) throw std::runtime_error("no instance");  // ends the test
    guest_->store().heap().set_stress(true);
    return *guest_;
  }
  Guest& mixed(const std::string& wat) {
    Guest::Options o = options();
    o.jit.max_function_weight = kMixedBudget;
    o.jit.notice = [](const std::string&) {};
    std::string nops;
    for (u32 i = 0; i < 300; ++i) nops += " nop";
    std::string text = wat;
    for (size_t at; (at = text.find("HEAVY")) != std::string::npos;) text.replace(at, 5, nops);
    return guest(text, o);
  }
  std::optional<Guest> guest_;
};

TEST_P(Exceptions, ValuesOfEveryTypeArriveFromAFrameFurtherIn) {
  Guest& g = guest(R"((module (tag $e (param i32 f32 v128 f64 i64))
    (func $throw (throw $e (i32.const -7) (f32.const 1.5) (v128.const i64x2 3 4) (f64.const 2.5) (i64.const 9)))
    (func $mid (call $throw) (drop (i32.const 1)))
    (func (export "f") (result i32 f32 v128 f64 i64)
      (block $h (result i32 f32 v128 f64 i64)
        (try_table (catch $e $h) (call $mid)) (unreachable)))))");
  const Outcome o = g.call("f");
  ASSERT_EQ(o.status, Status::ok);
  EXPECT_EQ(o.slots[0].i32_, -7);
  EXPECT_EQ(o.slots[1].f32_, 1.5f);
  EXPECT_EQ(o.slots[2].u64_, 3u);
  EXPECT_EQ(o.slots[3].u64_, 4u);
  EXPECT_EQ(o.slots[4].f64_, 2.5);
  EXPECT_EQ(o.slots[5].u64_, 9u);
}

// The callee uses every register that it must give back to its caller.
constexpr const char* kBusy = R"(
    (func $busy (param $n i64) (result i64) (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $e i64) (local $g i64)
      (local.set $a (i64.mul (local.get $n) (i64.const 3))) (local.set $b (i64.add (local.get $a) (local.get $n)))
      (local.set $c (i64.xor (local.get $b) (i64.const 77))) (local.set $d (i64.mul (local.get $c) (local.get $b)))
      (local.set $e (i64.sub (local.get $d) (local.get $a))) (local.set $g (i64.add (local.get $e) (i64.const 5)))
      (call $maybe (local.get $n))
      (i64.add (i64.add (i64.add (local.get $a) (local.get $b)) (i64.add (local.get $c) (local.get $d)))
               (i64.add (local.get $e) (local.get $g)))))";

TEST_P(Exceptions, OperandsAndLocalsSurviveInEveryFrame) {
  Guest& g = guest(std::string(R"((module (tag $e (param i64))
    (func $maybe (param $n i64)
      (if (i64.eqz (i64.and (local.get $n) (i64.const 1))) (then (throw $e (local.get $n))))))") +
                   kBusy + R"(
    (func (export "f") (param $n i64) (result i64)
      (local $i i64) (local $sum i64) (local $x i64) (local $y i64) (local $z i64)
      (local.set $x (i64.const 1)) (local.set $y (i64.const 2)) (local.set $z (i64.const 3))
      (loop $l
        (local.set $sum (i64.add (local.get $sum)
          (block $h (result i64)
            (try_table (result i64) (catch $e $h) (call $busy (local.get $i))))))
        (local.set $x (i64.add (local.get $x) (local.get $y))) (local.set $y (i64.xor (local.get $y) (local.get $z)))
        (local.set $z (i64.add (local.get $z) (local.get $i)))
        (br_if $l (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
      (i64.add (local.get $sum) (i64.mul (local.get $x) (i64.add (local.get $y) (local.get $z)))))))");
  u64 sum = 0, x = 1, y = 2, z = 3;
  constexpr u64 kRounds = 101;
  for (u64 i = 0; i < kRounds; ++i) {
    const u64 a = i * 3, b = a + i, c = b ^ 77, d = c * b, e = d - a, f = e + 5;
    sum += i % 2 == 0 ? i : a + b + c + d + e + f;
    x += y;
    y ^= z;
    z += i;
  }
  const Outcome o = g.call("f", {kRounds});
  ASSERT_EQ(o.status, Status::ok);
  EXPECT_EQ(o.as_u64(), sum + x * (y + z));
}

// A tail call with other arguments than its caller's leaves the stack pointer elsewhere than a return would.
TEST_P(Exceptions, TailCallsThatGrowAndShrinkArgumentsThrow) {
  std::string params, args;
  for (int i = 0; i < 24; ++i) {
    params += " i64";
    args += " (i64.const " + std::to_string(i) + ")";
  }
  Guest& g = guest("(module (tag $e (param i64)) (func $many (param" + params + R"()
      (throw $e (i64.add (local.get 0) (local.get 23))))
    (func $few (param i64) (throw $e (local.get 0)))
    (func $grow (return_call $many)" +
                   args + R"())
    (func $shrink (param)" +
                   params + R"() (return_call $few (local.get 22)))
    (func (export "f") (param $n i32) (result i64) (local $sum i64)
      (loop $l
        (local.set $sum (i64.add (local.get $sum)
          (block $h (result i64) (try_table (catch $e $h) (call $grow)) (unreachable))))
        (local.set $sum (i64.add (local.get $sum)
          (block $h (result i64) (try_table (catch $e $h) (call $shrink)" +
                   args + R"()) (unreachable))))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum))))");
  const Outcome o = g.call("f", {3000});
  ASSERT_EQ(o.status, Status::ok);
  EXPECT_EQ(o.as_u64(), 3000u * (23 + 22));
}

TEST_P(Exceptions, TailCallsInsideATryLeaveItsHandler) {
  Guest& g = guest(R"((module (tag $e)
    (func $throw (throw $e))
    (func $inner (result i32) (block $h (try_table (catch $e $h) (return_call $leave)) (unreachable)) (i32.const 1))
    (func $leave (result i32) (call $throw) (i32.const 2))
    (func (export "f") (result i32)
      (block $h (try_table (catch_all $h) (return (call $inner)))) (i32.const 3))))");
  EXPECT_EQ(g.call("f").as_u32(), 3u);
}

TEST_P(Exceptions, TrapsAndExhaustedStacksAreNotCaught) {
  Guest& g = guest(R"((module (memory 1) (tag $e)
    (func $deep (result i32) (block $h (try_table (catch_all $h) (return (i32.add (i32.const 1) (call $deep))))) (i32.const 0))
    (func (export "unreachable") (block $h (try_table (catch_all $h) (unreachable))))
    (func (export "load") (param i32) (block $h (try_table (catch_all $h) (drop (i32.load (local.get 0))))))
    (func (export "deep") (result i32) (call $deep))
    (func (export "null") (block $h (try_table (catch_all $h) (throw_ref (ref.null exn)))))))");
  EXPECT_EQ(g.call("unreachable").trap, TrapCode::unreachable);
  EXPECT_EQ(g.call("load", {65536}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("deep").trap, TrapCode::stack_exhausted);
  EXPECT_EQ(g.call("null").trap, TrapCode::null_exception_reference);
}

TEST_P(Exceptions, UncaughtOnesLeaveWithABacktrace) {
  Guest& g = guest(R"((module (tag $e) (tag $other)
    (func $throw (throw $e))
    (func $mid (block $h (try_table (catch $other $h) (call $throw))))
    (func $f (export "f") (call $mid) (drop (i32.const 1)))))");
  const Outcome o = g.call("f");
  EXPECT_EQ(o.status, Status::exception);
  std::vector<std::string> names;
  for (const TraceFrame& f : g.store().trap().frames) {
    names.push_back(f.module->function_name(f.function));
    EXPECT_GT(f.offset, 0u);
  }
  EXPECT_THAT(names, testing::ElementsAre("throw", "mid", "f"));
  EXPECT_NE(g.store().context().exception, kNullRef);
}

TEST_P(Exceptions, ClausesAreTriedInOrderAndOutwards) {
  Guest& g = guest(R"((module (tag $a (param i32)) (tag $b (param i32)) (tag $c)
    (func $throw (param $which i32)
      (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $a (i32.const 10))))
      (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $b (i32.const 20))))
      (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $c))))
    (func (export "f") (param $which i32) (result i32)
      (block $on_c
        (block $outer_b (result i32)
          (try_table (catch $b $outer_b) (catch $c $on_c)
            (block $inner_a (result i32)
              (try_table (catch $a $inner_a) (catch $a $outer_b)
                (call $throw (local.get $which))
                (block $here (result i32)
                  (try_table (catch $b $here)
                    (if (i32.eq (local.get $which) (i32.const 3)) (then (throw $b (i32.const 30))))
                    (if (i32.eq (local.get $which) (i32.const 4)) (then (throw $a (i32.const 40)))))
                  (return (i32.const 1)))
                (return (i32.add (i32.const 1000))))
              (unreachable))
            (return (i32.add (i32.const 2000))))
          (unreachable))
        (return (i32.add (i32.const 3000))))
      (i32.const 4000))))");
  EXPECT_EQ(g.call("f", {0}).as_u32(), 2010u);
  EXPECT_EQ(g.call("f", {1}).as_u32(), 3020u);
  EXPECT_EQ(g.call("f", {2}).as_u32(), 4000u);
  EXPECT_EQ(g.call("f", {3}).as_u32(), 1030u);
  EXPECT_EQ(g.call("f", {4}).as_u32(), 2040u);
  EXPECT_EQ(g.call("f", {5}).as_u32(), 1u);
}

TEST_P(Exceptions, ReferencesAreThrownAgainWithTheirValues) {
  Guest& g = guest(R"((module (tag $e (param i64)) (global $kept (mut exnref) (ref.null exn))
    (type $box (struct (field i64)))
    (func $throw (param i64) (throw $e (local.get 0)))
    (func $keep (param i64)
      (block $h (result exnref) (try_table (catch_all_ref $h) (call $throw (local.get 0))) (return))
      (global.set $kept))
    (func $again (drop (struct.new $box (i64.const 1))) (throw_ref (global.get $kept)))
    (func (export "f") (result i64)
      (call $keep (i64.const 42))
      (block $h (result i64 exnref) (try_table (catch_ref $e $h) (call $again)) (unreachable))
      (drop (struct.new $box (i64.const 2)))
      (ref.is_null) (i64.extend_i32_u) (i64.add))))");
  EXPECT_EQ(g.call("f").as_u64(), 42u);
}

// The label of a clause is a loop: each turn begins with what was thrown in the one before.
TEST_P(Exceptions, AClauseMayGoToALoop) {
  Guest& g = guest(R"((module (tag $e (param i32))
    (func $throw (param i32) (throw $e (local.get 0)))
    (func (export "f") (param $turns i32) (result i32)
      (i32.const 1)
      (loop $l (param i32) (result i32)
        (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
        (if (param i32) (result i32) (local.get $turns)
          (then
            (try_table (param i32) (catch $e $l) (call $throw (i32.mul (i32.const 3))))
            (unreachable)))))))");
  EXPECT_EQ(g.call("f", {5}).as_u32(), 81u);
}

TEST_P(Exceptions, ManyResultsComeThroughCallsInATry) {
  Guest& g = guest(R"((module (tag $e)
    (func $many (param $throw i32) (result i32 i64 f64 i32 v128 i64)
      (if (local.get $throw) (then (throw $e)))
      (i32.const 1) (i64.const 2) (f64.const 3) (i32.const 4) (v128.const i64x2 5 6) (i64.const 7))
    (func (export "f") (param i32) (result i32 i64 f64 i32 v128 i64)
      (block $h
        (try_table (catch_all $h) (return (call $many (local.get 0)))))
      (i32.const 0) (i64.const 0) (f64.const 0) (i32.const 0) (v128.const i64x2 0 0) (i64.const 0))))");
  for (const u64 throws : {0u, 1u}) {
    const Outcome o = g.call("f", {throws});
    ASSERT_EQ(o.status, Status::ok);
    EXPECT_EQ(o.slots[0].u32_, throws ? 0u : 1u);
    EXPECT_EQ(o.slots[1].u64_, throws ? 0u : 2u);
    EXPECT_EQ(o.slots[2].f64_, throws ? 0 : 3);
    EXPECT_EQ(o.slots[3].u32_, throws ? 0u : 4u);
    EXPECT_EQ(o.slots[5].u64_, throws ? 0u : 6u);
    EXPECT_EQ(o.slots[6].u64_, throws ? 0u : 7u);
  }
}

TEST_P(Exceptions, LegacyTriesCatchRethrowAndDelegate) {
  Guest& g = guest(R"((module (tag $a (param i32)) (tag $b)
    (func $throw (param $which i32)
      (if (i32.eq (local.get 0) (i32.const 0)) (then (throw $a (i32.const 7))))
      (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $b))))
    (func (export "catch") (param i32) (result i32)
      (try (result i32)
        (do (call $throw (local.get 0)) (i32.const 100))
        (catch $a (i32.const 1) (i32.add))
        (catch_all (i32.const 200))))
    (func (export "rethrow") (param i32) (result i32)
      (try (result i32)
        (do
          (try (result i32)
            (do (call $throw (local.get 0)) (i32.const 100))
            (catch $a (drop) (try (do (call $throw (i32.const 1))) (catch_all)) (rethrow 0))))
        (catch $a (i32.const 50) (i32.add))
        (catch $b (i32.const 60))))
    (func (export "delegate") (param i32) (result i32)
      (try $outer (result i32)
        (do
          (try (result i32)
            (do (try (result i32) (do (call $throw (local.get 0)) (i32.const 100)) (delegate $outer)))
            (catch_all (i32.const 300))))
        (catch $a (i32.const 70) (i32.add))))
    (func (export "out") (param i32) (result i32)
      (try (result i32) (do (call $throw (local.get 0)) (i32.const 100)) (delegate 0)))))");
  EXPECT_EQ(g.call("catch", {0}).as_u32(), 8u);
  EXPECT_EQ(g.call("catch", {1}).as_u32(), 200u);
  EXPECT_EQ(g.call("catch", {2}).as_u32(), 100u);
  EXPECT_EQ(g.call("rethrow", {0}).as_u32(), 57u);
  EXPECT_EQ(g.call("rethrow", {1}).as_u32(), 60u);
  EXPECT_EQ(g.call("delegate", {0}).as_u32(), 77u);
  EXPECT_EQ(g.call("delegate", {1}).status, Status::exception);
  EXPECT_EQ(g.call("out", {0}).status, Status::exception);
  EXPECT_EQ(g.call("out", {2}).as_u32(), 100u);
}

TEST_P(Exceptions, CrossFromTierToTier) {
  Guest& g = mixed(R"((module (tag $e (param i32))
    (func $throw (param i32) (throw $e (local.get 0)))
    (func $heavy_throw (param i32) HEAVY (throw $e (local.get 0)))
    (func $light_pass (param i32) (call $heavy_throw (local.get 0)))
    (func $heavy_pass (param i32) HEAVY (call $throw (local.get 0)))
    (func (export "light") (param i32) (result i32)
      (block $h (result i32) (try_table (catch $e $h) (call $heavy_throw (local.get 0))) (unreachable)))
    (func (export "heavy") (param i32) (result i32) HEAVY
      (block $h (result i32) (try_table (catch $e $h) (call $throw (local.get 0))) (unreachable)))
    (func (export "light2") (param i32) (result i32)
      (block $h (result i32) (try_table (catch $e $h) (call $heavy_pass (local.get 0))) (unreachable)))
    (func (export "heavy2") (param i32) (result i32) HEAVY
      (block $h (result i32) (try_table (catch $e $h) (call $light_pass (local.get 0))) (unreachable)))
    (func $up (export "uncaught") (param i32) (call $heavy_pass (local.get 0)))))");
  for (const char* name : {"light", "heavy", "light2", "heavy2"})
    for (u32 i = 0; i < 20; ++i) EXPECT_EQ(g.call(name, {i}).as_u32(), i) << name;
  EXPECT_EQ(g.call("uncaught", {1}).status, Status::exception);
  std::vector<std::string> names;
  for (const TraceFrame& f : g.store().trap().frames) names.push_back(f.module->function_name(f.function));
  EXPECT_THAT(names, testing::ElementsAre("throw", "heavy_pass", "up"));
}

INSTANTIATE_TEST_SUITE_P(Levels, Exceptions, testing::Values(0u, 1u, 2u, 3u, kInterpreter));

}  // namespace
}  // namespace tenon::jit
