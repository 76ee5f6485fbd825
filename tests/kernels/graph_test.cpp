// Graph building: what the builder accepts, and the errors it names.
#include "kernels/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;

ValueType f32(const Dims& dims) { return ValueType::tensor(DataType::f32, dims); }

TEST(GraphBuilder, SortsNodesThatComeInAnyOrder) {
  GraphBuilder b("m");
  const auto x = *b.input("x", f32({2}));
  const auto y = b.add_value("y"), z = b.add_value("z");
  ASSERT_TRUE(b.add_node(Op::Relu, std::array{y}, std::array{z}, {}, {.node = "second"}));
  ASSERT_TRUE(b.add_node(Op::Neg, std::array{x}, std::array{y}, {}, {.node = "first"}));
  ASSERT_TRUE(b.add_output(z));
  const auto graph = std::move(b).finish();
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->nodes()[0].source.node, "first");
  EXPECT_EQ(graph->value(z).producer, 1u);
}

TEST(GraphBuilder, NamesTheNodeOfACycle) {
  GraphBuilder b("model.onnx");
  const auto y = b.add_value("y"), z = b.add_value("z");
  ASSERT_TRUE(b.add_node(Op::Relu, std::array{y}, std::array{z}, {}, {"r", "Relu", 13}));
  ASSERT_TRUE(b.add_node(Op::Neg, std::array{z}, std::array{y}, {}, {"n", "Neg", 13}));
  const auto graph = std::move(b).finish();
  ASSERT_FALSE(graph);
  EXPECT_EQ(graph.error().code, ErrorCode::invalid_encoding);
  EXPECT_THAT(graph.error().message, HasSubstr("model.onnx: node 'r' (Relu, opset 13)"));
  EXPECT_THAT(graph.error().message, HasSubstr("cycle"));
}

TEST(GraphBuilder, RejectsWhatContradictsItself) {
  GraphBuilder b("m");
  const auto x = *b.input("x", f32({2}));
  EXPECT_FALSE(b.define_input(x));                                       // twice
  EXPECT_FALSE(b.node(Op::Add, {x}));                                    // too few operands
  EXPECT_FALSE(b.node(Op::Relu, {x, x}));                                // too many
  EXPECT_FALSE(b.node(Op::Relu, {kAbsent}));                             // a required one absent
  EXPECT_FALSE(b.node(Op::Relu, {ValueId{999}}));                        // foreign
  EXPECT_FALSE(b.node(Op::Elu, {x}, {{"alpha", std::int64_t{1}}}));      // wrong kind
  EXPECT_FALSE(b.node(Op::Elu, {x}, {{"alpha", 1.f}, {"alpha", 2.f}}));  // twice
  EXPECT_FALSE(b.node(Op::Concat, {x}));                                 // required attribute
  const auto unknown = b.node(Op::Elu, {x}, {{"nonsense", 1.f}});
  EXPECT_EQ(unknown.error().code, ErrorCode::unsupported_operation);
}

TEST(GraphBuilder, ReportsValuesThatNothingDefines) {
  GraphBuilder b("m");
  const auto ghost = b.add_value("ghost");
  ASSERT_TRUE(b.node(Op::Relu, {ghost}, {}, {.node = "r"}));
  const auto graph = std::move(b).finish();
  ASSERT_FALSE(graph);
  EXPECT_THAT(graph.error().message, HasSubstr("'ghost'"));
}

TEST(GraphBuilder, FillsInDefaults) {
  GraphBuilder b("m");
  const auto x = *b.input("x", f32({2}));
  ASSERT_TRUE(b.node(Op::Elu, {x}));
  const auto graph = std::move(b).finish();
  EXPECT_EQ(graph->nodes()[0].real("alpha"), 1.f);
}

TEST(Tensor, SizesAreCheckedForOverflow) {
  EXPECT_FALSE(byte_size(DataType::f32, {std::int64_t{1} << 40, std::int64_t{1} << 40}));
  EXPECT_FALSE(byte_size(DataType::f64, {std::int64_t{1} << 61}));
  EXPECT_EQ(*byte_size(DataType::f32, {std::int64_t{1} << 62, std::int64_t{1} << 62, 0}), 0u);
  EXPECT_FALSE(Dims::from(std::array<std::int64_t, 2>{3, -1}));
  EXPECT_FALSE(Dims::from(std::vector<std::int64_t>(13, 1)));
}

TEST(Tensor, LengthMustAgreeWithDims) {
  const std::array<float, 3> data{1, 2, 3};
  EXPECT_TRUE(Tensor::of<float>(DataType::f32, {3}, data));
  EXPECT_FALSE(Tensor::of<float>(DataType::f32, {2}, data));
  EXPECT_FALSE(Tensor::of<float>(DataType::f32, {1000000, 1000000}, data));
}

}  // namespace
}  // namespace tenon::kernels
