// ResNet-50 (v1.5) with random weights on a small image: fast kernels with all fusions against the plain reference, and
// what the plan makes of it.
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace testing_support;
using List = std::vector<std::int64_t>;

class ResNet {
 public:
  explicit ResNet(std::int64_t size) : b_("resnet50") {
    auto x = conv(*b_.input("data", f32_type({1, 3, size, size})), 3, 64, 7, 2, kNoValue, true);
    x = *b_.node(Op::MaxPool, {x},
                 {{"kernel_shape", List{3, 3}}, {"pads", List{1, 1, 1, 1}}, {"strides", List{2, 2}}});
    std::int64_t channels = 64, width = 64;
    for (const int blocks : {3, 4, 6, 3}) {
      for (int i = 0; i < blocks; ++i) {
        x = block(x, channels, width, i == 0 && width > 64 ? 2 : 1);
        channels = 4 * width;
      }
      width *= 2;
    }
    x = *b_.node(Op::Flatten, {*b_.node(Op::GlobalAveragePool, {x})});
    const auto w = weights({10, 2048}, 0.02f), bias = weights({10}, 0.1f);
    EXPECT_TRUE(b_.add_output(*b_.node(Op::Gemm, {x, w, bias}, {{"transB", std::int64_t{1}}})));
  }
  Graph take() { return *std::move(b_).finish(); }

 private:
  static constexpr ValueId kNoValue = kAbsent;

  ValueId weights(const Dims& dims, float scale) {
    auto values = random_floats(*element_count(dims), ++seed_);
    for (auto& v : values) v *= scale;
    return *b_.constant("w", tensor<float>(dims, values));
  }

  // Convolution, normalisation, residual sum, Relu.
  ValueId conv(ValueId x, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
               ValueId add, bool relu) {
    const auto scale = std::sqrt(6.f / static_cast<float>(in * kernel * kernel));
    const auto pad = kernel / 2;
    auto y = *b_.node(Op::Conv, {x, weights({out, in, kernel, kernel}, scale)},
                      {{"pads", List{pad, pad, pad, pad}}, {"strides", List{stride, stride}}});
    const auto ones = [&](float value) {
      return *b_.constant("s",
                          tensor<float>({out}, std::vector<float>(static_cast<std::size_t>(out), value)));
    };
    y = *b_.node(Op::BatchNormalization, {y, ones(add == kNoValue ? 1.f : 0.3f), weights({out}, 0.1f),
                                          weights({out}, 0.1f), ones(1)});
    if (add != kNoValue) y = *b_.node(Op::Add, {y, add});
    return relu ? *b_.node(Op::Relu, {y}) : y;
  }

  ValueId block(ValueId x, std::int64_t channels, std::int64_t width, std::int64_t stride) {
    const auto y =
        conv(conv(x, channels, width, 1, 1, kNoValue, true), width, width, 3, stride, kNoValue, true);
    const bool same = stride == 1 && channels == 4 * width;
    const auto beside = same ? x : conv(x, channels, 4 * width, 1, stride, kNoValue, false);
    return conv(y, width, 4 * width, 1, 1, beside, true);
  }

  GraphBuilder b_;
  unsigned seed_ = 0;
};

TEST(ResNet50, AgreesWithReferenceAndFusesEverything) {
  const auto graph = ResNet(48).take();
  const auto image = random_tensor({1, 3, 48, 48}, 7);
  CompileOptions reference;
  reference.reference = true;
  const auto expected = run(graph, {image}, reference);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const int threads : {1, 2}) {
    CompileOptions fast;
    fast.threads = threads;
    const auto got = run(graph, {image}, fast);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(relative_error(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor)),
              1e-4);
  }
  const auto context = *(*compile(graph))->create_context();
  for (const auto& step : context->steps()) {
    for (const auto* fused : {"BatchNormalization", "Relu", "Add"}) EXPECT_NE(step.op, fused);
    EXPECT_THAT(step.implementation, Not(HasSubstr("ref")));
  }
  const auto steps = context->steps();
  EXPECT_EQ(std::ranges::count_if(steps, [](const auto& s) { return s.op == "Conv" && s.flops > 100000; }),
            53);
}

}  // namespace
}  // namespace tenon::kernels
