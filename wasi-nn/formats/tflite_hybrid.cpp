// Hybrid operators of TensorFlow Lite: weights of 8 bits for real numbers, which are quantised as they come, a scale for
// each index of the first dimension, so that products are of integers.
#include "wasi-nn/formats/tflite_hybrid.h"

namespace tenon::nn::tflite {

using kernels::Attributes;
using kernels::DataType;

using Integers = std::vector<int64_t>;

bool is_hybrid(const Node& n) {
  const auto& q = n.in(1).quantization;
  const bool symmetric = std::ranges::all_of(q.zero_point, [](int64_t zero) { return zero == 0; });
  return to_data_type(n.in(0).type) == DataType::f32 && is_quantised(n.in(1)) && symmetric &&
         to_data_type(n.in(1).type) == DataType::i8 && n.in(0).has_rank && !n.in(0).shape.empty();
}

namespace {

struct Codes {
  ValueId codes, scale, zero;
};

Result<Codes> quantised_rows(Node& n, ValueId x, bool symmetric, bool by_row) {
  const auto results = n.new_values(3);
  TENON_TRY(n.emit_to(
      results, "DynamicQuantizeLinear", {x},
      {{"form", std::string(symmetric ? "symmetric" : "asymmetric")}, {"by_row", int64_t{by_row}}}));
  return Codes{results[0], results[1], results[2]};
}

Result<ValueId> as_real(Node& n, ValueId codes) {
  return n.emit("Cast", {codes}, {{"to", kernels::onnx_number(DataType::f32)}});
}

// Codes less their zero points, as real numbers: products of whole numbers, and sums of them up to 2^24, are exact.
Result<ValueId> differences(Node& n, const Codes& x) {
  return n.emit("Sub", {TENON_TRY(as_real(n, x.codes)), TENON_TRY(as_real(n, x.zero))});
}

// Sums, which are whole numbers, become real: times the weights' scale, which lies along the last axis, and the rows'.
Result<ValueId> scaled(Node& n, ValueId sums, ValueId scale) {
  const ValueId by_channel = TENON_TRY(n.emit("Mul", {sums, TENON_TRY(n.scale_of(n.in(1)))}));
  ValueId y = TENON_TRY(n.emit("Mul", {by_channel, scale}));
  if (n.has_input(2)) y = TENON_TRY(n.emit("Add", {y, TENON_TRY(n.real(2))}));
  return y;
}

}  // namespace

Result<ValueId> hybrid_convolution(Node& n, const Integers& perm, Attributes attributes, bool symmetric) {
  // Rows are images: one scale, if there is one image.
  const bool single = n.in(0).shape[0] == 1;
  const Codes x = TENON_TRY(quantised_rows(n, TENON_TRY(n.raw(0)), symmetric, !single));
  const ValueId w = TENON_TRY(n.transposed(TENON_TRY(n.raw(1)), perm));
  ValueId sums = kernels::kAbsent;
  if (single) {
    const ValueId codes = TENON_TRY(n.channels_first(x.codes, 4));
    sums = TENON_TRY(as_real(n, TENON_TRY(n.emit("ConvInteger", {codes, w, x.zero}, std::move(attributes)))));
  } else {
    const ValueId values = TENON_TRY(n.channels_first(TENON_TRY(differences(n, x)), 4));
    sums = TENON_TRY(n.emit("Conv", {values, TENON_TRY(as_real(n, w))}, std::move(attributes)));
  }
  return scaled(n, TENON_TRY(n.channels_last(sums, 4)), x.scale);
}

Result<ValueId> hybrid_product(Node& n, ValueId matrix, bool symmetric) {
  const auto& shape = n.in(0).shape;
  const bool single = shape.size() == 2 && shape[0] == 1;
  const Codes x = TENON_TRY(quantised_rows(n, matrix, symmetric, !single));
  const ValueId w = TENON_TRY(n.transposed(TENON_TRY(n.raw(1)), {1, 0}));
  ValueId sums = kernels::kAbsent;
  if (single)
    sums = TENON_TRY(as_real(n, TENON_TRY(n.emit("MatMulInteger", {x.codes, w, x.zero}))));
  else
    sums = TENON_TRY(n.emit("MatMul", {TENON_TRY(differences(n, x)), TENON_TRY(as_real(n, w))}));
  return scaled(n, sums, x.scale);
}

}  // namespace tenon::nn::tflite
