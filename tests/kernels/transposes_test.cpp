// Transposes that vanish: between operators, at the edges of a graph, around quantised operators; and every operator
// that one may pass, against the reference.
#include "kernels/rewrite.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;
using namespace testing_support;
using Integers = std::vector<std::int64_t>;

const Integers kToLast{0, 2, 3, 1}, kToFirst{0, 3, 1, 2};

// Builds graphs as importers of formats with channels last do: each spatial operator between two transposes.
struct ChannelsLast {
  GraphBuilder b{"net"};
  unsigned seed = 1;

  ValueId transpose(ValueId x, const Integers& perm) { return *b.node(Op::Transpose, {x}, {{"perm", perm}}); }
  ValueId integers(Integers values) {
    return *b.constant("i", tensor<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  }
  ValueId floats(const Dims& dims) { return *b.constant("f", random_tensor(dims, seed++)); }
  ValueId conv(ValueId x, std::int64_t from, std::int64_t to, std::int64_t size, std::int64_t group = 1) {
    const Integers pads(4, size / 2);
    const auto y =
        *b.node(Op::Conv, {transpose(x, kToFirst), floats({to, from / group, size, size}), floats({to})},
                {{"pads", pads}, {"group", group}});
    return transpose(y, kToLast);
  }
  ValueId pool(ValueId x) {
    const auto y = *b.node(Op::MaxPool, {transpose(x, kToFirst)},
                           {{"kernel_shape", Integers{2, 2}}, {"strides", Integers{2, 2}}});
    return transpose(y, kToLast);
  }
  Graph finish(std::initializer_list<ValueId> outputs) {
    for (const auto id : outputs) EXPECT_TRUE(b.add_output(id));
    return *std::move(b).finish();
  }
};

void expect_agreement(const Graph& graph, const std::vector<Tensor>& inputs) {
  CompileOptions reference;
  reference.reference = true;
  const auto expected = run(graph, inputs, reference);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const int threads : {1, 2}) {
    CompileOptions options;
    options.threads = threads;
    const auto got = run(graph, inputs, options);
    ASSERT_TRUE(got) << got.error().message;
    for (std::size_t i = 0; i < expected->size(); ++i) {
      const auto &a = (*got)[i].tensor, &e = (*expected)[i].tensor;
      ASSERT_EQ(a.dims(), e.dims());
      if (e.type() == DataType::f32) {
        EXPECT_LT(relative_error(values_of<float>(a), values_of<float>(e)), 1e-5);
      } else {
        EXPECT_TRUE(std::ranges::equal(a.bytes(), e.bytes()));
      }
    }
  }
}

int count(const Graph& graph, Op op) {
  return static_cast<int>(std::ranges::count(graph.nodes(), op, &Node::op));
}

// Residual network with channels last.
Graph small_network() {
  ChannelsLast n;
  const auto x = *n.b.input("x", f32_type({1, 16, 16, 3}));
  const auto a = *n.b.node(Op::Relu, {n.conv(x, 3, 16, 3)});
  const auto c = *n.b.node(Op::Add, {n.conv(n.conv(a, 16, 16, 3, 16), 16, 16, 1), a});
  const auto p = n.pool(*n.b.node(Op::Clip, {c, *n.b.constant("low", tensor<float>({}, {0})),
                                             *n.b.constant("high", tensor<float>({}, {6}))}));
  const auto padded = *n.b.node(Op::Pad, {p, n.integers({0, 1, 1, 0, 0, 1, 1, 0})});
  const auto y = *n.b.node(Op::Mul, {n.conv(padded, 16, 24, 3), n.floats({24})});
  return n.finish({y});
}

TEST(Transposes, NoneAreLeftBetweenOperators) {
  const auto graph = small_network();
  EXPECT_EQ(count(graph, Op::Transpose), 10);
  const auto sunk = sink_transposes(graph, {});
  ASSERT_TRUE(sunk) << sunk.error().message;
  EXPECT_EQ(count(*sunk, Op::Transpose), 2);  // at the input and at the output
  expect_agreement(graph, {random_tensor({1, 16, 16, 3}, 7)});
}

TEST(Transposes, ThoseAtTheEdgesCostNoStepAndNoCopy) {
  const auto model = compile(small_network());
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  for (const auto& step : context->steps()) {
    EXPECT_NE(step.op, "Transpose");
    EXPECT_THAT(step.implementation, ::testing::Not(HasSubstr("reorder")));
  }
  const auto x = random_tensor({1, 16, 16, 3}, 5);
  std::vector<float> y(1 * 10 * 10 * 24);
  ASSERT_TRUE(context->set_input(0, x.view()));
  ASSERT_TRUE(context->compute());
  ASSERT_TRUE(context->get_output(0, std::as_writable_bytes(std::span(y))));
  EXPECT_EQ(context->statistics().set_input.bytes_copied, 0u);
  EXPECT_EQ(context->statistics().get_output.bytes_copied, 0u);
}

// One operator between a pair of transposes, on [2, 3, 4, 5] seen as [2, 4, 5, 3].
struct Passed {
  const char* name;
  std::function<ValueId(ChannelsLast&, ValueId)> make;
};
const Passed kPassed[] = {
    {"unary", [](auto& n, ValueId x) { return *n.b.node(Op::Abs, {x}); }},
    {"cast", [](auto& n, ValueId x) { return *n.b.node(Op::Cast, {x}, {{"to", std::int64_t{6}}}); }},
    {"scalar", [](auto& n, ValueId x) { return *n.b.node(Op::Add, {x, n.floats({})}); }},
    {"channel", [](auto& n, ValueId x) { return *n.b.node(Op::Sub, {n.floats({3}), x}); }},
    {"column", [](auto& n, ValueId x) { return *n.b.node(Op::Mul, {x, n.floats({4, 1, 1})}); }},
    {"whole", [](auto& n, ValueId x) { return *n.b.node(Op::Mul, {x, n.floats({2, 4, 5, 3})}); }},
    {"prelu", [](auto& n, ValueId x) { return *n.b.node(Op::PRelu, {x, n.floats({1, 1, 3})}); }},
    {"concat",
     [](auto& n, ValueId x) {
       return *n.b.node(Op::Concat, {x, n.floats({2, 4, 5, 2})}, {{"axis", std::int64_t{-1}}});
     }},
    {"pad", [](auto& n, ValueId x) { return *n.b.node(Op::Pad, {x, n.integers({0, 1, 2, 0, 0, 3, 0, 1})}); }},
    {"pad axes",
     [](auto& n, ValueId x) {
       return *n.b.node(Op::Pad, {x, n.integers({1, 2, 3, 0}), kAbsent, n.integers({3, 1})});
     }},
    {"slice",
     [](auto& n, ValueId x) { return *n.b.node(Op::Slice, {x, n.integers({1, 0}), n.integers({2, 3})}); }},
    {"slice axes",
     [](auto& n, ValueId x) {
       return *n.b.node(
           Op::Slice, {x, n.integers({3, 1}), n.integers({0, 5}), n.integers({-3, 2}), n.integers({-1, 2})});
     }},
    {"split",
     [](auto& n, ValueId x) {
       return *n.b.node(Op::Split, {x}, {{"axis", std::int64_t{1}}, {"num_outputs", std::int64_t{1}}});
     }},
    {"tile", [](auto& n, ValueId x) { return *n.b.node(Op::Tile, {x, n.integers({1, 2, 1, 3})}); }},
    {"expand", [](auto& n, ValueId x) { return *n.b.node(Op::Expand, {x, n.integers({5, 3})}); }},
    {"softmax", [](auto& n, ValueId x) { return *n.b.node(Op::Softmax, {x}, {{"axis", std::int64_t{-1}}}); }},
    {"mean", [](auto& n, ValueId x) { return *n.b.node(Op::ReduceMean, {x, n.integers({1, 2})}); }},
    {"all", [](auto& n, ValueId x) { return *n.b.node(Op::ReduceMax, {x}); }},
    {"resize",
     [](auto& n, ValueId x) {
       return *n.b.node(Op::Resize, {x, kAbsent, kAbsent, n.integers({2, 8, 7, 3})},
                        {{"mode", std::string("linear")}});
     }},
    {"cumulative",
     [](auto& n, ValueId x) {
       return *n.b.node(Op::CumSum, {x, *n.b.constant("axis", tensor<std::int64_t>({}, {2}))});
     }},
};

TEST(Transposes, PassOperatorsThatWorkUnderAnyOrder) {
  for (const auto& passed : kPassed) {
    SCOPED_TRACE(passed.name);
    ChannelsLast n;
    const auto x = *n.b.input("x", f32_type({2, 3, 4, 5}));
    const auto graph = n.finish({n.transpose(passed.make(n, n.transpose(x, kToLast)), kToFirst)});
    const auto sunk = sink_transposes(graph, {});
    ASSERT_TRUE(sunk) << sunk.error().message;
    EXPECT_EQ(count(*sunk, Op::Transpose), 0);
    expect_agreement(graph, {random_tensor({2, 3, 4, 5}, 7)});
  }
}

TEST(Transposes, LoseTheAxesThatAReductionTakes) {
  for (const auto& [axes, left] :
       {std::pair{Integers{1, 2}, 0}, {Integers{3}, 0}, {Integers{1}, 1}, {Integers{0, -1}, 0}}) {
    ChannelsLast n;
    const auto x = *n.b.input("x", f32_type({2, 3, 4, 5}));
    const auto y = *n.b.node(Op::ReduceSum, {n.transpose(x, kToLast), n.integers(axes)},
                             {{"keepdims", std::int64_t{0}}});
    const auto graph = n.finish({y});
    EXPECT_EQ(count(*sink_transposes(graph, {}), Op::Transpose), left);
    expect_agreement(graph, {random_tensor({2, 3, 4, 5}, 7)});
  }
  ChannelsLast n;
  const auto x = *n.b.input("x", f32_type({2, 3, 4, 5}));
  const auto y = *n.b.node(Op::ArgMax, {n.transpose(x, kToLast)},
                           {{"axis", std::int64_t{3}}, {"keepdims", std::int64_t{0}}});
  expect_agreement(n.finish({y}), {random_tensor({2, 3, 4, 5}, 7)});
}

TEST(Transposes, StayBeforeOperatorsThatDependOnTheOrder) {
  ChannelsLast n;
  const auto x = *n.b.input("x", f32_type({2, 3, 4, 5}));
  const auto seen = n.transpose(x, kToLast);
  const auto flat = *n.b.node(Op::Reshape, {*n.b.node(Op::Relu, {seen}), n.integers({2, -1})});
  const auto shape = *n.b.node(Op::Shape, {seen});
  const auto sum =
      *n.b.node(Op::Add, {seen, *n.b.input("y", f32_type({2, 4, 5, 3}))});  // an operand without an order
  expect_agreement(n.finish({flat, shape, sum, seen}),
                   {random_tensor({2, 3, 4, 5}, 7), random_tensor({2, 4, 5, 3}, 8)});
}

TEST(Transposes, OfOneLineAreViews) {
  ChannelsLast n;
  const auto x = *n.b.input("x", f32_type({1, 8, 8, 3}));
  const auto features = n.conv(x, 3, 16, 3);
  const auto mean =
      *n.b.node(Op::ReduceMean, {features, n.integers({1, 2})}, {{"keepdims", std::int64_t{0}}});
  const auto weight = *n.b.node(Op::Sigmoid, {*n.b.node(Op::MatMul, {mean, n.floats({16, 16})})});
  auto gate = *n.b.node(Op::Reshape, {weight, n.integers({1, 1, 1, 16})});
  n.b.set_type(gate, f32_type({1, 1, 1, 16}));
  const auto graph = n.finish({n.conv(*n.b.node(Op::Mul, {features, gate}), 16, 8, 1)});
  const auto model = compile(graph);
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  for (const auto& step : context->steps()) EXPECT_NE(step.op, "Transpose");
  expect_agreement(graph, {random_tensor({1, 8, 8, 3}, 7)});
}

TEST(Transposes, AreKnownToBodiesThatCaptureThem) {
  GraphBuilder body("body");
  const auto inner = body.add_value("inner");
  ChannelsLast n;
  const auto x = *n.b.input("x", f32_type({2, 3, 4, 5}));
  const auto once = n.transpose(x, kToLast);
  const auto twice = n.transpose(once, kToFirst);  // x itself, under another number
  ASSERT_TRUE(body.define_capture(inner, twice));
  ASSERT_TRUE(body.add_output(*body.node(Op::Neg, {inner})));
  const auto shared = std::make_shared<const Graph>(*std::move(body).finish());
  const auto condition = *n.b.input("c", ValueType::tensor(DataType::boolean, Dims{}));
  const auto y = *n.b.node(Op::If, {condition}, {{"then_branch", shared}, {"else_branch", shared}});
  const std::byte yes[] = {std::byte{1}};
  expect_agreement(n.finish({y}),
                   {random_tensor({2, 3, 4, 5}, 7), *Tensor::copy(DataType::boolean, {}, yes)});
}

// u8 → dequantised → conv between transposes → quantised.
TEST(Transposes, LeaveQuantisedConvolutionsInIntegers) {
  ChannelsLast n;
  const auto number = [&](float v) { return *n.b.constant("s", tensor<float>({}, {v})); };
  const auto zero = *n.b.constant("z", tensor<std::uint8_t>({}, {128}));
  auto x = *n.b.input("x", ValueType::tensor(DataType::u8, Dims{1, 12, 12, 8}));
  for (int i = 0; i < 2; ++i) {
    std::vector<std::uint8_t> codes(16 * 8 * 9);
    for (std::size_t k = 0; k < codes.size(); ++k) codes[k] = static_cast<std::uint8_t>(k * 37 % 251);
    const auto stored =
        *n.b.constant("w", tensor<std::uint8_t>({8, 3, 3, 16 / 2}, {codes.begin(), codes.begin() + 576}));
    const auto real = *n.b.node(Op::DequantizeLinear, {x, number(0.02f), zero});
    const auto weights =
        *n.b.node(Op::DequantizeLinear, {n.transpose(stored, kToFirst), number(0.01f), zero});
    const auto y = *n.b.node(Op::Conv, {n.transpose(real, kToFirst), weights}, {{"pads", Integers(4, 1)}});
    x = *n.b.node(Op::QuantizeLinear, {n.transpose(y, kToLast), number(0.3f), zero});
  }
  const auto model = compile(n.finish({x}));
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  std::vector<std::string> ops;
  for (const auto& step : context->steps()) ops.push_back(step.op);
  EXPECT_THAT(ops, ::testing::ElementsAre("QLinearConv", "QLinearConv"));
}

TEST(Transposes, WithWrongAxesAreRefusedByName) {
  for (const Integers& perm : {Integers{0, 0, 1, 2}, Integers{0, 1, 2}, Integers{0, 1, 2, 9}}) {
    ChannelsLast n;
    const auto x = *n.b.input("x", f32_type({2, 3, 4, 5}));
    const auto y = *n.b.node(Op::Transpose, {x}, {{"perm", perm}}, {"turn", {}, 0});
    const auto model = compile(n.finish({*n.b.node(Op::Relu, {y})}));
    ASSERT_FALSE(model);
    EXPECT_THAT(model.error().message, HasSubstr("turn"));
  }
}

TEST(Transposes, WithAxesCountedFromTheEndAreLeftAlone) {
  ChannelsLast n;
  const auto x = *n.b.input("x", f32_type({1, 8, 8, 3}));
  const auto y = *n.b.node(Op::Conv, {n.transpose(x, {0, -1, 1, 2}), n.floats({4, 3, 1, 1})});
  const auto view = n.transpose(n.floats({1, 1, 5}), {-1, 0, 1});
  expect_agreement(n.finish({*n.b.node(Op::Add, {n.transpose(y, {0, 2, 3, 1}), n.floats({1})}), view}),
                   {random_tensor({1, 8, 8, 3}, 3)});
}

}  // namespace
}  // namespace tenon::kernels
