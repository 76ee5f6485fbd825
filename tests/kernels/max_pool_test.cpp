// Maxima of nothing but -inf, of the lowest number and of NaN, in every layout that oneDNN pools in and in every type.
#include <limits>

#include "kernels/ops/number.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using List = std::vector<std::int64_t>;
constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A pool of what `before` makes of the input: after a convolution its operand is blocked.
Graph pool_graph(Op op, DataType type, const Dims& dims, bool blocked) {
  GraphBuilder b("pool");
  auto x = *b.input("x", ValueType::tensor(type, dims));
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

// The definition: the largest number, NaN where there is none. Windows are 2 x 2, moved up by one row.
std::vector<double> maxima(Op op, const Dims& dims, const std::vector<double>& x) {
  const auto planes = dims[0] * dims[1], rows = dims[2], columns = dims[3];
  const bool global = op == Op::GlobalMaxPool;
  std::vector<double> out;
  const auto window = [&](std::int64_t plane, std::int64_t top, std::int64_t left, std::int64_t h,
                          std::int64_t w) {
    double best = std::nan("");
    for (auto r = std::max<std::int64_t>(top, 0); r < std::min(top + h, rows); ++r) {
      for (auto c = left; c < std::min(left + w, columns); ++c)
        best = std::fmax(best, x[static_cast<std::size_t>((plane * rows + r) * columns + c)]);
    }
    out.push_back(best);
  };
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    if (global) {
      window(plane, 0, 0, rows, columns);
      continue;
    }
    for (std::int64_t top = -1; top + 2 <= rows; top += 2) {
      for (std::int64_t left = 0; left + 2 <= columns + 1; left += 2) window(plane, top, left, 2, 2);
    }
  }
  return out;
}

void expect_maxima(Op op, DataType type, const Dims& dims, bool blocked, const std::vector<float>& choices) {
  const auto graph = pool_graph(op, type, dims, blocked);
  std::mt19937 engine(3);
  auto x = *Tensor::allocate(type, dims);
  for (std::int64_t i = 0; i < x.count(); ++i)
    set_number(type, x.mutable_data(), i, static_cast<double>(choices[engine() % choices.size()]));
  const auto expected = maxima(op, dims, get_numbers(type, x.data(), x.count()));
  for (const int threads : {0, 1, 2}) {  // 0: the reference
    CompileOptions options;
    options.reference = threads == 0;
    options.threads = std::max(threads, 1);
    const auto got = run(graph, {x}, options);
    ASSERT_TRUE(got) << got.error().message;
    const auto& y = (*got)[0].tensor;
    EXPECT_THAT(get_numbers(type, y.data(), y.count()),
                ::testing::Pointwise(::testing::NanSensitiveDoubleEq(), expected))
        << to_string(op) << " " << to_string(type) << to_string(dims) << " threads " << threads;
  }
}

const std::vector<std::vector<float>> kMixtures = {
    {-kInfinite},
    {-kInfinite, -kInfinite, -kInfinite, 1},
    {-kInfinite, -kInfinite, kLowest},
    {kLowest},
    {-kInfinite, kLowest, std::nextafter(kLowest, 0.0f)},
    {kNan},
    {kNan, kNan, 1},
    {kNan, -kInfinite},
    {kNan, kLowest, -kInfinite},
    {kNan, kInfinite, -1, std::nextafter(kLowest, 0.0f), kLowest},
};

TEST(MaxPool, LargestNumberOrNanWhereThereIsNone) {
  for (const auto op : {Op::MaxPool, Op::GlobalMaxPool}) {
    for (const Dims& dims : {Dims{1, 16, 8, 8}, Dims{2, 5, 7, 9}}) {
      for (const auto& choices : kMixtures) {
        expect_maxima(op, DataType::f32, dims, false, choices);
        expect_maxima(op, DataType::f32, dims, true, choices);
      }
    }
  }
}

TEST(MaxPool, EveryElementType) {
  for (const auto type : {DataType::f64, DataType::f16, DataType::bf16}) {
    for (const auto& choices : kMixtures) {
      expect_maxima(Op::MaxPool, type, {1, 3, 5, 6}, false, choices);
      expect_maxima(Op::GlobalMaxPool, type, {1, 3, 5, 6}, false, choices);
    }
  }
  for (const auto type : {DataType::u8, DataType::i8, DataType::i16, DataType::u16, DataType::i32,
                          DataType::u32, DataType::i64, DataType::u64}) {
    expect_maxima(Op::MaxPool, type, {1, 3, 5, 6}, false, {kLowest, kLowest, -3, 7});  // the type's lowest
    expect_maxima(Op::MaxPool, type, {1, 16, 8, 8}, false, {kLowest});
  }
}

TEST(MaxPool, IndexOfNanIsTheFirstElement) {
  GraphBuilder b("pool");
  const std::vector<ValueId> x{*b.input("x", f32_type({1, 1, 2, 4}))};
  const auto y = b.add_value("y"), index = b.add_value("index");
  const std::vector<ValueId> outputs{y, index};
  ASSERT_TRUE(
      b.add_node(Op::MaxPool, x, outputs, {{"kernel_shape", List{2, 2}}, {"strides", List{2, 2}}}, {}));
  ASSERT_TRUE(b.add_output(y, "y"));
  ASSERT_TRUE(b.add_output(index, "index"));
  const auto graph = *std::move(b).finish();
  const auto got =
      run(graph, {tensor<float>({1, 1, 2, 4}, {kNan, kNan, kNan, -kInfinite, kNan, kNan, 5, kNan})});
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_TRUE(std::isnan(values_of<float>((*got)[0].tensor)[0]));
  EXPECT_EQ(values_of<float>((*got)[0].tensor)[1], 5);
  EXPECT_EQ(values_of<std::int64_t>((*got)[1].tensor), (std::vector<std::int64_t>{0, 6}));
}

}  // namespace
}  // namespace tenon::kernels
