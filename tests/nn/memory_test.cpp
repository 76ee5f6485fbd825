// What contexts of one graph cost in memory: activations of their own, weights shared.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/nn/guest.h"

namespace tenon::nn {
namespace {

using test::Bytes;

constexpr int64_t kWidth = 1536;

// y = x · w · w, x [1, kWidth]: 9 MiB of weights, a few KiB of activations.
Bytes wide_model() {
  std::vector<float> weights(static_cast<size_t>(kWidth * kWidth));
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 11) / 1000;
  const std::string width = std::to_string(kWidth);
  return test::model({.inputs = {test::value("x", 1, {"1", width})},
                      .outputs = {test::value("y", 1, {"1", width})},
                      .nodes = {{"MatMul", {"x", "w"}, {"p"}}, {"MatMul", {"p", "w"}, {"y"}}},
                      .initializers = {test::tensor("w", 1, {kWidth, kWidth}, weights)}});
}

uint64_t resident_bytes() {
  unsigned long long pages = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (!file) return 0;
  if (std::fscanf(file, "%llu %llu", &pages, &resident) != 2) resident = 0;
  std::fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(Memory, ManyContextsGrowByActivationsOnly) {
#if defined(TENON_SANITIZED)
  GTEST_SKIP() << "a sanitizer keeps freed memory";
#endif
  Environment environment{NnOptions{}};
  const auto model = std::make_shared<const Bytes>(wide_model());
  ASSERT_TRUE(environment.add_graph_bytes("wide", test::as_bytes(*model), model));
  NnContext nn(environment);
  const auto graph = nn.load_by_name("wide");
  ASSERT_TRUE(graph) << graph.error().message;
  const std::vector<float> x(kWidth, 1);
  std::vector<float> y(kWidth);
  const uint32_t dims[] = {1, kWidth};
  const auto infer = [&] {
    const auto context = nn.init_execution_context(*graph);
    return context &&
           nn.set_input(*context, {}, {std::as_bytes(std::span(dims)), 1, std::as_bytes(std::span(x))}) &&
           nn.compute(*context) && nn.get_output(*context, {}, std::as_writable_bytes(std::span(y)));
  };
  ASSERT_TRUE(infer());  // what is there once for all
  const uint64_t before = resident_bytes();
  constexpr uint64_t kContexts = 64;
  for (uint64_t i = 0; i < kContexts; ++i) ASSERT_TRUE(infer());
  const uint64_t grown = resident_bytes() - before;
  // A copy of the weights for each would be 576 MiB.
  EXPECT_LT(grown, kContexts * (512 << 10)) << "for " << kContexts << " contexts";
}

}  // namespace
}  // namespace tenon::nn
