// States of graphs: what contexts keep between computes.
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// y = x + a; afterwards a becomes b, and b becomes y.
Graph exchange(const Dims& x_dims = {2}) {
  GraphBuilder b("exchange");
  const auto type = x_dims.empty() ? ValueType::tensor(DataType::f32, {Dim::unknown()}) : f32_type(x_dims);
  const auto x = *b.input("x", type);
  const auto first = *b.add_state("a", tensor<float>({2}, {10, 20}));
  const auto second = *b.add_state("b", tensor<float>({2}, {1, 2}));
  const auto y = *b.node(Op::Add, {x, first});
  EXPECT_TRUE(b.set_next(first, second));
  EXPECT_TRUE(b.set_next(second, y));
  EXPECT_TRUE(b.add_output(y, "y"));
  return *std::move(b).finish();
}

std::vector<float> step(Context& context, const std::vector<float>& x) {
  const auto in = tensor<float>({2}, x);
  EXPECT_TRUE(context.set_input(0, in.view()));
  const auto ok = context.compute();
  EXPECT_TRUE(ok) << ok.error().message;
  return values_of<float>(context.get_output_value(0)->tensor);
}

TEST(States, AreReadBeforeAnyOfThemChanges) {
  for (const bool dynamic : {false, true}) {
    for (const bool reference : {false, true}) {
      const auto model =
          compile(exchange(dynamic ? Dims{} : Dims{2}), {.reference = reference, .limits = {}});
      ASSERT_TRUE(model) << model.error().message;
      EXPECT_EQ((*model)->inputs().size(), 1u);
      EXPECT_EQ((*model)->outputs().size(), 1u);
      const auto context = *(*model)->create_context();
      EXPECT_THAT(step(*context, {0, 0}), ElementsAre(10, 20));
      EXPECT_THAT(step(*context, {0, 0}), ElementsAre(1, 2));
      EXPECT_THAT(step(*context, {5, 6}), ElementsAre(15, 26));
      EXPECT_THAT(step(*context, {0, 0}), ElementsAre(1, 2));
      EXPECT_THAT(step(*context, {0, 0}), ElementsAre(15, 26));
      EXPECT_EQ(context->statistics().set_input.calls, 5u);
    }
  }
}

TEST(States, OutputsStayWhatTheLastComputeMadeThem) {
  const auto model = *compile(exchange());
  const auto context = *model->create_context();
  EXPECT_THAT(step(*context, {1, 1}), ElementsAre(11, 21));
  const auto next = tensor<float>({2}, {7, 7});
  ASSERT_TRUE(context->set_input(0, next.view()));
  EXPECT_THAT(values_of<float>(context->get_output_value(0)->tensor), ElementsAre(11, 21));
}

// A state whose next value is an input: what was given last time.
TEST(States, MayBecomeAnInput) {
  GraphBuilder b("last");
  const auto x = *b.input("x", f32_type({2}));
  const auto last = *b.add_state("last", tensor<float>({2}, {0, 0}));
  ASSERT_TRUE(b.set_next(last, x));
  ASSERT_TRUE(b.add_output(last, "y"));
  const auto model = compile(*std::move(b).finish());
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  EXPECT_THAT(step(*context, {1, 2}), ElementsAre(0, 0));
  EXPECT_THAT(step(*context, {3, 4}), ElementsAre(1, 2));
  EXPECT_THAT(step(*context, {5, 6}), ElementsAre(3, 4));
}

TEST(States, AFailedComputeLeavesThem) {
  const auto model = *compile(exchange());
  const auto context = *model->create_context();
  EXPECT_THAT(step(*context, {0, 0}), ElementsAre(10, 20));
  const std::atomic<bool> stop = true;
  ASSERT_FALSE(context->compute({.stop = &stop}));
  EXPECT_THAT(step(*context, {0, 0}), ElementsAre(1, 2));
}

TEST(States, OfAnotherTypeOrShapeAreRefused) {
  GraphBuilder b("wrong");
  const auto x = *b.input("x", ValueType::tensor(DataType::i32, Dims{2}));
  const auto state = *b.add_state("s", tensor<float>({2}, {0, 0}));
  ASSERT_TRUE(b.set_next(state, x));
  ASSERT_TRUE(b.add_output(state, "y"));
  const auto model = compile(*std::move(b).finish());
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("state 's' of f32 would become"));

  GraphBuilder longer("longer");
  const auto y = *longer.input("x", f32_type({3}));
  const auto other = *longer.add_state("s", tensor<float>({2}, {0, 0}));
  ASSERT_TRUE(longer.set_next(other, y));
  ASSERT_TRUE(longer.add_output(other, "y"));
  const auto compiled = compile(*std::move(longer).finish());
  ASSERT_TRUE(compiled) << compiled.error().message;
  const auto context = *(*compiled)->create_context();
  const auto in = tensor<float>({3}, {1, 2, 3});
  ASSERT_TRUE(context->set_input(0, in.view()));
  const auto ok = context->compute();
  ASSERT_FALSE(ok);
  EXPECT_THAT(ok.error().message, HasSubstr("state 's' became f32 [3], expected f32 [2]"));

  GraphBuilder none("none");
  EXPECT_FALSE(none.add_state("s", Tensor()));
  EXPECT_FALSE(none.set_next(static_cast<ValueId>(3), static_cast<ValueId>(4)));
}

}  // namespace
}  // namespace tenon::kernels
