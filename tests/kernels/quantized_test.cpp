// Quantised networks: what the planner makes of chains between integer operators, against the plain reference.
#include "kernels/element.h"
#include "kernels/ops/number.h"
#include "kernels/ops/requantize.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using List = std::vector<std::int64_t>;

Tensor bytes(DataType type, const Dims& dims, unsigned seed) {
  auto t = *Tensor::allocate(type, dims);
  std::mt19937 engine(seed);
  for (std::int64_t i = 0; i < t.count(); ++i) t.mutable_data()[i] = static_cast<std::byte>(engine());
  return t;
}

Tensor scalar(float value) { return tensor<float>({}, {value}); }
Tensor code(DataType type, int value) {
  auto t = *Tensor::allocate(type, {});
  t.mutable_data()[0] = static_cast<std::byte>(value);
  return t;
}

std::vector<double> numbers_of(const Tensor& t) { return get_numbers(t.type(), t.data(), t.count()); }

// The largest difference between two results of a graph.
double largest_difference(const Graph& graph, const std::vector<Tensor>& inputs, int threads = 1) {
  CompileOptions reference, fast;
  reference.reference = true;
  fast.threads = threads;
  const auto expected = run(graph, inputs, reference), got = run(graph, inputs, fast);
  EXPECT_TRUE(expected && got) << (got ? expected.error() : got.error()).message;
  if (!expected || !got) return 1e30;
  double worst = 0;
  for (std::size_t o = 0; o < expected->size(); ++o) {
    const auto a = numbers_of((*expected)[o].tensor), b = numbers_of((*got)[o].tensor);
    for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  }
  return worst;
}

std::vector<StepInfo> steps_of(const Graph& graph) { return (*(*compile(graph))->create_context())->steps(); }

std::size_t count(const std::vector<StepInfo>& steps, std::string_view op) {
  return static_cast<std::size_t>(std::ranges::count(steps, op, &StepInfo::op));
}

// Integer convolutions, not the reorders before and after them.
std::size_t integer_convolutions(const std::vector<StepInfo>& steps) {
  return static_cast<std::size_t>(std::ranges::count_if(steps, [](const StepInfo& step) {
    return step.op == "QLinearConv" && (step.implementation.find("int8") != std::string::npos ||
                                        step.implementation.find("brg") != std::string::npos ||
                                        step.implementation.find("brd") != std::string::npos ||
                                        step.implementation.find("tenon conv") != std::string::npos);
  }));
}

// x → QLinearConv → DequantizeLinear → `middle` → QuantizeLinear
struct Chain {
  float from_scale = 0.05f, to_scale = 0.03f;
  int from_zero = 100, to_zero = 0;
  DataType to = DataType::u8;
};
Graph conv_and_chain(const Chain& c, const std::function<ValueId(GraphBuilder&, ValueId)>& middle) {
  GraphBuilder b("chain");
  const auto constant = [&](Tensor t) { return *b.constant("c", std::move(t)); };
  const auto x = *b.input("x", ValueType::tensor(DataType::u8, Dims{1, 3, 17, 19}));
  const auto w = constant(bytes(DataType::i8, {16, 3, 3, 3}, 3));
  const auto from_scale = constant(scalar(c.from_scale)),
             from_zero = constant(code(DataType::u8, c.from_zero));
  const auto conv =
      *b.node(Op::QLinearConv,
              {x, constant(scalar(0.02f)), constant(code(DataType::u8, 120)), w, constant(scalar(0.004f)),
               constant(code(DataType::i8, 0)), from_scale, from_zero},
              {{"pads", List{1, 1, 1, 1}}});
  const auto real = *b.node(Op::DequantizeLinear, {conv, from_scale, from_zero});
  const auto y = *b.node(Op::QuantizeLinear,
                         {middle(b, real), constant(scalar(c.to_scale)), constant(code(c.to, c.to_zero))});
  EXPECT_TRUE(b.add_output(y));
  return *std::move(b).finish();
}

ValueId clip_to_six(GraphBuilder& b, ValueId x) {
  return *b.node(Op::Clip, {x, *b.constant("lo", scalar(0)), *b.constant("hi", scalar(6))});
}

TEST(ByteChains, ClipBetweenConvolutionAndQuantizeIsExactAndCostsNoStep) {
  for (const auto& c :
       {Chain{}, Chain{0.0611f, 0.02167f, 165, 0, DataType::u8}, Chain{0.1f, 0.05f, 3, -128, DataType::i8},
        Chain{0.05f, 0.1f, 0, 7, DataType::u8}, Chain{0.25f, 0.5f, 101, 1, DataType::u8}}) {
    const auto graph = conv_and_chain(c, clip_to_six);
    for (const int threads : {1, 2})
      EXPECT_EQ(largest_difference(graph, {bytes(DataType::u8, {1, 3, 17, 19}, 5)}, threads), 0);
    const auto steps = steps_of(graph);
    EXPECT_EQ(count(steps, "Clip"), 0u);
    EXPECT_EQ(integer_convolutions(steps), 1u);
  }
}

TEST(ByteChains, OtherFunctionsBecomeTables) {
  const auto graph = conv_and_chain({0.05f, 1.f / 256, 128, 0, DataType::u8}, [](GraphBuilder& b, ValueId x) {
    const auto half = *b.constant("h", scalar(0.5f));
    return *b.node(Op::Sigmoid, {*b.node(Op::Mul, {x, half})});
  });
  EXPECT_EQ(largest_difference(graph, {bytes(DataType::u8, {1, 3, 17, 19}, 5)}), 0);
  const auto steps = steps_of(graph);
  EXPECT_EQ(count(steps, "Sigmoid") + count(steps, "Mul") + count(steps, "QuantizeLinear"), 0u);
  EXPECT_TRUE(std::ranges::any_of(steps, [](const auto& s) { return s.implementation == "tenon table"; }));
}

TEST(ByteChains, AChainThatIsReadElsewhereStays) {
  GraphBuilder b("shared");
  const auto x = *b.input("x", ValueType::tensor(DataType::i8, Dims{4, 70}));
  const auto scale = *b.constant("s", scalar(0.1f)), zero = *b.constant("z", code(DataType::i8, 3));
  const auto real = *b.node(Op::Relu, {*b.node(Op::DequantizeLinear, {x, scale, zero})});
  ASSERT_TRUE(b.add_output(*b.node(Op::QuantizeLinear, {real, scale, zero})));
  ASSERT_TRUE(b.add_output(real));
  EXPECT_EQ(largest_difference(*std::move(b).finish(), {bytes(DataType::i8, {4, 70}, 1)}), 0);
}

// Float operators between DequantizeLinear and QuantizeLinear, as exporters write quantised networks.
class Qdq {
 public:
  Qdq() : b_("qdq") {}
  ValueId constant(Tensor t) { return *b_.constant("c", std::move(t)); }
  ValueId quantize(ValueId x, float scale, int zero) {
    return *b_.node(Op::QuantizeLinear, {x, constant(scalar(scale)), constant(code(DataType::u8, zero))});
  }
  ValueId dequantize(ValueId x, float scale, int zero) {
    return *b_.node(Op::DequantizeLinear, {x, constant(scalar(scale)), constant(code(DataType::u8, zero))});
  }
  ValueId both(ValueId x, float scale, int zero) { return dequantize(quantize(x, scale, zero), scale, zero); }
  // Weights with a scale for each output channel, and a bias at the scale of the sums.
  ValueId weights(const Dims& dims, unsigned seed) {
    scales_.clear();
    for (std::int64_t i = 0; i < dims[0]; ++i)
      scales_.push_back(0.002f + 0.0005f * static_cast<float>(i % 7));
    return *b_.node(Op::DequantizeLinear,
                    {constant(bytes(DataType::i8, dims, seed)), constant(tensor<float>({dims[0]}, scales_)),
                     constant(*Tensor::allocate(DataType::i8, {dims[0]}))},
                    {{"axis", std::int64_t{0}}});
  }
  ValueId bias(float x_scale) {
    auto scales = scales_;
    for (auto& s : scales) s *= x_scale;
    const auto count = static_cast<std::int64_t>(scales.size());
    std::vector<std::int32_t> values(scales.size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i) * 100 - 500;
    return *b_.node(
        Op::DequantizeLinear,
        {constant(tensor<std::int32_t>({count}, values)), constant(tensor<float>({count}, scales))},
        {{"axis", std::int64_t{0}}});
  }
  GraphBuilder b_;
  std::vector<float> scales_;
};

TEST(QdqFolding, ConvolutionsPoolsAndGemmBecomeIntegerOperators) {
  Qdq q;
  auto& b = q.b_;
  const auto x = *b.input("x", f32_type({1, 3, 16, 16}));
  auto y = q.both(x, 1.f / 127, 128);
  const auto w0 = q.weights({16, 3, 3, 3}, 1);
  y = *b.node(Op::Conv, {y, w0, q.bias(1.f / 127)}, {{"pads", List{1, 1, 1, 1}}});
  y = q.both(*b.node(Op::Relu, {y}), 0.01f, 0);
  const auto w1 = q.weights({16, 1, 3, 3}, 2);
  y = q.both(*b.node(Op::Conv, {y, w1}, {{"group", std::int64_t{16}}}), 0.02f, 120);
  y = q.both(*b.node(Op::MaxPool, {y}, {{"kernel_shape", List{2, 2}}, {"strides", List{2, 2}}}), 0.02f, 120);
  y = q.both(*b.node(Op::Flatten, {y}), 0.02f, 120);
  const auto w2 = q.weights({10, 16 * 49}, 3);
  y = q.both(*b.node(Op::Gemm, {y, w2, q.bias(0.02f)}, {{"transB", std::int64_t{1}}}), 0.05f, 128);
  ASSERT_TRUE(b.add_output(y));
  const auto graph = *std::move(b).finish();
  const auto steps = steps_of(graph);
  EXPECT_EQ(integer_convolutions(steps), 3u);
  EXPECT_EQ(count(steps, "Conv") + count(steps, "Gemm") + count(steps, "Relu"), 0u);
  EXPECT_EQ(count(steps, "QuantizeLinear"), 1u);
  EXPECT_EQ(count(steps, "DequantizeLinear"), 1u);
  // One step of the last scale, where a sum lies on the border between two codes.
  EXPECT_LE(largest_difference(graph, {random_tensor({1, 3, 16, 16}, 4)}), 0.0501);
}

TEST(QdqFolding, ReluStaysWhereSaturationWouldNotDoItsWork) {
  Qdq q;
  auto& b = q.b_;
  const auto x = *b.input("x", f32_type({1, 4, 8, 8}));
  const auto y = *b.node(Op::Conv, {q.both(x, 1.f / 127, 128), q.weights({8, 4, 3, 3}, 1)});
  ASSERT_TRUE(b.add_output(q.both(*b.node(Op::Relu, {y}), 0.02f, 64)));
  const auto graph = *std::move(b).finish();
  EXPECT_LE(largest_difference(graph, {random_tensor({1, 4, 8, 8}, 4)}), 0.0201);
}

TEST(IntegerProducts, ZeroPointsOfBothSidesMayComeAtRunTime) {
  GraphBuilder b("dynamic");
  const auto x = *b.input("x", f32_type({3, 40}));
  const auto q = b.add_value("q"), scale = b.add_value("scale"), zero = b.add_value("zero");
  ASSERT_TRUE(b.add_node(Op::DynamicQuantizeLinear, std::array{x}, std::array{q, scale, zero}, {}, {}));
  const auto w = *b.constant("w", bytes(DataType::u8, {40, 24}, 2)),
             w_zero = *b.constant("z", code(DataType::u8, 121));
  ASSERT_TRUE(b.add_output(*b.node(Op::MatMulInteger, {q, w, zero, w_zero})));
  ASSERT_TRUE(b.add_output(scale));
  const auto graph = *std::move(b).finish();
  for (const int threads : {1, 2})
    EXPECT_EQ(largest_difference(graph, {random_tensor({3, 40}, 8)}, threads), 0);
}

TEST(IntegerConvolutions, TheZeroPointOfTheInputMayComeAtRunTime) {
  GraphBuilder b("dynamic");
  const auto x = *b.input("x", f32_type({1, 4, 9, 9}));
  const auto q = b.add_value("q"), scale = b.add_value("scale"), zero = b.add_value("zero");
  ASSERT_TRUE(b.add_node(Op::DynamicQuantizeLinear, std::array{x}, std::array{q, scale, zero}, {}, {}));
  const auto w = *b.constant("w", bytes(DataType::i8, {6, 4, 3, 3}, 2));
  ASSERT_TRUE(b.add_output(*b.node(Op::ConvInteger, {q, w, zero}, {{"pads", List{1, 1, 1, 1}}})));
  EXPECT_EQ(largest_difference(*std::move(b).finish(), {random_tensor({1, 4, 9, 9}, 8)}), 0);
}

// 7/16 is nearer to 0, but its upper half is rounded to 4 first.
TEST(Requantize, RoundsTwiceWhereAsked) {
  const auto sixteenth = FixedScale::of(1.0 / 16);
  EXPECT_EQ(sixteenth.apply(7, false), 1);
  EXPECT_EQ(sixteenth.apply(-7, false), 0);
  EXPECT_EQ(sixteenth.apply(8, false), 1);
  EXPECT_EQ(sixteenth.apply(6, false), 0);
  EXPECT_EQ(FixedScale::of(3.0).apply(-5, false), -15);
  EXPECT_EQ(FixedScale::of(1e-30).apply(INT32_MAX, false), 0);
  // Halves fall away from zero, or up.
  EXPECT_EQ(sixteenth.apply(-8, false), -1);
  EXPECT_EQ(sixteenth.apply(-8, true), 0);
  EXPECT_EQ(sixteenth.apply(-9, true), 0);  // 4.5 became 4 first
  EXPECT_EQ(sixteenth.apply(-24, true), -1);
}

// Weights from -120 to 135 less their zero point: two convolutions of oneDNN, exactly what the loops give.
TEST(Requantize, ConvolutionsOfNineBitWeightsStayInIntegers) {
  for (const char* rounding : {"once", "twice", "twice_up"}) {
    for (const std::int64_t group : {1, 16}) {
      GraphBuilder b("nine");
      const auto constant = [&](Tensor t) { return *b.constant("c", std::move(t)); };
      const auto x = *b.input("x", ValueType::tensor(DataType::u8, Dims{1, 16, 9, 7}));
      const auto y = *b.node(
          Op::QLinearConv,
          {x, constant(scalar(0.02f)), constant(code(DataType::u8, 120)),
           constant(bytes(DataType::u8, {16, 16 / group, 3, 3}, 3)), constant(scalar(0.004f)),
           constant(code(DataType::u8, 120)), constant(scalar(0.05f)), constant(code(DataType::u8, 100))},
          {{"pads", List{1, 1, 1, 1}}, {"group", group}, {"rounding", std::string(rounding)}});
      ASSERT_TRUE(b.add_output(y));
      const auto graph = *std::move(b).finish();
      EXPECT_EQ(integer_convolutions(steps_of(graph)), 1u) << rounding << group;
      EXPECT_EQ(largest_difference(graph, {bytes(DataType::u8, {1, 16, 9, 7}, 4)}), 0) << rounding << group;
    }
  }
}

TEST(Requantize, DepthwiseConvolutionsThatRoundTwiceStayInIntegers) {
  GraphBuilder b("twice");
  const auto constant = [&](Tensor t) { return *b.constant("c", std::move(t)); };
  const auto x = *b.input("x", ValueType::tensor(DataType::u8, Dims{1, 16, 17, 19}));
  const auto y =
      *b.node(Op::QLinearConv,
              {x, constant(scalar(0.02f)), constant(code(DataType::u8, 120)),
               constant(bytes(DataType::u8, {16, 1, 3, 3}, 3)), constant(scalar(0.004f)),
               constant(code(DataType::u8, 128)), constant(scalar(0.05f)), constant(code(DataType::u8, 100))},
              {{"pads", List{1, 1, 1, 1}}, {"group", std::int64_t{16}}, {"rounding", std::string("twice")}});
  ASSERT_TRUE(b.add_output(y));
  const auto graph = *std::move(b).finish();
  EXPECT_EQ(integer_convolutions(steps_of(graph)), 1u);
  EXPECT_LE(largest_difference(graph, {bytes(DataType::u8, {1, 16, 17, 19}, 4)}), 1);
}

}  // namespace
}  // namespace tenon::kernels
