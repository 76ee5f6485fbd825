// Nearest resizing: axes that change one after the other, on contiguous and channels-last operands, and empty tensors.
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;

Result<std::vector<Value>> resized(const Dims& dims, const std::vector<float>& x,
                                   const std::vector<std::int64_t>& sizes) {
  GraphBuilder b("resize");
  const std::vector<ValueId> in{
      *b.input("x", f32_type(dims)), kAbsent, kAbsent,
      *b.constant("sizes", tensor<std::int64_t>({static_cast<std::int64_t>(sizes.size())}, sizes))};
  const std::vector<ValueId> out{b.add_value("y")};
  EXPECT_TRUE(b.add_node(
      Op::Resize, in, out,
      {{"coordinate_transformation_mode", std::string("asymmetric")}, {"nearest_mode", std::string("floor")}},
      {}));
  EXPECT_TRUE(b.add_output(out[0], "y"));
  return run(*std::move(b).finish(), {tensor<float>(dims, x)});
}

TEST(Resize, NearestRepeatsAlongEachAxis) {
  const auto y = resized({1, 2, 2, 1}, {1, 2, 3, 4}, {1, 4, 4, 2});
  ASSERT_TRUE(y) << y.error().message;
  std::vector<float> expected;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) expected.insert(expected.end(), 2, static_cast<float>(1 + i / 2 * 2 + j / 2));
  }
  EXPECT_EQ(values_of<float>((*y)[0].tensor), expected);
}

TEST(Resize, NearestOfTheSameSizeIsACopy) {
  const auto y = resized({2, 3}, {1, 2, 3, 4, 5, 6}, {2, 3});
  ASSERT_TRUE(y) << y.error().message;
  EXPECT_EQ(values_of<float>((*y)[0].tensor), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(Resize, ToNothingAndNeverFromNothing) {
  const auto y = resized({2, 3}, {1, 2, 3, 4, 5, 6}, {2, 0});
  ASSERT_TRUE(y) << y.error().message;
  EXPECT_EQ((*y)[0].tensor.count(), 0);
  EXPECT_FALSE(resized({0, 2}, {}, {3, 4}));
}

}  // namespace
}  // namespace tenon::kernels
