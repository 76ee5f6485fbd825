// Stores in children of fork(): they go on, can be interrupted, and trap where their stacks end.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>

#include "from_text.h"
#include "tenon.hpp"

namespace {

using namespace tenon;

// How a child that does `work` ends: 0 when that gave true, a signal when it hung.
int in_child(const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(work() ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

Store* to_interrupt = nullptr;
volatile sig_atomic_t kept_errno = 0;
// Interrupts the store in 20 ms, from a signal handler: a child of a process with threads should not make its own.
void interrupt_soon(Store& store) {
  to_interrupt = &store;
  signal(SIGVTALRM, [](int) {
    const int before = errno;
    errno = EDOM;
    to_interrupt->interrupt();  // of a thread that is the parent's, as far as the store knows
    kept_errno = errno == EDOM;
    errno = before;
  });
  const itimerval soon{{0, 0}, {0, 20'000}};
  setitimer(ITIMER_VIRTUAL, &soon, nullptr);
}

struct Guest {
  explicit Guest(tenon_tier_t tier) : engine(Config().tier(tier)) {
    EXPECT_TRUE(linker.func("host", "call", [this] { called(); }));
    module = from_text(engine, R"((module (import "host" "call" (func $call))
      (func (export "loop") (call $call) (loop (br 0)))
      (func $deep (export "deep") (call $deep) (call $deep))
      (func (export "one") (result i32) (i32.const 1))))");
    instance = linker.instantiate(store, *module).value();
  }
  bool one() { return (*instance->get<int32_t()>("one"))().value() == 1; }
  bool fails(const char* function, std::string_view message) {
    auto failed = (*instance->get<void()>(function))();
    return !failed && failed.error().message().find(message) != std::string_view::npos;
  }

  Engine engine;
  std::function<void()> called = [] {};
  Linker linker{engine};
  Store store = std::move(Store::make(engine).value());
  Result<Module> module{Error(nullptr)};
  std::optional<Instance> instance;
};

struct Fork : ::testing::TestWithParam<tenon_tier_t> {};

struct ForkInterrupts : Fork {
#ifdef TENON_THREAD_SANITIZER
  void SetUp() override {
    if (GetParam() != TENON_TIER_INTERP)
      GTEST_SKIP() << "ThreadSanitizer holds signals back until an atomic or a call that it intercepts: "
                      "compiled code has none";
  }
#endif
};

TEST_P(ForkInterrupts, AChildIsInterruptedInItsCalls) {
  Guest guest(GetParam());
  ASSERT_TRUE(guest.one()) << "the parent's thread is known by its id";
  EXPECT_EQ(in_child([&] {
              interrupt_soon(guest.store);
              return guest.fails("loop", "interrupted") && kept_errno;
            }),
            0);
  EXPECT_TRUE(guest.one());
}

TEST_P(ForkInterrupts, AChildIsInterruptedInACallThatTheParentBegan) {
  Guest guest(GetParam());
  bool is_child = false;
  int status = -1;
  guest.called = [&] {
    const pid_t child = fork();
    is_child = child == 0;
    if (is_child)
      alarm(20);
    else
      EXPECT_EQ(waitpid(child, &status, 0), child);
    interrupt_soon(guest.store);
  };
  const bool interrupted = guest.fails("loop", "interrupted") && kept_errno;
  if (is_child) _exit(interrupted ? 0 : 1);
  EXPECT_TRUE(interrupted);
  EXPECT_EQ(status, 0);
}

TEST_P(Fork, AChildOfAThreadTrapsWhereThatThreadsStackEnds) {
  Guest guest(GetParam());
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 512 << 10);  // less than the default limit of a guest's stack
  pthread_t thread;
  ASSERT_EQ(pthread_create(
                &thread, &attr,
                [](void* g) -> void* {
                  EXPECT_EQ(
                      in_child([g] { return static_cast<Guest*>(g)->fails("deep", "stack exhausted"); }), 0);
                  return nullptr;
                },
                &guest),
            0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attr);
}

const auto kTiers = ::testing::Values(TENON_TIER_INTERP, TENON_TIER_JIT, TENON_TIER_AUTOMATIC);
std::string name_of(const ::testing::TestParamInfo<tenon_tier_t>& info) {
  return info.param == TENON_TIER_INTERP ? "Interp" : info.param == TENON_TIER_JIT ? "Jit" : "Auto";
}
INSTANTIATE_TEST_SUITE_P(Tiers, Fork, kTiers, name_of);
INSTANTIATE_TEST_SUITE_P(Tiers, ForkInterrupts, kTiers, name_of);

#ifndef TENON_SANITIZED  // LeakSanitizer's locks, which it takes at exit, may be held by a thread that the child has not
// What compiles in the background does not come along, and no exit waits for it.
TEST(ForkTest, AChildExitsWhileItsParentCompiles) {
  Guest guest(TENON_TIER_AUTOMATIC);
  const Module busy = std::move(from_text(guest.engine, R"((module (func (export "f") (param i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))))")
                                    .value());
  const Instance instance = guest.linker.instantiate(guest.store, busy).value();
  const auto f = *instance.get<void(int32_t)>("f");
  for (int i = 0; i < 40; ++i) {
    EXPECT_TRUE(f(20'000));  // hot soon: the compiler is loaded, then it compiles
    ASSERT_EQ(in_child([&] {
                EXPECT_TRUE(f(20'000));
                std::exit(0);
                return false;
              }),
              0);
  }
}
#endif

}  // namespace
