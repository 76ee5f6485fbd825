// Threads of one guest: starting, limits, and ending together.
#include "wasi/threads.h"

#include "engine/text/wat.h"
#include "wasi_fixture.h"

namespace tenon::wasi {
namespace {

class ThreadsTest : public ::testing::Test {
 protected:
  // Runs a module given as text, with `$spawn` and a shared memory imported.
  Result<i32> run(std::string body, ThreadOptions options = {}) {
    const std::string text = R"((module
      (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "env" "memory" (memory 1 1 shared))
      )" + std::move(body) + ")";
    TRY_ASSIGN(const auto bytes, text::wat_to_wasm(text));
    EngineOptions engine_options;
    engine_options.tier = EngineOptions::Tier::interp;
    engine_options.decode.features = FeatureSet::all();
    const auto engine = std::make_shared<Engine>(engine_options);
    TRY_ASSIGN(auto module, engine->compile(bytes));
    EXPECT_TRUE(wants_threads(*module));
    TRY_ASSIGN(auto context, make_wasi_context({.stdin_ = StdioNull{}, .cancellable = true}));
    return ThreadGroup(engine, module, *context, std::move(options)).run();
  }
};

TEST_F(ThreadsTest, MemoryIsSharedAndArgumentsArrive) {
  const auto code = run(R"(
    (func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
      (i32.atomic.store (i32.const 4) (local.get $arg))
      (i32.atomic.store (i32.const 0) (local.get $tid))
      (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
    (func (export "_start") (local $tid i32)
      (local.set $tid (call $spawn (i32.const 42)))
      (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 5000000000)))
      (if (i32.ne (i32.atomic.load (i32.const 0)) (local.get $tid)) (then (call $exit (i32.const 1))))
      (call $exit (i32.atomic.load (i32.const 4)))))");
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 42);
}

TEST_F(ThreadsTest, ATrapInOneThreadEndsTheProgramWithItsError) {
  const auto code = run(R"(
    (func (export "wasi_thread_start") (param i32 i32) unreachable)
    (func (export "_start") (drop (call $spawn (i32.const 0))) (loop $l (br $l))))");
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().category, ErrorCategory::trap);
  EXPECT_NE(code.error().message.find("unreachable"), std::string::npos) << code.error().message;
}

TEST_F(ThreadsTest, TheNumberOfThreadsIsLimited) {
  const auto code = run(R"(
    (func (export "wasi_thread_start") (param i32 i32) (loop $l (br $l)))
    (func (export "_start") (local $n i32)
      (loop $more
        (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0))
          (then (local.set $n (i32.add (local.get $n) (i32.const 1))) (br $more))))
      (call $exit (local.get $n))))",
                        {.max_threads = 5});
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 4);
}

TEST_F(ThreadsTest, WithoutAThreadStartSpawningFails) {
  const auto code = run(R"((func (export "_start") (call $exit (call $spawn (i32.const 0)))))");
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, -1);
}

TEST_F(ThreadsTest, AStartFunctionThatSpawnsDoesNotNestForEver) {
  const auto code = run(R"(
    (func $begin (drop (call $spawn (i32.const 0))))
    (start $begin)
    (func (export "wasi_thread_start") (param i32 i32) (loop $l (br $l)))
    (func (export "_start")))");
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, 0);
}

TEST_F(ThreadsTest, AProgramWithoutAStartIsNotFound) {
  const auto code = run("");
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().category, ErrorCategory::not_found);
}

}  // namespace
}  // namespace tenon::wasi
