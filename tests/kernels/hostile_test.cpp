// Graphs and callers that mean harm: every one gives an error with its place, quickly, and takes no memory to
// speak of.
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using ::testing::HasSubstr;
using namespace testing_support;
using List = std::vector<std::int64_t>;

Tensor integers(List values) {
  return tensor<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

// One node on constants and one f32 input of these dims; the error that compiling or running gives.
std::optional<Error> error_of(Op op, const Dims& dims, const std::vector<Tensor>& operands,
                              Attributes attributes = {}) {
  GraphBuilder b("bad.onnx");
  std::vector<ValueId> ids{*b.input("x", f32_type(dims))};
  for (const auto& t : operands) ids.push_back(*b.constant("c", t));
  const auto y = b.add_value("y");
  if (auto ok = b.add_node(op, ids, std::array{y}, std::move(attributes), {"n", {}, 13}); !ok)
    return ok.error();
  EXPECT_TRUE(b.add_output(y));
  const auto got = run(*std::move(b).finish(), {random_tensor(dims, 1)});
  if (got) return std::nullopt;
  return got.error();
}

TEST(Hostile, ShapesThatLieAreErrorsWithTheirNode) {
  const std::vector<std::tuple<Op, Dims, std::vector<Tensor>, Attributes>> cases = {
      {Op::Reshape, {2, 3}, {integers({4, 2})}, {}},
      {Op::Reshape, {2, 3}, {integers({-1, -1})}, {}},
      {Op::Reshape, {2, 3}, {integers({-2})}, {}},
      {Op::Reshape, {2, 3}, {integers({0, 0, 0})}, {}},
      {Op::Reshape, {2, 3}, {integers(List(20, 1))}, {}},
      {Op::Reshape, {6}, {integers({INT64_MAX, INT64_MAX})}, {}},
      {Op::Expand, {2, 3}, {integers({2, -1})}, {}},
      {Op::Expand, {1}, {integers({INT64_MAX, INT64_MAX})}, {}},
      {Op::Expand, {1}, {integers({1 << 20, 1 << 20})}, {}},
      {Op::Tile, {2, 3}, {integers({INT64_MAX, 2})}, {}},
      {Op::Tile, {2, 3}, {integers({-1, 2})}, {}},
      {Op::Pad, {2}, {integers({INT64_MAX, INT64_MAX})}, {}},
      {Op::Pad, {2}, {integers({-2, -1})}, {}},
      {Op::Pad, {2}, {integers({1})}, {}},
      {Op::Transpose, {2, 3}, {}, {{"perm", List{0, 0}}}},
      {Op::Transpose, {2, 3}, {}, {{"perm", List{0, 7}}}},
      {Op::Squeeze, {2, 3}, {integers({0})}, {}},
      {Op::Unsqueeze, {2}, {integers({0, 0})}, {}},
      {Op::Slice, {4}, {integers({0}), integers({2}), integers({3})}, {}},
      {Op::Slice, {4}, {integers({0}), integers({2}), integers({0}), integers({0})}, {}},
      {Op::Softmax, {4}, {}, {{"axis", INT64_MIN}}},
      {Op::Flatten, {4}, {}, {{"axis", std::int64_t{9}}}},
      {Op::Gather, {4}, {integers({4})}, {}},
      {Op::Gather, {4}, {integers({INT64_MIN})}, {}},
      {Op::DepthToSpace, {1, 4, 2, 2}, {}, {{"blocksize", INT64_MAX}}},
      {Op::DepthToSpace, {1, 4, 2, 2}, {}, {{"blocksize", std::int64_t{0}}}},
      {Op::MaxPool, {1, 1, 4, 4}, {}, {{"kernel_shape", List{2}}}},
      {Op::MaxPool, {1, 1, 4, 4}, {}, {{"kernel_shape", List{0, 2}}}},
      {Op::MaxPool, {1, 1, 4, 4}, {}, {{"kernel_shape", List{5, 5}}}},
      {Op::MaxPool, {1, 1, 4, 4}, {}, {{"kernel_shape", List{2, 2}}, {"strides", List{0, 1}}}},
      {Op::MaxPool,
       {1, 1, 4, 4},
       {},
       {{"kernel_shape", List{INT64_MAX, 2}}, {"pads", List{INT64_MAX, 0, 0, 0}}}},
      {Op::MaxPool,
       {1, 1, 4, 4},
       {},
       {{"kernel_shape", List{1 << 30, 1 << 30}}, {"pads", List{1 << 30, 1 << 30, 1 << 30, 1 << 30}}}},
      {Op::MaxPool, {1, 1, 4, 4}, {}, {{"kernel_shape", List{2, 2}}, {"auto_pad", std::string("NONSENSE")}}},
      {Op::Conv, {1, 3, 4, 4}, {random_tensor({4, 2, 3, 3}, 1)}, {}},
      {Op::Conv, {1, 3, 4, 4}, {random_tensor({4, 3, 3, 3}, 1)}, {{"group", std::int64_t{0}}}},
      {Op::Conv, {1, 3, 4, 4}, {random_tensor({4, 3, 3, 3}, 1), random_tensor({3}, 1)}, {}},
      {Op::Conv, {3}, {random_tensor({4, 3, 3}, 1)}, {}},
      {Op::ConvTranspose, {1, 3, 4, 4}, {random_tensor({3, 2, 3, 3}, 1)}, {{"pads", List{99, 0, 99, 0}}}},
      {Op::MatMul, {2, 3}, {random_tensor({2, 3}, 1)}, {}},
      {Op::MatMul, {2, 3}, {random_tensor({}, 1)}, {}},
      {Op::Gemm, {2, 3}, {random_tensor({4, 3}, 1)}, {}},
      {Op::Add, {2, 3}, {random_tensor({4}, 1)}, {}},
      {Op::Add, {2}, {integers({1, 2})}, {}},
      {Op::Concat, {2, 3}, {random_tensor({3, 2}, 1)}, {{"axis", std::int64_t{0}}}},
      {Op::ArgMax, {}, {}, {}},
      {Op::Cast, {2}, {}, {{"to", std::int64_t{99}}}},
      {Op::Einsum, {2, 3}, {}, {{"equation", std::string("ij,jk->ik")}}},
      {Op::Einsum, {2, 3}, {}, {{"equation", std::string("i{j")}}},
      {Op::Det, {2, 3}, {}, {}},
      {Op::RoiAlign, {1, 1, 4, 4}, {random_tensor({2, 4}, 1), integers({0, 7})}, {}},
      {Op::BatchNormalization,
       {1, 3, 2},
       {random_tensor({2}, 1), random_tensor({2}, 1), random_tensor({2}, 1), random_tensor({2}, 1)},
       {}},
  };
  int number = 0;
  for (const auto& [op, dims, operands, attributes] : cases) {
    SCOPED_TRACE(fmt::format("case {}: {}", number++, to_string(op)));
    const auto error = error_of(op, dims, operands, attributes);
    ASSERT_TRUE(error);
    EXPECT_THAT(error->message, HasSubstr("bad.onnx: node 'n' ("));
  }
}

TEST(Hostile, ManyFoldedConstantsStayWithinTheLimit) {
  GraphBuilder b("bomb");
  const auto one = *b.constant("one", tensor<float>({1}, {1}));
  const auto shape = *b.constant("shape", integers({1 << 20}));
  const auto x = *b.input("x", f32_type({1}));
  std::vector<ValueId> parts{x};
  for (int i = 0; i < 64; ++i) parts.push_back(*b.node(Op::Expand, {one, shape}));
  const auto y = b.add_value("y");
  ASSERT_TRUE(b.add_node(Op::Concat, parts, std::array{y}, {{"axis", std::int64_t{0}}}, {}));
  ASSERT_TRUE(b.add_output(y));
  CompileOptions options;
  options.limits.max_context_bytes = 64 << 20;
  const auto model = compile(*std::move(b).finish(), options);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::too_large);
}

TEST(Hostile, ALoopThatHoardsMemoryIsStopped) {
  GraphBuilder body("hoard");
  const auto i = *body.input("i", ValueType::tensor(DataType::i64, Dims{}));
  const auto cond = *body.input("c", ValueType::tensor(DataType::boolean, Dims{}));
  const auto x = *body.input("x", ValueType::unranked(DataType::f32));
  static_cast<void>(i);
  ASSERT_TRUE(body.add_output(cond));
  const auto twice = body.add_value("twice");
  ASSERT_TRUE(
      body.add_node(Op::Concat, std::array{x, x}, std::array{twice}, {{"axis", std::int64_t{0}}}, {}));
  ASSERT_TRUE(body.add_output(twice));
  const auto sub = std::make_shared<const Graph>(*std::move(body).finish());
  GraphBuilder b("hoard");
  const auto start = *b.input("x", f32_type({1}));
  const auto y = b.add_value("y");
  ASSERT_TRUE(b.add_node(Op::Loop, std::array{kAbsent, kAbsent, start}, std::array{y}, {{"body", sub}},
                         {"loop", {}, 0}));
  ASSERT_TRUE(b.add_output(y));
  CompileOptions options;
  options.limits.max_tensor_bytes = 1 << 20;
  const auto got = run(*std::move(b).finish(), {tensor<float>({1}, {1})}, options);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ErrorCode::too_large);
  EXPECT_THAT(got.error().message, HasSubstr("'loop'"));
}

TEST(Hostile, NestingIsLimited) {
  std::shared_ptr<const Graph> inner;
  for (int depth = 0; depth < 40; ++depth) {
    GraphBuilder b("deep");
    const auto c = b.add_value("c");
    ASSERT_TRUE(b.define_constant(c, *Tensor::copy(DataType::boolean, {}, std::array{std::byte{1}})));
    auto out = c;
    if (inner) {
      const auto y = b.add_value("y");
      const auto ok = b.add_node(Op::If, std::array{c}, std::array{y},
                                 {{"then_branch", inner}, {"else_branch", inner}}, {});
      if (!ok) {
        EXPECT_EQ(ok.error().code, ErrorCode::too_large);
        return;
      }
      out = y;
    }
    ASSERT_TRUE(b.add_output(out));
    inner = std::make_shared<const Graph>(*std::move(b).finish());
  }
  FAIL() << "forty levels were accepted";
}

TEST(Hostile, EmptyTensorsRunEverywhere) {
  for (const auto op :
       {Op::Relu, Op::Exp, Op::Softmax, Op::Neg, Op::Identity, Op::GlobalAveragePool, Op::Transpose}) {
    EXPECT_FALSE(error_of(op, {0, 3, 4}, {})) << to_string(op);
  }
  EXPECT_FALSE(error_of(Op::MatMul, {0, 3}, {random_tensor({3, 2}, 1)}));
  EXPECT_FALSE(error_of(Op::Conv, {0, 3, 5, 5}, {random_tensor({2, 3, 3, 3}, 1)}));
}

// Nothing interrupts an operator, so what would take for ever is refused, planned or not, and not computed while planning.
TEST(Hostile, OneOperatorThatTakesForEver) {
  constexpr std::int64_t kSide = 4096;  // of matrices of 16 MiB: 2^37 operations
  const auto graph_of = [](bool constant, bool dynamic) {
    GraphBuilder b("work");
    const Dims dims{kSide, kSide};
    const auto declared = dynamic ? ValueType::unranked(DataType::u8) : ValueType::tensor(DataType::u8, dims);
    const auto x =
        constant ? *b.constant("x", *Tensor::allocate(DataType::u8, dims)) : *b.input("x", declared);
    EXPECT_TRUE(b.add_output(*b.node(Op::MatMulInteger, {x, x}), "y"));
    return *std::move(b).finish();
  };
  CompileOptions options;
  options.limits.max_node_operations = std::uint64_t{1} << 36;
  for (const bool constant : {false, true}) {
    const auto model = compile(graph_of(constant, false), options);
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, ErrorCode::too_large);
    EXPECT_THAT(model.error().message, testing::HasSubstr("the limit of one operator"));
  }
  const auto zeros = *Tensor::allocate(DataType::u8, {kSide, kSide});
  const auto result = run(graph_of(false, true), {zeros}, options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::too_large) << result.error().message;
}

}  // namespace
}  // namespace tenon::kernels
