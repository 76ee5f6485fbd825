// The OpenVINO importer: layers against their definition, and what a damaged or hostile IR is told. Whole models are
// models_test.cpp's.
#include "wasi-nn/formats/openvino_importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/plan.h"
#include "kernels/rewrite.h"
#include "tests/nn/guest.h"
#include "tests/nn/imported.h"
#include "tests/nn/ir_writer.h"
#include "wasi-nn/formats/detect.h"
#include "wasi-nn/golden.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::ErrorCode;
using test::Ir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The arrays must outlive what is imported from them.
struct Source {
  std::string xml;
  std::shared_ptr<const std::string> weights;
};

ModelSource model_source(const Source& source) {
  ModelSource model;
  model.file = "t.xml";
  model.bytes = std::as_bytes(std::span(source.xml));
  model.parts.push_back({"t.bin", std::as_bytes(std::span(*source.weights)), source.weights});
  return model;
}

using test::Outputs;

// Results for f32 inputs of the declared shapes.
kernels::Result<Outputs> run(const Ir& ir, const std::vector<std::vector<float>>& inputs) {
  const Source source{ir.xml(), ir.weights};
  return test::compute(TENON_TRY(import_openvino(model_source(source))), inputs);
}

#define EXPECT_RUNS(out, ir, ...)                            \
  const auto out##_result = run(ir, __VA_ARGS__);            \
  ASSERT_TRUE(out##_result) << out##_result.error().message; \
  const Outputs& out = *out##_result

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected,
                 double tolerance = 1e-5) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], tolerance) << i;
}

kernels::Error error_of(const Source& source) {
  auto imported = import_openvino(model_source(source));
  if (!imported) return imported.error();
  auto model = kernels::compile(std::move(imported->graph), {});
  return model ? kernels::Error{} : model.error();
}

TEST(OpenVino, ConstantsOfAllPrecisionsBecomeWhatTheyMean) {
  Ir ir;
  const int x = ir.parameter("f32", {4});
  // 1, -2, 0.5, 3 in each
  const int f16 = ir.constant<uint16_t>("f16", {4}, {0x3c00, 0xc000, 0x3800, 0x4200});
  const int bf16 = ir.constant<uint16_t>("bf16", {4}, {0x3f80, 0xc000, 0x3f00, 0x4040});
  const int i4 = ir.constant<uint8_t>("i4", {4}, {0xe1, 0x30});  // 1, -2, 0, 3
  const int wide = ir.layer("Convert", "opset1", "destination_type=\"f32\"", {{i4}}, {{"FP32", {4}}});
  for (const int other : {f16, bf16, wide}) {
    const int sum = ir.layer("Add", "opset1", "", {{x}, {other}}, {{"FP32", {4}}});
    ir.result({sum});
  }
  EXPECT_RUNS(out, ir, {{10, 20, 30, 40}});
  EXPECT_THAT(out[0], ElementsAre(11, 18, 30.5, 43));
  EXPECT_THAT(out[1], ElementsAre(11, 18, 30.5, 43));
  EXPECT_THAT(out[2], ElementsAre(11, 18, 30, 43));
}

TEST(OpenVino, HalfPrecisionEdgesAreF32) {
  Ir ir;
  const int x = ir.parameter("f16", {1});
  ir.result({ir.layer("ReLU", "opset1", "", {{x}}, {{"FP16", {1}}})});
  for (const int version : {10, 11}) {
    const Source source{ir.xml(version), ir.weights};
    const auto imported = import_openvino(model_source(source));
    ASSERT_TRUE(imported);
    EXPECT_EQ(imported->graph.value(imported->graph.inputs()[0]).type.element, DataType::f32);
    EXPECT_EQ(imported->graph.output_name(0), "ReLU1");
    EXPECT_THAT(imported->summary.format, HasSubstr(std::to_string(version)));
  }
}

// levels, in low, in high, out low, out high
struct Steps {
  int levels;
  float in_low, in_high, out_low, out_high;
};
class FakeQuantize : public ::testing::TestWithParam<Steps> {};

TEST_P(FakeQuantize, ComputedValuesTakeTheStepsOfItsDefinition) {
  const Steps s = GetParam();
  Ir ir;
  const int x = ir.parameter("f32", {101});
  std::vector<Ir::From> operands{{x}};
  for (const float bound : {s.in_low, s.in_high, s.out_low, s.out_high})
    operands.push_back({ir.floats({1}, {bound})});
  ir.result({ir.layer("FakeQuantize", "opset1", fmt::format("levels=\"{}\"", s.levels), operands,
                      {{"FP32", {101}}})});
  std::vector<float> values;
  std::vector<double> expected;
  const double steps = s.levels - 1;
  for (int i = 0; i <= 100; ++i) {
    const float v = -6.03f + 0.1207f * static_cast<float>(i);
    values.push_back(v);
    const double clipped = std::clamp<double>(v, s.in_low, s.in_high);
    const double step = std::nearbyint((clipped - s.in_low) / (s.in_high - s.in_low) * steps);
    expected.push_back(step / steps * (s.out_high - s.out_low) + s.out_low);
  }
  EXPECT_RUNS(out, ir, {values});
  expect_near(out[0], expected, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Ranges, FakeQuantize,
                         ::testing::Values(Steps{256, 0, 4.08f, 0, 4.08f},            // u8
                                           Steps{256, -5.12f, 5.08f, -5.12f, 5.08f},  // i8
                                           Steps{256, -1.02f, 4.08f, -1.02f, 4.08f},  // u8 around 51
                                           Steps{255, -5.08f, 5.08f, -5.08f,
                                                 5.08f},              // fewer steps than the type has
                                           Steps{16, 0, 3, 0, 1.5f},  // another range
                                           Steps{2, -1, 1, -1, 1}, Steps{256, 0.3f, 4.1f, 0.3f, 4.1f},
                                           Steps{65536, -4, 4, -4, 4}));

// The range of the operand and the padding.
struct Quantised {
  float low, high;
  int pad;
};
class FakeQuantizedConvolution : public ::testing::TestWithParam<Quantised> {
 protected:
  static constexpr int64_t kChannels = 32, kSide = 8;

  static int quantized(Ir& ir, int from, const Ir::Dims& dims, int levels,
                       const std::vector<Ir::From>& ranges) {
    std::vector<Ir::From> operands{{from}};
    operands.insert(operands.end(), ranges.begin(), ranges.end());
    return ir.layer("FakeQuantize", "opset1", fmt::format("levels=\"{}\"", levels), operands,
                    {{"FP32", dims}});
  }

  // Weights (code - 127) / 1000, bias 0.5, ReLU.
  static Ir network(const Quantised& q, const std::vector<uint8_t>& codes) {
    Ir ir;
    const Ir::Dims dims{1, kChannels, kSide, kSide}, filter{kChannels, kChannels, 3, 3};
    const int64_t side = kSide - 2 + 2 * q.pad;
    const Ir::Dims result{1, kChannels, side, side};
    const int x = ir.parameter("f32", dims);
    const int low = ir.floats({}, {q.low}), high = ir.floats({}, {q.high});
    const int input = quantized(ir, x, dims, 256, {{low}, {high}, {low}, {high}});
    const int stored = ir.constant("u8", filter, codes);
    const int wide =
        ir.layer("Convert", "opset1", "destination_type=\"f32\"", {{stored}}, {{"FP32", filter}});
    const int zero = ir.floats({1}, {0}), most = ir.floats({1}, {254});
    const int least_out = ir.floats({kChannels, 1, 1, 1}, std::vector<float>(kChannels, -0.127f));
    const int most_out = ir.floats({kChannels, 1, 1, 1}, std::vector<float>(kChannels, 0.127f));
    const int weights = quantized(ir, wide, filter, 255, {{zero}, {most}, {least_out}, {most_out}});
    const int sums = ir.layer(
        "Convolution", "opset1",
        fmt::format("strides=\"1,1\" dilations=\"1,1\" pads_begin=\"{0},{0}\" pads_end=\"{0},{0}\"", q.pad),
        {{input}, {weights}}, {{"FP32", result}});
    const int bias = ir.floats({1, kChannels, 1, 1}, std::vector<float>(kChannels, 0.5f));
    const int biased = ir.layer("Add", "opset1", "", {{sums}, {bias}}, {{"FP32", result}});
    ir.result({ir.layer("ReLU", "opset1", "", {{biased}}, {{"FP32", result}})});
    return ir;
  }
};

TEST_P(FakeQuantizedConvolution, MatchesItsDefinition) {
  const Quantised q = GetParam();
  std::vector<uint8_t> codes(static_cast<size_t>(kChannels * kChannels * 9));
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i * 37 % 255);
  std::vector<float> values(static_cast<size_t>(kChannels * kSide * kSide));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<int>(i * 29 % 300) - 150) * 0.01037f;
  EXPECT_RUNS(out, network(q, codes), {values});
  const double step = (static_cast<double>(q.high) - q.low) / 255;
  const auto taken = [&](float value) {
    const double clipped = std::clamp<double>(value, q.low, q.high);
    return std::nearbyint((clipped - q.low) / step) * step + q.low;
  };
  std::vector<double> expected;
  const int64_t side = kSide - 2 + 2 * q.pad;
  for (int64_t at = 0; at < kChannels * side * side; ++at) {
    const int64_t o = at / (side * side), r = at / side % side - q.pad, c = at % side - q.pad;
    double sum = 0.5;
    for (int64_t k = 0; k < kChannels * 9; ++k) {
      const int64_t i = k / 9, y = r + k % 9 / 3, x = c + k % 3;
      if (y < 0 || x < 0 || y >= kSide || x >= kSide) continue;
      const double weight = (codes[static_cast<size_t>(o * kChannels * 9 + k)] - 127) * 0.001;
      sum += taken(values[static_cast<size_t>((i * kSide + y) * kSide + x)]) * weight;
    }
    expected.push_back(std::max(sum, 0.0));
  }
  expect_near(out[0], expected, 2e-3);
}

TEST_P(FakeQuantizedConvolution, IsComputedInIntegers) {
  if (!kernels::has_integer_primitives())
    GTEST_SKIP() << "no exact 8-bit products on this processor or oneDNN";
  const Ir ir =
      network(GetParam(), std::vector<uint8_t>(static_cast<size_t>(kChannels * kChannels * 9), 100));
  const Source source{ir.xml(), ir.weights};
  auto imported = import_openvino(model_source(source));
  ASSERT_TRUE(imported) << imported.error().message;
  const auto model = kernels::compile(std::move(imported->graph), {});
  ASSERT_TRUE(model) << model.error().message;
  const auto context = (*model)->create_context();
  ASSERT_TRUE(context) << context.error().message;
  size_t integers = 0;
  for (const auto& step : (*context)->steps()) {
    EXPECT_NE(step.op, "Conv");
    integers += step.op == "ConvInteger" && step.implementation.find("dnnl") != std::string::npos;
  }
  EXPECT_GE(integers, 1u);
}

INSTANTIATE_TEST_SUITE_P(Ranges, FakeQuantizedConvolution,
                         ::testing::Values(Quantised{-1.28f, 1.27f, 1},    // i8
                                           Quantised{0, 2.55f, 1},         // u8
                                           Quantised{-1.2815f, 1.27f, 0},  // a zero between steps
                                           Quantised{-1.2815f, 1.27f, 1}));

TEST(OpenVino, StridedSliceTakesItsMasks) {
  Ir ir;
  const int x = ir.parameter("f32", {2, 3, 4});
  const auto sliced = [&](const std::vector<int64_t>& begin, const std::vector<int64_t>& end,
                          const std::vector<int64_t>& stride, const std::string& masks,
                          const Ir::Dims& dims) {
    ir.result({ir.layer("StridedSlice", "opset1", masks,
                        {{x}, {ir.ints(begin)}, {ir.ints(end)}, {ir.ints(stride)}}, {{"FP32", dims}})});
  };
  sliced({0, 1}, {0, 3}, {1, 1}, "begin_mask=\"1,0\" end_mask=\"1,0\"", {2, 2, 4});
  sliced({1, -1}, {0, 0}, {1, 1}, "begin_mask=\"0,0\" end_mask=\"0,0\" shrink_axis_mask=\"1,1\"", {4});
  sliced({0, 0}, {0, 2}, {1, 1}, "begin_mask=\"1,1\" end_mask=\"1,0\" ellipsis_mask=\"1,0\"", {2, 3, 2});
  sliced({0, 0, 0}, {0, 1, 1}, {1, 1, 1}, "begin_mask=\"0,0,0\" end_mask=\"0,0,0\" new_axis_mask=\"1,0,0\"",
         {1, 1, 1, 4});
  sliced({0}, {0}, {-1}, "begin_mask=\"1\" end_mask=\"1\"", {2, 3, 4});
  std::vector<float> values(24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  EXPECT_RUNS(out, ir, {values});
  EXPECT_THAT(out[0], ElementsAre(4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23));
  EXPECT_THAT(out[1], ElementsAre(20, 21, 22, 23));
  EXPECT_THAT(out[2], ElementsAre(0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21));
  EXPECT_THAT(out[3], ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(out[4][0], 12);
}

// One direction, one step at a time, gates f i c o.
TEST(OpenVino, LstmSequenceHasItsOwnOrderOfGates) {
  Ir ir;
  constexpr int64_t kLength = 3;
  const int x = ir.parameter("f32", {1, kLength, 1});
  const int h = ir.floats({1, 1, 1}, {0.25f}), c = ir.floats({1, 1, 1}, {-0.5f});
  const int lengths = ir.constant<int32_t>("i32", {1}, {kLength});
  const std::vector<float> w{0.3f, -0.7f, 1.1f, 0.9f}, r{0.2f, 0.4f, -0.6f, 0.5f},
      b{0.1f, -0.2f, 0.05f, 0.3f};
  const int out_id = ir.layer("LSTMSequence", "opset5", "hidden_size=\"1\" direction=\"forward\"",
                              {{x},
                               {h},
                               {c},
                               {lengths},
                               {ir.floats({1, 4, 1}, w)},
                               {ir.floats({1, 4, 1}, r)},
                               {ir.floats({1, 4}, b)}},
                              {{"FP32", {1, 1, kLength, 1}}, {"FP32", {1, 1, 1}}, {"FP32", {1, 1, 1}}});
  for (int i = 0; i < 3; ++i) ir.result({out_id, i});
  const std::vector<float> values{0.8f, -1.2f, 0.4f};
  double hidden = 0.25, cell = -0.5;
  std::vector<double> expected;
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  for (const float value : values) {
    double gate[4];
    for (size_t g = 0; g < 4; ++g) gate[g] = w[g] * value + r[g] * hidden + b[g];
    cell = sigmoid(gate[0]) * cell + sigmoid(gate[1]) * std::tanh(gate[2]);
    hidden = sigmoid(gate[3]) * std::tanh(cell);
    expected.push_back(hidden);
  }
  EXPECT_RUNS(out, ir, {values});
  expect_near(out[0], expected);
  expect_near(out[1], {hidden});
  expect_near(out[2], {cell});
}

// Sums over axis 1 in both directions, the running sums joined and the last one by itself.
TEST(OpenVino, TensorIteratorSlicesCarriesAndJoins) {
  for (const bool backwards : {false, true}) {
    Ir ir;
    const int x = ir.parameter("f32", {2, 3});
    const int first = ir.floats({2, 1}, {100, 200});
    Ir body = ir.body();
    const int part = body.parameter("f32", {2, 1}), sum = body.parameter("f32", {2, 1});
    const int next = body.layer("Add", "opset1", "", {{part}, {sum}}, {{"FP32", {2, 1}}});
    const int result = body.result({next}), again = body.result({next});
    const std::string slices = backwards ? "axis=\"1\" start=\"-1\" end=\"0\" stride=\"-1\" part_size=\"1\""
                                         : "axis=\"1\" start=\"0\" end=\"-1\" stride=\"1\" part_size=\"1\"";
    const std::string more = fmt::format(
        "<port_map><input external_port_id=\"0\" internal_layer_id=\"{}\" {}/>"
        "<input external_port_id=\"1\" internal_layer_id=\"{}\"/>"
        "<output external_port_id=\"100\" internal_layer_id=\"{}\" {}/>"
        "<output external_port_id=\"101\" internal_layer_id=\"{}\"/></port_map>"
        "<back_edges><edge from-layer=\"{}\" to-layer=\"{}\"/></back_edges><body>{}</body>",
        part, slices, sum, again, slices, result, result, sum, body.parts());
    const int loop =
        ir.layer("TensorIterator", "opset1", "", {{x}, {first}}, {{"FP32", {2, 3}}, {"FP32", {2, 1}}}, more);
    ir.result({loop, 0});
    ir.result({loop, 1});
    EXPECT_RUNS(out, ir, {{1, 2, 3, 4, 5, 6}});
    if (backwards) {
      EXPECT_THAT(out[0], ElementsAre(106, 105, 103, 215, 211, 206));
    } else {
      EXPECT_THAT(out[0], ElementsAre(101, 103, 106, 204, 209, 215));
    }
    EXPECT_THAT(out[1], ElementsAre(106, 215));
  }
}

// Doubles until the value exceeds 10; the last value of a result that is not carried, too.
TEST(OpenVino, LoopEndsByItsCondition) {
  Ir ir;
  const int x = ir.parameter("f32", {1});
  const int trips = ir.constant<int64_t>("i64", {}, {-1});
  const int go = ir.constant<uint8_t>("boolean", {}, {1});
  Ir body = ir.body();
  const int value = body.parameter("f32", {1}), count = body.parameter("i64", {1});
  const int two = body.floats({1}, {2}), ten = body.floats({1}, {10});
  const int doubled = body.layer("Multiply", "opset1", "", {{value}, {two}}, {{"FP32", {1}}});
  const int more = body.layer("LessEqual", "opset1", "", {{doubled}, {ten}}, {{"BOOL", {1}}});
  const int next = body.result({doubled}), condition = body.result({more}), counted = body.result({count});
  const std::string parts = fmt::format(
      "<port_map><input external_port_id=\"2\" internal_layer_id=\"{}\"/>"
      "<input external_port_id=\"-1\" internal_layer_id=\"{}\" purpose=\"current_iteration\"/>"
      "<output external_port_id=\"100\" internal_layer_id=\"{}\"/><output external_port_id=\"101\" "
      "internal_layer_id=\"{}\"/>"
      "<output external_port_id=\"-1\" internal_layer_id=\"{}\" purpose=\"execution_condition\"/></port_map>"
      "<back_edges><edge from-layer=\"{}\" to-layer=\"{}\"/></back_edges><body>{}</body>",
      value, count, next, counted, condition, next, value, body.parts());
  const int loop = ir.layer("Loop", "opset5", "", {{trips}, {go}, {x}}, {{"FP32", {1}}, {"I64", {1}}}, parts);
  ir.result({loop, 0});
  ir.result({loop, 1});
  EXPECT_RUNS(out, ir, {{1.5f}});
  EXPECT_THAT(out[0], ElementsAre(12));
  EXPECT_THAT(out[1], ElementsAre(2));
}

TEST(OpenVino, GroupedFiltersAreMerged) {
  Ir ir;
  const int x = ir.parameter("f32", {1, 4, 1, 1});
  const int w = ir.floats({2, 1, 2, 1, 1}, {1, 10, 100, 1000});
  ir.result({ir.layer("GroupConvolution", "opset1",
                      "strides=\"1,1\" dilations=\"1,1\" pads_begin=\"0,0\" pads_end=\"0,0\"", {{x}, {w}},
                      {{"FP32", {1, 2, 1, 1}}})});
  EXPECT_RUNS(out, ir, {{1, 2, 3, 4}});
  EXPECT_THAT(out[0], ElementsAre(21, 4300));
}

// Two boxes that overlap and one that does not; the better one of the two stays.
TEST(OpenVino, NonMaxSuppressionSortsAndFillsUp) {
  for (const int opset : {4, 5}) {
    Ir ir;
    const int boxes = ir.floats({1, 3, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 0, 5, 1, 6});
    const int scores = ir.parameter("f32", {1, 2, 3});
    const int most = ir.constant<int64_t>("i64", {}, {3}), overlap = ir.floats({}, {0.5f}),
              least = ir.floats({}, {0.2f});
    std::vector<Ir::Port> ports{{"I64", {6, 3}}};
    if (opset == 5) ports = {{"I64", {-1, 3}}, {"FP32", {-1, 3}}, {"I64", {1}}};
    const int nms =
        ir.layer("NonMaxSuppression", fmt::format("opset{}", opset), "sort_result_descending=\"true\"",
                 {{boxes}, {scores}, {most}, {overlap}, {least}}, ports);
    for (size_t i = 0; i < ports.size(); ++i) ir.result({nms, static_cast<int>(i)});
    EXPECT_RUNS(out, ir, {{0.5f, 0.9f, 0.3f, 0.1f, 0.1f, 0.6f}});
    std::vector<double> expected{0, 0, 1, 0, 1, 2, 0, 0, 2};
    if (opset < 5) expected.resize(18, -1);
    EXPECT_EQ(out[0], expected);
    if (opset < 5) continue;
    expect_near(out[1], {0, 0, 0.9, 0, 1, 0.6, 0, 0, 0.3});
    EXPECT_THAT(out[2], ElementsAre(3));
  }
}

// Scores that are no numbers, boxes that are none, and sigmas of any size: choosing ends, with no more boxes than there are.
TEST(OpenVino, SoftSuppressionEndsWhateverTheNumbers) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                  kInfinity = std::numeric_limits<float>::infinity();
  for (const float sigma : {0.5f, 1e-30f, 1e30f, kInfinity, kNan, -1.0f}) {
    Ir ir;
    const int boxes = ir.parameter("f32", {1, 4, 4}), scores = ir.parameter("f32", {1, 1, 4});
    const int nms = ir.layer("NonMaxSuppression", "opset5", "sort_result_descending=\"false\"",
                             {{boxes},
                              {scores},
                              {ir.constant<int64_t>("i64", {}, {100})},
                              {ir.floats({}, {0.5f})},
                              {ir.floats({}, {-kInfinity})},
                              {ir.floats({}, {sigma})}},
                             {{"I64", {-1, 3}}, {"FP32", {-1, 3}}, {"I64", {1}}});
    ir.result({nms, 2});
    EXPECT_RUNS(out, ir,
                {{0, 0, 1, 1, kNan, 0, 1, kNan, 0, 0, kInfinity, kInfinity, 0, 0, 1, 1},
                 {kNan, kInfinity, 0.5f, kNan}});
    EXPECT_LE(out[0][0], 4) << sigma;
  }
}

// The same for several classes, with limits and classes that do not exist.
TEST(OpenVino, SuppressionOfClassesEndsWhateverTheNumbers) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                  kInfinity = std::numeric_limits<float>::infinity();
  for (const char* type : {"MatrixNms", "MulticlassNms"}) {
    for (const char* more :
         {"background_class=\"-9\" nms_eta=\"nan\" gaussian_sigma=\"nan\"",
          "nms_top_k=\"0\" background_class=\"9223372036854775807\"", "keep_top_k=\"0\" nms_eta=\"-1\"",
          "score_threshold=\"nan\"", "keep_top_k=\"9223372036854775807\" nms_top_k=\"-9223372036854775808\"",
          "decay_function=\"gaussian\" gaussian_sigma=\"-inf\" post_threshold=\"-inf\""}) {
      Ir ir;
      const int boxes = ir.parameter("f32", {2, 2, 4}), scores = ir.parameter("f32", {2, 1, 2});
      const int nms =
          ir.layer(type, "opset8",
                   fmt::format("{} {} sort_result_type=\"classid\"", more,
                               std::string_view(more).starts_with("score") ? "" : "score_threshold=\"-inf\""),
                   {{boxes}, {scores}}, {{"FP32", {-1, 6}}, {"I64", {-1, 1}}, {"I64", {2}}});
      ir.result({nms, 0});
      ir.result({nms, 2});
      EXPECT_RUNS(out, ir,
                  {{0, 0, 1, 1, kNan, 0, 1, kNan, 0, 0, kInfinity, kInfinity, 1, 1, 0, 0},
                   {kNan, kInfinity, 0.5f, -kInfinity}});
      EXPECT_LE(out[0].size(), 24u) << more;
      EXPECT_EQ(out[1].size(), 2u) << more;
      EXPECT_EQ(out[0].size() / 6, out[1][0] + out[1][1]) << more;
    }
  }
}

TEST(OpenVino, SuppressionOfClassesSaysWhatItLacks) {
  Ir ir;
  const int boxes = ir.parameter("f32", {1, 2, 4}), scores = ir.parameter("f32", {1, 2}),
            counts = ir.parameter("i64", {1});
  ir.result({ir.layer("MulticlassNms", "opset9", "", {{boxes}, {scores}, {counts}}, {{"FP32", {-1, 6}}})});
  EXPECT_THAT(error_of({ir.xml(), ir.weights}).message, HasSubstr("boxes of each class (roisnum)"));
  Ir wrong;
  const int five = wrong.parameter("f32", {1, 2, 5}), one = wrong.parameter("f32", {1, 1, 2});
  wrong.result({wrong.layer("MatrixNms", "opset8", "", {{five}, {one}}, {{"FP32", {-1, 6}}})});
  const auto result = run(wrong, {std::vector<float>(10), {1, 2}});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("boxes [1,2,5] and scores [1,1,2]"));
}

// Two anchors, background and one class: decoded boxes, rows by score within the label, then the end.
TEST(OpenVino, DetectionOutputDecodesAndChooses) {
  Ir ir;
  const int told = ir.floats({1, 8}, {0, 0, 0, 0, 1, 0, 0, 0});
  const int scores = ir.parameter("f32", {1, 4});
  const int anchors = ir.floats({1, 2, 8}, {0.1f, 0.1f, 0.3f, 0.3f, 0.4f, 0.4f, 0.8f, 0.8f,  //
                                            0.1f, 0.1f, 0.2f, 0.2f, 0.1f, 0.1f, 0.2f, 0.2f});
  ir.result({ir.layer("DetectionOutput", "opset1",
                      "num_classes=\"2\" background_label_id=\"0\" top_k=\"10\" keep_top_k=\"5\" "
                      "code_type=\"caffe.PriorBoxParameter.CENTER_SIZE\" share_location=\"true\" "
                      "nms_threshold=\"0.5\" confidence_threshold=\"0.3\" normalized=\"true\"",
                      {{told}, {scores}, {anchors}}, {{"FP32", {1, 1, 5, 7}}})});
  EXPECT_RUNS(out, ir, {{0.6f, 0.4f, 0.1f, 0.9f}});
  std::vector<double> expected{0, 1, 0.9, 0.44, 0.4, 0.84, 0.8, 0, 1, 0.4, 0.1, 0.1, 0.3, 0.3, -1};
  expected.resize(35, 0);
  expect_near(out[0], expected);
}

// A grid of 1 x 2 positions on a picture of 10 x 20.
TEST(OpenVino, PriorBoxesAreMadeAtLoad) {
  Ir ir;
  const int features = ir.parameter("f32", {1, 8, 1, 2}), picture = ir.parameter("f32", {1, 3, 10, 20});
  const auto size = [&](int of) {
    const int shape = ir.layer("ShapeOf", "opset3", "output_type=\"i64\"", {{of}}, {{"I64", {4}}});
    return ir.layer("StridedSlice", "opset1", "begin_mask=\"0\" end_mask=\"0\"",
                    {{shape}, {ir.ints({2})}, {ir.ints({4})}, {ir.ints({1})}}, {{"I64", {2}}});
  };
  const int clustered =
      ir.layer("PriorBoxClustered", "opset1",
               "width=\"4\" height=\"2\" step=\"10\" offset=\"0.5\" variance=\"0.1,0.1,0.2,0.2\"",
               {{size(features)}, {size(picture)}}, {{"FP32", {2, 8}}});
  const int plain =
      ir.layer("PriorBox", "opset1",
               "min_size=\"4\" max_size=\"9\" aspect_ratio=\"4\" flip=\"true\" step=\"10\" offset=\"0.5\"",
               {{size(features)}, {size(picture)}}, {{"FP32", {2, 32}}});
  ir.result({clustered});
  ir.result({plain});
  EXPECT_RUNS(out, ir, {std::vector<float>(16), std::vector<float>(600)});
  expect_near(out[0], {0.15, 0.4, 0.35, 0.6, 0.65, 0.4, 0.85, 0.6, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.2, 0.2});
  ASSERT_EQ(out[1].size(), 64u);
  expect_near({out[1].begin(), out[1].begin() + 16},
              {0.15, 0.3, 0.35, 0.7, 0.1, 0.2, 0.4, 0.8, 0.05, 0.4, 0.45, 0.6, 0.2, 0.1, 0.3, 0.9});
}

TEST(OpenVino, AutodetectAndBuilders) {
  Ir ir;
  ir.result({ir.layer("ReLU", "opset1", "", {{ir.parameter("f32", {1})}}, {{"FP32", {1}}})});
  for (const std::string& before : {"", "\xef\xbb\xbf", " \n"}) {
    const std::string xml = before + ir.xml();
    EXPECT_EQ(detect_format(std::as_bytes(std::span(xml))), Format::openvino);
  }
  EXPECT_EQ(most_arrays(Format::openvino), 2u);
  EXPECT_THAT(files_beside(Format::openvino, "/a.b/model.xml"), ElementsAre("/a.b/model.bin"));
  EXPECT_THAT(files_beside(Format::openvino, "/a.b/model"), ElementsAre("/a.b/model.bin"));
}

// A graph of one ReLU whose XML is then changed.
Source changed(std::string_view from, std::string_view to) {
  Ir ir;
  const int x = ir.parameter("f32", {2});
  const int c = ir.floats({2}, {1, 2});
  ir.result({ir.layer("Add", "opset1", "", {{x}, {c}}, {{"FP32", {2}}})});
  std::string xml = ir.xml();
  const size_t at = xml.find(from);
  if (at != xml.npos) xml.replace(at, from.size(), to);
  return {xml, ir.weights};
}

struct Hostile {
  const char* name;
  Source source;
  ErrorCode code;
  const char* message;
};

TEST(OpenVino, DamagedFilesAreRefusedWithTheirPlace) {
  std::string deep = "<net version=\"11\">";
  for (int i = 0; i < 100000; ++i) deep += "<a>";
  const auto nothing = std::make_shared<const std::string>();
  const std::string entity = "<!DOCTYPE net [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
  const Hostile cases[] = {
      {"no XML", {"<net", nothing}, ErrorCode::invalid_encoding, "t.xml: XML"},
      {"entities", changed("<net", entity + "<net"), ErrorCode::invalid_encoding, "document type"},
      {"deep", {deep, nothing}, ErrorCode::invalid_encoding, "t.xml: "},
      {"no net", {"<a/>", nothing}, ErrorCode::invalid_encoding, "holds no <net>"},
      {"old", changed("version=\"11\"", "version=\"7\""), ErrorCode::unsupported_operation, "IR version 7"},
      {"unknown type", changed("type=\"Add\"", "type=\"Bogus\""), ErrorCode::unsupported_operation,
       "'Add2' (Bogus, opset1)"},
      {"unknown opset",
       changed("name=\"Add2\" type=\"Add\" version=\"opset1\"",
               "name=\"Add2\" type=\"Add\" version=\"opset99\""),
       ErrorCode::unsupported_operation, "opset"},
      {"offset", changed("offset=\"0\"", "offset=\"4\""), ErrorCode::invalid_encoding,
       "end beyond t.bin (8 bytes)"},
      {"huge offset", changed("offset=\"0\"", "offset=\"9223372036854775807\""), ErrorCode::invalid_encoding,
       "t.bin"},
      {"negative offset", changed("offset=\"0\"", "offset=\"-8\""), ErrorCode::invalid_encoding, "Const1"},
      {"size", changed("size=\"8\"", "size=\"4\""), ErrorCode::invalid_encoding, "4 bytes of data"},
      {"huge shape", changed("shape=\"2\" offset", "shape=\"4611686018427387904,4\" offset"),
       ErrorCode::too_large, "Const1"},
      {"element type", changed("<data element_type=\"f32\"", "<data element_type=\"string\""),
       ErrorCode::unsupported_operation, "string"},
      {"same id", changed("layer id=\"1\"", "layer id=\"0\""), ErrorCode::invalid_encoding,
       "two layers have the id 0"},
      {"no such port", changed("to-port=\"1\"", "to-port=\"7\""), ErrorCode::invalid_encoding,
       "no such port"},
      {"no such layer", changed("from-layer=\"1\"", "from-layer=\"17\""), ErrorCode::invalid_encoding,
       "no layer has the id 17"},
      {"two edges", changed("to-port=\"1\"", "to-port=\"0\""), ErrorCode::invalid_encoding, "two edges"},
      {"a cycle", changed("from-layer=\"1\"", "from-layer=\"2\""), ErrorCode::invalid_encoding, "cycle"},
      {"no edge", changed("<edge from-layer=\"1\" from-port=\"100\" to-layer=\"2\" to-port=\"1\"/>", ""),
       ErrorCode::invalid_encoding, "no edge leads to its input port 1"},
  };
  for (const Hostile& one : cases) {
    const kernels::Error error = error_of(one.source);
    EXPECT_EQ(error.code, one.code) << one.name << ": " << error.message;
    EXPECT_THAT(error.message, HasSubstr(one.message)) << one.name;
  }
}

TEST(OpenVino, DeepBodiesAndElementsAreRefused) {
  std::string deep = "<net version=\"11\">";
  for (int i = 0; i < 1000; ++i) deep += "<a>";
  for (int i = 0; i < 1000; ++i) deep += "</a>";
  EXPECT_EQ(error_of({deep + "</net>", std::make_shared<const std::string>()}).code, ErrorCode::too_large);
  std::string bodies;
  for (int i = 0; i < 30; ++i) {
    bodies = "<layers><layer id=\"0\" name=\"l\" type=\"Loop\" version=\"opset5\"><body>" + bodies +
             "</body></layer></layers>";
  }
  const auto error =
      error_of({"<net version=\"11\">" + bodies + "</net>", std::make_shared<const std::string>()});
  EXPECT_EQ(error.code, ErrorCode::too_large) << error.message;
}

// Every prefix of the files, and every file with one byte changed, is refused or runs; nothing crashes.
TEST(OpenVino, CutAndChangedFilesDoNoHarm) {
  const Source whole = changed("", "");
  for (size_t n = 0; n < whole.xml.size(); ++n) {
    EXPECT_FALSE(error_of({whole.xml.substr(0, n), whole.weights}).message.empty()) << n;
    for (const char other : {'\0', '9', '<', '"'}) {
      Source one = whole;
      one.xml[n] = other;
      error_of(one);
    }
  }
  for (size_t n = 0; n < whole.weights->size(); ++n) {
    EXPECT_THAT(
        error_of({whole.xml, std::make_shared<const std::string>(whole.weights->substr(0, n))}).message,
        HasSubstr("end beyond t.bin"));
  }
}

}  // namespace
}  // namespace tenon::nn
