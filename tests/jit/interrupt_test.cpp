// Interruption of compiled code by signal, wherever it is, and of what surrounds it; by checks, while signals come too.
#include <bit>
#include <chrono>
#include <thread>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

using testing::ElementsAre;

// The last function is too large to be compiled in the tests.
std::string loops() {
  std::string nops;
  for (int i = 0; i < 3000; ++i) nops += "(nop)";
  return R"(
  (import "h" "nop" (func $nop)) (memory 1) (type $t (func (param i32) (result i32))) (table funcref (elem $leaf))
  (func $spin (export "spin") (loop $l (br $l)))
  (func $outer (export "outer") (call $spin))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "calls") (local i32) (loop $l (local.set 0 (call $leaf (local.get 0))) (br $l)))
  (func (export "indirect") (local i32)
    (loop $l (local.set 0 (call_indirect (type $t) (local.get 0) (i32.const 0))) (br $l)))
  (func (export "hosts") (loop $l (call $nop) (br $l)))
  (func (export "stores") (loop $l (v128.store (i32.const 0) (v128.load (i32.const 8))) (br $l)))
  (func (export "tails") (return_call $tail (i32.const 0)))
  (func $tail (param i32) (return_call $tail (i32.add (local.get 0) (i32.const 1))))
  (func (export "tiers") (loop $l (call $interpreted) (br $l)))
  (func (export "interpreted") (loop $l (call $interpreted) (br $l)))
  (func (export "fine") (result i32) (i32.const 1))
  (func $interpreted )" +
         nops + ")";
}

constexpr HostFuncDesc kNop{"h", "nop", {}, {}, [](FuncRef*, Slot*) { return Status::ok; }, nullptr};

class Interrupts : public testing::TestWithParam<const char*> {
 protected:
  static Guest::Options options() {
    Guest::Options o = Guest::at_level(2);
    o.jit.max_function_weight = 2000;
    o.jit.notice = [](const std::string&) {};
    return o;
  }
#ifdef TENON_THREAD_SANITIZER
  void SetUp() override {
    GTEST_SKIP() << "ThreadSanitizer holds back the signals that interrupt compiled code";
  }
#endif
  Interrupts() : guest_((imports_.define(kNop, nullptr), loops()), options(), &imports_) {}
  // Calls an export and interrupts it a little later.
  Outcome interrupt(std::string_view name) {
    std::thread other([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      guest_.store().interrupt();
    });
    Outcome o = guest_.call(name);
    other.join();
    return o;
  }
  Linker imports_;
  Guest guest_;
};

TEST_P(Interrupts, EndTheLoopAndTheStore) {
  const Outcome stopped = interrupt(GetParam());
  EXPECT_EQ(stopped.status, Status::trap);
  EXPECT_EQ(stopped.trap, TrapCode::interrupted);
  if (guest_.store().poisoned()) EXPECT_FALSE(stopped.trace.empty());
  EXPECT_THAT(stopped.offsets, testing::Each(testing::Ne(0u))) << "every frame has a place";
  guest_.store().clear_interrupt();
  const Outcome next = guest_.call("fine");
  if (guest_.store().poisoned())
    EXPECT_EQ(next.trap, TrapCode::interrupted);
  else
    EXPECT_EQ(next.status, Status::ok);
}
INSTANTIATE_TEST_SUITE_P(Loops, Interrupts,
                         testing::Values("spin", "outer", "calls", "indirect", "hosts", "stores", "tails",
                                         "tiers", "interpreted"));

using Interrupt = Interrupts;
INSTANTIATE_TEST_SUITE_P(Spin, Interrupt, testing::Values(""));

TEST_P(Interrupt, HasABacktrace) {
  EXPECT_THAT(interrupt("outer").trace, ElementsAre("spin", "outer"));
  EXPECT_TRUE(guest_.store().poisoned());
}

TEST_P(Interrupt, BeforeACallTrapsIt) {
  guest_.store().interrupt();
  EXPECT_EQ(guest_.call("spin").trap, TrapCode::interrupted);
  guest_.store().clear_interrupt();
  EXPECT_EQ(guest_.call("fine").as_u32(), 1u);
}

// Each thread's store is its own target.
TEST_P(Interrupt, OfOneStoreLeavesOthersAlone) {
  Guest other(R"((func (export "count") (param i64) (result i64) (local i64)
      (loop $l (local.set 1 (i64.add (i64.xor (local.get 1) (local.get 0)) (i64.const 3)))
        (br_if $l (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
      (local.get 1)))",
              Guest::at_level(2));
  Outcome counted;
  std::thread thread([&] { counted = other.call("count", {100'000'000}); });
  EXPECT_EQ(interrupt("spin").trap, TrapCode::interrupted);
  thread.join();
  EXPECT_EQ(counted.status, Status::ok);
}

// A signal that comes long before the next check must not stop code that has checks: the store goes on afterwards.
TEST(InterruptsByChecks, LeaveTheStoreUsable) {
  std::string roots;  // some 100 us from one check to the next
  for (int i = 0; i < 20'000; ++i) roots += "(f64.sqrt)";
  Guest::Options options = Guest::at_level(1);
  options.jit.interrupts = true;
  Guest guest("(func (export \"spin\") (param f64) (loop $l (local.get 0)" + roots +
                  "(local.tee 0) (br_if $l (f64.ne (f64.const 0)))))"
                  "(func (export \"fine\") (result i32) (i32.const 1))",
              options);
  for (int i = 0; i < 20; ++i) {
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      guest.store().interrupt();
    });
    const Outcome stopped = guest.call("spin", {std::bit_cast<u64>(2.0)});
    other.join();
    EXPECT_EQ(stopped.trap, TrapCode::interrupted);
    ASSERT_FALSE(guest.store().poisoned());
    guest.store().clear_interrupt();
    EXPECT_EQ(guest.call("fine").as_u32(), 1u);
  }
}

}  // namespace
}  // namespace tenon::jit
