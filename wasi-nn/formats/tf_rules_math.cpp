// Rules of TensorFlow's element-wise operators, reductions and matrix products.
#include <cmath>
#include <numbers>

#include "wasi-nn/formats/tf_rules.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn::tf::rules {

using kernels::DataType;

// The operator of ops.def with the same operands.
Result<void> direct(NodeImport& node) { return node.result(node.emit(node.target(), node.inputs())); }

Result<void> add_n(NodeImport& node) {
  ValueId sum = node.input(0);
  for (size_t i = 1; i < node.input_count(); ++i) sum = TENON_TRY(node.emit("Add", {sum, node.input(i)}));
  return node.result(node.input_count() == 1 ? node.emit("Identity", {sum}) : Result<ValueId>(sum));
}

// For channels-last data the bias lies along the last dimension, as broadcasting wants it.
Result<void> bias_add(NodeImport& node) {
  ValueId bias = node.input(1);
  if (TENON_TRY(node.string_attr("data_format", "NHWC")).starts_with("NC")) {
    const auto rank = node.rank(node.input(0));
    if (!rank) return NodeImport::unsupported("channels in front of dimensions whose number is not known");
    std::vector<int64_t> axes;
    for (size_t i = 2; i < *rank; ++i) axes.push_back(static_cast<int64_t>(i) - 1);
    bias = TENON_TRY(node.unsqueeze(bias, axes));
  }
  return node.result(node.emit("Add", {node.input(0), bias}));
}

Result<void> cast(NodeImport& node) {
  const DataType to = TENON_TRY(node.type_attr("DstT", TfType::kInvalid));
  return node.result(node.emit("Cast", {node.input(0)}, {{"to", kernels::onnx_number(to)}}));
}

Result<void> clip_by_value(NodeImport& node) {
  const ValueId low = TENON_TRY(node.emit("Max", {node.input(0), node.input(1)}));
  return node.result(node.emit("Min", {low, node.input(2)}));
}

Result<void> div_no_nan(NodeImport& node) {
  const ValueId zero = TENON_TRY(node.scalar_like(node.input(1), 0));
  const ValueId is_zero = TENON_TRY(node.emit("Equal", {node.input(1), zero}));
  return node.result(
      node.emit("Where", {is_zero, zero, TENON_TRY(node.emit("Div", {node.input(0), node.input(1)}))}));
}

Result<void> mul_no_nan(NodeImport& node) {
  const ValueId zero = TENON_TRY(node.scalar_like(node.input(1), 0));
  const ValueId is_zero = TENON_TRY(node.emit("Equal", {node.input(1), zero}));
  return node.result(
      node.emit("Where", {is_zero, zero, TENON_TRY(node.emit("Mul", {node.input(0), node.input(1)}))}));
}

Result<void> one_minus(NodeImport& node) {
  const ValueId value = TENON_TRY(node.emit(node.target(), {node.input(0)}));
  return node.result(node.emit("Sub", {TENON_TRY(node.scalar_like(node.input(0), 1)), value}));
}

Result<void> expm1(NodeImport& node) {
  const ValueId value = TENON_TRY(node.emit("Exp", {node.input(0)}));
  return node.result(node.emit("Sub", {value, TENON_TRY(node.scalar_like(node.input(0), 1))}));
}

Result<void> log1p(NodeImport& node) {
  const ValueId value =
      TENON_TRY(node.emit("Add", {node.input(0), TENON_TRY(node.scalar_like(node.input(0), 1))}));
  return node.result(node.emit("Log", {value}));
}

Result<void> rsqrt(NodeImport& node) {
  return node.result(node.emit("Reciprocal", {TENON_TRY(node.emit("Sqrt", {node.input(0)}))}));
}

Result<void> square(NodeImport& node) {
  return node.result(node.emit("Mul", {node.input(0), node.input(0)}));
}

Result<void> squared_difference(NodeImport& node) {
  const ValueId difference = TENON_TRY(node.emit("Sub", {node.input(0), node.input(1)}));
  return node.result(node.emit("Mul", {difference, difference}));
}

Result<void> l2_loss(NodeImport& node) {
  const ValueId sum = TENON_TRY(node.emit("ReduceSumSquare", {node.input(0)}, {{"keepdims", int64_t{0}}}));
  return node.result(node.emit("Mul", {sum, TENON_TRY(node.scalar_like(node.input(0), 0.5))}));
}

// Rounded down, with integers too, where the kernels' division rounds towards zero.
Result<void> floor_div(NodeImport& node) {
  const ValueId a = node.input(0), b = node.input(1);
  if (kernels::is_float(node.element_type(a))) {
    return node.result(node.emit("Floor", {TENON_TRY(node.emit("Div", {a, b}))}));
  }
  const ValueId rest = TENON_TRY(node.emit("Mod", {a, b}));
  return node.result(node.emit("Div", {TENON_TRY(node.emit("Sub", {a, rest})), b}));
}

// The sign is the divisor's.
Result<void> floor_mod(NodeImport& node) {
  const ValueId a = node.input(0), b = node.input(1);
  if (!kernels::is_float(node.element_type(a))) return node.result(node.emit("Mod", {a, b}));
  const ValueId times = TENON_TRY(node.emit("Floor", {TENON_TRY(node.emit("Div", {a, b}))}));
  return node.result(node.emit("Sub", {a, TENON_TRY(node.emit("Mul", {times, b}))}));
}

// The sign is the dividend's.
Result<void> truncate_mod(NodeImport& node) {
  return node.result(node.emit("Mod", {node.input(0), node.input(1)}, {{"fmod", int64_t{1}}}));
}

Result<void> is_finite(NodeImport& node) {
  const ValueId infinite = TENON_TRY(node.emit("IsInf", {node.input(0)}));
  const ValueId odd = TENON_TRY(node.emit("Or", {infinite, TENON_TRY(node.emit("IsNaN", {node.input(0)}))}));
  return node.result(node.emit("Not", {odd}));
}

Result<void> not_equal(NodeImport& node) {
  return node.result(node.emit("Not", {TENON_TRY(node.emit("Equal", {node.input(0), node.input(1)}))}));
}

Result<void> leaky_relu(NodeImport& node) {
  return node.result(
      node.emit("LeakyRelu", {node.input(0)}, {{"alpha", TENON_TRY(node.float_attr("alpha", 0.2f))}}));
}

Result<void> relu6(NodeImport& node) {
  const ValueId low = TENON_TRY(node.scalar_like(node.input(0), 0));
  return node.result(node.emit("Clip", {node.input(0), low, TENON_TRY(node.scalar_like(node.input(0), 6))}));
}

// Integers are round already.
Result<void> round(NodeImport& node) {
  const bool real = kernels::is_float(node.element_type(node.input(0)));
  return node.result(node.emit(real ? "Round" : "Identity", {node.input(0)}));
}

// A condition of one dimension chooses rows; otherwise it has the operands' shape or is one value.
Result<void> select(NodeImport& node) {
  ValueId condition = node.input(0);
  const auto rank = node.rank(condition);
  if (rank == 1u) {
    const auto of_rows = node.rank(node.input(1));
    if (!of_rows) return NodeImport::unsupported("choosing rows of a tensor of unknown rank");
    std::vector<int64_t> axes;
    for (size_t i = 1; i < *of_rows; ++i) axes.push_back(static_cast<int64_t>(i));
    condition = TENON_TRY(node.unsqueeze(condition, axes));
  }
  return node.result(node.emit("Where", {condition, node.input(1), node.input(2)}));
}

// atan(y / x) in the half plane of x > 0, half a turn further elsewhere; an angle of 0 / 0 is 0.
Result<void> atan2(NodeImport& node) {
  const ValueId y = node.input(0), x = node.input(1);
  const auto number = [&](double value) { return node.scalar_like(x, value); };
  const ValueId zero = TENON_TRY(number(0));
  const ValueId slope = TENON_TRY(node.emit("Atan", {TENON_TRY(node.emit("Div", {y, x}))}));
  const ValueId below = TENON_TRY(node.emit("Less", {y, zero}));
  const ValueId turn = TENON_TRY(
      node.emit("Where", {below, TENON_TRY(number(-std::numbers::pi)), TENON_TRY(number(std::numbers::pi))}));
  const ValueId behind = TENON_TRY(node.emit("Less", {x, zero}));
  const ValueId added = TENON_TRY(node.emit("Where", {behind, turn, zero}));
  const ValueId angle = TENON_TRY(node.emit("Add", {slope, added}));
  const ValueId nowhere = TENON_TRY(
      node.emit("And", {TENON_TRY(node.emit("Equal", {x, zero})), TENON_TRY(node.emit("Equal", {y, zero}))}));
  return node.result(node.emit("Where", {nowhere, zero, angle}));
}

// How many of the sorted numbers, the last axis of operand 0, come before each of operand 1.
static Result<void> count_before(NodeImport& node, std::string_view comparison) {
  const ValueId sorted = TENON_TRY(node.unsqueeze(node.input(0), {-2}));
  const ValueId wanted = TENON_TRY(node.unsqueeze(node.input(1), {-1}));
  const ValueId before = TENON_TRY(node.emit(comparison, {sorted, wanted}));
  const DataType type = TENON_TRY(node.type_attr("out_type", TfType::kInt32));
  return node.result(node.emit("ReduceSum",
                               {TENON_TRY(node.cast(before, type)), TENON_TRY(node.int_vector({-1}))},
                               {{"keepdims", int64_t{0}}}));
}
Result<void> lower_bound(NodeImport& node) { return count_before(node, "Less"); }
Result<void> upper_bound(NodeImport& node) { return count_before(node, "LessOrEqual"); }

// Dimensions as operand 1; none of them means nothing is reduced.
Result<void> reduce(NodeImport& node) {
  const ValueId axes = TENON_TRY(node.axes(1));
  const bool keep = TENON_TRY(node.bool_attr("keep_dims", false));
  return node.result(node.emit(node.target(), {node.input(0), axes},
                               {{"keepdims", int64_t{keep}}, {"noop_with_empty_axes", int64_t{1}}}));
}

Result<void> arg_reduce(NodeImport& node) {
  const int64_t axis = node.input_count() > 1 ? TENON_TRY(node.constant_int(1, "the dimension")) : 0;
  const ValueId index =
      TENON_TRY(node.emit(node.target(), {node.input(0)}, {{"axis", axis}, {"keepdims", int64_t{0}}}));
  return node.result(node.cast(index, TENON_TRY(node.type_attr("output_type", TfType::kInt64))));
}

Result<void> cumsum(NodeImport& node) {
  const bool exclusive = TENON_TRY(node.bool_attr("exclusive", false));
  const bool reverse = TENON_TRY(node.bool_attr("reverse", false));
  return node.result(node.emit("CumSum", {node.input(0), TENON_TRY(node.to_i64(node.input(1)))},
                               {{"exclusive", int64_t{exclusive}}, {"reverse", int64_t{reverse}}}));
}

// Transposed or conjugate operands; conjugation means nothing for real numbers.
Result<void> matmul(NodeImport& node) {
  const auto operand = [&](size_t i, std::string_view transposed,
                           std::string_view adjoint) -> Result<ValueId> {
    const bool turn =
        TENON_TRY(node.bool_attr(transposed, false)) || TENON_TRY(node.bool_attr(adjoint, false));
    if (!turn) return node.input(i);
    // MatMul has two dimensions; the batched forms say how many when they can.
    const auto rank = node.def().op == "MatMul" ? std::optional<size_t>(2) : node.rank(node.input(i));
    if (!rank || *rank < 2) return NodeImport::unsupported("transposed operand {} of unknown rank", i);
    std::vector<int64_t> perm(*rank);
    for (size_t k = 0; k < *rank; ++k) perm[k] = static_cast<int64_t>(k);
    std::swap(perm[*rank - 1], perm[*rank - 2]);
    return node.transpose(node.input(i), perm);
  };
  const ValueId a = TENON_TRY(operand(0, "transpose_a", "adj_x"));
  const ValueId b = TENON_TRY(operand(1, "transpose_b", "adj_y"));
  return node.result(node.emit("MatMul", {a, b}));
}

Result<void> einsum(NodeImport& node) {
  const std::string equation(TENON_TRY(node.string_attr("equation", "")));
  return node.result(node.emit("Einsum", node.inputs(), {{"equation", equation}}));
}

// start + i · (stop - start) / (count - 1)
Result<void> lin_space(NodeImport& node) {
  const ValueId start = node.input(0), stop = node.input(1);
  const DataType type = node.element_type(start);
  const ValueId count = TENON_TRY(node.to_i64(node.input(2)));
  const ValueId one = TENON_TRY(node.int_scalar(1));
  const ValueId steps = TENON_TRY(node.emit("Max", {TENON_TRY(node.emit("Sub", {count, one})), one}));
  const ValueId numbers = TENON_TRY(node.emit("Range", {TENON_TRY(node.int_scalar(0)), count, one}));
  const ValueId width = TENON_TRY(
      node.emit("Div", {TENON_TRY(node.emit("Sub", {stop, start})), TENON_TRY(node.cast(steps, type))}));
  const ValueId offsets = TENON_TRY(node.emit("Mul", {TENON_TRY(node.cast(numbers, type)), width}));
  return node.result(node.emit("Add", {start, offsets}));
}

namespace {

// Nudged so that zero is a code of its own, as TensorFlow does before it quantises.
struct Quantisation {
  float scale = 1;
  float zero_point = 0;
  float low = 0, high = 0;
};
Result<Quantisation> nudged(float min, float max, int64_t bits, bool narrow) {
  if (bits < 2 || bits > 8) return NodeImport::unsupported("{} bits", bits);
  if (!(min < max) || !(min <= 0) || !(max >= 0))
    return NodeImport::invalid("a range from {} to {}", min, max);
  const float lowest = narrow ? 1 : 0;
  const auto highest = static_cast<float>((1 << bits) - 1);
  Quantisation q;
  q.scale = (max - min) / (highest - lowest);
  q.zero_point = std::clamp(std::round(lowest - min / q.scale), lowest, highest);
  q.low = (lowest - q.zero_point) * q.scale;
  q.high = (highest - q.zero_point) * q.scale;
  return q;
}

// QuantizeLinear and DequantizeLinear along the last dimension, or with one scale.
Result<void> quantise(NodeImport& node, const std::vector<Quantisation>& all, bool clip) {
  std::vector<float> scales, lows, highs;
  std::vector<uint8_t> zeros;
  for (const Quantisation& q : all) {
    scales.push_back(q.scale);
    lows.push_back(q.low);
    highs.push_back(q.high);
    zeros.push_back(static_cast<uint8_t>(q.zero_point));
  }
  const kernels::Dims dims =
      all.size() == 1 ? kernels::Dims{} : kernels::Dims{static_cast<int64_t>(all.size())};
  const auto floats = [&](const std::vector<float>& values) -> Result<ValueId> {
    return node.constant(TENON_TRY(kernels::Tensor::of<float>(DataType::f32, dims, std::span(values))));
  };
  ValueId x = node.input(0);
  if (clip) {
    x = TENON_TRY(node.emit("Max", {x, TENON_TRY(floats(lows))}));
    x = TENON_TRY(node.emit("Min", {x, TENON_TRY(floats(highs))}));
  }
  const ValueId scale = TENON_TRY(floats(scales));
  const ValueId zero =
      TENON_TRY(node.constant(TENON_TRY(kernels::Tensor::of<uint8_t>(DataType::u8, dims, std::span(zeros)))));
  const kernels::Attributes axis{{"axis", int64_t{-1}}};
  const ValueId codes = TENON_TRY(node.emit("QuantizeLinear", {x, scale, zero}, axis));
  return node.result(node.emit("DequantizeLinear", {codes, scale, zero}, axis));
}

}  // namespace

Result<void> fake_quant_args(NodeImport& node) {
  const int64_t bits = TENON_TRY(node.int_attr("num_bits", 8));
  const bool narrow = TENON_TRY(node.bool_attr("narrow_range", false));
  const auto q = TENON_TRY(
      nudged(TENON_TRY(node.float_attr("min", -6)), TENON_TRY(node.float_attr("max", 6)), bits, narrow));
  return quantise(node, {q}, bits != 8 || narrow);
}

Result<void> fake_quant_vars(NodeImport& node) {
  const int64_t bits = TENON_TRY(node.int_attr("num_bits", 8));
  const bool narrow = TENON_TRY(node.bool_attr("narrow_range", false));
  const auto low = node.constant_floats(1), high = node.constant_floats(2);
  if (!low || !high) return NodeImport::unsupported("a range that is not constant");
  if (low->size() != high->size() || low->empty())
    return NodeImport::invalid("{} and {} limits", low->size(), high->size());
  std::vector<Quantisation> all;
  for (size_t i = 0; i < low->size(); ++i)
    all.push_back(TENON_TRY(nudged((*low)[i], (*high)[i], bits, narrow)));
  return quantise(node, all, bits != 8 || narrow);
}

}  // namespace tenon::nn::tf::rules
