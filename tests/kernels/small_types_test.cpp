// float8 and 4-bit integers: their codes, conversions, quantisation, and what refuses them.
#include "kernels/ops/number.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;

constexpr DataType kSmall[] = {DataType::i4,         DataType::u4,     DataType::f8e4m3fn,
                               DataType::f8e4m3fnuz, DataType::f8e5m2, DataType::f8e5m2fnuz};

template <class T>
void expect_codes_come_back() {
  int numbers = 0;
  for (int code = 0; code < 256; ++code) {
    const T x{static_cast<std::uint8_t>(code)};
    const auto value = static_cast<float>(x);
    const T back = T::from(static_cast<double>(value));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(static_cast<float>(back))) << code;
    } else if (std::isfinite(value)) {
      EXPECT_EQ(back.bits, code);
      ++numbers;
    }
  }
  EXPECT_GE(numbers, 246);
}

TEST(SmallTypes, Float8CodesComeBack) {
  expect_codes_come_back<f8e4m3fn_t>();
  expect_codes_come_back<f8e4m3fnuz_t>();
  expect_codes_come_back<f8e5m2_t>();
  expect_codes_come_back<f8e5m2fnuz_t>();
}

TEST(SmallTypes, Float8RoundsToNearestAndKnowsItsLimits) {
  const auto e4m3 = [](double x, bool saturate = true) { return float(f8e4m3fn_t::from(x, saturate)); };
  EXPECT_EQ(e4m3(17), 16);  // halfway between 16 and 18: to the even code
  EXPECT_EQ(e4m3(19), 20);
  EXPECT_EQ(e4m3(1.0 / 512), 1.0f / 512);  // the smallest subnormal number
  EXPECT_EQ(e4m3(1.0 / 1024), 0);
  EXPECT_EQ(e4m3(464, false), 448);  // still rounds down to the largest number
  EXPECT_TRUE(std::isnan(e4m3(465, false)));
  EXPECT_EQ(e4m3(1e300), 448);
  EXPECT_EQ(e4m3(-HUGE_VAL), -448);
  EXPECT_TRUE(std::isnan(e4m3(HUGE_VAL, false)));
  EXPECT_TRUE(std::signbit(e4m3(-0.0)));
  EXPECT_EQ(float(f8e5m2_t::from(1e300, false)), HUGE_VALF);
  EXPECT_EQ(float(f8e5m2_t::from(1e300)), 57344);
  EXPECT_EQ(f8e4m3fnuz_t::from(-1e-30).bits, 0);  // there is no negative zero
  EXPECT_EQ(float(f8e4m3fnuz_t::from(1e300)), 240);
}

TEST(SmallTypes, FourBitsIgnoreTheRestOfTheirByte) {
  EXPECT_EQ(float(i4_t{0xf8}), -8);
  EXPECT_EQ(float(i4_t{0x37}), 7);
  EXPECT_EQ(float(u4_t{0xff}), 15);
  EXPECT_EQ(i4_t::from(100).bits, 7);
  EXPECT_EQ(u4_t::from(-3).bits, 0);
  EXPECT_EQ(i4_t::from(std::nan("")).bits, 0);
}

// x, quantised to `type` and back, as two operators; as one run on every plan.
Result<std::vector<float>> through(DataType type, const std::vector<float>& x, bool quantize) {
  GraphBuilder b("small");
  const Dims dims{static_cast<std::int64_t>(x.size())};
  const auto in = *b.input("x", f32_type(dims));
  const auto number = std::int64_t{onnx_number(type)};
  ValueId out{};
  if (quantize) {
    const auto scale = *b.constant("s", tensor<float>({}, {0.5f}));
    const auto codes = TENON_TRY(b.node(Op::QuantizeLinear, {in, scale}, {{"output_dtype", number}}));
    out = TENON_TRY(b.node(Op::DequantizeLinear, {codes, scale}));
  } else {
    const auto codes = TENON_TRY(b.node(Op::Cast, {in}, {{"to", number}}));
    const auto moved = TENON_TRY(b.node(Op::Transpose, {codes}, {{"perm", std::vector<std::int64_t>{0}}}));
    out = TENON_TRY(b.node(Op::Cast, {moved}, {{"to", onnx_number(DataType::f32)}}));
  }
  TENON_TRY(b.add_output(out, "y"));
  const auto graph = TENON_TRY(std::move(b).finish());
  const auto results = TENON_TRY(run(graph, {tensor<float>(dims, x)}));
  return values_of<float>(results[0].tensor);
}

TEST(SmallTypes, CastAndQuantizeThroughEachType) {
  const std::vector<float> x{0, 1, -2, 3, 7, -1000};
  for (const auto type : kSmall) {
    const auto cast = through(type, x, false), quantized = through(type, x, true);
    ASSERT_TRUE(cast) << to_string(type) << ": " << cast.error().message;
    ASSERT_TRUE(quantized) << to_string(type) << ": " << quantized.error().message;
    const bool is_unsigned = type == DataType::u4;
    for (std::size_t i : {0u, 1u, 3u}) {
      EXPECT_EQ((*cast)[i], x[i]) << to_string(type);
      EXPECT_EQ((*quantized)[i], x[i]) << to_string(type);
    }
    EXPECT_EQ((*cast)[2], is_unsigned ? 0 : -2) << to_string(type);
    EXPECT_EQ((*quantized)[4], type == DataType::i4 ? 3.5f : 7.0f) << to_string(type);
    std::byte lowest{};
    set_number(type, &lowest, 0, -1e6);
    EXPECT_EQ((*cast)[5], std::max(-1024.0, get_number(type, &lowest, 0))) << to_string(type);
  }
}

TEST(SmallTypes, OperatorsThatComputeRefuseThemByName) {
  for (const auto type : kSmall) {
    GraphBuilder b("small");
    const auto x = *b.input("x", ValueType::tensor(type, Dims{2}));
    const auto sum = b.node(Op::Add, {x, x});
    ASSERT_TRUE(sum);
    ASSERT_TRUE(b.add_output(*sum, "y"));
    const auto graph = std::move(b).finish();
    ASSERT_TRUE(graph);
    const auto model = compile(*graph);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::unsupported_operation);
    EXPECT_THAT(model.error().message, testing::HasSubstr(to_string(type)));
  }
}

}  // namespace
}  // namespace tenon::kernels
