// TensorFlow Lite operators one by one: hybrid products, quantised convolutions with fused activations against loops,
// detections, and what is refused by name.
#include <cmath>
#include <random>

#include "tests/nn/tflite_run.h"
#include "wasi-nn/formats/flexbuffer.h"

namespace tenon::nn::test::tfl {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// BuiltinOperator
enum : int32_t {
  kConv = 3,
  kDepthwise = 4,
  kFullyConnected = 9,
  kCustom = 32,
  kGather = 36,
  kSparseToDense = 68,
  kUnique = 103,
  kHashtable = 136,
  kDynamicUpdateSlice = 151,
  kUnsortedSegmentSum = 155,
  kAtan2 = 156
};

std::vector<float> random_floats(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<float> out(count);
  for (float& x : out) x = static_cast<float>(engine() % 2001) / 500.0f - 2;
  return out;
}

template <typename T>
std::vector<T> random_codes(size_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::vector<T> out(count);
  for (T& x : out) x = static_cast<T>(engine() % 256);
  return out;
}

// Hybrid dense layers: rows quantised by themselves, sums of integers, scales.

struct Row {
  std::vector<int> codes;  // less their zero point
  float scale = 1;
};

Row quantised(const std::vector<float>& x, bool symmetric) {
  const auto [least, most] = std::ranges::minmax(x);
  const float low = std::min(least, 0.0f), high = std::max(most, 0.0f);
  Row row;
  double zero = 0;
  if (symmetric) {
    row.scale = std::max(-low, high) / 127;
  } else {
    const double scale = (static_cast<double>(high) - static_cast<double>(low)) / 255;
    zero = std::round(-128 - static_cast<double>(low) / scale);
    row.scale = static_cast<float>(scale);
  }
  for (const float v : x) {
    const double code = std::round(static_cast<double>(static_cast<float>(zero) + v * (1.0f / row.scale)));
    row.codes.push_back(static_cast<int>(std::clamp(code, symmetric ? -127.0 : -128.0, 127.0) - zero));
  }
  return row;
}

class HybridLayer : public ::testing::TestWithParam<std::tuple<int, bool>> {};

TEST_P(HybridLayer, QuantisesEachRowByItself) {
  const auto [rows, symmetric] = GetParam();
  constexpr size_t kInputs = 37, kOutputs = 5;
  const auto weights = random_codes<int8_t>(kInputs * kOutputs, 3);
  const auto bias = random_floats(kOutputs, 4);
  Graph g;
  const auto x = g.input({{rows, kInputs}});
  const auto w = g.constant({kOutputs, kInputs}, kInt8, weights, {{0.02f}, {0}}),
             b = g.constant({kOutputs}, kFloat32, bias);
  g.outputs = {g.op(kFullyConnected, {x, w, b}, {{rows, kOutputs}}, Table().scalar(3, uint8_t{!symmetric}))};
  const auto values = random_floats(static_cast<size_t>(rows) * kInputs, 5);
  std::vector<float> expected;
  for (size_t r = 0; r < static_cast<size_t>(rows); ++r) {
    const auto first = values.begin() + static_cast<ptrdiff_t>(r * kInputs);
    const Row row = quantised({first, first + kInputs}, symmetric);
    for (size_t o = 0; o < kOutputs; ++o) {
      int sum = 0;
      for (size_t i = 0; i < kInputs; ++i) sum += row.codes[i] * weights[o * kInputs + i];
      expected.push_back(static_cast<float>(sum) * 0.02f * row.scale + bias[o]);
    }
  }
  EXPECT_THAT(Inference(write({g})).run(values), Pointwise(FloatNear(2e-5f), expected));
}

INSTANTIATE_TEST_SUITE_P(Rows, HybridLayer, ::testing::Combine(::testing::Values(1, 3), ::testing::Bool()));

// Quantised convolutions.

// MultiplyByQuantizedMultiplier: the doubled product's upper half, rounded, shifted and rounded.
int32_t rescaled(int32_t sum, double scale, bool halves_up) {
  int exponent = 0;
  const auto mantissa = static_cast<int64_t>(std::round(std::ldexp(std::frexp(scale, &exponent), 31)));
  const int left = std::max(exponent, 0), right = std::max(-exponent, 0);
  const int64_t product = (int64_t{sum} << left) * mantissa;
  const int64_t high = (product + (int64_t{1} << 30)) >> 31;
  if (right == 0) return static_cast<int32_t>(high);
  const int64_t half = int64_t{1} << (right - 1);
  if (halves_up || high >= 0) return static_cast<int32_t>((high + half) >> right);
  return static_cast<int32_t>(-((-high + half) >> right));
}

struct Case {
  bool depthwise, is_signed;
  int activation, weights_zero;
};

// 3 × 3, SAME, stride 1, over [1, 6, 5, channels].
template <typename T>
void expect_convolution(const Case& c, unsigned seed) {
  constexpr int32_t kHeight = 6, kWidth = 5, kIn = 4, kOut = 4;
  constexpr int kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  constexpr float kX = 0.031f, kW = 0.0173f, kY = 0.093f;
  const int x_zero = kLow + 119, y_zero = kLow + 101, w_zero = c.weights_zero;
  const Type type = std::is_signed_v<T> ? kInt8 : kUint8;
  const int32_t each = c.depthwise ? 1 : kIn;
  const auto weights = random_codes<T>(size_t{9} * static_cast<size_t>(each * kOut), seed);
  std::vector<int32_t> bias(kOut);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<int32_t>(i) * 700 - 900;
  Graph g;
  const auto x = g.input({{1, kHeight, kWidth, kIn}, type, {{kX}, {x_zero}}});
  const auto w = g.constant(c.depthwise ? std::vector{1, 3, 3, kOut} : std::vector{kOut, 3, 3, kIn}, type,
                            weights, {{kW}, {w_zero}});
  const auto b = g.constant({kOut}, kInt32, bias, {{kX * kW}, {0}});
  Table options;
  options.scalar(0, int8_t{0}).scalar(1, int32_t{1}).scalar(2, int32_t{1});
  if (c.depthwise) options.scalar(3, int32_t{1});
  options.scalar(c.depthwise ? 4 : 3, static_cast<int8_t>(c.activation));
  g.outputs = {g.op(c.depthwise ? kDepthwise : kConv, {x, w, b},
                    {{1, kHeight, kWidth, kOut}, type, {{kY}, {y_zero}}}, options)};
  const auto codes = random_codes<T>(kHeight * kWidth * kIn, seed + 1);
  const auto code_of = [&](double real) {
    return std::clamp<int>(y_zero + static_cast<int>(std::round(real / static_cast<double>(kY))), kLow,
                           kHigh);
  };
  const int low = c.activation == 0 ? kLow : c.activation == 2 ? code_of(-1) : code_of(0);
  const int high = c.activation == 2 ? code_of(1) : c.activation == 3 ? code_of(6) : kHigh;
  const double scale = static_cast<double>(kX) * static_cast<double>(kW) / static_cast<double>(kY);
  const auto actual = Inference(write({g})).run<T>(codes);
  ASSERT_EQ(actual.size(), static_cast<size_t>(kHeight * kWidth * kOut));
  int off = 0;
  for (int32_t at = 0; at < kHeight * kWidth * kOut; ++at) {
    const int32_t o = at % kOut, column = at / kOut % kWidth, line = at / kOut / kWidth;
    int32_t sum = bias[static_cast<size_t>(o)];
    for (int32_t tap = 0; tap < 9; ++tap) {
      const int32_t i = line + tap / 3 - 1, j = column + tap % 3 - 1;
      if (i < 0 || i >= kHeight || j < 0 || j >= kWidth) continue;
      for (int32_t k = 0; k < each; ++k) {
        const int32_t from = (i * kWidth + j) * kIn + (c.depthwise ? o : k);
        const int32_t weight = c.depthwise ? tap * kOut + o : (o * 9 + tap) * kIn + k;
        sum += (codes[static_cast<size_t>(from)] - x_zero) * (weights[static_cast<size_t>(weight)] - w_zero);
      }
    }
    const int expected = std::clamp(rescaled(sum, scale, !c.depthwise) + y_zero, low, high);
    const int difference = std::abs(expected - int{actual[static_cast<size_t>(at)]});
    EXPECT_LE(difference, 1) << "element " << at;
    EXPECT_GE(int{actual[static_cast<size_t>(at)]}, low);
    EXPECT_LE(int{actual[static_cast<size_t>(at)]}, high);
    off += difference;
  }
  EXPECT_LE(off, 1);  // a step off is for sums next to a half only
}

TEST(TfliteQuantised, ConvolutionsAreTheSumsOfTensorFlowLite) {
  unsigned seed = 11;
  for (const bool depthwise : {false, true}) {
    for (const int activation : {0, 1, 2, 3}) {
      for (const bool is_signed : {false, true}) {
        // Zero points that leave eight bits to the weights, and that do not.
        for (const int zero : is_signed ? std::vector{0} : std::vector{128, 60}) {
          const Case c{depthwise, is_signed, activation, zero};
          SCOPED_TRACE(fmt::format("depthwise {} activation {} signed {} zero {}", depthwise, activation,
                                   is_signed, zero));
          if (is_signed)
            expect_convolution<int8_t>(c, seed += 7);
          else
            expect_convolution<uint8_t>(c, seed += 7);
        }
      }
    }
  }
}

// Detections.

// A FlexBuffers map of these numbers, all as 32 bits: integers where they are whole.
Bytes options(const std::vector<std::pair<std::string, float>>& entries) {
  Bytes out;
  const auto put = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  std::vector<size_t> keys;
  for (const auto& [key, value] : entries) {
    keys.push_back(out.size());
    for (const char c : key) out.push_back(static_cast<std::byte>(c));
    out.push_back(std::byte{0});
  }
  const auto count = static_cast<uint32_t>(entries.size());
  put(count);
  const size_t key_offsets = out.size();
  for (const size_t key : keys) put(static_cast<uint32_t>(out.size() - key));
  put(static_cast<uint32_t>(out.size() - key_offsets));
  put(4);
  put(count);
  const size_t values = out.size();
  for (const auto& [key, value] : entries) {
    const bool whole = value == std::floor(value);
    put(whole ? static_cast<uint32_t>(static_cast<int32_t>(value)) : std::bit_cast<uint32_t>(value));
  }
  for (const auto& [key, value] : entries)
    out.push_back(static_cast<std::byte>((value == std::floor(value) ? 1 : 3) << 2 | 2));
  const size_t root = out.size();
  out.push_back(static_cast<std::byte>(root - values));
  out.push_back(static_cast<std::byte>(9 << 2 | 2));
  out.push_back(std::byte{1});
  return out;
}

std::vector<std::pair<std::string, float>> detection_options(bool regular) {
  return {{"detections_per_class", 10},
          {"h_scale", 5},
          {"max_classes_per_detection", 1},
          {"max_detections", 3},
          {"nms_iou_threshold", 0.5f},
          {"nms_score_threshold", 0.25f},
          {"num_classes", 2},
          {"use_regular_nms", regular ? 1.0f : 0.0f},
          {"w_scale", 5},
          {"x_scale", 10},
          {"y_scale", 10}};
}

// Four boxes of extent 1: two at nearly the same place, one elsewhere, one that no score speaks for.
Graph detector(const Bytes& how) {
  Graph g;
  const auto boxes = g.input({{1, 4, 4}}), scores = g.input({{1, 4, 3}});
  const auto anchors = g.constant<float>(
      {4, 4}, kFloat32, {0.5f, 0.5f, 1, 1, 0.5f, 0.5f, 1, 1, 0.5f, 10.5f, 1, 1, 0.5f, 20.5f, 1, 1});
  std::vector<int32_t> results{g.add({{1, 3, 4}}), g.add({{1, 3}}), g.add({{1, 3}}), g.add({{1}})};
  g.operators.push_back(
      {kCustom, {boxes, scores, anchors}, results, {}, "TFLite_Detection_PostProcess", how});
  g.outputs = results;
  return g;
}

TEST(TfliteDetection, BoxesThatOverlapBetterOnesAreLeftOut) {
  std::vector<float> boxes(16, 0);
  boxes[4] = 1;  // the second lies a tenth lower
  const std::vector<float> scores{0, 0.9f, 0.1f, 0, 0.3f, 0.8f, 0, 0.1f, 0.6f, 0, 0.2f, 0.1f};
  for (const bool regular : {false, true}) {
    Inference inference(write({detector(options(detection_options(regular)))}));
    inference.set(0, boxes);
    inference.set(1, scores);
    inference.compute();
    // By itself, class 1 has two boxes, of which the second (0.8) is another class than what hides it otherwise.
    if (regular) {
      EXPECT_THAT(inference.get<float>(1), ElementsAre(0, 1, 1));
      EXPECT_THAT(inference.get<float>(2), ElementsAre(0.9f, 0.8f, 0.6f));
      EXPECT_THAT(inference.get<float>(3), ElementsAre(3));
    } else {
      EXPECT_THAT(inference.get<float>(1), ElementsAre(0, 1, 0));
      EXPECT_THAT(inference.get<float>(2), ElementsAre(0.9f, 0.6f, 0));
      EXPECT_THAT(inference.get<float>(3), ElementsAre(2));
      const std::vector<float> corners{0, 0, 1, 1, 0, 10, 1, 11, 0, 0, 0, 0};
      EXPECT_THAT(inference.get<float>(0), Pointwise(FloatNear(1e-6f), corners));
    }
  }
}

TEST(TfliteDetection, ScoresThatAreNoNumbersCountForNothing) {
  Inference inference(write({detector(options(detection_options(false)))}));
  inference.set(0, std::vector<float>(16, std::nanf("")));
  inference.set(1, std::vector<float>(12, std::nanf("")));
  inference.compute();
  EXPECT_THAT(inference.get<float>(3), ElementsAre(0));
}

TEST(TfliteDetection, WrongOptionsAreRefused) {
  EXPECT_THAT(error_of(write({detector({})})), HasSubstr("no FlexBuffers map"));
  const auto with = [](std::string_view key, float value) {
    auto all = detection_options(false);
    for (auto& [name, number] : all) number = name == key ? value : number;
    return error_of(write({detector(options(all))}));
  };
  EXPECT_THAT(with("max_detections", 0), HasSubstr("0 detections"));
  EXPECT_THAT(with("max_detections", 2e9f), HasSubstr("detections of 1 classes"));
  EXPECT_THAT(with("num_classes", 7), HasSubstr("7 classes and 3 scores"));
  EXPECT_THAT(with("y_scale", -1), HasSubstr("scales"));
  auto some = detection_options(false);
  some.erase(some.begin() + 3);
  EXPECT_THAT(error_of(write({detector(options(some))})), HasSubstr("option max_detections is missing"));
}

TEST(TfliteDetection, DamagedOptionsAreSurvived) {
  const Bytes whole = options(detection_options(true));
  ASSERT_TRUE(flexbuffer::Map::root(whole));
  EXPECT_EQ(flexbuffer::Map::root(whole)->number("max_detections"), 3);
  EXPECT_EQ(flexbuffer::Map::root(whole)->number("max_detection"), std::nullopt);
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int value : {0, 1, 2, 4, 8, 38, 127, 255}) {
      Bytes damaged = whole;
      damaged[i] = static_cast<std::byte>(value);
      const auto map = flexbuffer::Map::root(damaged);
      for (const auto& [key, unused] : detection_options(true)) {
        if (map) map->number(key);
      }
    }
    const auto shorter = flexbuffer::Map::root(std::span(whole).first(i));
    EXPECT_TRUE(shorter || !shorter.error().message.empty());
  }
}

// Others.

TEST(TfliteOperators, GatherSelectsWithinEachBatch) {
  Graph g;
  const auto x = g.input({{2, 3, 2}}), at = g.constant<int32_t>({2, 2}, kInt32, {2, 0, 1, 1});
  g.outputs = {g.op(kGather, {x, at}, {{2, 2, 2}}, Table().scalar(0, int32_t{1}).scalar(1, int32_t{1}))};
  const std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_THAT(Inference(write({g})).run(values), ElementsAre(4, 5, 0, 1, 8, 9, 8, 9));
}

TEST(TfliteOperators, DynamicUpdateSliceMovesThePartInside) {
  Graph g;
  const auto x = g.input({{3, 3}}), part = g.constant<float>({2, 2}, kFloat32, {1, 2, 3, 4}),
             at = g.constant<int32_t>({2}, kInt32, {5, 1});
  g.outputs = {g.op(kDynamicUpdateSlice, {x, part, at}, {{3, 3}})};
  EXPECT_THAT(Inference(write({g})).run(std::vector<float>(9, 0)), ElementsAre(0, 0, 0, 0, 1, 2, 0, 3, 4));
}

TEST(TfliteOperators, SparseToDenseWritesValuesAtTheirPlaces) {
  Graph g;
  const auto at = g.constant<int32_t>({2, 2}, kInt32, {0, 1, 1, 2}),
             dims = g.constant<int32_t>({2}, kInt32, {2, 3}), values = g.input({{2}}),
             rest = g.constant<float>({}, kFloat32, {-1});
  g.outputs = {g.op(kSparseToDense, {at, dims, values, rest}, {{2, 3}})};
  EXPECT_THAT(Inference(write({g})).run(std::vector<float>{5, 6}), ElementsAre(-1, 5, -1, -1, -1, 6));
}

TEST(TfliteOperators, SegmentsAddUp) {
  Graph g;
  const auto x = g.input({{4, 2}}), ids = g.constant<int32_t>({4}, kInt32, {2, 0, 2, 0}),
             count = g.constant<int32_t>({}, kInt32, {3});
  g.outputs = {g.op(kUnsortedSegmentSum, {x, ids, count}, {{3, 2}})};
  EXPECT_THAT(Inference(write({g})).run(std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}),
              ElementsAre(10, 12, 0, 0, 6, 8));
}

TEST(TfliteOperators, UniqueKeepsTheOrderOfAppearance) {
  Graph g;
  const auto x = g.input({{5}});
  const std::vector<int32_t> results{g.add({{-1}}), g.add({{5}, kInt32})};
  g.operators.push_back({kUnique, {x}, results});
  g.outputs = results;
  Inference inference(write({g}));
  EXPECT_THAT(inference.run(std::vector<float>{3, 1, 3, 2, 1}), ElementsAre(3, 1, 2));
  EXPECT_THAT(inference.get<int32_t>(1), ElementsAre(0, 1, 0, 2, 1));
}

TEST(TfliteOperators, Atan2KnowsTheQuadrant) {
  const std::vector<float> y{1, 1, -1, -1, 0, 2, -2, 0, 0.5f}, x{1, -1, 1, -1, -1, 0, 0, 0, 3};
  Graph g;
  const auto a = g.input({{9}}), b = g.constant<float>({9}, kFloat32, x);
  g.outputs = {g.op(kAtan2, {a, b}, {{9}})};
  std::vector<float> expected;
  for (size_t i = 0; i < x.size(); ++i) expected.push_back(std::atan2(y[i], x[i]));
  EXPECT_THAT(Inference(write({g})).run(y), Pointwise(FloatNear(1e-6f), expected));
}

TEST(TfliteOperators, OthersAreRefusedByName) {
  Graph g;
  const auto x = g.input({{1}});
  g.outputs = {g.op(kHashtable, {x}, {{1}})};
  EXPECT_THAT(error_of(write({g})), HasSubstr("operator HASHTABLE is not supported"));
  g.operators[0].builtin = 206;
  EXPECT_THAT(error_of(write({g})), HasSubstr("operator 206 is not supported"));
  g.operators[0].builtin = kCustom;
  g.operators[0].custom = "FlexErf";
  EXPECT_THAT(error_of(write({g})), HasSubstr("operator FlexErf is not supported"));
}

}  // namespace
}  // namespace tenon::nn::test::tfl
