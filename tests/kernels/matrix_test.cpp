// Every row of ops.def whose reference is another program than its fast kernel, on every element type it
// takes and on several shapes: fast against reference, within the row's tolerance. Rows that share one loop
// are named with the reason.
#include <cmath>
#include <set>

#include "kernels/element.h"
#include "kernels/ops.h"
#include "kernels/ops/number.h"
#include "tests/kernels/helpers.h"

namespace tenon::kernels {
namespace {

using namespace testing_support;

struct Case {
  std::vector<Tensor> inputs;
  std::vector<bool> constant;  // given in the graph, not set
  Attributes attributes;
};

Tensor numbers(DataType type, const Dims& dims, unsigned seed, double low = -3, double high = 3) {
  auto t = *Tensor::allocate(type, dims);
  std::mt19937 engine(seed);
  if (type == DataType::u8 || type == DataType::u16 || type == DataType::u32 || type == DataType::u64)
    low = std::max(low, 0.0);
  std::uniform_real_distribution<double> uniform(low, high);
  for (std::int64_t i = 0; i < t.count(); ++i) {
    const double x = uniform(engine);
    set_number(type, t.mutable_data(), i, type == DataType::boolean ? (x > (low + high) / 2 ? 1 : 0) : x);
  }
  return t;
}

Tensor integers(std::vector<std::int64_t> values) {
  return tensor<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
}

Case plain(std::vector<Tensor> inputs, Attributes attributes = {}) {
  const auto count = inputs.size();
  return {std::move(inputs), std::vector<bool>(count, false), std::move(attributes)};
}

// The domain in which the operator is defined and well conditioned.
std::pair<double, double> domain(Op op) {
  switch (op) {
    case Op::Acos:
    case Op::Asin:
    case Op::Atanh: return {-0.9, 0.9};
    case Op::Acosh: return {1.1, 4};
    case Op::Log:
    case Op::Sqrt:
    case Op::Pow:
    case Op::ReduceLogSum: return {0.5, 3};
    case Op::Tan: return {-1.2, 1.2};
    case Op::Reciprocal:
    case Op::Div:
    case Op::Mod: return {1, 5};
    default: return {-3, 3};
  }
}

using List = std::vector<std::int64_t>;

Tensor real(float value) { return tensor<float>({}, {value}); }
Tensor zero_point(DataType type, double value, std::int64_t count = 0) {
  return numbers(type, count == 0 ? Dims{} : Dims{count}, 5, value, count == 0 ? value : value + 3);
}

// Convolutions and products of bytes: constant weights take the integer primitives, others the loops.
std::vector<Case> quantized_cases(Op op, DataType type) {
  const bool sums = op == Op::ConvInteger || op == Op::MatMulInteger;
  const bool product = op == Op::QLinearMatMul || op == Op::MatMulInteger;
  const auto bytes = [](DataType t, const Dims& dims, unsigned seed) {
    return t == DataType::u8 ? numbers(t, dims, seed, 0, 255.9) : numbers(t, dims, seed, -128.9, 127.9);
  };
  struct Shape {
    Dims x, w;
    Attributes attributes;
  };
  const std::vector<Shape> convolutions{
      {{1, 3, 9, 11}, {8, 3, 3, 3}, {{"pads", List{1, 1, 1, 1}}}},
      {{2, 16, 8, 8}, {24, 16, 1, 1}, {{"strides", List{2, 2}}}},
      {{1, 24, 7, 7}, {24, 1, 3, 3}, {{"group", std::int64_t{24}}, {"pads", List{1, 1, 1, 1}}}},
      {{1, 8, 6, 10},
       {4, 4, 3, 2},
       {{"group", std::int64_t{2}}, {"dilations", List{2, 1}}, {"pads", List{0, 1, 3, 1}}}},
      {{1, 4, 20}, {6, 4, 5}, {{"pads", List{2, 2}}}}};
  const std::vector<Shape> products{
      {{5, 7}, {7, 3}, {}}, {{2, 4, 64}, {64, 48}, {}}, {{1, 33}, {33, 17}, {}}};
  std::vector<Case> out;
  for (const auto& shape : product ? products : convolutions) {
    const auto channels = product ? shape.w.back() : shape.w[0];
    for (const auto w_type : {DataType::i8, DataType::u8}) {
      for (const bool constant : {true, false}) {
        const bool each = w_type == DataType::i8;  // a scale for each channel
        auto x = bytes(type, shape.x, 1), w = bytes(w_type, shape.w, 2);
        const auto x_zero = zero_point(type, 3),
                   w_zero = zero_point(w_type, w_type == DataType::u8 ? 127 : 0, each ? channels : 0);
        Case c;
        if (sums) {
          c = {{x, w, x_zero, product ? w_zero : zero_point(w_type, 128 * (w_type == DataType::u8))},
               {false, constant, false, constant},
               shape.attributes};
        } else {
          const auto w_scale = each ? numbers(DataType::f32, {channels}, 7, 0.001, 0.01) : real(0.004f);
          const auto zeros = each ? numbers(w_type, {channels}, 7, 0, 0.5) : zero_point(w_type, 128);
          c = {{x, real(0.02f), x_zero, w, w_scale, zeros, real(0.09f),
                zero_point(type, type == DataType::u8 ? 101 : -5)},
               {false, true, true, constant, true, true, true, true},
               shape.attributes};
          if (!product) {
            c.inputs.push_back(numbers(DataType::i32, {channels}, 9, -3000, 3000));
            c.constant.push_back(true);
          }
        }
        out.push_back(std::move(c));
      }
    }
  }
  return out;
}

std::vector<Case> cases_of(Op op, DataType type) {
  const auto [low, high] = domain(op);
  const auto kind = family(op);
  const auto x = [&, low = low, high = high](const Dims& dims, unsigned seed = 1) {
    return numbers(type, dims, seed, low, high);
  };
  std::vector<Case> out;
  if (kind == "unary") {
    for (const Dims& dims : {Dims{}, Dims{7}, Dims{3, 5, 41}, Dims{0, 4}}) out.push_back(plain({x(dims)}));
  } else if (kind == "clip") {
    out.push_back(plain({x({3, 50})}));
    out.push_back(plain({x({3, 50}), numbers(type, {}, 1, 0, 0), numbers(type, {}, 1, 1, 1)}));
  } else if (kind == "binary" || kind == "variadic") {
    Attributes attributes;
    if (op == Op::BitShift) attributes.push_back({"direction", std::string("LEFT")});
    if (op == Op::Mod && is_float(type)) attributes.push_back({"fmod", std::int64_t{1}});
    for (const auto& [a, b] : std::vector<std::pair<Dims, Dims>>{{{4, 33}, {4, 33}},
                                                                 {{2, 3, 17}, {17}},
                                                                 {{3, 1}, {1, 5}},
                                                                 {{}, {6}},
                                                                 {{2, 1, 4}, {3, 1}},
                                                                 {{0, 3}, {3}}}) {
      if (op == Op::PRelu && a.size() < b.size()) continue;
      out.push_back(plain({x(a), x(b, 2)}, attributes));
    }
    if (kind == "variadic") out.push_back(plain({x({3, 4}), x({4}, 2), x({1, 1}, 3)}));
  } else if (kind == "strided") {
    if (op == Op::Transpose) {
      for (const auto& perm : {List{1, 0, 2}, List{2, 1, 0}, List{0, 2, 1}})
        out.push_back(plain({x({3, 37, 18})}, {{"perm", perm}}));
    } else if (op == Op::Slice) {
      out.push_back({{x({5, 9}), integers({1, -1}), integers({4, -8}), integers({0, 1}), integers({2, -3})},
                     {false, true, true, true, true},
                     {}});
      out.push_back({{x({5, 9}), integers({7}), integers({INT64_MAX}), integers({0}), integers({INT64_MAX})},
                     {false, true, true, true, true},
                     {}});
    } else if (op == Op::Expand) {
      out.push_back({{x({3, 1}), integers({2, 1, 6})}, {false, true}, {}});
    } else if (op == Op::DepthToSpace) {
      for (const auto* mode : {"DCR", "CRD"})
        out.push_back(
            plain({x({2, 12, 3, 5})}, {{"blocksize", std::int64_t{2}}, {"mode", std::string(mode)}}));
    } else {
      out.push_back(plain({x({2, 3, 4, 6})}, {{"blocksize", std::int64_t{2}}}));
    }
  } else if (kind == "tile") {
    out.push_back({{x({2, 1, 3}), integers({2, 4, 1})}, {false, true}, {}});
  } else if (kind == "concat") {
    out.push_back(plain({x({2, 3, 4}), x({2, 1, 4}, 2), x({2, 0, 4}, 3)}, {{"axis", std::int64_t{-2}}}));
  } else if (kind == "split") {
    out.push_back(plain({x({4, 6})}, {{"axis", std::int64_t{1}}}));
  } else if (kind == "reduce") {
    out.push_back(plain({x({3, 4, 5})}));
    for (const auto& axes : {List{0}, List{1}, List{-1}, List{0, 2}}) {
      out.push_back({{x({3, 4, 5}), integers(axes)}, {false, true}, {{"keepdims", std::int64_t{0}}}});
    }
  } else if (kind == "softmax") {
    for (const std::int64_t axis : {0, 1, -1}) out.push_back(plain({x({4, 6, 11})}, {{"axis", axis}}));
  } else if (kind == "conv") {
    const auto conv = [&](const Dims& in, const Dims& w, Attributes attributes) {
      out.push_back({{x(in), x(w, 2), x({w[0]}, 3)}, {false, true, true}, std::move(attributes)});
      out.back().constant[1] = out.size() % 2 == 0;  // weights that are set, too
    };
    conv({1, 3, 9, 11}, {8, 3, 3, 3}, {{"pads", List{1, 1, 1, 1}}});
    conv({2, 16, 8, 8}, {24, 16, 1, 1}, {{"strides", List{2, 2}}});
    conv({1, 8, 7, 7}, {8, 1, 3, 3}, {{"group", std::int64_t{8}}, {"pads", List{1, 1, 1, 1}}});
    conv({1, 6, 10, 9}, {4, 3, 3, 2},
         {{"group", std::int64_t{2}}, {"dilations", List{2, 1}}, {"auto_pad", std::string("SAME_UPPER")}});
    conv({1, 4, 12}, {5, 4, 3}, {{"pads", List{2, 0}}});
    conv({1, 2, 4, 5, 6}, {3, 2, 2, 2, 2}, {});
  } else if (kind == "conv_transpose") {
    out.push_back({{x({1, 3, 5, 5}), x({3, 4, 3, 3}, 2)},
                   {false, true},
                   {{"strides", List{2, 2}}, {"output_padding", List{1, 1}}, {"pads", List{1, 1, 1, 1}}}});
    out.push_back({{x({1, 4, 3, 3}), x({4, 2, 2, 2}, 2), x({4}, 3)},
                   {false, true, true},
                   {{"group", std::int64_t{2}}}});
  } else if (kind == "pool") {
    for (const std::int64_t ceil : {0, 1}) {
      out.push_back(plain({x({1, 5, 9, 8})}, {{"kernel_shape", List{3, 2}},
                                              {"strides", List{2, 2}},
                                              {"pads", List{1, 0, 1, 1}},
                                              {"ceil_mode", ceil}}));
    }
    out.push_back(plain({x({2, 3, 20})}, {{"kernel_shape", List{4}}}));
    if (op == Op::AveragePool) {
      out.push_back(plain({x({1, 2, 6, 6})}, {{"kernel_shape", List{3, 3}},
                                              {"pads", List{1, 1, 1, 1}},
                                              {"count_include_pad", std::int64_t{1}}}));
    }
  } else if (kind == "matmul") {
    for (const auto& [a, b] : std::vector<std::pair<Dims, Dims>>{{{5, 7}, {7, 3}},
                                                                 {{2, 5, 7}, {7, 3}},
                                                                 {{2, 1, 4, 3}, {3, 3, 6}},
                                                                 {{4}, {4, 2}},
                                                                 {{3, 4}, {4}},
                                                                 {{1, 64}, {64, 48}}}) {
      out.push_back(plain({x(a), x(b, 2)}));
      out.push_back({{x(a), x(b, 2)}, {false, true}, {}});
    }
  } else if (op == Op::QLinearConv || op == Op::ConvInteger || op == Op::QLinearMatMul ||
             op == Op::MatMulInteger) {
    return quantized_cases(op, type);
  } else if (kind == "recurrent") {
    const std::int64_t gates = op == Op::LSTM ? 4 : op == Op::GRU ? 3 : 1;
    for (const auto* direction : {"forward", "reverse", "bidirectional"}) {
      for (const std::int64_t layout : {0, 1}) {
        const std::int64_t d = std::string_view(direction) == "bidirectional" ? 2 : 1;
        const auto small = [&](const Dims& dims, unsigned seed) {
          return numbers(type, dims, seed, -0.5, 0.5);
        };
        Attributes attributes{
            {"direction", std::string(direction)}, {"layout", layout}, {"hidden_size", std::int64_t{10}}};
        if (op == Op::GRU) attributes.push_back({"linear_before_reset", layout});
        const Dims in = layout == 1 ? Dims{3, 5, 7} : Dims{5, 3, 7};
        out.push_back(plain({small(in, 1), small({d, gates * 10, 7}, 2), small({d, gates * 10, 10}, 3),
                             small({d, 2 * gates * 10}, 4)},
                            attributes));
        out.push_back(
            plain({small(in, 1), small({d, gates * 10, 7}, 2), small({d, gates * 10, 10}, 3)}, attributes));
      }
    }
  } else if (op == Op::QuantizeLinear) {
    for (const auto to : {DataType::u8, DataType::i8})
      out.push_back({{x({3, 41}), real(0.037f), zero_point(to, 7)}, {false, true, true}, {}});
    out.push_back({{x({3, 4}), numbers(DataType::f32, {4}, 2, 0.01, 0.1), zero_point(DataType::u8, 7, 4)},
                   {false, true, true},
                   {}});
  } else if (op == Op::DequantizeLinear) {
    out.push_back({{x({3, 41}), real(0.037f), zero_point(type, 2)}, {false, true, true}, {}});
  } else if (kind == "gemm") {
    out.push_back({{x({3, 5}), x({5, 4}, 2), x({4}, 3)}, {false, true, true}, {}});
    out.push_back(plain({x({5, 3}), x({4, 5}, 2), x({3, 1}, 3)},
                        {{"transA", std::int64_t{1}}, {"transB", std::int64_t{1}}}));
    if (is_float(type))
      out.push_back(plain({x({3, 5}), x({5, 4}, 2), x({}, 3)}, {{"alpha", 0.5f}, {"beta", 2.f}}));
  }
  return out;
}

// What the fast path adds to these is nothing: reference and kernel are one loop, which other tests and the
// ONNX suite check.
const std::set<std::string_view> kShared = {
    "arg_reduce", "batch_norm", "cast", "control", "det", "detections", "einsum", "fill", "gather",
    "global_pool", "layer_norm", "lrn", "optional", "pad", "picture", "random", "range", "regions",
    "sampling", "selection", "sequence", "shape_of", "signal", "suppression", "text", "view", "where",
    "resize",
    // ops/indexing.cpp and ops/quantized.cpp
    "gather_elements", "gather_nd", "scatter_elements", "scatter_nd", "one_hot", "cum_sum", "trilu",
    "reverse_sequence", "eye_like", "top_k", "dynamic_quantize"};

std::optional<Graph> graph_of(Op op, const Case& c) {
  GraphBuilder b("matrix");
  std::vector<ValueId> ids;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    const auto& t = c.inputs[i];
    ids.push_back(c.constant[i] ? *b.constant("c", t) : *b.input("x", ValueType::tensor(t.type(), t.dims())));
  }
  std::vector<ValueId> outputs{b.add_value("y")};
  if (family(op) == "split") outputs = {outputs[0], b.add_value("z"), b.add_value("u")};
  if (auto ok = b.add_node(op, ids, outputs, c.attributes, {}); !ok) {
    ADD_FAILURE() << ok.error().message;
    return std::nullopt;
  }
  for (const auto id : outputs) EXPECT_TRUE(b.add_output(id));
  return *std::move(b).finish();
}

double precision(DataType type) {
  return type == DataType::f16 ? 2e-3 : type == DataType::bf16 ? 2e-2 : type == DataType::f32 ? 1e-6 : 1e-12;
}

class Matrix : public ::testing::TestWithParam<Op> {};

TEST_P(Matrix, FastAgreesWithReference) {
  const auto op = GetParam();
  for (auto t = DataType::f16; t <= DataType::boolean; t = static_cast<DataType>(static_cast<int>(t) + 1)) {
    if (!accepts(op, t)) continue;
    int number = 0;
    for (const auto& c : cases_of(op, t)) {
      SCOPED_TRACE(fmt::format("{} {} case {}", to_string(op), to_string(t), number++));
      const auto graph = graph_of(op, c);
      if (!graph) continue;
      std::vector<Tensor> inputs;
      for (std::size_t i = 0; i < c.inputs.size(); ++i) {
        if (!c.constant[i]) inputs.push_back(c.inputs[i]);
      }
      CompileOptions reference, two;
      reference.reference = true;
      two.threads = 2;
      const auto expected = run(*graph, inputs, reference);
      const auto got = run(*graph, inputs), parallel = run(*graph, inputs, two);
      ASSERT_EQ(expected.has_value(), got.has_value()) << (got ? expected.error() : got.error()).message;
      if (!expected) {
        EXPECT_EQ(got.error().code, ErrorCode::unsupported_operation) << got.error().message;
        continue;
      }
      ASSERT_TRUE(parallel) << parallel.error().message;
      for (std::size_t o = 0; o < expected->size(); ++o) {
        const auto& e = (*expected)[o].tensor;
        for (const auto* result : {&*got, &*parallel}) {
          const auto& g = (*result)[o].tensor;
          ASSERT_EQ(g.dims(), e.dims());
          const auto a = get_numbers(e.type(), e.data(), e.count()),
                     b = get_numbers(g.type(), g.data(), g.count());
          double scale = 1e-30, worst = 0;
          for (const auto v : a) scale = std::max(scale, std::abs(v));
          for (std::size_t i = 0; i < a.size(); ++i) {
            if (!(std::isnan(a[i]) && std::isnan(b[i])) && a[i] != b[i])
              worst = std::max(worst, std::abs(a[i] - b[i]));
          }
          EXPECT_LE(worst / scale, std::max(tolerance(op), is_float(t) ? precision(t) : 0.0));
        }
      }
    }
  }
}

std::vector<Op> compared_rows() {
  std::vector<Op> out;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Op::kCount); ++i) {
    if (!kShared.contains(family(static_cast<Op>(i)))) out.push_back(static_cast<Op>(i));
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(AllRows, Matrix, ::testing::ValuesIn(compared_rows()),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST(MatrixCases, EveryComparedRowHasCases) {
  for (const auto op : compared_rows()) {
    DataType type = DataType::f32;
    if (!accepts(op, type)) type = accepts(op, DataType::i32) ? DataType::i32 : DataType::boolean;
    EXPECT_FALSE(cases_of(op, type).empty()) << to_string(op) << ": family " << family(op);
  }
}

}  // namespace
}  // namespace tenon::kernels
