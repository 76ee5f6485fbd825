// Contexts of one model on several threads at once, and the shapes of many plans made at the same time.
#include <atomic>
#include <thread>

#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;

Graph dynamic_network() {
  GraphBuilder b("shared");
  const auto x = *b.input("x", ValueType::tensor(DataType::f32, {Dim::named("n"), Dim::constant(3),
                                                                 Dim::constant(12), Dim::constant(12)}));
  const auto w = *b.constant("w", random_tensor({20, 3, 3, 3}, 1)),
             v = *b.constant("v", random_tensor({8, 20, 1, 1}, 2));
  const auto a = *b.node(Op::Relu, {*b.node(Op::Conv, {x, w})});
  const auto y = *b.node(Op::Sigmoid, {*b.node(Op::Conv, {a, v})});
  EXPECT_TRUE(b.add_output(*b.node(Op::Softmax, {*b.node(Op::Flatten, {y})})));
  return *std::move(b).finish();
}

TEST(Parallel, ContextsOfOneModelComputeAtOnceAndAgree) {
  for (const int team : {1, 2}) {
    CompileOptions options;
    options.threads = team;
    options.max_plans = 2;  // fewer than the shapes in use: plans are made and dropped while others run
    const auto model = *compile(dynamic_network(), options);
    std::vector<Tensor> inputs, expected;
    for (std::int64_t n = 1; n <= 4; ++n) {
      inputs.push_back(random_tensor({n, 3, 12, 12}, static_cast<unsigned>(n)));
      expected.push_back((*run(model->graph(), {inputs.back()}, options))[0].tensor);
    }
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const auto context = model->create_context();
        if (!context) return static_cast<void>(++wrong);
        for (std::size_t round = 0; round < 25; ++round) {
          const auto i = (round + t) % inputs.size();
          if (!(*context)->set_input(0, inputs[i].view()) || !(*context)->compute())
            return static_cast<void>(++wrong);
          const auto out = (*context)->get_output_value(0);
          if (!out || values_of<float>(out->tensor) != values_of<float>(expected[i])) ++wrong;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0) << "teams of " << team;
  }
}

TEST(Parallel, AContextOutlivesTheModelHandle) {
  auto model = *compile(dynamic_network());
  const auto context = *model->create_context();
  model.reset();
  ASSERT_TRUE(context->set_input(0, random_tensor({1, 3, 12, 12}, 1).view()));
  ASSERT_TRUE(context->compute());
  EXPECT_TRUE(context->get_output_value(0));
}

}  // namespace
}  // namespace tenon::kernels
