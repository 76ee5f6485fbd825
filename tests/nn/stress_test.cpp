// Many threads over one environment: loads, contexts, computes, bound computes, unloads, mistakes, statistics. Built with
// ThreadSanitizer too, where plans have one thread: libgomp's barriers are unknown to it.
#include <gtest/gtest.h>

#include <thread>

#include "kernels/parallel.h"
#include "tests/nn/guest.h"

namespace tenon::nn {
namespace {

using test::Bytes;
using test::value;

#ifdef TENON_THREAD_SANITIZER
constexpr int kTeam = 1;
#else
constexpr int kTeam = 2;
#endif

// y = Relu(x · w + b), x [1, 8]
Bytes product_model() {
  std::vector<float> weights(64), bias(8, 1);
  for (int i = 0; i < 8; ++i) weights[i * 9] = 2;
  return test::model(
      {.inputs = {value("x", 1, {"1", "8"})},
       .outputs = {value("y", 1, {"1", "8"})},
       .nodes = {{"MatMul", {"x", "w"}, {"p"}}, {"Add", {"p", "b"}, {"s"}}, {"Relu", {"s"}, {"y"}}},
       .initializers = {test::floats("w", {8, 8}, weights), test::floats("b", {8}, bias)}});
}

constexpr float expected(float x) { return x < -0.5f ? 0 : 2 * x + 1; }

struct Worker {
  explicit Worker(Environment& environment) : nn(environment) {}

  // One inference of x = all `v`, through set_input and get_output or bound.
  bool infer(ContextHandle ctx, float v, bool bound) {
    std::vector<float> x(8, v), y(8, -1);
    const uint32_t dims[] = {1, 8};
    const MemoryDesc memory{reinterpret_cast<u8*>(buffer.data()), buffer.size() * sizeof(float), 0};
    if (bound) {
      std::ranges::copy(x, buffer.begin());
      const Caller caller{.memory = &memory};
      if (!nn.bind_input(ctx, {}, std::nullopt, 0, 32, caller) || !nn.bind_output(ctx, {}, 32, 32, caller) ||
          !nn.compute(ctx, caller))
        return false;
      std::ranges::copy(std::span(buffer).subspan(8, 8), y.begin());
      if (!nn.unbind(ctx, EdgeKind::output, {}) || !nn.unbind(ctx, EdgeKind::input, {})) return false;
    } else {
      const GuestTensor tensor{std::as_bytes(std::span(dims)), 1, std::as_bytes(std::span(x))};
      if (!nn.set_input(ctx, {}, tensor) || !nn.compute(ctx)) return false;
      std::ranges::fill(x, 99);
      if (!nn.get_output(ctx, {}, std::as_writable_bytes(std::span(y)))) return false;
    }
    return std::ranges::all_of(y, [&](float got) { return got == expected(v); });
  }

  NnContext nn;
  std::array<float, 16> buffer{};
};

TEST(Stress, EightGuestsLoadComputeAndUnload) {
  NnOptions options;
  options.threads = kTeam;
  Environment environment(options);
  const auto shared = std::make_shared<const Bytes>(product_model());
  ASSERT_TRUE(environment.add_graph_bytes("shared", test::as_bytes(*shared), shared));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Worker worker(environment);
      const Bytes own = product_model();
      for (int round = 0; round < 12; ++round) {
        const std::span<const std::byte> bytes = test::as_bytes(own);
        const auto graph =
            round % 3 == 0 ? worker.nn.load(std::span(&bytes, 1), 1, 0) : worker.nn.load_by_name("shared");
        const auto ctx = graph ? worker.nn.init_execution_context(*graph) : ContextHandle{};
        if (!graph || !ctx || !worker.nn.unload(*graph)) {
          ++wrong;
          continue;
        }
        for (int i = 0; i < 8; ++i)
          if (!worker.infer(*ctx, static_cast<float>(t * 8 + i - 20), i % 2 == 1)) ++wrong;
        if (worker.nn.compute(ContextHandle{12345}) || worker.nn.load_by_name("nobody")) ++wrong;
        if (round % 4 == 0 && environment.statistics().empty()) ++wrong;
        if (!worker.nn.close(*ctx)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(kernels::ThreadTokens::process().free() > 0, true) << "every compute gives its threads back";
}

TEST(Stress, OneContextForManyThreadsIsBusyOrRight) {
  NnOptions options;
  options.threads = kTeam;
  Environment environment(options);
  NnContext nn(environment);
  const Bytes model = product_model();
  const std::span<const std::byte> bytes = test::as_bytes(model);
  const auto graph = nn.load(std::span(&bytes, 1), 1, 0);
  ASSERT_TRUE(graph);
  const auto ctx = nn.init_execution_context(*graph);
  ASSERT_TRUE(ctx);
  const std::vector<float> x(8, 3);
  const uint32_t dims[] = {1, 8};
  const GuestTensor tensor{std::as_bytes(std::span(dims)), 1, std::as_bytes(std::span(x))};
  ASSERT_TRUE(nn.set_input(*ctx, {}, tensor));
  ASSERT_TRUE(nn.compute(*ctx));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      std::vector<float> y(8);
      const auto fine = [&](const auto& result) {
        return result.has_value() || result.error().code == kernels::ErrorCode::busy;
      };
      for (int i = 0; i < 200; ++i) {
        if (!fine(nn.set_input(*ctx, {}, tensor)) || !fine(nn.compute(*ctx))) ++wrong;
        const auto written = nn.get_output(*ctx, {}, std::as_writable_bytes(std::span(y)));
        if (!fine(written) || (written && y[7] != 7)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(Stress, UnloadAndCloseWhileAnotherThreadComputes) {
  NnOptions options;
  options.threads = kTeam;
  Environment environment(options);
  Worker worker(environment);
  const Bytes model = product_model();
  const std::span<const std::byte> bytes = test::as_bytes(model);
  for (int round = 0; round < 20; ++round) {
    const auto graph = worker.nn.load(std::span(&bytes, 1), 1, 0);
    const auto ctx = graph ? worker.nn.init_execution_context(*graph) : ContextHandle{};
    ASSERT_TRUE(graph && ctx);
    std::thread other([&] {
      for (int i = 0; i < 20; ++i) (void)worker.infer(*ctx, 1, false);  // fails once the handle is gone
    });
    EXPECT_TRUE(worker.nn.unload(*graph));
    EXPECT_TRUE(worker.nn.close(*ctx));
    other.join();
  }
}

}  // namespace
}  // namespace tenon::nn
