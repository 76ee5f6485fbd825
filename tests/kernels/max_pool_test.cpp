// Maxima of nothing but -inf, and of the lowest number, in every layout that oneDNN pools in.
#include <limits>

#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using List = std::vector<std::int64_t>;
constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

// A pool of what `before` makes of the input: after a convolution its operand is blocked.
Graph pool_graph(Op op, const Dims& dims, bool blocked) {
  GraphBuilder b("pool");
  auto x = *b.input("x", f32_type(dims));
  if (blocked) {
    const auto channels = dims[1];
    Dims weights{channels, 1};
    weights.resize(dims.size(), 1);
    const auto ones =
        *b.constant("w", tensor<float>(weights, std::vector<float>(static_cast<std::size_t>(channels), 1)));
    x = *b.node(Op::Conv, {x, ones}, {{"group", channels}});
  }
  Attributes attributes;
  if (op == Op::MaxPool)
    attributes = {{"kernel_shape", List{2, 2}}, {"strides", List{2, 2}}, {"pads", List{1, 0, 0, 1}}};
  EXPECT_TRUE(b.add_output(*b.node(op, {x}, attributes), "y"));
  return *std::move(b).finish();
}

void expect_as_reference(Op op, const Dims& dims, bool blocked, const std::vector<float>& choices) {
  const auto graph = pool_graph(op, dims, blocked);
  std::mt19937 engine(3);
  std::vector<float> x(static_cast<std::size_t>(*element_count(dims)));
  for (auto& v : x) v = choices[engine() % choices.size()];
  CompileOptions reference;
  reference.reference = true;
  const auto expected = run(graph, {tensor<float>(dims, x)}, reference);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const int threads : {1, 2}) {
    CompileOptions fast;
    fast.threads = threads;
    const auto got = run(graph, {tensor<float>(dims, x)}, fast);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor));
  }
}

TEST(MaxPool, NothingButMinusInfinity) {
  for (const auto op : {Op::MaxPool, Op::GlobalMaxPool}) {
    for (const Dims& dims : {Dims{1, 16, 8, 8}, Dims{2, 5, 7, 9}}) {
      expect_as_reference(op, dims, false, {-kInfinite});
      expect_as_reference(op, dims, false, {-kInfinite, -kInfinite, -kInfinite, 1});
      expect_as_reference(op, dims, false, {-kInfinite, -kInfinite, kLowest});
      expect_as_reference(op, dims, false, {kLowest});
      expect_as_reference(op, dims, false, {-kInfinite, kLowest, std::nextafter(kLowest, 0.0f)});
      expect_as_reference(op, dims, true, {kLowest, -2});
      expect_as_reference(op, dims, true, {-1, 3});
    }
  }
}

}  // namespace
}  // namespace tenon::kernels
