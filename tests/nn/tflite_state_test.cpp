// TensorFlow Lite: what stays between computes (variables, states of recurrent operators), other graphs of a model
// (branches, loops), and what is refused of them.
#include <cmath>
#include <random>

#include "tests/nn/tflite_run.h"

namespace tenon::nn::test::tfl {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// BuiltinOperator
enum : int32_t {
  kAdd = 0,
  kMul = 18,
  kRnn = 24,
  kSvdf = 27,
  kSequenceRnn = 35,
  kSequenceLstm = 44,
  kLess = 58,
  kIf = 118,
  kWhile = 119,
  kCallOnce = 129,
  kVarHandle = 142,
  kReadVariable = 143,
  kAssignVariable = 144
};

std::vector<float> ramp(size_t count, float from, float step) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = from + step * static_cast<float>(i % 7);
  return values;
}

// Adds its input to a variable that begins at 5, and gives the sum.
std::vector<Graph> counter(Type first_type = kFloat32) {
  Graph main, first;
  const Table names = Table().text(1, "total");
  const auto x = main.input({{1}});
  main.operators.push_back({kCallOnce, {}, {}, Table().scalar(0, int32_t{1})});
  const auto handle = main.op(kVarHandle, {}, {{}, kResource}, names);
  const auto before = main.op(kReadVariable, {handle}, {{1}});
  const auto sum = main.op(kAdd, {before, x}, {{1}});
  main.operators.push_back({kAssignVariable, {handle, sum}, {}});
  main.outputs = {sum};
  const auto own = first.op(kVarHandle, {}, {{}, kResource}, names);
  const auto five = first_type == kFloat32 ? first.constant<float>({1}, kFloat32, {5})
                                           : first.constant<int32_t>({1}, first_type, {5});
  first.operators.push_back({kAssignVariable, {own, five}, {}});
  return {main, first};
}

TEST(TfliteState, AVariableStaysBetweenComputesAndEachContextHasItsOwn) {
  const Bytes model = write(counter());
  Inference one(model), other(model);
  EXPECT_THAT(one.run<float>(std::vector<float>{1}), ElementsAre(6));
  EXPECT_THAT(one.run<float>(std::vector<float>{2}), ElementsAre(8));
  EXPECT_THAT(other.run<float>(std::vector<float>{10}), ElementsAre(15));
  EXPECT_THAT(one.run<float>(std::vector<float>{0.5f}), ElementsAre(8.5f));
  // Reading the output twice computes nothing anew; states are no inputs or outputs of callers.
  EXPECT_THAT(one.get<float>(0), ElementsAre(8.5f));
  EXPECT_EQ(one.context().model().inputs().size(), 1u);
  EXPECT_EQ(one.context().model().outputs().size(), 1u);
  EXPECT_FALSE(one.context().get_output_value(1));
  EXPECT_FALSE(one.context().output_bytes(1));
  const float value = 1;
  EXPECT_FALSE(
      one.context().set_input(1, {kernels::DataType::f32, {1}, std::as_bytes(std::span(&value, 1))}));
}

TEST(TfliteState, AStateMustKeepItsType) {
  EXPECT_THAT(error_of(write(counter(kInt32))), HasSubstr("m.tflite"));
}

TEST(TfliteState, VariablesWithoutAFirstValueAreRefused) {
  auto graphs = counter();
  graphs[0].operators.erase(graphs[0].operators.begin());
  EXPECT_THAT(error_of(write(graphs)),
              HasSubstr("READ_VARIABLE): a variable without a constant first value"));
  graphs = counter();
  graphs[0].operators[0].options = Table().scalar(0, int32_t{7});
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("graph 7 of 2"));
  graphs[0].operators[0].options = Table().scalar(0, int32_t{-1});
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("graph -1 of 2"));
  graphs = counter();
  graphs[0].operators.erase(graphs[0].operators.begin() + 1);
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("no VAR_HANDLE"));
}

// An LSTM over `steps` positions of two inputs, with three units and variable tensors for its state.
Bytes lstm(int32_t steps, bool variable) {
  constexpr int32_t kUnits = 3, kInputs = 2;
  Graph g;
  const auto x = g.input({{1, steps, kInputs}});
  std::vector<int32_t> operands{x};
  for (int gate = 0; gate < 4; ++gate)
    operands.push_back(
        g.constant({kUnits, kInputs}, kFloat32, ramp(6, -0.4f, 0.1f + 0.03f * static_cast<float>(gate))));
  for (int gate = 0; gate < 4; ++gate)
    operands.push_back(
        g.constant({kUnits, kUnits}, kFloat32, ramp(9, -0.3f, 0.07f + 0.02f * static_cast<float>(gate))));
  operands.insert(operands.end(), 3, -1);
  for (int gate = 0; gate < 4; ++gate)
    operands.push_back(g.constant({kUnits}, kFloat32, ramp(3, 0.1f, 0.2f)));
  operands.insert(operands.end(), 2, -1);
  for (int i = 0; i < 2; ++i) operands.push_back(g.add({{1, kUnits}, kFloat32, {}, {}, variable}));
  operands.insert(operands.end(), 4, -1);
  Table options;
  options.scalar(0, int8_t{4}).scalar(3, uint8_t{0});
  g.outputs = {g.op(kSequenceLstm, operands, {{1, steps, kUnits}}, options)};
  return write({g});
}

TEST(TfliteState, AnLstmGoesOnWhereItStopped) {
  const auto all = ramp(8, -1, 0.3f);
  Inference whole(lstm(4, true)), parts(lstm(2, true));
  const auto expected = whole.run(all);
  auto actual = parts.run(std::vector<float>(all.begin(), all.begin() + 4));
  const auto rest = parts.run(std::vector<float>(all.begin() + 4, all.end()));
  actual.insert(actual.end(), rest.begin(), rest.end());
  EXPECT_THAT(actual, Pointwise(FloatNear(1e-6f), expected));
  EXPECT_NE(whole.run(all), expected);  // the second time it begins with another state
}

TEST(TfliteState, AnLstmWithoutVariableTensorsBeginsAnewEachTime) {
  const auto all = ramp(8, -1, 0.3f);
  Inference inference(lstm(4, false));
  const auto expected = inference.run(all);
  EXPECT_EQ(inference.run(all), expected);
}

TEST(TfliteState, StatesOfOtherShapesAreRefused) {
  Graph g;
  const auto x = g.input({{1, 2}});
  const auto w = g.constant({3, 2}, kFloat32, ramp(6, 0, 1)), r = g.constant({3, 3}, kFloat32, ramp(9, 0, 1)),
             b = g.constant({3}, kFloat32, ramp(3, 0, 1)), state = g.add({{1, 4}, kFloat32, {}, {}, true});
  g.outputs = {g.op(kRnn, {x, w, r, b, state}, {{1, 3}}, Table().scalar(0, int8_t{4}))};
  EXPECT_THAT(error_of(write({g})), HasSubstr("(RNN): a state whose rows are not of 3 units"));
  // Far more than a tensor may have.
  g.tensors[static_cast<size_t>(state)].shape = {1 << 30, 1 << 30};
  EXPECT_THAT(error_of(write({g})), HasSubstr("(RNN): "));
}

TEST(TfliteState, ARecurrentLayerStepByStepIsTheSequence) {
  const auto layer = [](int32_t steps) {
    Graph g;
    const auto x = g.input(steps == 0 ? Tensor{{1, 2}} : Tensor{{1, steps, 2}});
    const auto w = g.constant({3, 2}, kFloat32, ramp(6, -0.3f, 0.1f)),
               r = g.constant({3, 3}, kFloat32, ramp(9, -0.2f, 0.1f)),
               b = g.constant({3}, kFloat32, ramp(3, 0, 0.1f)),
               state = g.add({{1, 3}, kFloat32, {}, {}, true});
    const auto rnn =
        steps == 0 ? Table().scalar(0, int8_t{4}) : Table().scalar(0, uint8_t{0}).scalar(1, int8_t{4});
    g.outputs = {g.op(steps == 0 ? kRnn : kSequenceRnn, {x, w, r, b, state},
                      steps == 0 ? Tensor{{1, 3}} : Tensor{{1, steps, 3}}, rnn)};
    return write({g});
  };
  const std::vector<float> x{0.5f, -1, 2, 0.25f, -0.75f, 1};
  const auto expected = Inference(layer(3)).run(x);
  Inference step(layer(0));
  std::vector<float> actual;
  for (size_t i = 0; i < 6; i += 2) {
    const auto y = step.run(std::vector<float>{x[i], x[i + 1]});
    actual.insert(actual.end(), y.begin(), y.end());
  }
  EXPECT_THAT(actual, Pointwise(FloatNear(1e-6f), expected));
}

TEST(TfliteState, SvdfRemembersItsFeatures) {
  constexpr int32_t kInputs = 2, kUnits = 2, kRank = 2, kMemory = 3, kFilters = kUnits * kRank;
  const auto features = ramp(kFilters * kInputs, -0.5f, 0.2f), time = ramp(kFilters * kMemory, 0.1f, 0.15f);
  const std::vector<float> bias{0.25f, -0.5f};
  Graph g;
  const auto x = g.input({{1, kInputs}});
  const auto wf = g.constant({kFilters, kInputs}, kFloat32, features),
             wt = g.constant({kFilters, kMemory}, kFloat32, time), b = g.constant({kUnits}, kFloat32, bias),
             state = g.add({{1, kFilters * kMemory}, kFloat32, {}, {}, true});
  g.outputs = {
      g.op(kSvdf, {x, wf, wt, b, state}, {{1, kUnits}}, Table().scalar(0, kRank).scalar(1, int8_t{0}))};
  Inference inference(write({g}));
  std::vector<float> past(kFilters * kMemory);
  for (int step = 0; step < 5; ++step) {
    const std::vector<float> in{static_cast<float>(step) - 1.5f, 0.5f * static_cast<float>(step)};
    std::vector<float> expected = bias;
    for (size_t f = 0; f < kFilters; ++f) {
      for (size_t m = 0; m + 1 < kMemory; ++m) past[f * kMemory + m] = past[f * kMemory + m + 1];
      past[f * kMemory + kMemory - 1] = features[f * 2] * in[0] + features[f * 2 + 1] * in[1];
      for (size_t m = 0; m < kMemory; ++m)
        expected[f / kRank] += past[f * kMemory + m] * time[f * kMemory + m];
    }
    EXPECT_THAT(inference.run(in), Pointwise(FloatNear(1e-5f), expected)) << step;
  }
  g.operators[0].options = Table().scalar(0, int32_t{3});
  EXPECT_THAT(error_of(write({g})),
              HasSubstr("(SVDF): weights and state of shapes that do not fit, or rank 3"));
}

// x < 3 ? x + x : x * x, of one number.
TEST(TfliteControl, IfRunsOneBranch) {
  Graph main;
  const auto x = main.input({{1}}), limit = main.constant<float>({}, kFloat32, {3});
  const auto small = main.op(kLess, {x, limit}, {{1}, kBool});
  main.outputs = {main.op(kIf, {small, x}, {{1}}, Table().scalar(0, int32_t{1}).scalar(1, int32_t{2}))};
  const auto branch = [](int32_t op) {
    Graph g;
    const auto a = g.input({{1}});
    g.outputs = {g.op(op, {a, a}, {{1}})};
    return g;
  };
  const Bytes model = write({main, branch(kAdd), branch(kMul)});
  Inference inference(model);
  EXPECT_THAT(inference.run(std::vector<float>{2.5f}), ElementsAre(5));
  EXPECT_THAT(inference.run(std::vector<float>{4}), ElementsAre(16));
  EXPECT_THAT(error_of(write({main, branch(kAdd)})), HasSubstr("(IF): graph 2 of 2"));
  Graph nothing = branch(kAdd);
  nothing.outputs.clear();
  EXPECT_THAT(error_of(write({main, branch(kAdd), nothing})),
              HasSubstr("a branch has 0 results, expected 1"));
}

// while (i < n) { i += 1; x *= 2; } of n given.
std::vector<Graph> doubling() {
  Graph main, condition, body;
  const auto n = main.input({{1}}), i = main.constant<float>({1}, kFloat32, {0}),
             x = main.constant<float>({1}, kFloat32, {1});
  std::vector<int32_t> results;
  for (int k = 0; k < 3; ++k) results.push_back(main.add({{1}}));
  main.operators.push_back({kWhile, {i, n, x}, results, Table().scalar(0, int32_t{1}).scalar(1, int32_t{2})});
  main.outputs = {results[2]};
  const auto ci = condition.input({{1}}), cn = condition.input({{1}});
  condition.input({{1}});
  condition.outputs = {condition.op(kLess, {ci, cn}, {{1}, kBool})};
  const auto bi = body.input({{1}}), bn = body.input({{1}}), bx = body.input({{1}});
  const auto one = body.constant<float>({1}, kFloat32, {1}), two = body.constant<float>({1}, kFloat32, {2});
  body.outputs = {body.op(kAdd, {bi, one}, {{1}}), bn, body.op(kMul, {bx, two}, {{1}})};
  return {main, condition, body};
}

TEST(TfliteControl, WhileRunsItsBodyWhileTheConditionHolds) {
  Inference inference(write(doubling()));
  EXPECT_THAT(inference.run(std::vector<float>{5}), ElementsAre(32));
  EXPECT_THAT(inference.run(std::vector<float>{0}), ElementsAre(1));
  EXPECT_THAT(inference.run(std::vector<float>{10}), ElementsAre(1024));
}

TEST(TfliteControl, GraphsThatNameThemselvesOrMissOthersAreRefused) {
  auto graphs = doubling();
  // The body is a loop over itself.
  graphs[2].operators.push_back(
      {kWhile, graphs[2].inputs, {}, Table().scalar(0, int32_t{1}).scalar(1, int32_t{2})});
  for (int k = 0; k < 3; ++k) graphs[2].operators.back().outputs.push_back(graphs[2].add({{1}}));
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("graphs within graphs"));
  graphs = doubling();
  graphs[0].operators[0].options = Table().scalar(0, int32_t{1}).scalar(1, int32_t{0});
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("(WHILE): graph 0 of 3"));
  graphs = doubling();
  graphs[1].inputs.pop_back();
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("graph 1 has 2 inputs, given 3"));
  graphs = doubling();
  graphs[2].outputs.pop_back();
  EXPECT_THAT(error_of(write(graphs)), HasSubstr("a body of 3 variables with 2 results"));
}

// Files with other graphs and states, damaged: they load and compile, or say what is wrong.
TEST(TfliteControl, DamagedModelsAreSurvived) {
  std::mt19937 random(3);
  kernels::CompileOptions options;
  options.limits.max_tensor_bytes = 1 << 24;
  options.limits.max_context_bytes = 1 << 26;
  for (const Bytes& whole : {write(counter()), write(doubling()), lstm(2, true)}) {
    for (int round = 0; round < 300; ++round) {
      Bytes damaged = whole;
      for (int i = 0; i < 1 + round % 3; ++i)
        damaged[random() % damaged.size()] = static_cast<std::byte>(random() % 64);
      const auto model = load(damaged, options);
      EXPECT_TRUE(model || !model.error().message.empty());
    }
  }
}

TEST(Tflite, EdgesHaveTheNamesOfTheSignature) {
  Graph g;
  const auto x = g.input({{1}}), y = g.input({{1}});
  g.outputs = {g.op(kAdd, {x, y}, {{1}})};
  const Signature signature{"serving_default", {{"left", 0}, {"right", 1}}, {{"sum", 2}}};
  const auto model = load(write({g}, {signature}));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->inputs()[0].name, "left");
  EXPECT_EQ((*model)->inputs()[1].name, "right");
  EXPECT_EQ((*model)->outputs()[0].name, "sum");
}

}  // namespace
}  // namespace tenon::nn::test::tfl
