// The ONNX importer: what it makes of good models and what it says of bad ones. No computing.
#include "wasi-nn/formats/onnx_importer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/nn/onnx_writer.h"
#include "tests/nn/test_data.h"
#include "wasi-nn/golden.h"

namespace tenon::nn {
namespace {

using kernels::ErrorCode;
using kernels::Op;
using test::Bytes;
using test::GraphText;
using test::value;
using ::testing::HasSubstr;

Result<ImportedModel> import(const Bytes& bytes, std::string folder = {}) {
  ModelSource source;
  source.file = "m.onnx";
  source.bytes = test::as_bytes(bytes);
  source.folder = std::move(folder);
  return import_onnx(source);
}

void expect_error(const Bytes& bytes, ErrorCode code, const std::string& text) {
  const auto result = import(bytes);
  ASSERT_FALSE(result) << "imported, expected: " << text;
  EXPECT_EQ(result.error().code, code) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(text));
}

// y = Relu(x + w)
GraphText small_graph() {
  return {.inputs = {value("x", 1, {"N", "2"})},
          .outputs = {value("y", 1, {"N", "2"})},
          .nodes = {{"Add", {"x", "w"}, {"t"}, {}, "add"}, {"Relu", {"t"}, {"y"}, {}, "act"}},
          .initializers = {test::floats("w", {2}, {1, -1})}};
}

// Two 4-bit elements to a byte, the first in its lower half, in raw data and in int32_data.
Bytes packed_tensor(int type, const test::Dims& dims, const std::vector<int32_t>& pairs) {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_packed_int64(1, dims.begin(), dims.end());
  w.add_int32(2, type);
  w.add_packed_int32(5, pairs.begin(), pairs.end());
  w.add_string(8, "w");
  return out;
}

test::GraphText nibbles(const Bytes& initializer) {
  return {.inputs = {},
          .outputs = {value("y", 1, {"3"})},
          .nodes = {{"Cast", {"w"}, {"y"}, {test::int_attr("to", 1)}, "cast"}},
          .initializers = {initializer}};
}

TEST(Importer, FourBitElementsAreUnpacked) {
  constexpr int kUint4 = 21, kInt4 = 22;
  const std::vector<uint8_t> raw{0x2f, 0xf8};
  for (const auto& initializer :
       {test::tensor("w", kInt4, {3}, raw), packed_tensor(kInt4, {3}, {0x2f, 0xf8})}) {
    const auto result = import(test::model(nibbles(initializer), 21));
    ASSERT_TRUE(result) << result.error().message;
    const auto& graph = result->graph;
    const auto& constant = graph.value(graph.nodes()[0].inputs[0]).constant;
    EXPECT_EQ(constant.type(), kernels::DataType::i4);
    EXPECT_EQ(to_doubles(constant), (std::vector<double>{-1, 2, -8}));
  }
  expect_error(test::model(nibbles(test::tensor("w", kInt4, {5}, raw)), 21), ErrorCode::invalid_encoding,
               "2 bytes of raw data");
  expect_error(test::model(nibbles(packed_tensor(kUint4, {5}, {1, 2})), 21), ErrorCode::invalid_encoding,
               "2 elements for dims [5]");
  expect_error(test::model(nibbles(packed_tensor(kUint4, {int64_t{1} << 62, 4}, {1, 2})), 21),
               ErrorCode::invalid_encoding, "tensor 'w'");
}

TEST(Importer, KeepsNamesTypesAndSymbols) {
  const auto result = import(test::model(small_graph()));
  ASSERT_TRUE(result) << result.error().message;
  const kernels::Graph& graph = result->graph;
  ASSERT_EQ(graph.inputs().size(), 1u);
  const auto& input = graph.value(graph.inputs()[0]);
  EXPECT_EQ(input.name, "x");
  EXPECT_EQ((*input.type.shape)[0].symbol, "N");
  EXPECT_EQ((*input.type.shape)[1].value, 2);
  ASSERT_EQ(graph.nodes().size(), 2u);
  EXPECT_EQ(graph.nodes()[0].op, Op::Add);
  EXPECT_EQ(graph.place(graph.nodes()[1]), "m.onnx: node 'act' (Relu, opset 17)");
  EXPECT_EQ(graph.output_name(0), "y");
  EXPECT_EQ(result->summary.operators.at("Add"), 1u);
  EXPECT_EQ(result->summary.opsets[0].second, 17);
}

TEST(Importer, ViewsRawWeightsInPlace) {
  const Bytes bytes = test::model(small_graph());
  const auto result = import(bytes);
  ASSERT_TRUE(result);
  for (const auto& v : result->graph.values()) {
    if (v.name != "w") continue;
    const auto* data = reinterpret_cast<const char*>(v.constant.data());
    EXPECT_GE(data, bytes.data());
    EXPECT_LT(data, bytes.data() + bytes.size());
  }
}

TEST(Importer, InitialiserListedAsInputIsAConstant) {
  auto text = small_graph();
  text.inputs.push_back(value("w", 1, {"2"}));
  const auto result = import(test::model(text));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->graph.inputs().size(), 1u);
}

TEST(Importer, EveryTruncationOfAModelIsAnErrorOrAWholeModel) {
  const Bytes whole = test::model(small_graph());
  for (size_t length = 0; length < whole.size(); ++length) {
    const Bytes cut(whole.data(), length);  // its own block, so that a sanitizer sees reads beyond it
    const auto result = import(cut);
    // Cutting between top-level fields leaves a decodable message: without the graph, or without its opset.
    if (result) {
      EXPECT_GT(length, whole.size() / 2);
    } else {
      EXPECT_THAT(result.error().message, HasSubstr("m.onnx: "));
    }
  }
}

TEST(Importer, EveryFlippedByteIsSurvived) {
  const Bytes whole = test::model(small_graph());
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 0x40, 0x80, 0xff}) {
      Bytes changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      const auto result = import(changed);
      if (!result) {
        EXPECT_FALSE(result.error().message.empty());
      }
    }
  }
}

TEST(Importer, LyingLengthIsRefusedWithItsOffset) {
  // Field 7 (graph), length 2^31 - 1, nothing behind it.
  expect_error(Bytes("\x3a\xff\xff\xff\xff\x07", 6), ErrorCode::invalid_encoding, "a length of 2147483647");
  // A length beyond 32 bits must not wrap round to 1.
  expect_error(Bytes("\x3a\x81\x80\x80\x80\x10 ", 7), ErrorCode::invalid_encoding, "a length of 4294967297");
}

TEST(Importer, EmptyFileHoldsNoGraph) { expect_error("", ErrorCode::invalid_encoding, "holds no graph"); }

TEST(Importer, NestingBombIsRefused) {
  Bytes inner = test::graph({});
  for (int i = 0; i < 60; ++i) {
    inner = test::graph({.inputs = {},
                         .outputs = {},
                         .nodes = {{"If", {"c"}, {}, {test::graph_attr("then_branch", inner)}}}});
  }
  expect_error(test::model(inner), ErrorCode::invalid_encoding, "nest deeper");
}

TEST(Importer, ElementBombIsBoundedByTheFile) {
  Bytes graph;
  for (int i = 0; i < 400000; ++i) graph += Bytes("\x0a\x00", 2);  // empty NodeProtos
  expect_error(test::model(graph), ErrorCode::invalid_encoding,
               "more elements than a file of this size may hold");
}

TEST(Importer, CycleNamesANode) {
  auto text = small_graph();
  text.nodes = {
      {"Add", {"x", "b"}, {"a"}, {}, "first"}, {"Relu", {"a"}, {"b"}, {}, "second"}, {"Relu", {"b"}, {"y"}}};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "node 'first' (Add, opset 17)");
}

TEST(Importer, MissingInitialiserNamesNodeAndValue) {
  auto text = small_graph();
  text.initializers.clear();
  expect_error(test::model(text), ErrorCode::invalid_encoding,
               "node 'add' (Add, opset 17): nothing defines its input 'w'");
}

TEST(Importer, DuplicateNamesAreRefused) {
  auto text = small_graph();
  text.nodes.push_back({"Relu", {"x"}, {"t"}, {}, "again"});
  expect_error(test::model(text), ErrorCode::invalid_encoding, "node 'again' (Relu, opset 17)");
  text = small_graph();
  text.initializers.push_back(test::floats("w", {2}, {1, 2}));
  expect_error(test::model(text), ErrorCode::invalid_encoding, "initialiser 'w'");
  text = small_graph();
  text.inputs.push_back(value("x", 1, {"1"}));
  expect_error(test::model(text), ErrorCode::invalid_encoding, "two inputs are named 'x'");
}

TEST(Importer, UnknownOperatorDomainAndOpsetAreNamed) {
  auto text = small_graph();
  text.nodes[1].op = "Frobnicate";
  expect_error(test::model(text), ErrorCode::unsupported_operation, "node 'act' (Frobnicate, opset 17)");
  text = small_graph();
  text.nodes[1].domain = "com.microsoft";
  expect_error(test::model(text), ErrorCode::unsupported_operation, "domain 'com.microsoft'");
  expect_error(test::model(small_graph(), 99), ErrorCode::unsupported_operation, "opset 99");
  expect_error(test::model(small_graph(), 0), ErrorCode::invalid_encoding, "opset 0");
  text = small_graph();
  text.nodes[1].op = "Trilu";  // came with opset 14
  expect_error(test::model(text, 9), ErrorCode::unsupported_operation,
               "Trilu is not supported in this opset");
}

TEST(Importer, TensorWhoseBytesDisagreeWithItsDims) {
  auto text = small_graph();
  text.initializers = {test::floats("w", {3}, {1, -1})};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "tensor 'w': 8 bytes of raw data");
}

TEST(Importer, DimsThatOverflowOrAreNegative) {
  auto text = small_graph();
  text.initializers = {test::floats("w", {int64_t{1} << 40, int64_t{1} << 40}, {1, -1})};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "tensor 'w'");
  text.initializers = {test::floats("w", {-2}, {1, -1})};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "tensor 'w'");
  text = small_graph();
  text.inputs = {value("x", 1, {"4611686018427387904", "4611686018427387904"})};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "value 'x'");
  text.inputs = {value("x", 1, {"-7"})};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "value 'x'");
}

TEST(Importer, ShapesThatLieAboutTheInitialiser) {
  auto text = small_graph();
  text.inputs.push_back(value("w", 1, {"5"}));
  expect_error(test::model(text), ErrorCode::invalid_encoding, "input 'w' is declared as");
}

TEST(Importer, AttributeOfTheWrongType) {
  auto text = small_graph();
  text.nodes[1] = {"LeakyRelu", {"t"}, {"y"}, {test::int_attr("alpha", 1)}, "act"};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "attribute 'alpha'");
  text.nodes[1] = {"Squeeze", {"t"}, {"y"}, {test::int_attr("axes", 1)}, "act"};
  expect_error(test::model(text, 11), ErrorCode::invalid_encoding,
               "attribute 'axes' is of type int, expected ints");
}

TEST(Importer, OldAttributesBecomeOperands) {
  auto text = small_graph();
  text.value_infos = {value("t", 1, {"N", "2"})};
  text.nodes[1] = {"Clip", {"t"}, {"y"}, {test::float_attr("min", 0), test::float_attr("max", 6)}};
  const auto result = import(test::model(text, 6));
  ASSERT_TRUE(result) << result.error().message;
  const auto& clip = result->graph.nodes().back();
  ASSERT_EQ(clip.inputs.size(), 3u);
  float high = 0;
  std::memcpy(&high, result->graph.value(clip.inputs[2]).constant.data(), 4);
  EXPECT_EQ(high, 6);
}

TEST(Importer, OldSoftmaxSeesAMatrix) {
  GraphText text{.inputs = {value("x", 1, {"2", "3", "4"})},
                 .outputs = {value("y", 1, {"2", "3", "4"})},
                 .nodes = {{"Softmax", {"x"}, {"y"}}}};
  const auto old = import(test::model(text, 11));
  ASSERT_TRUE(old) << old.error().message;
  EXPECT_EQ(old->graph.nodes()[0].op, Op::Flatten);
  const auto current = import(test::model(text, 13));
  ASSERT_TRUE(current);
  EXPECT_EQ(current->graph.nodes().size(), 1u);
}

TEST(Importer, ConstantsOfEveryForm) {
  const auto kinds = {test::float_attr("value_float", 2), test::int_attr("value_int", 2),
                      test::ints_attr("value_ints", {1, 2}),
                      test::tensor_attr("value", test::floats("", {2}, {1, 2}))};
  for (const auto& attribute : kinds) {
    GraphText text{
        .inputs = {}, .outputs = {value("y", 0, {})}, .nodes = {{"Constant", {}, {"y"}, {attribute}}}};
    const auto result = import(test::model(text));
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_TRUE(result->graph.value(result->graph.outputs()[0]).constant.defined());
  }
  GraphText none{.inputs = {}, .outputs = {value("y", 0, {})}, .nodes = {{"Constant", {}, {"y"}, {}, "c"}}};
  expect_error(test::model(none), ErrorCode::invalid_encoding, "node 'c' (Constant, opset 17): no value");
}

// FunctionProto test.Leaky(x; slope) = LeakyRelu(x; alpha = slope)
Bytes leaky_function(const std::string& calls = "LeakyRelu", const std::string& domain = "") {
  Bytes out;
  protozero::pbf_writer w(out);
  w.add_string(1, "Leaky");
  w.add_string(4, "x");
  w.add_string(5, "y");
  w.add_string(6, "slope");
  w.add_message(7, test::node({calls, {"x"}, {"y"}, {test::ref_attr("alpha", "slope", 1)}, "inner", domain}));
  w.add_message(9, test::opset("", 17));
  w.add_string(10, "test");
  return out;
}

TEST(Importer, ModelFunctionsAreExpanded) {
  auto text = small_graph();
  text.nodes[1] = {"Leaky", {"t"}, {"y"}, {test::float_attr("slope", 0.25f)}, "call", "test"};
  const auto result = import(test::model(text, 17, {leaky_function()}));
  ASSERT_TRUE(result) << result.error().message;
  const auto& node = result->graph.nodes().back();
  EXPECT_EQ(node.op, Op::LeakyRelu);
  EXPECT_EQ(node.real("alpha"), 0.25f);
  EXPECT_EQ(node.source.node, "call/inner");
}

TEST(Importer, FunctionThatCallsItselfIsRefused) {
  auto text = small_graph();
  text.nodes[1] = {"Leaky", {"t"}, {"y"}, {}, "call", "test"};
  expect_error(test::model(text, 17, {leaky_function("Leaky", "test")}), ErrorCode::too_large,
               "functions nest deeper");
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("tenon-external-{}", getpid());
    std::filesystem::create_directories(folder_ / "in");
    const float weights[] = {0, 1, -1};
    std::ofstream(folder_ / "in/w.bin", std::ios::binary)
        .write(reinterpret_cast<const char*>(weights), sizeof weights);
    std::ofstream(folder_ / "outside.bin").write("12345678", 8);
    std::filesystem::create_symlink(folder_ / "outside.bin", folder_ / "in/link.bin");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Result<ImportedModel> with(const std::string& location, const std::string& offset,
                             const std::string& length) {
    auto text = small_graph();
    text.initializers = {test::external_tensor("w", {2}, location, offset, length)};
    return import(test::model(text), (folder_ / "in").string());
  }

  std::filesystem::path folder_;
};

TEST_F(ExternalData, IsMappedFromBelowTheFolder) {
  const auto result = with("./w.bin", "4", "8");
  ASSERT_TRUE(result) << result.error().message;
  for (const auto& v : result->graph.values()) {
    if (v.name != "w") continue;
    float first = 0;
    std::memcpy(&first, v.constant.data(), 4);
    EXPECT_EQ(first, 1);
  }
}

TEST_F(ExternalData, NeverLeavesTheFolder) {
  for (const char* location : {"../outside.bin", "/etc/hostname", "a/../../outside.bin", "link.bin", ""}) {
    const auto result = with(location, "", "");
    ASSERT_FALSE(result) << location;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_encoding) << result.error().message;
  }
}

TEST_F(ExternalData, OffsetsAndLengthsAreChecked) {
  for (const auto& [offset, length] :
       {std::pair{"8", "8"}, std::pair{"0", "4"}, std::pair{"18446744073709551615", "8"}, std::pair{"x", "8"},
        std::pair{"-4", "8"}}) {
    const auto result = with("w.bin", offset, length);
    ASSERT_FALSE(result) << offset << " " << length;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_encoding) << result.error().message;
  }
  EXPECT_EQ(with("nowhere.bin", "", "").error().code, ErrorCode::not_found);
}

TEST_F(ExternalData, NeedsAModelFromAFile) {
  auto text = small_graph();
  text.initializers = {test::external_tensor("w", {2}, "w.bin", "", "")};
  expect_error(test::model(text), ErrorCode::invalid_encoding, "needs a model that was loaded from a file");
}

}  // namespace
}  // namespace tenon::nn
