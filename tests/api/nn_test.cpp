// wasi-nn from Wasm through libtenon: guests that leave the stack no room, and many stores at once that load, compute, trap
// and go. Also built with ThreadSanitizer, where inferences have one thread: libgomp's barriers are unknown to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <fstream>
#include <thread>

#include "tenon.hpp"

namespace {

using namespace tenon;
using ::testing::HasSubstr;

const std::string kDigits = TENON_SOURCE_DIR "/examples/digits/digits.onnx";

// 65536: the model's bytes; 1024: its name; 2048: the picture, 3072: the result; 16: handles and numbers.
constexpr const char* kGuest = R"((module
  (import "wasi_ephemeral_nn" "load" (func $load (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "load_by_name" (func $load_by_name (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "init_execution_context" (func $open (param i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "set_input" (func $set_input (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "compute" (func $compute (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "get_output" (func $get_output (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_nn" "unload" (func $unload (param i32) (result i32)))
  (import "wasi_ephemeral_nn" "finalize_execution_context" (func $close (param i32) (result i32)))
  (import "host" "again" (func $again (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "digits")
  (data (i32.const 1040) "\01\00\00\00\01\00\00\00\08\00\00\00\08\00\00\00")
  (data (i32.const 1060) "\10\04\00\00\04\00\00\00\01\00\00\00\00\08\00\00\00\01\00\00")

  ;; With the model's size loads from bytes, with 0 by name; the context is at 20.
  (func $begin (export "begin") (param $size i32) (result i32)
    (i32.store (i32.const 32) (i32.const 65536))
    (i32.store (i32.const 36) (local.get $size))
    (if (if (result i32) (local.get $size)
          (then (call $load (i32.const 32) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 16)))
          (else (call $load_by_name (i32.const 1024) (i32.const 6) (i32.const 16))))
      (then (return (i32.const 10))))
    (if (call $open (i32.load (i32.const 16)) (i32.const 20)) (then (return (i32.const 11))))
    (if (call $unload (i32.load (i32.const 16))) (then (return (i32.const 12))))
    (if (call $set_input (i32.load (i32.const 20)) (i32.const 0) (i32.const 1060))
      (then (return (i32.const 13))))
    (i32.const 0))

  ;; 0, or the first call that failed. `how`: 0 ends well, 1 traps with the context open, 2 before get_output.
  (func (export "round") (param $size i32) (param $how i32) (result i32) (local $e i32)
    (local.set $e (call $begin (local.get $size)))
    (if (local.get $e) (then (return (local.get $e))))
    (if (i32.eq (local.get $how) (i32.const 1)) (then (unreachable)))
    (if (call $compute (i32.load (i32.const 20))) (then (return (i32.const 14))))
    (if (i32.eq (local.get $how) (i32.const 2)) (then (drop (i32.load (i32.const -4)))))
    (if (call $get_output (i32.load (i32.const 20)) (i32.const 0) (i32.const 3072) (i32.const 40) (i32.const 24))
      (then (return (i32.const 15))))
    (if (call $close (i32.load (i32.const 20))) (then (return (i32.const 16))))
    (i32.const 0))

  ;; Computes at every depth; the first nn_errno that is not 0.
  (func (export "dive") (result i32) (local $e i32)
    (local.set $e (call $compute (i32.load (i32.const 20))))
    (if (local.get $e) (then (return (local.get $e))))
    (call $again))
  (func $deep (export "deep") (param $n i64) (result i64)
    (if (call $compute (i32.load (i32.const 20))) (then (return (i64.const -5))))
    (i64.add (local.get $n) (call $deep (i64.add (local.get $n) (i64.const 1)))))))";

std::string file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Nn make_nn() {
  Nn nn = std::move(Nn::make(1).value());
  EXPECT_TRUE(nn.add_graph("digits=" + kDigits));
  return nn;
}

Module guest_module(const Engine& engine) {
  const std::string path = ::testing::TempDir() + "/nn-" + std::to_string(getpid()) + ".wat";
  std::ofstream(path) << kGuest;
  Module module = std::move(Module::from_file(engine, path).value());
  std::remove(path.c_str());
  return module;
}

std::vector<tenon_tier_t> tiers() {
  std::vector<tenon_tier_t> list{TENON_TIER_INTERP};
#ifdef TENON_TEST_JIT
  list.push_back(TENON_TIER_JIT);
#endif
  return list;
}

class NnGuests : public ::testing::TestWithParam<tenon_tier_t> {
 protected:
  static Config config() {
    Config config;
    config.tier(GetParam()).max_stack(512 << 10);  // soon deep enough
    return config;
  }
  Engine engine{config()};
  Nn nn = make_nn();
  Module module = guest_module(engine);
};

TEST_P(NnGuests, InferencesDeepInTheStackAreRefusedBeforeItEnds) {
  Linker linker(engine);
  ASSERT_TRUE(linker.nn(nn));
  std::optional<Instance> instance;
  int depth = 0;
  ASSERT_TRUE(linker.func("host", "again", [&]() -> Result<int32_t> {
    ++depth;
    return (*instance->get<int32_t()>("dive"))();
  }));
  const Store store = std::move(Store::make(engine).value());
  instance.emplace(linker.instantiate(store, module).value());
  ASSERT_EQ((*instance->get<int32_t(int32_t)>("begin"))(0).value(), 0);
  constexpr int32_t kRuntimeError = 5;
  auto dived = (*instance->get<int32_t()>("dive"))();
  ASSERT_TRUE(dived) << dived.error().message();
  EXPECT_EQ(*dived, kRuntimeError);
  EXPECT_GT(depth, 5);
  EXPECT_THAT(nn.statistics(), HasSubstr("leaves no room for an inference"));

  if (GetParam() == TENON_TIER_JIT) {  // the interpreter's frames are not on the native stack
    auto deep = (*instance->get<int64_t(int64_t)>("deep"))(0);
    EXPECT_TRUE(deep) << deep.error().message();
  }
  depth = 0;
  auto again = (*instance->get<int32_t()>("dive"))();
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, kRuntimeError) << "as before: nothing was left on the stack";
}

TEST_P(NnGuests, EightThreadsOfStoresThatLoadComputeAndTrap) {
  const std::string model = file_bytes(kDigits);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Linker linker(engine);
      if (!linker.nn(nn) || !linker.func("host", "again", [] { return int32_t{0}; }))
        return static_cast<void>(++wrong);
      for (int made = 0; made < 3; ++made) {
        auto store = Store::make(engine);
        if (!store) return static_cast<void>(++wrong);
        auto instance = linker.instantiate(*store, module);
        if (!instance) return static_cast<void>(++wrong);
        const auto memory = instance->memory("memory");
        std::memcpy(memory->bytes().data() + 65536, model.data(), model.size());
        auto run = instance->get<int32_t(int32_t, int32_t)>("round");
        for (int round = 0; round < 6; ++round) {
          for (int i = 0; i < 64; ++i) {
            const float dot = static_cast<float>((i * (t + round + 1)) % 16) / 16;
            std::memcpy(memory->bytes().data() + 2048 + i * 4, &dot, sizeof dot);
          }
          const int how = round % 3;
          auto done = (*run)(round % 2 == 0 ? static_cast<int32_t>(model.size()) : 0, how);
          if (done.has_value() != (how == 0) || (done && *done != 0)) ++wrong;
          if (!done && done.error().kind() != TENON_ERROR_TRAP) ++wrong;
          if (how != 0) continue;
          float sum = 0;
          for (int i = 0; i < 10; ++i) {
            float p = 0;
            std::memcpy(&p, memory->bytes().data() + 3072 + i * 4, sizeof p);
            sum += p;
          }
          if (!(std::abs(sum - 1) < 1e-4f)) ++wrong;
        }
        if (nn.statistics().empty()) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0) << nn.statistics();
}

INSTANTIATE_TEST_SUITE_P(Tiers, NnGuests, ::testing::ValuesIn(tiers()),
                         [](const auto& tier) { return tier.param == TENON_TIER_JIT ? "jit" : "interp"; });

}  // namespace
