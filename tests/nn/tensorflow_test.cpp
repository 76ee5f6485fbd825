// The TensorFlow importer: nodes against their definition, functions and control flow of both versions, variables, and
// what damaged or hostile models are told. Whole models are models_test.cpp's.
#include "wasi-nn/formats/tf_importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/image.h"
#include "kernels/plan.h"
#include "tests/nn/guest.h"
#include "tests/nn/imported.h"
#include "tests/nn/test_data.h"
#include "tests/nn/tf_writer.h"
#include "wasi-nn/formats/detect.h"
#include "wasi-nn/formats/tf_table.h"
#include "wasi-nn/golden.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::ErrorCode;
using kernels::Tensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace w = test::tf;
using w::Bytes;

ModelSource source_of(const Bytes& bytes) {
  ModelSource source;
  source.file = "m.pb";
  source.bytes = w::as_bytes(bytes);
  return source;
}

using test::Outputs;

Result<Outputs> compute(const ModelSource& source, const std::vector<std::vector<float>>& inputs) {
  return test::compute(TENON_TRY(import_tensorflow(source)), inputs);
}

Outputs run(const Bytes& bytes, const std::vector<std::vector<float>>& inputs) {
  auto outputs = compute(source_of(bytes), inputs);
  EXPECT_TRUE(outputs) << outputs.error().message;
  return outputs ? *std::move(outputs) : Outputs(8);
}

void expect_error(const Bytes& bytes, ErrorCode code, const std::string& text) {
  const auto result = compute(source_of(bytes), {});
  ASSERT_FALSE(result) << "runs, expected: " << text;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(text));
}

void expect_runtime_error(const Bytes& bytes, const std::vector<std::vector<float>>& inputs,
                          const std::string& text) {
  const auto result = compute(source_of(bytes), inputs);
  ASSERT_FALSE(result) << "runs, expected: " << text;
  EXPECT_EQ(result.error().code, ErrorCode::runtime_error);
  EXPECT_THAT(result.error().message, HasSubstr(text));
}

// y = relu(x · w + b)
Bytes dense() {
  return w::graph({w::placeholder("x", {1, 2}), w::floats("w", {2, 2}, {1, -1, 2, 3}),
                   w::floats("b", {2}, {0.5f, -20}), w::node("m", "MatMul", {"x", "w"}),
                   w::node("a", "BiasAdd", {"m", "b"}), w::node("y", "Relu", {"a", "^x"})});
}

TEST(TensorFlow, GraphRunsAndNamesItsEdges) {
  const Bytes bytes = dense();
  const auto imported = import_tensorflow(source_of(bytes));
  ASSERT_TRUE(imported) << imported.error().message;
  const kernels::Graph& graph = imported->graph;
  EXPECT_EQ(graph.value(graph.inputs()[0]).name, "x");
  EXPECT_EQ(graph.output_name(0), "y");
  EXPECT_EQ(imported->summary.operators.at("MatMul"), 1u);
  EXPECT_THAT(run(bytes, {{3, 4}})[0], ElementsAre(11.5, 0));
}

TEST(TensorFlow, OnlyWhatOutputsNeedIsImported) {
  const Bytes bytes = w::graph({w::placeholder("x", {2}), w::node("odd", "NoSuchOperator", {"x"}),
                                w::node("done", "NoOp", {"^odd"}), w::node("y", "Neg", {"x", "^odd"})});
  EXPECT_THAT(run(bytes, {{1, -2}})[0], ElementsAre(-1, 2));
}

TEST(TensorFlow, FunctionsAreWrittenOutWhereTheyAreCalled) {
  // f(a, b) = (a - b, a · b), through a function that calls it by attribute, and by name.
  const Bytes f = w::function("f", {{"a", w::kFloat}, {"b", w::kFloat}}, {{"d", "s:z:0"}, {"p", "m:z:0"}},
                              {w::node("s", "Sub", {"a", "b"}), w::node("m", "Mul", {"a", "b"})});
  const Bytes g = w::function("g", {{"a", w::kFloat}}, {{"r", "c:p:0"}}, {w::node("c", "f", {"a", "a"})});
  const Bytes bytes =
      w::graph({w::placeholder("x", {2}), w::placeholder("y", {2}),
                w::node("call", "PartitionedCall", {"x", "y"}, {{"f", w::function_value("f")}}),
                w::node("square", "StatefulPartitionedCall", {"call"}, {{"f", w::function_value("g")}}),
                w::node("both", "Add", {"square", "call:1"})},
               {f, g});
  EXPECT_THAT(run(bytes, {{5, 1}, {2, 4}})[0], ElementsAre(19, 13));
}

Bytes less_than_ten() {
  return w::function("less", {{"v", w::kFloat}, {"step", w::kFloat}}, {{"c", "l:z:0"}},
                     {w::floats("ten", {}, {10}), w::node("l", "Less", {"v", "ten:output:0"})});
}

TEST(TensorFlow, WhileRunsItsBodyAndKeepsWhatDoesNotChange) {
  const Bytes body =
      w::function("body", {{"v", w::kFloat}, {"step", w::kFloat}}, {{"v2", "a:z:0"}, {"s2", "i:output:0"}},
                  {w::node("a", "Add", {"v", "step"}), w::node("i", "Identity", {"step"})});
  const Bytes bytes =
      w::graph({w::placeholder("x", {}), w::floats("three", {}, {3}),
                w::node("loop", "StatelessWhile", {"x", "three"},
                        {{"cond", w::function_value("less")}, {"body", w::function_value("body")}}),
                w::node("y", "Identity", {"loop"}), w::node("step", "Neg", {"loop:1"})},
               {less_than_ten(), body});
  const auto outputs = run(bytes, {{2}});
  EXPECT_THAT(outputs[0], ElementsAre(11));
  EXPECT_THAT(outputs[1], ElementsAre(-3));
  EXPECT_THAT(run(bytes, {{20}})[0], ElementsAre(20));
}

TEST(TensorFlow, IfTakesTheBranchThatTheConditionSays) {
  const Bytes yes = w::function("yes", {{"v", w::kFloat}}, {{"r", "n:y:0"}}, {w::node("n", "Neg", {"v"})});
  const Bytes no = w::function("no", {{"v", w::kFloat}}, {{"r", "v"}}, {});
  const Bytes bytes = w::graph(
      {w::placeholder("x", {}), w::floats("zero", {}, {0}), w::node("p", "Less", {"x", "zero"}),
       w::node("y", "If", {"p", "x"},
               {{"then_branch", w::function_value("yes")}, {"else_branch", w::function_value("no")}})},
      {yes, no});
  EXPECT_THAT(run(bytes, {{-4}})[0], ElementsAre(4));
  EXPECT_THAT(run(bytes, {{5}})[0], ElementsAre(5));
}

// cond(p, 2x, x + 1) of version 1; a second Merge shares the conditional.
Bytes old_conditional(const Bytes& predicate) {
  return w::graph({w::placeholder("x", {}), predicate, w::node("s", "Switch", {"x", "p"}),
                   w::floats("two", {}, {2}), w::node("t", "Mul", {"s:1", "two"}), w::floats("one", {}, {1}),
                   w::node("f", "Add", {"s", "one"}), w::node("m", "Merge", {"f", "t"}),
                   w::node("y", "Neg", {"m"}), w::node("n", "Merge", {"s", "t"}),
                   w::node("z", "Neg", {"n"})});
}

TEST(TensorFlow, SwitchAndMergeBecomeAnIf) {
  const Bytes bytes = old_conditional(w::node("p", "Greater", {"x", "one"}));
  EXPECT_THAT(run(bytes, {{5}}), ElementsAre(ElementsAre(-10), ElementsAre(-10)));
  EXPECT_THAT(run(bytes, {{-5}}), ElementsAre(ElementsAre(4), ElementsAre(5)));
}

TEST(TensorFlow, SwitchAndMergeWithAKnownConditionVanish) {
  const Bytes bytes = old_conditional(w::node(
      "p", "Const", {}, {{"dtype", w::type(w::kBool)}, {"value", w::tensor<uint8_t>(w::kBool, {}, {0})}}));
  const auto imported = import_tensorflow(source_of(bytes));
  ASSERT_TRUE(imported) << imported.error().message;
  for (const auto& node : imported->graph.nodes()) EXPECT_NE(node.op, kernels::Op::If);
  EXPECT_THAT(run(bytes, {{5}})[0], ElementsAre(-6));
}

// while (v < 10) v = v · v, of version 1, with the limit as a loop constant.
Bytes old_loop(const std::string& next) {
  const std::vector<w::Attr> frame{{"frame_name", w::text("loop")}};
  return w::graph({w::placeholder("x", {}), w::floats("ten", {}, {10}), w::node("e", "Enter", {"x"}, frame),
                   w::node("limit", "Enter", {"ten"}, frame), w::node("m", "Merge", {"e", "n"}),
                   w::node("l", "Less", {"m", "limit"}), w::node("c", "LoopCond", {"l"}),
                   w::node("s", "Switch", {"m", "c"}), w::node("i", "Identity", {"s:1"}),
                   w::node("sq", "Mul", {"i", "i"}), w::node("n", "NextIteration", {next}),
                   w::node("exit", "Exit", {"s"}), w::node("y", "Neg", {"exit"})});
}

TEST(TensorFlow, EnterAndExitBecomeALoop) {
  EXPECT_THAT(run(old_loop("sq"), {{2}})[0], ElementsAre(-16));
  EXPECT_THAT(run(old_loop("sq"), {{11}})[0], ElementsAre(-11));
}

TEST(TensorFlow, SubscriptsFollowTheirMasks) {
  const auto slice = [](std::vector<int32_t> begin, std::vector<int32_t> end, std::vector<int32_t> steps,
                        const std::vector<w::Attr>& masks) {
    const auto n = static_cast<int64_t>(begin.size());
    return w::graph({w::placeholder("x", {2, 3}), w::ints("b", {n}, begin), w::ints("e", {n}, end),
                     w::ints("s", {n}, steps), w::node("y", "StridedSlice", {"x", "b", "e", "s"}, masks)});
  };
  const std::vector<float> x{0, 1, 2, 3, 4, 5};
  EXPECT_THAT(run(slice({0, -1}, {0, 0}, {1, 1},
                        {{"begin_mask", w::integer(1)},
                         {"end_mask", w::integer(1)},
                         {"shrink_axis_mask", w::integer(2)}}),
                  {x})[0],
              ElementsAre(2, 5));
  EXPECT_THAT(
      run(slice(
              {0, 0}, {0, 0}, {1, -2},
              {{"ellipsis_mask", w::integer(1)}, {"begin_mask", w::integer(2)}, {"end_mask", w::integer(2)}}),
          {x})[0],
      ElementsAre(2, 0, 5, 3));
  expect_error(slice({0}, {1}, {0}, {}), ErrorCode::invalid_encoding,
               "node 'y' (StridedSlice): a stride of 0");
}

TEST(TensorFlow, ChannelsLastConvolutionIsRight) {
  // A 2 × 2 filter of ones over one channel, padded at the end.
  const Bytes bytes =
      w::graph({w::placeholder("x", {1, 2, 2, 1}), w::floats("w", {2, 2, 1, 2}, {1, 0, 1, 0, 1, 0, 1, 2}),
                w::node("y", "Conv2D", {"x", "w"},
                        {{"strides", w::integers({1, 1, 1, 1})}, {"padding", w::text("SAME")}})});
  EXPECT_THAT(run(bytes, {{1, 2, 3, 4}})[0], ElementsAre(10, 8, 6, 0, 7, 0, 4, 0));
}

TEST(TensorFlow, ListsAreWrittenInAnyOrderAndStacked) {
  const auto at = [](const std::string& name, int32_t i) { return w::ints(name, {}, {i}); };
  const auto set = [](const std::string& name, const std::string& list, const std::string& i,
                      const std::string& item) {
    return w::node(name, "TensorListSetItem", {list, i, item}, {{"element_dtype", w::type(w::kFloat)}});
  };
  const std::vector<Bytes> writes{set("a", "list", "one", "x"), set("b", "a", "zero", "z"),
                                  set("c", "b", "one", "z")};
  const auto graph = [&](const std::string& last, std::ptrdiff_t count) {
    std::vector<Bytes> nodes{
        w::placeholder("x", {2}),
        w::placeholder("z", {2}),
        at("zero", 0),
        at("one", 1),
        at("two", 2),
        w::node("list", "TensorListReserve", {"one", "two"}, {{"element_dtype", w::type(w::kFloat)}}),
        w::node("y", "TensorListStack", {last, "one"}, {{"element_dtype", w::type(w::kFloat)}})};
    nodes.insert(nodes.end(), writes.begin(), writes.begin() + count);
    return w::graph(nodes);
  };
  EXPECT_THAT(run(graph("b", 2), {{1, 2}, {3, 4}})[0], ElementsAre(3, 4, 1, 2));
  EXPECT_THAT(run(graph("c", 3), {{1, 2}, {3, 4}})[0], ElementsAre(3, 4, 3, 4));
  expect_runtime_error(graph("a", 1), {{1, 2}}, "element 0 was never written");
}

TEST(TensorFlow, CropsAreInterpolatedAndFilledOutside) {
  const auto crop = [](const std::vector<float>& box, int32_t image) {
    return w::graph(
        {w::placeholder("x", {1, 2, 3, 1}), w::floats("boxes", {1, 4}, box), w::ints("i", {1}, {image}),
         w::ints("size", {2}, {1, 2}),
         w::node("y", "CropAndResize", {"x", "boxes", "i", "size"}, {{"extrapolation_value", w::real(-1)}})});
  };
  const std::vector<float> x{0, 1, 2, 10, 11, 12};
  EXPECT_THAT(run(crop({0, 0, 1, 1}, 0), {x})[0], ElementsAre(5, 7));
  EXPECT_THAT(run(crop({0, 0.25f, 0, 0.75f}, 0), {x})[0], ElementsAre(0.5, 1.5));
  EXPECT_THAT(run(crop({0, 1, 0, 1.5f}, 0), {x})[0], ElementsAre(2, -1));
  expect_runtime_error(crop({0, 0, 1, 1}, 7), {x}, "image 7 of 1");
}

// The whole detector: a loop over scales, conditionals, arrays, boxes. TensorFlow 2.15 finds 29 faces with these numbers.
TEST(TensorFlow, MtcnnFindsFaces) {
  const std::string folder = test::test_data() + "/models/tf-mtcnn";
  SKIP_WITHOUT(folder);
  const auto file = MappedFile::open(folder + "/input.jpg");
  ASSERT_TRUE(file);
  const auto image = kernels::decode_image((*file)->bytes(), 3);
  ASSERT_TRUE(image) << image.error().message;
  const auto model = load_model_file(folder, {});
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  std::vector<float> pixels(image->pixels.begin(), image->pixels.end());
  for (size_t i = 0; i < pixels.size(); i += 3) std::swap(pixels[i], pixels[i + 2]);  // blue first
  const auto set = [&](size_t i, const kernels::Dims& dims, const std::vector<float>& values) {
    const auto tensor = Tensor::of<float>(DataType::f32, dims, std::span(values));
    ASSERT_TRUE(tensor);
    const auto ok = context->set_input(i, tensor->view());
    ASSERT_TRUE(ok) << ok.error().message;
  };
  set(0, {image->height, image->width, 3}, pixels);
  set(1, {}, {40});
  set(2, {3}, {0.6f, 0.7f, 0.7f});
  set(3, {}, {0.7f});
  const auto ok = context->compute();
  ASSERT_TRUE(ok) << ok.error().message;
  const auto faces = context->get_output_value(0);
  ASSERT_TRUE(faces) << faces.error().message;
  EXPECT_EQ(faces->tensor.count(), 29);
  for (const double probability : to_doubles(faces->tensor)) EXPECT_GT(probability, 0.7);
}

// Errors.

TEST(TensorFlow, UnknownOperatorsAreNamed) {
  expect_error(w::graph({w::placeholder("x", {2}), w::node("odd", "NoSuchOperator", {"x"})}),
               ErrorCode::unsupported_operation,
               "m.pb: node 'odd' (NoSuchOperator): operator NoSuchOperator is not supported");
}

TEST(TensorFlow, ContradictionsAreNamed) {
  const auto bad = [](const std::vector<Bytes>& nodes, const std::string& text) {
    expect_error(w::graph(nodes), ErrorCode::invalid_encoding, text);
  };
  bad({}, "no outputs");
  bad({w::node("y", "Neg", {"nobody"})}, "node 'y': there is no node for 'nobody'");
  bad({w::node("y", "Neg", {"y:x"})}, "'y:x' names no output");
  bad({w::node("y", "Neg")}, "node 'y' (Neg): 0 operands, expected at least 1");
  bad({w::placeholder("x", {}), w::placeholder("x", {})}, "two nodes are named 'x'");
  bad({w::placeholder("x", {}), w::node("y", "Neg", {"x:7"})}, "node 'x'");
  bad({w::placeholder("x", {}), w::node("a", "Add", {"b", "x"}), w::node("b", "Neg", {"a"}),
       w::node("y", "Neg", {"a"})},
      "depends on itself");
  bad({w::placeholder("x", {}), w::node("y", "PartitionedCall", {"x"}, {{"f", w::function_value("gone")}})},
      "there is no function 'gone'");
  bad({w::placeholder("x", {}), w::node("y", "LeakyRelu", {"x"}, {{"alpha", w::text("much")}})},
      "attribute 'alpha' is no float");
  bad({w::node("c", "Const", {}, {{"value", w::tensor<float>(w::kFloat, {3}, {1, 2})}}),
       w::node("y", "Neg", {"c"})},
      "8 bytes of contents; f32 [3] takes 12");
  bad({w::node("c", "Const", {}, {{"value", w::tensor<float>(w::kFloat, {-3}, {1, 2})}}),
       w::node("y", "Neg", {"c"})},
      "node 'c' (Const)");
  expect_error(w::graph({w::node("v", "VariableV2"), w::node("y", "Neg", {"v"})}),
               ErrorCode::invalid_encoding, "without the files of its variables");
  expect_error(w::graph({w::placeholder("x", {2}, w::kResource), w::node("y", "Neg", {"x"})}),
               ErrorCode::unsupported_operation, "resource");
}

// Axes and sizes that are computed from constants and from declared dimensions are numbers at load.
TEST(TensorFlow, ShapeArithmeticIsDoneAtLoad) {
  const Bytes bytes =
      w::graph({w::placeholder("x", {2, 3}), w::node("rank", "Rank", {"x"}), w::ints("one", {}, {1}),
                w::ints("zero", {}, {0}), w::node("last", "Sub", {"rank", "one"}),
                w::node("perm", "Pack", {"last", "zero"}), w::node("turned", "Transpose", {"x", "perm"}),
                w::node("shape", "Shape", {"turned"}), w::node("y", "Reshape", {"x", "shape"})});
  EXPECT_THAT(run(bytes, {{1, 2, 3, 4, 5, 6}})[0], ElementsAre(1, 2, 3, 4, 5, 6));
}

// What such arithmetic gets wrong is said where it is used, and much of it costs little.
TEST(TensorFlow, ShapeArithmeticThatFailsIsNamed) {
  expect_error(w::graph({w::placeholder("x", {2, 3}), w::ints("a", {2}, {0, 1}), w::ints("b", {3}, {1, 1, 1}),
                         w::node("d", "Add", {"a", "b"}), w::node("y", "Transpose", {"x", "d"})}),
               ErrorCode::unsupported_operation, "node 'y' (Transpose)");
  std::vector<Bytes> nodes{w::placeholder("x", {1}), w::ints("n0", {1}, {1})};
  for (int i = 1; i <= 20000; ++i) {
    const std::string before = "n" + std::to_string(i - 1);
    nodes.push_back(w::node("n" + std::to_string(i), "Add", {before, before}));
  }
  nodes.push_back(w::node("y", "Reshape", {"x", "n20000"}));
  expect_error(w::graph(nodes), ErrorCode::invalid_argument, "node 'y' (Reshape): [1] cannot become [0]");
}

TEST(TensorFlow, OperatorsWithoutSenseAreNamed) {
  const auto bad = [](const std::vector<Bytes>& nodes, ErrorCode code, const std::string& text) {
    expect_error(w::graph(nodes), code, text);
  };
  constexpr auto kInvalid = ErrorCode::invalid_encoding, kUnsupported = ErrorCode::unsupported_operation;
  const auto window = [](int64_t size, int64_t stride) {
    return std::vector<w::Attr>{{"ksizes", w::integers({1, size, 2, 1})},
                                {"strides", w::integers({1, stride, 1, 1})},
                                {"rates", w::integers({1, 1, 1, 1})},
                                {"padding", w::text("VALID")}};
  };
  const Bytes image = w::placeholder("x", {1, 4, 4, 1});
  bad({image, w::node("y", "ExtractImagePatches", {"x"}, window(9, 1))}, kInvalid, "larger than the image");
  bad({image, w::node("y", "ExtractImagePatches", {"x"}, window(2, 0))}, kInvalid, "a stride of 0");
  bad({w::placeholder("x", {1, -1, 4, 1}), w::node("y", "ExtractImagePatches", {"x"}, window(2, 1))},
      kUnsupported, "whose size is not known");
  bad({image, w::ints("p", {4, 2}, {0, 0, 5, 0, 0, 0, 0, 0}),
       w::node("y", "MirrorPad", {"x", "p"}, {{"mode", w::text("SYMMETRIC")}})},
      kInvalid, "mirrored rows 5 and 0 of axis 1");
  bad({image, w::ints("s", {2}, {0, 3}), w::node("y", "ResizeBicubic", {"x", "s"})}, kInvalid,
      "0 rows from 4");
  bad({w::placeholder("x", {1, -1, 4, 1}), w::ints("s", {2}, {3, 3}),
       w::node("y", "ResizeBicubic", {"x", "s"})},
      kUnsupported, "sizes that are not known");
  bad({w::placeholder("x", {2, 2}), w::placeholder("s", {2, 2}, w::kInt32), w::ints("n", {}, {3}),
       w::node("y", "UnsortedSegmentSum", {"x", "s", "n"})},
      kUnsupported, "segments that are no vector");
  bad({w::placeholder("x", {2}, w::kInt32), w::node("t", "HashTableV2"), w::floats("d", {}, {0}),
       w::node("y", "LookupTableFindV2", {"t", "x", "d"})},
      kUnsupported, "operator LookupTableFindV2 is not supported");
  bad({w::placeholder("x", {2, 2}), w::placeholder("p", {2}, w::kInt32),
       w::node("y", "Transpose", {"x", "p"})},
      kUnsupported, "a permutation that depends on data");
}

TEST(TensorFlow, FunctionsThatCallThemselvesEnd) {
  const Bytes f = w::function("f", {{"a", w::kFloat}}, {{"r", "c:r:0"}}, {w::node("c", "f", {"a"})});
  expect_error(w::graph({w::placeholder("x", {}), w::node("y", "f", {"x"})}, {f}), ErrorCode::too_large,
               "functions nest deeper than 64");
}

// Each function calls the one before twice: 2^40 nodes.
TEST(TensorFlow, FunctionsThatMultiplyAreBounded) {
  std::vector<Bytes> functions{
      w::function("f0", {{"a", w::kFloat}}, {{"r", "n:y:0"}}, {w::node("n", "Neg", {"a"})})};
  for (int i = 1; i <= 40; ++i) {
    const std::string before = "f" + std::to_string(i - 1);
    functions.push_back(w::function("f" + std::to_string(i), {{"a", w::kFloat}}, {{"r", "d:r:0"}},
                                    {w::node("c", before, {"a"}), w::node("d", before, {"c:r:0"})}));
  }
  const Bytes bytes = w::graph({w::placeholder("x", {}), w::node("y", "f40", {"x"})}, functions);
  auto source = source_of(bytes);
  source.limits.max_nodes = 5000;
  const auto result = import_tensorflow(source);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::too_large) << result.error().message;
}

TEST(TensorFlow, ALongChainIsNoDeepRecursion) {
  std::vector<Bytes> nodes{w::placeholder("n0", {})};
  for (int i = 1; i <= 30000; ++i) {
    nodes.push_back(w::node("n" + std::to_string(i), "Neg", {"n" + std::to_string(i - 1)}));
  }
  const Bytes bytes = w::graph(nodes);
  const auto result = import_tensorflow(source_of(bytes));
  EXPECT_TRUE(result) << result.error().message;
}

TEST(TensorFlow, OldLoopsThatMakeNoSenseAreRefused) {
  for (const char* next : {"exit", "l", "x", "n", "s", "y"}) {
    const auto result = compute(source_of(old_loop(next)), {{2}});
    if (result) continue;  // "x" is a value of the surrounding graph
    EXPECT_FALSE(result.error().message.empty()) << next;
  }
}

// Elements that are repeated to fill a shape cost no file, so they are limited.
TEST(TensorFlow, RepeatedElementsAreBounded) {
  const Bytes huge =
      w::graph({w::node("c", "Const", {}, {{"value", w::tensor<float>(w::kFloat, {1 << 30, 4}, {})}}),
                w::node("y", "Neg", {"c"})});
  auto source = source_of(huge);
  source.limits.max_context_bytes = 1 << 20;
  const auto result = import_tensorflow(source);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::too_large) << result.error().message;
  const Bytes zeros = w::graph({w::node("c", "Const", {}, {{"value", w::tensor<float>(w::kFloat, {3}, {})}}),
                                w::placeholder("x", {3}), w::node("y", "Add", {"c", "x"})});
  EXPECT_THAT(run(zeros, {{1, 2, 3}})[0], ElementsAre(1, 2, 3));
}

TEST(TensorFlow, EveryTruncationAndFlippedByteIsSurvived) {
  for (const Bytes& whole :
       {dense(), old_loop("sq"), old_conditional(w::node("p", "Greater", {"x", "one"}))}) {
    for (size_t length = 0; length < whole.size(); ++length) {
      const Bytes cut(whole.data(), length);
      const auto result = import_tensorflow(source_of(cut));
      if (!result) EXPECT_THAT(result.error().message, HasSubstr("m.pb: "));
    }
    for (size_t i = 0; i < whole.size(); ++i) {
      for (const int flip : {1, 0x80}) {
        Bytes changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        const auto result = import_tensorflow(source_of(changed));
        if (!result) EXPECT_FALSE(result.error().message.empty());
      }
    }
  }
}

// SavedModels.

TEST(SavedModel, SignatureNamesAndOrdersTheEdges) {
  const Bytes g = w::graph(
      {w::placeholder("in", {2}), w::placeholder("other", {2}), w::node("d", "Sub", {"in", "other"})});
  const Bytes bytes =
      w::saved_model(g, "serving_default", {{"z", "in:0", {2}}, {"a", "other:0", {2}}}, {{"r", "d:0", {}}});
  const auto imported = import_tensorflow(source_of(bytes));
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->graph.value(imported->graph.inputs()[0]).name, "a");
  EXPECT_EQ(imported->graph.output_name(0), "r");
  EXPECT_THAT(run(bytes, {{1, 2}, {5, 7}})[0], ElementsAre(4, 5));
  EXPECT_EQ(detect_format(w::as_bytes(bytes)), Format::tensorflow);
}

TEST(SavedModel, SignaturesWithoutSenseAreRefused) {
  const Bytes g =
      w::graph({w::placeholder("in", {2}), w::placeholder("free", {2}), w::node("d", "Sub", {"in", "free"})});
  expect_error(w::saved_model(g, "serving_default", {{"x", "in:0", {2}}}, {{"r", "gone:0", {}}}),
               ErrorCode::invalid_encoding, "output 'r' of the signature: there is no node for 'gone:0'");
  expect_error(w::saved_model(g, "serving_default", {{"x", "in:0", {2}}}, {{"r", "d:0", {}}}),
               ErrorCode::invalid_encoding, "node 'free' (Placeholder): the outputs need it");
  expect_error(w::saved_model(g, "__init", {}, {{"r", "d:0", {}}}), ErrorCode::unsupported_operation,
               "no signature is called 'serving_default'");
}

std::string half_plus_two() { return test::test_data() + "/models/tf-half-plus-two/saved_model"; }

Bytes read_file(const std::string& path) {
  const auto file = MappedFile::open(path);
  EXPECT_TRUE(file) << file.error().message;
  const auto bytes = (*file)->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// saved_model.pb, the index (compressed) and the data of its variables.
std::vector<Bytes> half_plus_two_arrays() {
  return {read_file(half_plus_two() + "/saved_model.pb"),
          read_file(half_plus_two() + "/variables/variables.index"),
          read_file(half_plus_two() + "/variables/variables.data-00000-of-00001")};
}

ModelSource with_parts(const std::vector<Bytes>& arrays) {
  ModelSource source = source_of(arrays[0]);
  for (size_t i = 1; i < arrays.size(); ++i)
    source.parts.push_back({fmt::format("array {}", i), w::as_bytes(arrays[i]), nullptr});
  return source;
}

TEST(SavedModel, HalfPlusTwoComputesWithItsVariables) {
  SKIP_WITHOUT(half_plus_two());
  const auto model = load_model_file(half_plus_two(), {});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->inputs()[0].name, "x");
  EXPECT_EQ((*model)->outputs()[0].name, "y");
  const auto arrays = half_plus_two_arrays();
  const auto outputs = compute(with_parts(arrays), {{0, 1, 8}});
  ASSERT_TRUE(outputs) << outputs.error().message;
  EXPECT_THAT((*outputs)[0], ElementsAre(2, 2.5, 6));
}

TEST(SavedModel, GuestsPassItAsByteArrays) {
  SKIP_WITHOUT(half_plus_two());
  const auto arrays = half_plus_two_arrays();
  std::vector<std::span<const std::byte>> builders;
  for (const Bytes& array : arrays) builders.push_back(w::as_bytes(array));
  Environment environment{NnOptions{}};
  EXPECT_TRUE(environment.load_bytes(builders, 2));
  EXPECT_TRUE(environment.load_bytes(builders, 5));  // autodetect
  const auto without = environment.load_bytes(std::span(builders).first(1), 2);
  ASSERT_FALSE(without);
  EXPECT_THAT(without.error().message, HasSubstr("without the files of its variables"));
}

// Whatever is damaged in the index or the data is found, by checksums at the latest.
TEST(SavedModel, DamagedVariablesAreRefused) {
  SKIP_WITHOUT(half_plus_two());
  const auto arrays = half_plus_two_arrays();
  for (size_t part : {1u, 2u}) {
    for (size_t i = 0; i < arrays[part].size(); ++i) {
      auto changed = arrays;
      changed[part][i] = static_cast<char>(changed[part][i] ^ 0x10);
      const auto outputs = compute(with_parts(changed), {{0, 1, 8}});
      if (outputs) {
        EXPECT_THAT((*outputs)[0], ElementsAre(2, 2.5, 6)) << part << " at " << i;
      } else {
        EXPECT_THAT(outputs.error().message, HasSubstr("array 1"));
      }
    }
    // What lies behind the variables that are read (3 of 5) is never touched.
    const size_t used = part == 1 ? arrays[part].size() : 12;
    for (size_t length = 0; length < used; ++length) {
      auto cut = arrays;
      cut[part].resize(length);
      EXPECT_FALSE(compute(with_parts(cut), {{0, 1, 8}})) << part << " cut at " << length;
    }
  }
}

// Tables and compression by themselves.

TEST(TfTable, ChecksumsAreThoseOfTheStandard) {
  EXPECT_EQ(tf::crc32c(w::as_bytes(Bytes("123456789"))), 0xe3069283u);
  EXPECT_EQ(tf::crc32c(w::as_bytes(Bytes(32, '\0'))), 0x8a9136aau);
}

TEST(TfTable, SnappyUncompressesLiteralsAndCopies) {
  // 11 bytes: "ab" as they are, then 9 bytes from 2 back.
  EXPECT_EQ(*tf::snappy_uncompress(Bytes("\x0b\x04"
                                         "ab\x15\x02",
                                         6)),
            "abababababa");
  for (const Bytes& bad : {Bytes(),
                           Bytes("\x0b\x04"
                                 "ab\x15\x03",
                                 6),
                           Bytes("\x0a\x04"
                                 "ab\x15\x02",
                                 6),
                           Bytes("\x0b\x04"
                                 "ab\x15",
                                 5),
                           Bytes("\x0b\xf0", 2), Bytes("\xff\xff\xff\xff\x0f\x00", 6),
                           Bytes("\x0c\x04"
                                 "ab\x15\x02",
                                 6)}) {
    EXPECT_FALSE(tf::snappy_uncompress(bad));
  }
}

TEST(Detect, TensorFlowIsToldFromOnnx) {
  EXPECT_EQ(detect_format(w::as_bytes(dense())), Format::tensorflow);
  EXPECT_EQ(detect_format(w::as_bytes(Bytes("\x08\x01\x12\x05tenon\x3a\x02\x12\x00", 12))), Format::onnx);
}

}  // namespace
}  // namespace tenon::nn
