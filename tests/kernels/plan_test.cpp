// Plans: fast kernels with fusion and layouts against the plain reference, snapshot semantics, copied bytes,
// errors.
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;
using namespace testing_support;

// conv + batch norm + relu, twice with a residual add, pool, flatten, gemm, softmax.
Graph small_network() {
  GraphBuilder b("net");
  const auto x = *b.input("x", f32_type({1, 3, 32, 32}));
  const auto conv = [&](ValueId in, std::int64_t from, std::int64_t to, unsigned seed) {
    const auto w = *b.constant("w", random_tensor({to, from, 3, 3}, seed));
    auto y = *b.node(Op::Conv, {in, w}, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}}, {"conv", {}, 0});
    const auto scale = *b.constant("s", random_tensor({to}, seed + 1)),
               bias = *b.constant("b", random_tensor({to}, seed + 2));
    const auto mean = *b.constant("m", random_tensor({to}, seed + 3));
    const auto variance =
        *b.constant("v", tensor<float>({to}, std::vector<float>(static_cast<std::size_t>(to), 2.f)));
    return *b.node(Op::BatchNormalization, {y, scale, bias, mean, variance});
  };
  const auto a = *b.node(Op::Relu, {conv(x, 3, 20, 1)});
  const auto c = conv(a, 20, 20, 2);
  const auto sum = *b.node(Op::Relu, {*b.node(Op::Add, {c, a})});
  const auto sig = *b.node(Op::Sigmoid, {sum});
  const auto swish = *b.node(Op::Mul, {sum, sig});
  const auto pool = *b.node(
      Op::MaxPool, {swish},
      {{"kernel_shape", std::vector<std::int64_t>{2, 2}}, {"strides", std::vector<std::int64_t>{2, 2}}});
  const auto flat = *b.node(Op::Flatten, {pool});
  const auto w = *b.constant("w", random_tensor({10, 20 * 16 * 16}, 9)),
             bias = *b.constant("b", random_tensor({10}, 10));
  const auto y = *b.node(Op::Softmax, {*b.node(Op::Gemm, {flat, w, bias}, {{"transB", std::int64_t{1}}})});
  EXPECT_TRUE(b.add_output(y, "y"));
  return *std::move(b).finish();
}

TEST(Plan, NetworkAgreesWithReference) {
  const auto graph = small_network();
  const auto x = random_tensor({1, 3, 32, 32}, 5);
  CompileOptions reference;
  reference.reference = true;
  const auto expected = run(graph, {x}, reference);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const int threads : {1, 2}) {
    CompileOptions fast;
    fast.threads = threads;
    const auto got = run(graph, {x}, fast);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(relative_error(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor)),
              1e-5);
  }
}

TEST(Plan, FusesAndTakesNoReferenceImplementation) {
  const auto model = compile(small_network());
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  int convolutions = 0;
  for (const auto& step : context->steps()) {
    EXPECT_THAT(step.implementation, ::testing::Not(HasSubstr("ref")));
    EXPECT_NE(step.op, "Relu");
    EXPECT_NE(step.op, "BatchNormalization");
    if (step.op == "Conv" && step.implementation.find("jit") != std::string::npos) ++convolutions;
  }
  EXPECT_GE(convolutions, 2);
}

TEST(Plan, ImageModelCopiesNothing) {
  const auto model = *compile(small_network());
  const auto context = *model->create_context();
  const auto x = random_tensor({1, 3, 32, 32}, 5);
  std::array<float, 10> y{};
  ASSERT_TRUE(context->set_input(0, x.view()));
  ASSERT_TRUE(context->compute());
  ASSERT_TRUE(context->get_output(0, std::as_writable_bytes(std::span(y))));
  const auto& s = context->statistics();
  EXPECT_EQ(s.set_input.bytes_copied, 0u);
  EXPECT_EQ(s.get_output.bytes_copied, 0u);
  EXPECT_EQ(s.set_input.bytes_viewed, x.bytes().size());
  EXPECT_EQ(s.get_output.bytes_viewed, sizeof(y));
}

Graph two_operators() {
  GraphBuilder b("two");
  const auto x = *b.input("x", f32_type({1000}));
  EXPECT_TRUE(b.add_output(*b.node(Op::Exp, {*b.node(Op::Neg, {x})})));
  return *std::move(b).finish();
}

TEST(Snapshot, CallersBuffersMayChangeAtAnyPoint) {
  const auto model = *compile(two_operators());
  const auto context = *model->create_context();
  // Unaligned on purpose.
  std::vector<std::byte> memory(1 + 4000), result(3 + 4000);
  const auto fill = [&](float v) {
    for (std::size_t i = 0; i < 1000; ++i) std::memcpy(&memory[1 + 4 * i], &v, 4);
  };
  const auto view = TensorView{DataType::f32, {1000}, std::span(memory).subspan(1)};
  const auto read = [&] {
    EXPECT_EQ(*context->get_output(0, std::span(result).subspan(3)), 4000u);
    float v;
    std::memcpy(&v, &result[3 + 4 * 999], 4);
    return v;
  };
  fill(0);
  ASSERT_TRUE(context->set_input(0, view));
  fill(99);  // after set_input
  ASSERT_TRUE(context->compute());
  fill(77);  // after compute
  EXPECT_FLOAT_EQ(read(), 1);
  EXPECT_FLOAT_EQ(read(), 1);  // twice
  fill(1);
  ASSERT_TRUE(context->set_input(0, view));  // the next input before get_output
  EXPECT_FLOAT_EQ(read(), 1);
  ASSERT_TRUE(context->compute());
  EXPECT_FLOAT_EQ(read(), std::exp(-1.f));
  ASSERT_TRUE(context->compute());  // twice
  EXPECT_FLOAT_EQ(read(), std::exp(-1.f));
  EXPECT_EQ(context->statistics().set_input.bytes_copied + context->statistics().get_output.bytes_copied, 0u);
}

TEST(Snapshot, SingleOperatorCopiesOnce) {
  GraphBuilder b("one");
  const auto x = *b.input("x", f32_type({16}));
  ASSERT_TRUE(b.add_output(*b.node(Op::Neg, {x})));
  const auto model = *compile(*std::move(b).finish());
  const auto context = *model->create_context();
  std::array<float, 16> in{}, out{};
  in.fill(2);
  ASSERT_TRUE(context->set_input(0, {DataType::f32, {16}, std::as_bytes(std::span(in))}));
  in.fill(3);
  ASSERT_TRUE(context->compute());
  ASSERT_TRUE(context->set_input(0, {DataType::f32, {16}, std::as_bytes(std::span(in))}));
  ASSERT_TRUE(context->get_output(0, std::as_writable_bytes(std::span(out))));
  EXPECT_EQ(out[5], -2);
  const auto& s = context->statistics();
  EXPECT_EQ(s.set_input.bytes_copied + s.get_output.bytes_copied, 2 * 64u);  // two inputs, no output
}

TEST(Snapshot, IdentityAndOutputsOfInputsWork) {
  GraphBuilder b("id");
  const auto x = *b.input("x", f32_type({4}));
  ASSERT_TRUE(b.add_output(*b.node(Op::Identity, {x}), "a"));
  ASSERT_TRUE(b.add_output(x, "b"));
  ASSERT_TRUE(b.add_output(*b.constant("c", tensor<float>({1}, {7})), "c"));
  const auto out = run(*std::move(b).finish(), {tensor<float>({4}, {1, 2, 3, 4})});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(values_of<float>((*out)[0].tensor), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values_of<float>((*out)[1].tensor), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(values_of<float>((*out)[2].tensor), (std::vector<float>{7}));
}

TEST(Context, NamesWhatIsWrongWithAnInput) {
  const auto model = *compile(two_operators());
  const auto context = *model->create_context();
  std::array<float, 1000> data{};
  const auto bytes = std::as_bytes(std::span(data));
  EXPECT_EQ(context->set_input(1, {DataType::f32, {1000}, bytes}).error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(context->set_input(0, {DataType::i32, {1000}, bytes}).error().message,
              HasSubstr("expected f32"));
  EXPECT_FALSE(context->set_input(0, {DataType::f32, {999}, bytes.first(3996)}));
  EXPECT_FALSE(context->set_input(0, {DataType::f32, {1000}, bytes.first(3999)}));
  EXPECT_FALSE(context->set_input(0, {DataType::f32, {10, 100}, bytes}));
  EXPECT_EQ(context->compute().error().code, ErrorCode::runtime_error);
  EXPECT_FALSE(context->get_output(0, {}));
  ASSERT_TRUE(context->set_input(0, {DataType::f32, {1000}, bytes}));
  ASSERT_TRUE(context->compute());
  std::array<std::byte, 100> small{};
  const auto tight = context->get_output(0, small);
  EXPECT_EQ(tight.error().code, ErrorCode::too_large);
  EXPECT_EQ(tight.error().needed_bytes, 4000u);
  EXPECT_EQ(context->get_output(1, small).error().code, ErrorCode::invalid_argument);
}

TEST(Compile, RefusesUnsupportedTypesByNodeAlsoWhenShapesAreDynamic) {
  GraphBuilder b("m.onnx");
  const auto x = *b.input("x", ValueType::tensor(DataType::boolean, {Dim::named("n")}));
  ASSERT_TRUE(b.add_output(*b.node(Op::Exp, {x}, {}, {"e", "Exp", 13})));
  const auto model = compile(*std::move(b).finish());
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::unsupported_operation);
  EXPECT_THAT(model.error().message, HasSubstr("node 'e' (Exp, opset 13)"));
}

TEST(Compile, LimitsMemory) {
  GraphBuilder b("big");
  const auto x = *b.input("x", f32_type({1}));
  const auto shape = *b.constant("s", tensor<std::int64_t>({3}, {1 << 20, 1 << 20, 1 << 20}));
  ASSERT_TRUE(b.add_output(*b.node(Op::Expand, {x, shape}, {}, {"huge", {}, 0})));
  const auto model = compile(*std::move(b).finish());
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::too_large);
  EXPECT_THAT(model.error().message, HasSubstr("'huge'"));
}

// DenseNet's order (normalise, scale, shift, relu, convolve), residual Sum, and odd channel counts.
TEST(Plan, NormalisationBeforeConvolutionAgreesWithReference) {
  GraphBuilder b("pre");
  const auto x = *b.input("x", f32_type({2, 20, 9, 9}));
  const auto per_channel = [&](unsigned seed) { return *b.constant("c", random_tensor({20, 1, 1}, seed)); };
  const auto w0 = *b.constant("w", random_tensor({20, 20, 1, 1}, 11));
  const auto first = *b.node(Op::Conv, {x, w0});
  const auto branch = *b.node(Op::Relu, {first});
  const auto variance = *b.constant("v", tensor<float>({20}, std::vector<float>(20, 0.5f)));
  const auto list = [&](unsigned seed) { return *b.constant("s", random_tensor({20}, seed)); };
  const auto bn = *b.node(Op::BatchNormalization, {branch, list(1), list(2), list(3), variance});
  const auto scaled = *b.node(Op::Add, {*b.node(Op::Mul, {bn, per_channel(4)}), per_channel(5)});
  const auto active = *b.node(Op::Relu, {scaled});
  const auto w = *b.constant("w", random_tensor({20, 20, 3, 3}, 6));
  const auto conv = *b.node(Op::Conv, {active, w}, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}});
  ASSERT_TRUE(b.add_output(*b.node(Op::Relu, {*b.node(Op::Sum, {conv, branch})})));
  const auto graph = *std::move(b).finish();
  CompileOptions reference;
  reference.reference = true;
  const auto in = random_tensor({2, 20, 9, 9}, 7);
  const auto expected = run(graph, {in}, reference), got = run(graph, {in});
  ASSERT_TRUE(expected && got) << (got ? expected.error() : got.error()).message;
  EXPECT_LT(relative_error(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor)),
            1e-5);
  const auto context = *(*compile(graph))->create_context();
  for (const auto& step : context->steps()) {
    EXPECT_NE(step.op, "Relu");
    EXPECT_NE(step.op, "Sum");
    EXPECT_THAT(step.implementation, ::testing::Not(HasSubstr("tenon")));
  }
}

// Rows, single constants, other tensors, changing types; and a size that is no whole number of blocks.
TEST(Plan, ElementWiseChainsAreOneStepAndAgreeWithReference) {
  GraphBuilder b("chain");
  const Dims dims{7, 61, 80};
  const auto x = *b.input("x", f32_type(dims)), y = *b.input("y", f32_type(dims));
  const auto scalar = [&](float v) { return *b.constant("c", tensor<float>({1, 1}, {v})); };
  auto v = *b.node(Op::Transpose, {x}, {{"perm", std::vector<std::int64_t>{0, 1, 2}}});
  v = *b.node(Op::Div, {v, scalar(1.4142135f)});
  v = *b.node(Op::Erf, {v});
  v = *b.node(Op::Add, {v, scalar(1)});
  v = *b.node(Op::Mul, {v, y});
  v = *b.node(Op::Add, {v, *b.constant("row", random_tensor({1, 80}, 3))});
  v = *b.node(Op::Tanh, {v});
  v = *b.node(Op::Where, {*b.node(Op::Greater, {v, scalar(0.25f)}), scalar(2), y});
  ASSERT_TRUE(b.add_output(*b.node(Op::Transpose, {v}, {{"perm", std::vector<std::int64_t>{2, 1, 0}}})));
  const auto graph = *std::move(b).finish();
  CompileOptions reference;
  reference.reference = true;
  const std::vector in{random_tensor(dims, 7), random_tensor(dims, 8)};
  const auto expected = run(graph, in, reference);
  ASSERT_TRUE(expected) << expected.error().message;
  for (const int threads : {1, 2}) {
    CompileOptions fast;
    fast.threads = threads;
    const auto got = run(graph, in, fast);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_LT(relative_error(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor)),
              1e-5);
  }
  const auto context = *(*compile(graph))->create_context();
  EXPECT_TRUE(std::ranges::any_of(context->steps(),
                                  [](const auto& s) { return s.implementation.starts_with("tenon chain"); }));
  EXPECT_LE(context->steps().size(), 4u);
}

// Found by random graphs: oneDNN 2.6 takes channels for batches where each has one position.
TEST(Plan, NormalisationOfSinglePositionsInABatchAgreesWithReference) {
  GraphBuilder b("positions");
  const auto x = *b.input("x", f32_type({5, 8, 1, 1}));
  const auto list = [&](unsigned seed) { return *b.constant("s", random_tensor({8}, seed)); };
  const auto variance = *b.constant("v", tensor<float>({8}, std::vector<float>(8, 0.5f)));
  ASSERT_TRUE(b.add_output(*b.node(
      Op::Relu,
      {*b.node(Op::BatchNormalization, {*b.node(Op::Neg, {x}), list(1), list(2), list(3), variance})})));
  const auto graph = *std::move(b).finish();
  CompileOptions reference;
  reference.reference = true;
  const auto in = random_tensor({5, 8, 1, 1}, 7);
  const auto expected = run(graph, {in}, reference), got = run(graph, {in});
  ASSERT_TRUE(expected && got);
  EXPECT_LT(relative_error(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor)),
            1e-5);
}

// Found by random graphs: oneDNN 2.6 looks for the term elsewhere when it computes the convolution as a product.
TEST(Plan, TermOfEachElementAfterAConvolution) {
  struct Case {
    Dims x, weights, result;
    std::vector<std::int64_t> pads;
  };
  const Case cases[] = {{{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 2, 2}, {1, 1, 0, 0}},
                        {{1, 1, 1}, {10, 1, 1}, {1, 10, 2}, {1, 0}},
                        {{1, 1, 1, 1}, {16, 1, 2, 2}, {1, 16, 3, 3}, {2, 2, 1, 1}}};
  for (const auto& c : cases) {
    GraphBuilder b("g");
    const auto x = *b.input("x", f32_type(c.x));
    const auto w = *b.constant("w", random_tensor(c.weights, 1)),
               term = *b.constant("t", random_tensor(c.result, 2)),
               bias = *b.constant("b", random_tensor({c.weights[0]}, 4));
    const auto y = *b.node(Op::Conv, {x, w, bias}, {{"pads", c.pads}});
    EXPECT_TRUE(b.add_output(*b.node(Op::Add, {y, term}), "y"));
    const auto graph = *std::move(b).finish();
    const auto in = random_tensor(c.x, 3);
    CompileOptions reference;
    reference.reference = true;
    const auto expected = run(graph, {in}, reference), got = run(graph, {in});
    ASSERT_TRUE(expected && got);
    EXPECT_LT(relative_error(values_of<float>((*got)[0].tensor), values_of<float>((*expected)[0].tensor)),
              1e-5)
        << to_string(c.x);
  }
}

TEST(Plan, DynamicBatchMakesAPlanForEachShape) {
  GraphBuilder b("dyn");
  const auto x = *b.input("x", ValueType::tensor(DataType::f32, {Dim::named("n"), Dim::constant(8)}));
  const auto w = *b.constant("w", random_tensor({8, 4}, 1));
  const auto y = *b.node(Op::Relu, {*b.node(Op::MatMul, {x, w})});
  const auto shape = *b.node(Op::Shape, {y});
  ASSERT_TRUE(b.add_output(*b.node(Op::Softmax, {*b.node(Op::Reshape, {y, shape})})));
  const auto model = *compile(*std::move(b).finish());
  const auto context = *model->create_context();
  for (const std::int64_t n : {1, 5, 1, 3, 5}) {
    const auto in = random_tensor({n, 8}, 3);
    ASSERT_TRUE(context->set_input(0, in.view()));
    ASSERT_TRUE(context->compute());
    const auto out = context->get_output_value(0);
    ASSERT_TRUE(out) << out.error().message;
    EXPECT_EQ(out->tensor.dims(), (Dims{n, 4}));
  }
  EXPECT_EQ(context->statistics().plans_made, 3u);
  EXPECT_EQ(context->statistics().set_input.bytes_copied, 0u);
}

TEST(Interpreter, LoopSumsAndScansWithDataDependentTripCount) {
  GraphBuilder body("loop");
  const auto i = *body.input("i", ValueType::tensor(DataType::i64, Dims{}));
  const auto cond = *body.input("c", ValueType::tensor(DataType::boolean, Dims{}));
  const auto acc = *body.input("acc", ValueType::tensor(DataType::i64, Dims{}));
  const auto next = *body.node(Op::Add, {acc, i});
  ASSERT_TRUE(body.add_output(cond));
  ASSERT_TRUE(body.add_output(next));
  ASSERT_TRUE(body.add_output(next));
  const auto sub = std::make_shared<const Graph>(*std::move(body).finish());
  GraphBuilder b("loop");
  const auto n = *b.input("n", ValueType::tensor(DataType::i64, Dims{}));
  const auto zero = *b.constant("z", tensor<std::int64_t>({}, {0}));
  const auto sum = b.add_value("sum"), all = b.add_value("all");
  ASSERT_TRUE(b.add_node(Op::Loop, std::array{n, kAbsent, zero}, std::array{sum, all}, {{"body", sub}}, {}));
  ASSERT_TRUE(b.add_output(sum));
  ASSERT_TRUE(b.add_output(all));
  const auto out = run(*std::move(b).finish(), {tensor<std::int64_t>({}, {4})});
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(values_of<std::int64_t>((*out)[0].tensor), (std::vector<std::int64_t>{6}));
  EXPECT_EQ(values_of<std::int64_t>((*out)[1].tensor), (std::vector<std::int64_t>{0, 1, 3, 6}));
}

// Convolutions before and after a node whose size depends on data have plans; only that node runs alone.
TEST(Segments, OnlyNodesThatDependOnDataRunAlone) {
  GraphBuilder b("cut");
  const auto x = *b.input("x", f32_type({1, 16, 12, 12}));
  const auto conv = [&](ValueId in, unsigned seed) {
    const auto w = *b.constant("w", random_tensor({16, 16, 3, 3}, seed));
    return *b.node(Op::Relu, {*b.node(Op::Conv, {in, w}, {{"pads", std::vector<std::int64_t>{1, 1, 1, 1}}})});
  };
  const auto before = conv(conv(x, 1), 2);
  const auto rows = *b.input("rows", ValueType::tensor(DataType::boolean, Dims{12}));
  const auto kept = *b.node(Op::Compress, {before, rows}, {{"axis", std::int64_t{2}}});
  ASSERT_TRUE(b.add_output(conv(conv(kept, 3), 4)));
  const auto graph = *std::move(b).finish();
  const auto model = *compile(graph);
  const auto context = *model->create_context();
  CompileOptions reference;
  reference.reference = true;
  const auto in = random_tensor({1, 16, 12, 12}, 7);
  for (const int kept_rows : {5, 12, 5, 1}) {
    auto mask = *Tensor::allocate(DataType::boolean, {12});
    for (int i = 0; i < kept_rows; ++i) mask.mutable_data()[i] = std::byte{1};
    ASSERT_TRUE(context->set_input(0, in.view()));
    ASSERT_TRUE(context->set_input(1, mask.view()));
    const auto done = context->compute();
    ASSERT_TRUE(done) << done.error().message;
    const auto got = context->get_output_value(0);
    const auto expected = run(graph, {in, mask}, reference);
    ASSERT_TRUE(got && expected);
    EXPECT_EQ(got->tensor.dims(), (Dims{1, 16, kept_rows, 12}));
    EXPECT_LT(relative_error(values_of<float>(got->tensor), values_of<float>((*expected)[0].tensor)), 1e-5);
  }
  const auto steps = context->steps();
  EXPECT_EQ(std::ranges::count_if(steps, [](const auto& s) { return s.op == "Conv" && s.flops > 1000; }), 4);
  EXPECT_EQ(std::ranges::count(steps, "Relu", &StepInfo::op), 0);  // fused: they are in plans
}

// Shapes that small inputs decide, and shapes computed from data on the way.
TEST(Segments, ContentsOfSmallOperandsDecidePlans) {
  GraphBuilder b("contents");
  const auto x = *b.input("x", f32_type({2, 6}));
  const auto shape = *b.input("shape", ValueType::tensor(DataType::i64, Dims{2}));
  const auto y = *b.node(Op::Exp, {*b.node(Op::Reshape, {*b.node(Op::Neg, {x}), shape})});
  const auto largest = *b.node(Op::Cast, {*b.node(Op::ReduceMax, {x}, {{"keepdims", std::int64_t{0}}})},
                               {{"to", std::int64_t{7}}});
  const auto one = *b.constant("1", tensor<std::int64_t>({}, {1})),
             zero = *b.constant("0", tensor<std::int64_t>({}, {0}));
  const auto range = *b.node(Op::Add, {*b.node(Op::Range, {zero, largest, one}), one});
  ASSERT_TRUE(b.add_output(y));
  ASSERT_TRUE(b.add_output(range));
  const auto model = *compile(*std::move(b).finish());
  const auto context = *model->create_context();
  for (const std::int64_t rows : {3, 4, 3, 12}) {
    auto in = tensor<float>({2, 6}, std::vector<float>(12, static_cast<float>(rows)));
    ASSERT_TRUE(context->set_input(0, in.view()));
    ASSERT_TRUE(context->set_input(1, tensor<std::int64_t>({2}, {rows, 12 / rows}).view()));
    const auto done = context->compute();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(context->get_output_value(0)->tensor.dims(), (Dims{rows, 12 / rows}));
    EXPECT_EQ(context->get_output_value(1)->tensor.dims(), (Dims{rows}));
    EXPECT_FLOAT_EQ(values_of<float>(context->get_output_value(0)->tensor)[5],
                    std::exp(-static_cast<float>(rows)));
  }
}

TEST(Interpreter, StopsOnRequest) {
  GraphBuilder body("loop");
  ASSERT_TRUE(body.input("i", ValueType::tensor(DataType::i64, Dims{})));
  const auto cond = *body.input("c", ValueType::tensor(DataType::boolean, Dims{}));
  ASSERT_TRUE(body.add_output(cond));
  const auto x = *body.input("x", f32_type({}));
  ASSERT_TRUE(body.add_output(*body.node(Op::Neg, {x})));
  const auto sub = std::make_shared<const Graph>(*std::move(body).finish());
  GraphBuilder b("forever");
  const auto start = *b.input("x", f32_type({}));
  const auto y = b.add_value("y");
  ASSERT_TRUE(b.add_node(Op::Loop, std::array{kAbsent, kAbsent, start}, std::array{y}, {{"body", sub}}, {}));
  ASSERT_TRUE(b.add_output(y));
  const auto model = *compile(*std::move(b).finish());
  const auto context = *model->create_context();
  ASSERT_TRUE(context->set_input(0, tensor<float>({}, {1}).view()));
  ComputeOptions options;
  options.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  EXPECT_EQ(context->compute(options).error().code, ErrorCode::interrupted);
}

}  // namespace
}  // namespace tenon::kernels
