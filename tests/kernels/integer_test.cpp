// Integers at their limits: arithmetic wraps in every operator, as numpy's and ONNX Runtime's does, in the kernels and in the
// reference; what is a real number cut to an integer saturates.
#include <limits>

#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using List = std::vector<std::int64_t>;

constexpr std::int32_t kLow = std::numeric_limits<std::int32_t>::min(),
                       kHigh = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kLow64 = std::numeric_limits<std::int64_t>::min(),
                       kHigh64 = std::numeric_limits<std::int64_t>::max();

template <class T>
std::vector<T> result(Op op, const std::vector<Tensor>& operands, const Attributes& attributes = {},
                      bool reference = false) {
  GraphBuilder b("integers");
  std::vector<ValueId> in;
  for (const auto& t : operands)
    in.push_back(*b.input(fmt::format("x{}", in.size()), ValueType::tensor(t.type(), t.dims())));
  const std::vector<ValueId> out{b.add_value("y")};
  EXPECT_TRUE(b.add_node(op, in, out, attributes, {}));
  EXPECT_TRUE(b.add_output(out[0], "y"));
  const auto graph = *std::move(b).finish();
  CompileOptions options;
  options.reference = reference;
  const auto got = run(graph, operands, options);
  EXPECT_TRUE(got) << got.error().message;
  return got ? values_of<T>((*got)[0].tensor) : std::vector<T>{};
}

template <class T>
void expect_result(Op op, const std::vector<Tensor>& operands, const Attributes& attributes,
                   const std::vector<T>& expected) {
  EXPECT_EQ(result<T>(op, operands, attributes), expected) << to_string(op);
  EXPECT_EQ(result<T>(op, operands, attributes, true), expected) << to_string(op) << ", reference";
}

Tensor i32(const Dims& dims, const std::vector<std::int32_t>& x) { return tensor<std::int32_t>(dims, x); }
Tensor i64(const Dims& dims, const std::vector<std::int64_t>& x) { return tensor<std::int64_t>(dims, x); }
Tensor u64(const Dims& dims, const std::vector<std::uint64_t>& x) {
  return *Tensor::of<std::uint64_t>(DataType::u64, dims, x);
}

TEST(Integers, ElementWiseArithmeticWraps) {
  using V = std::vector<std::int32_t>;
  expect_result<std::int32_t>(Op::Abs, {i32({2}, {kLow, -5})}, {}, V{kLow, 5});
  expect_result<std::int32_t>(Op::Neg, {i32({2}, {kLow, -5})}, {}, V{kLow, 5});
  expect_result<std::int32_t>(Op::Add, {i32({2}, {kHigh, kLow}), i32({2}, {1, -1})}, {}, V{kLow, kHigh});
  expect_result<std::int32_t>(Op::Mul, {i32({1}, {1 << 20}), i32({1}, {(1 << 20) + 1})}, {}, V{1 << 20});
  expect_result<std::int64_t>(Op::Sub, {i64({1}, {kLow64}), i64({1}, {1})}, {}, {kHigh64});
}

TEST(Integers, SumsWrap) {
  using V = std::vector<std::int32_t>;
  const auto x = i32({2, 2}, {kHigh, 1, kLow, -1});
  const auto axis = i64({1}, {1});
  const Attributes flat{{"keepdims", std::int64_t{0}}};
  expect_result<std::int32_t>(Op::ReduceSum, {x, axis}, flat, V{kLow, kHigh});
  expect_result<std::int32_t>(Op::ReduceL1, {x, axis}, flat, V{kLow, kLow + 1});
  expect_result<std::int32_t>(Op::ReduceSumSquare, {x, axis}, flat, V{2, 1});
  expect_result<std::int32_t>(Op::ReduceProd, {i32({2, 2}, {1 << 30, 4, 1 << 30, 2}), axis}, flat,
                              V{0, kLow});
  expect_result<std::int32_t>(Op::CumSum, {i32({3}, {kHigh, 1, 5}), i64({}, {0})}, {},
                              V{kHigh, kLow, kLow + 5});
  expect_result<std::int64_t>(Op::CumSum, {i64({2}, {kHigh64, 1}), i64({}, {0})}, {}, {kHigh64, kLow64});
  expect_result<std::int32_t>(Op::MatMul, {i32({1, 2}, {kHigh, 1}), i32({2, 1}, {1, 1})}, {}, V{kLow});
  expect_result<std::int32_t>(Op::Gemm, {i32({1, 1}, {kHigh}), i32({1, 1}, {1}), i32({1}, {1})}, {}, V{kLow});
}

TEST(Integers, ScatteredSumsAndProductsWrap) {
  const auto at = i64({1}, {0});
  const auto how = [](const char* name) { return Attributes{{"reduction", std::string(name)}}; };
  expect_result<std::int32_t>(Op::ScatterElements, {i32({1}, {kHigh}), at, i32({1}, {1})}, how("add"),
                              {kLow});
  expect_result<std::int64_t>(Op::ScatterElements, {i64({1}, {kHigh64}), at, i64({1}, {2})}, how("mul"),
                              {-2});
}

TEST(Integers, SixtyFourBitsAreKept) {
  const std::uint64_t high = std::uint64_t{1} << 63;
  const Attributes flat{{"keepdims", std::int64_t{0}}};
  const auto x = u64({3}, {high + 1, 7, high + 3});
  expect_result<std::uint64_t>(Op::ReduceMax, {x}, flat, {high + 3});
  expect_result<std::uint64_t>(Op::ReduceMin, {x}, flat, {7});
  expect_result<std::uint64_t>(Op::ReduceMean, {u64({1}, {high + 1})}, flat, {high + 1});
  expect_result<std::int64_t>(Op::ReduceMean, {i64({2}, {kHigh64 - 1, 0})}, flat, {kHigh64 / 2});
  const std::int64_t odd = (std::int64_t{1} << 60) + 1;
  expect_result<std::int64_t>(Op::Gemm, {i64({1, 1}, {odd}), i64({1, 1}, {1}), i64({1}, {2})}, {}, {odd + 2});
}

TEST(Integers, RealResultsAreCutAndSaturate) {
  const Attributes flat{{"keepdims", std::int64_t{0}}};
  expect_result<std::int32_t>(Op::ReduceMean, {i32({2}, {-3, -4})}, flat, {-3});
  expect_result<std::int32_t>(Op::ReduceL2, {i32({2}, {kHigh, kHigh})}, flat, {kHigh});
  expect_result<std::int32_t>(Op::ReduceLogSum, {i32({1}, {0})}, flat, {kLow});  // log 0
}

}  // namespace
}  // namespace tenon::kernels
