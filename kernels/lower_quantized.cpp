// Lowering of quantised operators: convolutions and products of bytes on oneDNN's integer primitives, and what follows
// them; chains from byte to byte as tables.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/lowering.h"
#include "kernels/ops/byte_table.h"
#include "kernels/ops/families.h"
#include "kernels/ops/requantize.h"

namespace tenon::kernels {
namespace {

std::int32_t byte_at(const Tensor& tensor, std::int64_t i) {
  const auto byte = static_cast<std::uint8_t>(tensor.data()[i]);
  return tensor.type() == DataType::i8 ? static_cast<std::int8_t>(byte) : byte;
}

}  // namespace

// The contents of an operand that depend on the model alone.
const Tensor* Lowering::model_constant(const FlatNode& node, std::size_t i) {
  if (i >= node.in.size() || node.in[i] == kNone) return nullptr;
  const auto& v = value(node.in[i]);
  return v.of_model && v.operand.constant.defined() ? &v.operand.constant : nullptr;
}

// The result of an element-wise node for other elements; nothing when another operand is not one constant.
Result<std::optional<Tensor>> Lowering::evaluate(const FlatNode& node, std::int32_t of,
                                                 const Tensor& elements) {
  auto operands = operands_of(node);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    operands[i].layout.reset();
    if (node.in[i] == of) {
      operands[i] = {true, elements.type(), elements.dims(), elements, {}, false};
    } else if (operands[i].present &&
               (!operands[i].constant.defined() || operands[i].constant.count() != 1 || i == 0)) {
      return std::nullopt;
    }
  }
  InferContext rule(*node.node, operands);
  if (!infer(rule) || rule.outputs.size() != 1 || !(rule.outputs[0].dims == elements.dims()))
    return std::nullopt;
  const auto kernel = make_kernel({*node.node, operands, rule.outputs, 1, false, options_.limits});
  if (!kernel) return std::nullopt;
  return TENON_TRY(run_once(**kernel, operands, rule.outputs, options_.limits))[0];
}

Result<std::optional<Lowering::ByteChain>> Lowering::byte_chain(FlatNode& first) {
  constexpr std::size_t kLongest = 16;
  auto id = first.in[0];
  const auto type = value(id).operand.type;
  if (!is_byte(type)) return std::nullopt;
  auto elements = TENON_TRY(Tensor::allocate(type, {256}));
  for (int i = 0; i < 256; ++i)
    elements.mutable_data()[i] = static_cast<std::byte>(type == DataType::i8 ? i - 128 : i);
  ByteChain chain;
  for (auto* node = &first; node != nullptr && chain.nodes.size() < kLongest; node = only_user(chain.end)) {
    const auto kind = family(node->node->op);
    const bool ends = kind == "quantize";
    const bool fits = chain.nodes.empty() ? kind == "dequantize"
                                          : ends || kind == "unary" || kind == "clip" || kind == "binary";
    if (!fits || node->out.size() != 1) return std::nullopt;
    auto next = TENON_TRY(evaluate(*node, id, elements));
    if (!next) return std::nullopt;
    elements = std::move(*next);
    chain.nodes.push_back(node);
    id = chain.end = node->out[0];
    if (!ends) continue;
    if (!is_byte(elements.type())) return std::nullopt;
    chain.table = std::move(elements);
    return chain;
  }
  return std::nullopt;
}

// A chain from bytes to bytes that no convolution took in.
Result<bool> Lowering::lower_table(FlatNode& node) {
  const auto chain = TENON_TRY(byte_chain(node));
  if (!chain) return false;
  const auto operand = operands_of(node)[0];
  const auto bytes = TENON_TRY(byte_size(operand.type, operand.dims));
  LayoutKernel made;
  made.out_layout.emplace_back();
  made.in_desc.push_back(plain_desc(operand.type, operand.dims));
  made.in_plain = made.in_desc;
  if (operand.layout && desc_bytes(*operand.layout) == bytes) {
    if (auto result = layout_of_type(*operand.layout, chain->table.type())) {
      made.in_desc[0] = operand.layout;
      made.out_layout[0] = result;
    }
  }
  made.kernel =
      make_byte_table(chain->table, operand.type, static_cast<std::int64_t>(bytes), options_.threads);
  for (auto* taken : chain->nodes) taken->done = true;
  TENON_TRY(emit(made, std::span(node.in).first(1), {}, chain->end));
  return true;
}

// A quantised convolution or product with constant weights on oneDNN's integer primitives.
Result<bool> Lowering::lower_quantized(FlatNode& node) {
  const auto op = node.node->op;
  const bool sums = op == Op::ConvInteger || op == Op::MatMulInteger;
  const std::size_t w_at = sums ? 1 : 3, w_zero_at = sums ? 3 : 5;
  const auto* weights = model_constant(node, w_at);
  if (weights == nullptr || !is_byte(weights->type()) || !options_.fuse) return false;
  const auto operands = operands_of(node);
  const auto operand = [&](std::size_t i) { return i < operands.size() ? operands[i] : Operand{}; };
  QuantizedRequest r{*node.node,          operands[0], operand(2),      {}, 0, {}, {}, {}, 0,
                     outputs_of(node)[0], {},          options_.threads};
  if (r.x_zero.present && product(r.x_zero.dims) != 1) return false;
  const auto channels = is_quantized_product(op) ? weights->dims().back() : weights->dims()[0];
  if (!sums && !take_scales(node, channels, r)) return false;
  std::vector<std::int32_t> in{node.in[0], kNone, kNone, r.x_zero.present ? node.in[2] : kNone};
  if (is_quantized_product(op)) {
    r.w_zero = operand(w_zero_at);
    const auto zeros = r.w_zero.present ? product(r.w_zero.dims) : 1;
    if (weights->dims().size() != 2 || (zeros != 1 && zeros != channels)) return false;
    r.w_shift = weights->type() == DataType::u8 ? 128 : 0;
    r.weights = TENON_TRY(shifted_weights(node, *weights, nullptr, r.w_shift, Bits::all));
    in.push_back(r.w_zero.present ? node.in[w_zero_at] : kNone);
    auto made = lower_quantized_product(r);
    if (!made) return false;
    const auto column_sums = TENON_TRY(sums_of_columns(node, r.weights));
    TENON_TRY(emit(*made, in,
                   std::vector{Operand{}, constant_operand(r.weights), constant_operand(column_sums)},
                   node.out[0]));
    return true;
  }
  const auto* w_zero = model_constant(node, w_zero_at);
  if (operand(w_zero_at).present && w_zero == nullptr) return false;
  if (operand(8).present) {
    const auto* bias = model_constant(node, 8);
    if (bias == nullptr) return false;
    r.bias = *bias;
  }
  auto shifted = shifted_weights(node, *weights, w_zero, 0, Bits::all);
  if (!shifted) return !sums && TENON_TRY(lower_split(node, *weights, w_zero, r, in));
  r.weights = *std::move(shifted);
  if (!sums && node.node->text("rounding") != "once") round_twice(node, r);
  const auto chain = sums ? TENON_TRY(scaled_sums(node, channels, r)) : TENON_TRY(chain_after(node));
  const bool fused = chain && (sums || fuse_chain(*chain, r));
  if (!fused && r.y_zero != 0) r.post_ops.push_back({false, dnnl::algorithm::eltwise_round, 0, 0, 0});
  auto made = lower_quantized_convolution(r);
  if (!made) return false;
  if (fused) {
    for (auto* taken : chain->nodes) taken->done = true;
  }
  TENON_TRY(emit(*made, in,
                 std::vector{Operand{}, constant_operand(r.weights), constant_operand(r.bias), Operand{}},
                 fused ? chain->end : node.out[0]));
  return true;
}

// The constant operand of a node on `of`: one real number, or one for each channel of the result.
const Tensor* Lowering::channel_constant(const FlatNode* node, Op op, std::int32_t of,
                                         std::int64_t channels) {
  if (node == nullptr || node->node->op != op || node->in.size() != 2 || node->in[0] == node->in[1])
    return nullptr;
  const auto* constant = model_constant(*node, node->in[0] == of ? 1 : 0);
  const auto& dims = value(node->out[0]).operand.dims;
  if (constant == nullptr || constant->type() != DataType::f32 || !(dims == value(of).operand.dims))
    return nullptr;
  if (constant->count() == 1) return constant;
  const auto& own = constant->dims();
  const auto rest = dims.size() - 1;  // of the dimensions from the channels on
  const bool lies_there =
      own.size() >= rest && own.size() <= dims.size() && own[own.size() - rest] == channels;
  return lies_there && constant->count() == channels ? constant : nullptr;
}

// What follows 32-bit sums and can be the convolution's own work: a conversion to reals, a scale, a constant for each
// channel, a function.
Result<std::optional<Lowering::ByteChain>> Lowering::scaled_sums(const FlatNode& node, std::int64_t channels,
                                                                 QuantizedRequest& r) {
  auto* cast = only_user(node.out[0]);
  if (cast == nullptr || cast->node->op != Op::Cast || value(cast->out[0]).operand.type != DataType::f32)
    return std::nullopt;
  auto* scaled = only_user(cast->out[0]);
  const auto* scales = channel_constant(scaled, Op::Mul, cast->out[0], channels);
  if (scales == nullptr) return std::nullopt;
  for (std::int64_t i = 0; i < scales->count(); ++i) r.scales.push_back(In<float>{scales->data()}[i]);
  if (std::ranges::find(r.scales, 0.0f) != r.scales.end()) {
    r.scales.clear();
    return std::nullopt;
  }
  r.output.type = DataType::f32;
  ByteChain chain{{cast, scaled}, scaled->out[0], {}};
  auto* added = only_user(chain.end);
  if (const auto* terms = channel_constant(added, Op::Add, chain.end, channels)) {
    // The convolution scales its bias, too.
    r.bias = TENON_TRY(cache_.get("bias of sums " + cache_.name_of(*node.node), [&]() -> Result<Tensor> {
      auto bias = TENON_TRY(Tensor::allocate(DataType::f32, {channels}));
      for (std::int64_t i = 0; i < channels; ++i) {
        const auto term = In<float>{terms->data()}[terms->count() == 1 ? 0 : i];
        Out<float>{bias.mutable_data()}.set(
            i, term / r.scales[r.scales.size() == 1 ? 0 : static_cast<std::size_t>(i)]);
      }
      return bias;
    }));
    chain.nodes.push_back(added);
    chain.end = added->out[0];
  }
  auto* function = only_user(chain.end);
  if (function == nullptr || (family(function->node->op) != "unary" && family(function->node->op) != "clip"))
    return chain;
  const auto operands = operands_of(*function);
  const auto ops = eltwise_post_ops(*function->node, operands);
  if (ops.empty() || value(function->out[0]).operand.type != DataType::f32) return chain;
  r.post_ops = ops;
  chain.nodes.push_back(function);
  chain.end = function->out[0];
  return chain;
}

// Scales and zero points of QLinear operators: x 1, 2; w 4; y 6, 7. False when not constant, or of another form.
bool Lowering::take_scales(const FlatNode& node, std::int64_t channels, QuantizedRequest& r) {
  const Tensor* at[8] = {};
  for (const std::size_t i : {1u, 2u, 4u, 6u, 7u}) {
    at[i] = model_constant(node, i);
    if (at[i] == nullptr || (i != 4 && at[i]->count() != 1)) return false;
  }
  if (at[4]->count() != 1 && at[4]->count() != channels) return false;
  const auto x = In<float>{at[1]->data()}[0], y = In<float>{at[6]->data()}[0];
  for (std::int64_t i = 0; i < at[4]->count(); ++i) r.scales.push_back(x * In<float>{at[4]->data()}[i] / y);
  r.y_zero = byte_at(*at[7], 0);
  return true;
}

// Sums times the mantissa of the scale are rounded, then what its power of two makes of them. That power is a little
// more than it, so that halves fall away from zero, or a little is added, so that they fall up; no other value with so
// few bits comes near a half.
void Lowering::round_twice(const FlatNode& node, QuantizedRequest& r) {
  if (r.scales.size() != 1) return;
  int exponent = 0;
  const auto mantissa = std::frexp(multiplier(node, 0, r.x.type), &exponent);
  if (exponent >= 0 || exponent < -12) return;  // the second rounding has nothing to do, or hardly anything
  const bool up = node.node->text("rounding") == "twice_up";
  r.scales = {static_cast<float>(mantissa)};
  const float power = std::ldexp(up ? 1.0f : 1 + 0x1p-21f, exponent);
  r.post_ops = {{false, dnnl::algorithm::eltwise_round, 0, 0, 0},
                {false, dnnl::algorithm::eltwise_linear, power, up ? power / 4 : 0, 0}};
}

// What sums of an output channel are multiplied with when they are rounded twice.
double Lowering::multiplier(const FlatNode& node, std::int64_t channel, DataType x_type) {
  const auto scale = [&](std::size_t i, std::int64_t at) {
    return In<float>{model_constant(node, i)->data()}[at];
  };
  return multiplier_of(scale(1, 0), scale(4, channel), scale(6, 0), x_type);
}

// A convolution whose weights, less their zero points, need a ninth bit.
Result<bool> Lowering::lower_split(FlatNode& node, const Tensor& weights, const Tensor* zero,
                                   QuantizedRequest& r, std::vector<std::int32_t> in) {
  auto most = shifted_weights(node, weights, zero, 0, Bits::most);
  auto rest = shifted_weights(node, weights, zero, 0, Bits::rest);
  if (!most || !rest) return false;
  r.weights = *std::move(most);
  Requantize how{r.output.type, r.scales, static_cast<float>(r.y_zero)};
  const auto& rounding = node.node->text("rounding");
  how.halves_up = rounding == "twice_up";
  for (std::int64_t i = 0; rounding != "once" && i < static_cast<std::int64_t>(r.scales.size()); ++i)
    how.fixed.push_back(FixedScale::of(multiplier(node, i, r.x.type)));
  auto made = lower_split_convolution(r, *rest, how);
  if (!made) return false;
  in.push_back(kNone);
  TENON_TRY(emit(*made, in,
                 std::vector{Operand{}, constant_operand(r.weights), constant_operand(r.bias), Operand{},
                             constant_operand(*rest)},
                 node.out[0]));
  return true;
}

// Weights less a shift and the zero point of their output channel, as signed bytes: all of them, or what fits into bytes
// and the rest that does not.
Result<Tensor> Lowering::shifted_weights(const FlatNode& node, const Tensor& weights, const Tensor* zero,
                                         std::int32_t shift, Bits bits) {
  const std::string_view name = bits == Bits::all ? "signed " : bits == Bits::most ? "most of " : "rest of ";
  return cache_.get(std::string(name) + cache_.name_of(*node.node), [&]() -> Result<Tensor> {
    auto out = TENON_TRY(Tensor::allocate(DataType::i8, weights.dims()));
    const auto count = weights.count();
    const auto zeros = zero == nullptr ? 1 : zero->count();
    if (zeros != 1 && zeros != weights.dims()[0])
      return fail(ErrorCode::unsupported_operation, "zero points");
    for (std::int64_t i = 0; i < count; ++i) {
      const auto own = zero == nullptr ? 0 : byte_at(*zero, zeros == 1 ? 0 : i / (count / zeros));
      const auto whole = byte_at(weights, i) - shift - own;
      const auto most = std::clamp(whole, -128, 127);
      const auto difference = bits == Bits::all ? whole : bits == Bits::most ? most : whole - most;
      if (difference < -128 || difference > 127) return fail(ErrorCode::unsupported_operation, "zero points");
      out.mutable_data()[i] = static_cast<std::byte>(difference);
    }
    return out;
  });
}

Result<Tensor> Lowering::sums_of_columns(const FlatNode& node, const Tensor& weights) {
  return cache_.get("columns " + cache_.name_of(*node.node), [&]() -> Result<Tensor> {
    const auto rows = weights.dims()[0], columns = weights.dims()[1];
    auto out = TENON_TRY(Tensor::allocate(DataType::i32, {columns}));
    std::vector<std::int32_t> sums(static_cast<std::size_t>(columns), 0);
    for (std::int64_t i = 0; i < rows * columns; ++i)
      sums[static_cast<std::size_t>(i % columns)] += byte_at(weights, i);
    if (columns > 0) std::memcpy(out.mutable_data(), sums.data(), out.bytes().size());
    return out;
  });
}

Result<std::optional<Lowering::ByteChain>> Lowering::chain_after(const FlatNode& node) {
  auto* next = only_user(node.out[0]);
  if (next == nullptr || next->node->op != Op::DequantizeLinear) return std::nullopt;
  return byte_chain(*next);
}

// A chain as post-ops, when their arithmetic gives the chain's result for each of the 256 codes: the code's
// distance from its zero point, times the ratio of the scales, clipped to the table's extremes (which is also what
// becomes of codes beyond the range), plus the new zero point.
bool Lowering::fuse_chain(const ByteChain& chain, QuantizedRequest& r) {
  // oneDNN 2.6 computes two of one function with the parameters of the first.
  if (!r.post_ops.empty()) return false;
  const auto& from = *chain.nodes.front();
  const auto& to = *chain.nodes.back();
  const auto scale = [&](const FlatNode& node) {
    return In<float>{value(node.in[1]).operand.constant.data()}[0];
  };
  const auto zero = [&](const FlatNode& node) {
    return node.in.size() < 3 || node.in[2] == kNone ? 0 : byte_at(value(node.in[2]).operand.constant, 0);
  };
  if (value(from.in[1]).operand.type != DataType::f32 || value(to.in[1]).operand.type != DataType::f32 ||
      zero(from) != r.y_zero)
    return false;
  const bool is_signed = r.output.type == DataType::i8;
  const auto lowest = static_cast<float>((is_signed ? -128 : 0) - r.y_zero);
  const float ratio = scale(from) / scale(to);
  if (!(ratio > 0)) return false;
  const auto new_zero = static_cast<float>(zero(to));
  int least = 255, most = -128;
  for (std::int64_t i = 0; i < 256; ++i) {
    least = std::min(least, byte_at(chain.table, i));
    most = std::max(most, byte_at(chain.table, i));
  }
  const auto low = static_cast<float>(least) - new_zero, high = static_cast<float>(most) - new_zero;
  for (std::int64_t i = 0; i < 256; ++i) {
    const float v = std::clamp((lowest + static_cast<float>(i)) * ratio, low, high);
    const float code = std::nearbyint(v + new_zero);
    if (!(code == static_cast<float>(byte_at(chain.table, i)))) return false;
  }
  using A = dnnl::algorithm;
  r.post_ops = {{false, A::eltwise_round, 0, 0, 0}, {false, A::eltwise_linear, ratio, 0, 0}};
  const bool saturates = least == (chain.table.type() == DataType::i8 ? -128 : 0) && most - least == 255;
  if (!saturates) r.post_ops.push_back({false, A::eltwise_clip, low, high, 0});
  r.y_zero = zero(to);
  r.output.type = chain.table.type();
  return true;
}

}  // namespace tenon::kernels
