// NaN, infinities and zeros through every element-wise function of one operand: kernels against the reference, in short and
// in long tensors (vectors and their tails).
#include <limits>

#include "kernels/infer.h"
#include "kernels/ops/number.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;

const std::vector<double> kSpecial = {std::numeric_limits<double>::quiet_NaN(),
                                      std::numeric_limits<double>::infinity(),
                                      -std::numeric_limits<double>::infinity(),
                                      0.0,
                                      -0.0,
                                      1.0,
                                      -1.0,
                                      90.0,
                                      -90.0};

bool agree(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= 1e-2 * std::max({std::abs(a), std::abs(b), 1e-2});
}

// With `fused` (f32 of count x 16 only) the function follows a convolution by ones, each channel alone.
void expect_agreement(Op op, DataType type, std::int64_t count, bool fused = false) {
  GraphBuilder b("special");
  const Dims dims = fused ? Dims{1, 16, count, 1} : Dims{count};
  std::vector<ValueId> in{*b.input("x", ValueType::tensor(type, dims))}, out{b.add_value("y")};
  if (fused) {
    const auto ones = *b.constant("w", tensor<float>({16, 1, 1, 1}, std::vector<float>(16, 1)));
    in[0] = *b.node(Op::Conv, {in[0], ones}, {{"group", std::int64_t{16}}});
  }
  ASSERT_TRUE(b.add_node(op, in, out, {}, {}));
  ASSERT_TRUE(b.add_output(out[0], "y"));
  const auto graph = *std::move(b).finish();
  auto x = *Tensor::allocate(type, dims);
  for (std::int64_t i = 0; i < x.count(); ++i)
    set_number(type, x.mutable_data(), i, kSpecial[static_cast<std::size_t>(i) % kSpecial.size()]);
  CompileOptions reference;
  reference.reference = true;
  const auto expected = run(graph, {x}, reference), got = run(graph, {x});
  ASSERT_TRUE(expected && got) << to_string(op) << " " << to_string(type);
  const auto& a = (*expected)[0].tensor;
  const auto& y = (*got)[0].tensor;
  const auto want = get_numbers(a.type(), a.data(), a.count()),
             have = get_numbers(y.type(), y.data(), y.count());
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_TRUE(agree(want[i], have[i]))
        << to_string(op) << "(" << kSpecial[i % kSpecial.size()] << ") of " << to_string(type) << "[" << count
        << "] is " << have[i] << " instead of " << want[i];
  }
}

TEST(SpecialValues, ElementWiseFunctions) {
  for (int i = 0; i < static_cast<int>(Op::kCount); ++i) {
    const auto op = static_cast<Op>(i);
    if (family(op) != "unary") continue;
    for (const auto type : {DataType::f32, DataType::f64, DataType::f16, DataType::bf16}) {
      if (!accepts(op, type)) continue;
      for (const std::int64_t count : {9, 90}) expect_agreement(op, type, count);
    }
  }
}

TEST(SpecialValues, FunctionsFusedIntoConvolutions) {
  for (int i = 0; i < static_cast<int>(Op::kCount); ++i) {
    const auto op = static_cast<Op>(i);
    // oneDNN's post-ops of these are vector maxima, which turn NaN into the bound (docs/design/0002-nn.md).
    if (op == Op::Relu || op == Op::HardSigmoid) continue;
    if (family(op) == "unary" && accepts(op, DataType::f32)) expect_agreement(op, DataType::f32, 18, true);
  }
}

TEST(SpecialValues, LogSoftmaxKeepsDigitsOfLargeOperands) {
  GraphBuilder b("logarithms");
  const auto x = *b.input("x", f32_type({1, 3}));
  ASSERT_TRUE(b.add_output(*b.node(Op::LogSoftmax, {x}, {{"axis", std::int64_t{1}}}), "y"));
  const auto got = run(*std::move(b).finish(), {tensor<float>({1, 3}, {4000, 4001, 3900})});
  ASSERT_TRUE(got) << got.error().message;
  const auto y = values_of<float>((*got)[0].tensor);
  const double rest = std::log1p(std::exp(-1.0));
  EXPECT_NEAR(y[0], -1 - rest, 1e-6);
  EXPECT_NEAR(y[1], -rest, 1e-6);
}

}  // namespace
}  // namespace tenon::kernels
