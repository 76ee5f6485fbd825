// Operands and results of TensorFlow Lite operators; see tflite_node.h.
#include "wasi-nn/formats/tflite_node.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::nn::tflite {

using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;
using kernels::ValueType;

bool is_quantised(const TensorInfo& tensor) {
  const auto type = to_data_type(tensor.type);
  return (type == DataType::i8 || type == DataType::u8 || type == DataType::i16) &&
         !tensor.quantization.scale.empty();
}

bool same_quantisation(const TensorInfo& a, const TensorInfo& b) {
  if (is_quantised(a) != is_quantised(b)) return false;
  const auto zeros = [](const Quantization& q) {
    return q.zero_point.empty() ? std::vector<int64_t>(1) : q.zero_point;
  };
  return !is_quantised(a) || (a.type == b.type && a.quantization.scale == b.quantization.scale &&
                              zeros(a.quantization) == zeros(b.quantization));
}

ValueType type_of(const TensorInfo& tensor) {
  const auto element = to_data_type(tensor.type);
  if (!tensor.has_rank) return ValueType::unranked(element);
  std::vector<kernels::Dim> shape;
  for (const int32_t dim : tensor.shape)
    shape.push_back(dim < 0 ? kernels::Dim::unknown() : kernels::Dim::constant(dim));
  return ValueType::tensor(element, std::move(shape));
}

Result<void> Node::needs(size_t inputs, size_t outputs) const {
  for (size_t i = 0; i < inputs; ++i) {
    if (!has_input(i)) return invalid("input {} is missing", i);
  }
  for (size_t i = 0; i < outputs; ++i) {
    if (!has_output(i)) return invalid("output {} is missing", i);
  }
  return {};
}

Result<ValueId> Node::raw(size_t i) const {
  if (!has_input(i)) return invalid("input {} is missing", i);
  const ValueId id = scope_.values[static_cast<size_t>(info_.inputs[i])];
  if (id == kAbsent)
    return invalid("tensor {} ('{}') is used before anything defines it", info_.inputs[i], in(i).name);
  return id;
}

Result<ValueId> Node::state(size_t i) {
  if (!has_input(i)) return invalid("input {} is missing", i);
  const TensorInfo& tensor = in(i);
  if (!tensor.is_variable) return raw(i) ? real(i) : Result<ValueId>(kAbsent);
  Dims dims;
  for (const int32_t dim : tensor.shape) {
    if (dim < 0) return kAbsent;
    dims.push_back(dim);
  }
  if (!scope_.outermost) return unsupported("a state inside of a body");
  Variable& variable = scope_.session.variables[fmt::format("state {}", info_.inputs[i])];
  if (variable.state == kAbsent) {
    variable.state = TENON_TRY(scope_.session.new_zero_state(std::string(tensor.name), dims));
    variable.now = variable.state;
  }
  return variable.now;
}

Result<void> Node::set_state(size_t i, ValueId next) {
  const auto it = scope_.session.variables.find(fmt::format("state {}", info_.inputs[i]));
  if (it != scope_.session.variables.end()) it->second.now = next;
  return {};
}

Result<void> Node::define_handle(std::string name) {
  if (!scope_.handles.try_emplace(info_.outputs[0], std::move(name)).second)
    return invalid("output 0 ('{}') is defined twice", out(0).name);
  return {};
}

Result<Variable*> Node::variable(size_t i) {
  TENON_TRY(needs(i + 1, 0));
  const auto it = scope_.handles.find(info_.inputs[i]);
  if (it == scope_.handles.end()) return unsupported("a variable that no VAR_HANDLE of this graph names");
  return &scope_.session.variables[it->second];
}

bool Node::is_constant(size_t i) const {
  const auto id = raw(i);
  return id && constant(*id) != nullptr;
}

Result<std::vector<int64_t>> Node::integers(size_t i) const {
  const Tensor* tensor = constant(TENON_TRY(raw(i)));
  if (tensor == nullptr) return unsupported("input {} is not constant", i);
  if (tensor->count() > 4096) return invalid("input {} has {} elements", i, tensor->count());
  std::vector<int64_t> values;
  const auto read = [&]<typename T>(T) {
    for (int64_t k = 0; k < tensor->count(); ++k) {
      T value;
      std::memcpy(&value, tensor->data() + static_cast<size_t>(k) * sizeof value, sizeof value);
      // Dimensions have 32 bits, so nothing is meant by more, and arithmetic on these cannot overflow.
      constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
      values.push_back(std::clamp(static_cast<int64_t>(value), -kMost, kMost));
    }
  };
  switch (tensor->type()) {
    case DataType::i8: read(int8_t{}); break;
    case DataType::u8: read(uint8_t{}); break;
    case DataType::i16: read(int16_t{}); break;
    case DataType::i32: read(int32_t{}); break;
    case DataType::i64: read(int64_t{}); break;
    default: return invalid("input {} holds {}, expected integers", i, to_string(tensor->type()));
  }
  return values;
}

Result<int64_t> Node::rank(size_t i) const {
  if (!has_input(i)) return invalid("input {} is missing", i);
  if (const auto known = Emitter::rank(TENON_TRY(raw(i)))) return static_cast<int64_t>(*known);
  return unsupported("input {} has no declared shape", i);
}

Result<size_t> Node::axis(int64_t axis, size_t rank) const {
  const auto count = static_cast<int64_t>(rank);
  if (axis < -count || axis >= count) return invalid("axis {} of {} dimensions", axis, rank);
  return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

void Node::move_codes() {
  const TensorInfo* first = nullptr;
  codes_ = true;
  const auto check = [&](const TensorInfo& tensor) {
    if (!is_quantised(tensor)) return;
    if (first != nullptr && !same_quantisation(*first, tensor)) codes_ = false;
    first = &tensor;
  };
  for (size_t i = 0; i < input_count(); ++i) {
    if (has_input(i)) check(in(i));
  }
  for (size_t i = 0; i < output_count(); ++i) {
    if (has_output(i)) check(out(i));
  }
}

Result<ValueId> Node::operand(size_t i) { return codes_ ? raw(i) : real(i); }

Result<ValueId> Node::real(size_t i) {
  const ValueId id = TENON_TRY(raw(i));
  if (is_quantised(in(i)))
    return dequantised(id, in(i), static_cast<size_t>(std::max(in(i).quantization.dimension, 0)));
  if (element_type(id) == DataType::f16)
    return emit("Cast", {id}, {{"to", kernels::onnx_number(kernels::DataType::f32)}});
  return id;
}

Result<ValueId> Node::scale_of(const TensorInfo& like) {
  const auto& scale = like.quantization.scale;
  for (const float s : scale) {
    if (!(s > 0) || s > std::numeric_limits<float>::max())
      return invalid("tensor '{}' has a scale of {}", like.name, s);
  }
  const Dims dims = scale.size() == 1 ? Dims{} : Dims{static_cast<int64_t>(scale.size())};
  return constant(TENON_TRY(Tensor::of<float>(DataType::f32, dims, std::span(scale))));
}

namespace {

template <typename T>
Result<Tensor> zeros_of(DataType type, const Quantization& q) {
  std::vector<T> values(q.scale.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t zero = q.zero_point.empty() ? 0 : q.zero_point[q.zero_point.size() == 1 ? 0 : i];
    if (zero < std::numeric_limits<T>::min() || zero > std::numeric_limits<T>::max())
      return Emitter::invalid("a zero point of {}", zero);
    values[i] = static_cast<T>(zero);
  }
  const Dims dims = values.size() == 1 ? Dims{} : Dims{static_cast<int64_t>(values.size())};
  return Tensor::of<T>(type, dims, std::span<const T>(values));
}

}  // namespace

Result<ValueId> Node::zero_of(const TensorInfo& like) {
  const auto& q = like.quantization;
  if (q.zero_point.size() > 1 && q.zero_point.size() != q.scale.size())
    return invalid("tensor '{}' has {} scales and {} zero points", like.name, q.scale.size(),
                   q.zero_point.size());
  const auto type = to_data_type(like.type);
  return constant(TENON_TRY(type == DataType::i8   ? zeros_of<int8_t>(type, q)
                            : type == DataType::u8 ? zeros_of<uint8_t>(type, q)
                                                   : zeros_of<int16_t>(type, q)));
}

Result<ValueId> Node::dequantised(ValueId codes, const TensorInfo& like, size_t axis) {
  return emit("DequantizeLinear", {codes, TENON_TRY(scale_of(like)), TENON_TRY(zero_of(like))},
              {{"axis", like.quantization.scale.size() == 1 ? int64_t{0} : static_cast<int64_t>(axis)}});
}

Result<ValueId> Node::quantised(ValueId id, const TensorInfo& like) {
  if (like.quantization.scale.size() != 1)
    return unsupported("a result with {} scales", like.quantization.scale.size());
  return emit("QuantizeLinear", {id, TENON_TRY(scale_of(like)), TENON_TRY(zero_of(like))},
              {{"rounding", std::string(rounding_)}});
}

Result<ValueId> Node::stored(ValueId id, const TensorInfo& like, Activation activation) {
  if (activation == Activation::tanh) {
    id = TENON_TRY(activated(id, activation));
    activation = Activation::none;
  }
  if (!codes_) id = TENON_TRY(quantised(id, like));
  return activated_codes(id, activation, like);
}

Result<ValueId> Node::weights(size_t i, const std::vector<int64_t>& perm) {
  TENON_TRY(needs(i + 1, 0));
  if (TENON_TRY(rank(i)) != static_cast<int64_t>(perm.size()))
    return invalid("weights of {} dimensions, expected {}", TENON_TRY(rank(i)), perm.size());
  const auto& tensor = in(i);
  if (!is_quantised(tensor)) return transposed(TENON_TRY(real(i)), perm);
  const auto found = std::ranges::find(perm, int64_t{tensor.quantization.dimension});
  const ValueId moved = TENON_TRY(transposed(TENON_TRY(raw(i)), perm));
  if (found == perm.end() && tensor.quantization.scale.size() > 1)
    return invalid("weights are quantised along dimension {}", tensor.quantization.dimension);
  return dequantised(moved, tensor, static_cast<size_t>(found - perm.begin()) % perm.size());
}

// A quantised bias has the scale of the sums, whatever it says itself.
Result<ValueId> Node::bias(size_t i, size_t x, size_t w) {
  if (!has_input(i)) return kAbsent;
  const ValueId id = TENON_TRY(raw(i));
  if (element_type(id) != DataType::i32 && element_type(id) != DataType::i64) return real(i);
  if (!is_quantised(in(x)) || !is_quantised(in(w)) || in(x).quantization.scale.size() != 1)
    return unsupported("an integer bias without scales");
  if (element_type(id) == DataType::i64) return unsupported("a bias of 64-bit integers");
  std::vector<float> scales = in(w).quantization.scale;
  for (float& scale : scales) scale *= in(x).quantization.scale[0];
  const Dims dims = scales.size() == 1 ? Dims{} : Dims{static_cast<int64_t>(scales.size())};
  const ValueId scale =
      TENON_TRY(constant(TENON_TRY(Tensor::of<float>(DataType::f32, dims, std::span<const float>(scales)))));
  return emit("DequantizeLinear", {id, scale}, {{"axis", int64_t{0}}});
}

Result<ValueId> Node::transposed(ValueId id, const std::vector<int64_t>& perm) {
  return emit("Transpose", {id}, {{"perm", perm}});
}

Result<ValueId> Node::channels_first(ValueId id, int64_t rank) {
  std::vector<int64_t> perm{0, rank - 1};
  for (int64_t i = 1; i + 1 < rank; ++i) perm.push_back(i);
  return transposed(id, perm);
}

Result<ValueId> Node::channels_last(ValueId id, int64_t rank) {
  std::vector<int64_t> perm{0};
  for (int64_t i = 2; i < rank; ++i) perm.push_back(i);
  perm.push_back(1);
  return transposed(id, perm);
}

Result<ValueId> Node::reshaped(ValueId id, const std::vector<int64_t>& dims) {
  return emit("Reshape", {id, TENON_TRY(int_vector(dims))}, {{"allowzero", int64_t{1}}});
}

Result<ValueId> Node::shaped_as_declared(ValueId id, size_t rank) {
  const auto& shape = out(0).shape;
  if (!out(0).has_rank || shape.size() == rank) return id;
  if (std::ranges::count_if(shape, [](int32_t dim) { return dim < 0; }) > 1)
    return unsupported("a result of which several dimensions are not known");
  std::vector<int64_t> dims;
  for (const int32_t dim : shape) dims.push_back(dim < 0 ? -1 : dim);
  return reshaped(id, dims);
}

std::vector<ValueId> Node::new_values(size_t count) {
  std::vector<ValueId> values;
  for (size_t i = 0; i < count; ++i) values.push_back(builder().add_value({}));
  return values;
}

Result<ValueId> Node::number(double value) {
  const auto single = static_cast<float>(value);
  return constant(TENON_TRY(Tensor::of<float>(DataType::f32, {}, std::span(&single, 1))));
}

Result<ValueId> Node::clipped(ValueId id, double low, double high) {
  return emit("Clip", {id, TENON_TRY(scalar_like(id, low)), TENON_TRY(scalar_like(id, high))});
}

Result<ValueId> Node::activated(ValueId id, Activation activation) {
  switch (activation) {
    case Activation::none: return id;
    case Activation::relu: return emit("Relu", {id});
    case Activation::relu_n1_to_1: return clipped(id, -1, 1);
    case Activation::relu6: return clipped(id, 0, 6);
    case Activation::tanh: return emit("Tanh", {id});
    default: return unsupported("fused activation {}", static_cast<int>(activation));
  }
}

namespace {

// What an activation that only bounds leaves; nothing for others.
std::optional<std::pair<double, double>> real_range(Activation activation) {
  switch (activation) {
    case Activation::relu: return std::pair(0.0, std::numeric_limits<double>::infinity());
    case Activation::relu_n1_to_1: return std::pair(-1.0, 1.0);
    case Activation::relu6: return std::pair(0.0, 6.0);
    default: return std::nullopt;
  }
}

}  // namespace

template <class T>
Result<ValueId> Node::clipped_codes(ValueId id, DataType type, const std::pair<double, double>& range,
                                    const Quantization& q) {
  if (!(q.scale[0] > 0)) return invalid("a scale of {}", q.scale[0]);
  constexpr double kLowest = std::numeric_limits<T>::min(), kHighest = std::numeric_limits<T>::max();
  const double zero = q.zero_point.empty() ? 0 : static_cast<double>(q.zero_point[0]);
  const auto code = [&](double real) {
    return std::clamp(zero + std::round(real / static_cast<double>(q.scale[0])), kLowest, kHighest);
  };
  const double low = code(range.first), high = code(range.second);
  if (low <= kLowest && high >= kHighest) return id;
  const auto limit = [&](double value) -> Result<ValueId> {
    const auto single = static_cast<T>(value);
    return constant(TENON_TRY(Tensor::of<T>(type, {}, std::span(&single, 1))));
  };
  return emit("Clip", {id, TENON_TRY(limit(low)), TENON_TRY(limit(high))});
}

// The range of codes is that of the activation, as TensorFlow Lite's CalculateActivationRangeQuantized has it: most often all
// of them, so that nothing is left to do.
Result<ValueId> Node::activated_codes(ValueId id, Activation activation, const TensorInfo& like) {
  if (activation == Activation::none) return id;
  const auto range = real_range(activation);
  if (!range) return unsupported("fused activation {} of codes", static_cast<int>(activation));
  const auto& q = like.quantization;
  if (q.scale.size() != 1 || q.zero_point.size() > 1)
    return unsupported("a result with {} scales", q.scale.size());
  const DataType type = to_data_type(like.type);
  switch (type) {
    case DataType::i8: return clipped_codes<int8_t>(id, type, *range, q);
    case DataType::u8: return clipped_codes<uint8_t>(id, type, *range, q);
    case DataType::i16: return clipped_codes<int16_t>(id, type, *range, q);
    default: return unsupported("a fused activation of this type");
  }
}

Result<void> Node::define(size_t i, ValueId id) {
  if (!has_output(i)) return {};
  ValueId& value = scope_.values[static_cast<size_t>(info_.outputs[i])];
  if (value != kAbsent) return invalid("output {} ('{}') is defined twice", i, out(i).name);
  value = id;
  // What the file says of the shape, for rules of later operators.
  const kernels::GraphValue& defined = builder().value(id);
  const auto type = to_data_type(out(i).type);
  if (defined.origin != kernels::GraphValue::Origin::node || defined.type.shape) return {};
  if (defined.type.element != DataType::undefined && defined.type.element != type) return {};
  builder().set_type(id, type_of(out(i)));
  return {};
}

Result<void> Node::finish(ValueId id, Activation activation, size_t i) {
  if (!has_output(i)) return {};
  if (is_quantised(out(i)))
    id = TENON_TRY(stored(id, out(i), activation));
  else
    id = TENON_TRY(activated(id, activation));
  if (!codes_ && to_data_type(out(i).type) == DataType::f16)
    id = TENON_TRY(emit("Cast", {id}, {{"to", kernels::onnx_number(kernels::DataType::f16)}}));
  return define(i, id);
}

}  // namespace tenon::nn::tflite
