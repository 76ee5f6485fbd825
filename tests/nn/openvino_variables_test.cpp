// OpenVINO's ReadValue and Assign: what contexts keep, and what is refused. Cases by OpenVINO itself are
// tests/nn/cases/openvino_variables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/plan.h"
#include "tests/nn/ir_writer.h"
#include "wasi-nn/formats/openvino_importer.h"
#include "wasi-nn/golden.h"

namespace tenon::nn {
namespace {

using kernels::Tensor;
using test::Ir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kDeclared = "variable_id=\"v\" variable_type=\"f32\" variable_shape=\"2\"";

kernels::Result<std::shared_ptr<const kernels::Model>> load(const Ir& ir, kernels::Limits limits = {}) {
  const std::string xml = ir.xml();
  ModelSource source;
  source.file = "t.xml";
  source.limits = limits;
  source.bytes = std::as_bytes(std::span(xml));
  source.parts.push_back({"t.bin", std::as_bytes(std::span(*ir.weights)), ir.weights});
  return kernels::compile(TENON_TRY(import_openvino(source)).graph, {});
}

std::string error_of(const Ir& ir, kernels::Limits limits = {}) {
  const auto model = load(ir, limits);
  return model ? "" : model.error().message;
}

std::vector<double> step(kernels::Context& context, const std::vector<float>& x) {
  const auto in = Tensor::of<float>(kernels::DataType::f32, {static_cast<int64_t>(x.size())}, std::span(x));
  EXPECT_TRUE(context.set_input(0, in->view()));
  const auto done = context.compute();
  EXPECT_TRUE(done) << done.error().message;
  return to_doubles(context.get_output_value(0)->tensor);
}

// v becomes v + x, which is the result. `reader` and `writer` are the attributes of the two layers.
Ir sum(const std::string& reader, const std::vector<float>& first,
       const std::string& writer = "variable_id=\"v\"") {
  Ir ir;
  const int x = ir.parameter("f32", {2});
  std::vector<Ir::From> operands;
  if (!first.empty()) operands.push_back({ir.floats({static_cast<int64_t>(first.size())}, first)});
  const int v = ir.layer("ReadValue", "opset6", reader, operands, {{"FP32", {2}}});
  const int y = ir.layer("Add", "opset1", "", {{v}, {x}}, {{"FP32", {2}}});
  if (!writer.empty()) ir.layer("Assign", "opset6", writer, {{y}}, {});
  ir.result({y});
  return ir;
}

TEST(OpenVinoVariables, EachContextHasItsOwn) {
  const auto model = load(sum(kDeclared, {10, 20}));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->inputs().size(), 1u);
  EXPECT_EQ((*model)->outputs().size(), 1u);
  const auto one = *(*model)->create_context(), other = *(*model)->create_context();
  EXPECT_THAT(step(*one, {1, 2}), ElementsAre(11, 22));
  EXPECT_THAT(step(*one, {1, 2}), ElementsAre(12, 24));
  EXPECT_THAT(step(*other, {5, 5}), ElementsAre(15, 25));
  EXPECT_THAT(step(*one, {0, 0}), ElementsAre(12, 24));
}

TEST(OpenVinoVariables, WithoutAFirstValueTheyBeginAtZero) {
  const auto model = load(sum(kDeclared, {}));
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  EXPECT_THAT(step(*context, {1, 2}), ElementsAre(1, 2));
  EXPECT_THAT(step(*context, {1, 2}), ElementsAre(2, 4));
}

// The first value is the input doubled; later inputs do not count for it. The layer that assigns stands first in the file.
TEST(OpenVinoVariables, AComputedFirstValueCountsOnce) {
  Ir ir;
  const int x = ir.parameter("f32", {2}), two = ir.floats({1}, {2});
  const int twice = ir.layer("Multiply", "opset1", "", {{x}, {two}}, {{"FP32", {2}}});
  const int v = ir.layer("ReadValue", "opset3", "variable_id=\"v\"", {{twice}}, {{"FP32", {2}}});
  const int next = ir.layer("Add", "opset1", "", {{v}, {two}}, {{"FP32", {2}}});
  ir.result({v});
  const std::string others = std::exchange(ir.layers, "");
  ir.layer("Assign", "opset3", "variable_id=\"v\"", {{next}}, {});
  ir.layers += others;
  const auto model = load(ir);
  ASSERT_TRUE(model) << model.error().message;
  const auto context = *(*model)->create_context();
  EXPECT_THAT(step(*context, {1, 3}), ElementsAre(2, 6));
  EXPECT_THAT(step(*context, {100, 100}), ElementsAre(4, 8));
  EXPECT_THAT(step(*context, {7, 7}), ElementsAre(6, 10));
}

TEST(OpenVinoVariables, HalvesAreRefused) {
  EXPECT_THAT(error_of(sum(kDeclared, {1, 2}, "")), HasSubstr("t.xml: no layer assigns the variable 'v'"));
  EXPECT_THAT(error_of(sum(kDeclared, {1, 2}, "variable_id=\"w\"")),
              HasSubstr("no layer assigns the variable 'v'"));
  Ir ir;
  const int x = ir.parameter("f32", {2});
  ir.layer("Assign", "opset6", "variable_id=\"v\"", {{x}}, {});
  ir.result({x});
  EXPECT_THAT(error_of(ir), HasSubstr("t.xml: no layer reads the variable 'v'"));
}

TEST(OpenVinoVariables, TwoLayersOfOneNameAreRefused) {
  Ir ir = sum(kDeclared, {1, 2});
  ir.layer("Assign", "opset6", "variable_id=\"v\"", {{0}}, {});
  EXPECT_THAT(error_of(ir), HasSubstr("(Assign, opset6): another layer assigns the variable 'v' already"));
  ir = sum(kDeclared, {1, 2});
  ir.layer("ReadValue", "opset6", kDeclared, {{1}}, {{"FP32", {2}}});
  EXPECT_THAT(error_of(ir), HasSubstr("(ReadValue, opset6): another layer reads the variable 'v' already"));
}

TEST(OpenVinoVariables, TypesAndShapesMustAgree) {
  EXPECT_THAT(error_of(sum(kDeclared, {1, 2, 3})), HasSubstr("variable 'v' of f32 [2] begins as f32 [3]"));
  EXPECT_THAT(error_of(sum("variable_id=\"v\" variable_type=\"i32\" variable_shape=\"2\"", {1, 2})),
              HasSubstr("variable 'v' of i32 [2] begins as f32 [2]"));
  Ir ir;
  const int x = ir.parameter("i32", {2});
  ir.layer("ReadValue", "opset6", kDeclared, {}, {{"FP32", {2}}});
  ir.layer("Assign", "opset6", "variable_id=\"v\"", {{x}}, {});
  ir.result({x});
  EXPECT_THAT(error_of(ir), HasSubstr("state 'v' of f32 would become"));
}

TEST(OpenVinoVariables, WhatTheyDeclareIsChecked) {
  const auto with = [](const std::string& attributes) { return error_of(sum(attributes, {})); };
  EXPECT_THAT(with(""), HasSubstr("attribute 'variable_id' is missing"));
  EXPECT_THAT(with("variable_id=\"v\""), HasSubstr("attribute 'variable_type': elements of type ''"));
  EXPECT_THAT(with("variable_id=\"v\" variable_type=\"string\" variable_shape=\"2\""),
              HasSubstr("type 'string'"));
  for (const char* shape : {"?,2", "-1", "2..4", "nonsense"}) {
    EXPECT_THAT(with(fmt::format("variable_id=\"v\" variable_type=\"f32\" variable_shape=\"{}\"", shape)),
                HasSubstr("a variable "))
        << shape;
  }
  EXPECT_THAT(with("variable_id=\"v\" variable_type=\"f32\" variable_shape=\"3000000000,3000000000\""),
              HasSubstr("ReadValue"));
  EXPECT_THAT(with("variable_id=\"v\" variable_type=\"f32\" variable_shape=\"2000000000\""),
              HasSubstr("state 'v': 8000000000 bytes"));
  EXPECT_THAT(with("variable_id=\"v\" variable_type=\"f32\" variable_shape=\"1,1,1,1,1,1,1,1,1,1,1,1,1\""),
              HasSubstr("ReadValue"));
}

// Each within the limit of a tensor, all of them beyond it.
TEST(OpenVinoVariables, AllTogetherHaveALimit) {
  Ir ir;
  const int x = ir.parameter("f32", {2});
  ir.result({x});
  for (int i = 0; i < 3; ++i) {
    ir.layer("ReadValue", "opset6",
             fmt::format("variable_id=\"v{}\" variable_type=\"u8\" variable_shape=\"1000\"", i), {},
             {{"U8", {1000}}});
  }
  kernels::Limits limits;
  limits.max_tensor_bytes = 2999;
  EXPECT_THAT(error_of(ir, limits), HasSubstr("state 'v2': 1000 bytes, with 2000 of other states"));
}

TEST(OpenVinoVariables, InsideOfABodyTheyAreRefused) {
  Ir ir;
  const int x = ir.parameter("f32", {2});
  Ir body = ir.body();
  const int inner = body.parameter("f32", {2});
  const int v = body.layer("ReadValue", "opset6", kDeclared, {}, {{"FP32", {2}}});
  const int y = body.layer("Add", "opset1", "", {{inner}, {v}}, {{"FP32", {2}}});
  body.layer("Assign", "opset6", "variable_id=\"v\"", {{y}}, {});
  const int result = body.result({y});
  const std::string map = fmt::format(
      "<port_map><input external_port_id=\"0\" internal_layer_id=\"{}\"/>"
      "<output external_port_id=\"100\" internal_layer_id=\"{}\"/></port_map><body>{}</body>",
      inner, result, body.parts());
  ir.result({ir.layer("TensorIterator", "opset1", "", {{x}}, {{"FP32", {2}}}, map)});
  EXPECT_THAT(error_of(ir), HasSubstr("(ReadValue, opset6): a variable ('v') in a body"));
}

}  // namespace
}  // namespace tenon::nn
