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

void expect_agreement(Op op, DataType type, std::int64_t count) {
  GraphBuilder b("special");
  const std::vector<ValueId> in{*b.input("x", ValueType::tensor(type, {count}))}, out{b.add_value("y")};
  ASSERT_TRUE(b.add_node(op, in, out, {}, {}));
  ASSERT_TRUE(b.add_output(out[0], "y"));
  const auto graph = *std::move(b).finish();
  auto x = *Tensor::allocate(type, {count});
  for (std::int64_t i = 0; i < count; ++i)
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

}  // namespace
}  // namespace tenon::kernels
