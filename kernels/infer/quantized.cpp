// Shape rules of quantised operators.
#include "kernels/infer.h"

namespace tenon::kernels::shape {
namespace {

bool is_byte(DataType type) { return type == DataType::u8 || type == DataType::i8; }
bool is_quantized(DataType type) {
  return is_byte(type) || type == DataType::u16 || type == DataType::i16 || type >= DataType::i4;
}

// Scale and zero point: one for all, one for each index of the axis, or one for each block of it.
Result<void> check_scale(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& scale = c.dims(1);
  const auto block = c.node.integer("block_size");
  const bool single = product(scale) == 1 && c.has(2) && product(c.dims(2)) == 1;  // a scalar and [1] are one
  if (c.has(2) && !single && !(c.dims(2) == scale)) return c.invalid("scale and zero point differ in shape");
  if (scale.empty() || (block == 0 && scale == Dims{1})) return {};
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  auto wanted = in;
  if (block > 0) {
    wanted[axis] = (in[axis] - 1) / block + 1;
  } else {
    wanted = Dims{in[axis]};
  }
  if (block >= 0 && scale == wanted) return {};
  return c.invalid(
      fmt::format("scale {} for operand {} along axis {}", to_string(scale), to_string(in), axis));
}

// The rule of the plain operator, applied to two of a quantised one's operands.
Result<void> as_plain(InferContext& c, Result<void> (*rule)(InferContext&), std::size_t a, std::size_t b) {
  const Operand operands[] = {c.inputs[a], c.inputs[b]};
  InferContext plain(c.node, operands);
  plain.outputs.resize(1);
  TENON_TRY(rule(plain));
  return c.set(0, plain.outputs[0].dims);
}

// x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point
Result<void> check_qlinear(InferContext& c) {
  for (const std::size_t i : {0u, 3u}) {
    if (!is_byte(c.inputs[i].type) || c.inputs[i + 2].type != c.inputs[i].type) {
      return c.invalid(fmt::format("operand {} and its zero point must be of one 8-bit type", i));
    }
  }
  for (const std::size_t i : {1u, 4u, 6u}) {
    if (c.inputs[i].type != DataType::f32) {
      return fail(ErrorCode::unsupported_operation, "scales of type {}", to_string(c.inputs[i].type));
    }
  }
  if (!is_byte(c.inputs[7].type)) return c.invalid("y_zero_point must be 8-bit");
  return {};
}

}  // namespace

Result<void> quantize(InferContext& c) {
  TENON_TRY(check_scale(c));
  const auto type = c.outputs[0].type;
  if (!is_quantized(type)) {
    return fail(ErrorCode::unsupported_operation, "quantisation to {} is not supported", to_string(type));
  }
  return c.set(0, c.dims(0));
}

Result<void> dequantize(InferContext& c) {
  TENON_TRY(check_scale(c));
  if (c.has(2) && c.inputs[2].type != c.inputs[0].type) return c.invalid("the zero point has another type");
  return c.set(0, c.dims(0));
}

Result<void> dynamic_quantize(InferContext& c) {
  const auto& form = c.node.text("form");
  if (form != "onnx" && form != "asymmetric" && form != "symmetric") return c.invalid("form '" + form + "'");
  Dims own;
  if (c.node.integer("by_row") != 0) {
    if (c.dims(0).empty()) return c.invalid("a scalar has no rows");
    own = Dims(c.dims(0).size(), 1);
    own[0] = c.dims(0)[0];
  }
  for (std::size_t i = 0; i < c.outputs.size(); ++i) TENON_TRY(c.set(i, i == 0 ? c.dims(0) : own));
  return {};
}

Result<void> qlinear_conv(InferContext& c) {
  TENON_TRY(check_qlinear(c));
  TENON_TRY(as_plain(c, conv, 0, 3));
  const auto channels = c.dims(3)[0];
  if (c.has(8) && (c.inputs[8].type != DataType::i32 || !(c.dims(8) == Dims{channels}))) {
    return c.invalid("the bias must be int32, one for each channel");
  }
  return {};
}

Result<void> qlinear_matmul(InferContext& c) {
  TENON_TRY(check_qlinear(c));
  return as_plain(c, matmul, 0, 3);
}

}  // namespace tenon::kernels::shape
