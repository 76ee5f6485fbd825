// Contexts of one model on several threads at once, and the shapes of many plans made at the same time.
#include <atomic>
#include <thread>

#include "kernels/parallel.h"
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

// Relu runs early, Softmax late.
Graph early_and_late() {
  GraphBuilder b("early and late");
  const auto x = *b.input("x", f32_type({2, 8}));
  const auto w = *b.constant("w", random_tensor({8, 8}, 3));
  const auto y = *b.node(
      Op::MatMul,
      {*b.node(Op::CumSum, {*b.node(Op::Relu, {x}), *b.constant("axis", tensor<std::int64_t>({}, {1}))}), w});
  EXPECT_TRUE(b.add_output(*b.node(Op::Softmax, {y})));
  return *std::move(b).finish();
}

TEST(Tokens, EarlyAndLateOperatorsWaitForThemToo) {
  auto& tokens = ThreadTokens::process();
  tokens.provide(1);
  CompileOptions options;
  options.lease_threads = true;
  const auto model = *compile(early_and_late(), options);
  const auto context = *model->create_context();
  const auto x = random_tensor({2, 8}, 4);
  std::vector<std::byte> out(2 * 8 * sizeof(float));
  const int all = tokens.take(1 << 20, [] { return false; });
  const auto soon = [] {
    ComputeOptions o;
    o.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    return o;
  };
  const auto waits = [&](const auto& call) {
    const auto refused = call(soon());
    EXPECT_FALSE(refused);
    if (!refused) EXPECT_EQ(refused.error().code, ErrorCode::interrupted);
    tokens.give_back(all);
    EXPECT_TRUE(call({}));
    EXPECT_EQ(tokens.free(), all) << "given back";
    EXPECT_EQ(tokens.take(1 << 20, [] { return false; }), all);
  };
  const auto phase_of = [&](std::string_view op) {
    for (const auto& step : context->steps())
      if (step.op == op) return step.phase;
    return StepInfo::Phase::compute;
  };
  EXPECT_EQ(phase_of("Relu"), StepInfo::Phase::early);
  EXPECT_EQ(phase_of("Softmax"), StepInfo::Phase::late);
  waits([&](const ComputeOptions& o) { return context->set_input(0, x.view(), o); });
  waits([&](const ComputeOptions& o) { return context->compute(o); });
  waits([&](const ComputeOptions& o) { return context->get_output(0, out, o); });
  tokens.give_back(all);
}

}  // namespace
}  // namespace tenon::kernels
