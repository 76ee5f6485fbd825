// Nodes and constants; see emitter.h.
#include "wasi-nn/formats/emitter.h"

#include <limits>

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;

// IEEE binary16 of a value, to nearest even.
uint16_t to_half(double value) { return std::bit_cast<uint16_t>(static_cast<_Float16>(value)); }

uint16_t to_bfloat16(double value) {
  const uint32_t bits = std::bit_cast<uint32_t>(static_cast<float>(value));
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <typename T>
T saturated(double value) {
  if (value <= static_cast<double>(std::numeric_limits<T>::lowest())) return std::numeric_limits<T>::lowest();
  if (value >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(value);
}

template <typename T>
Result<Tensor> scalar_of(DataType type, T value) {
  return Tensor::of<T>(type, Dims{}, std::span(&value, 1));
}

Result<Tensor> scalar_tensor(DataType type, double value) {
  switch (type) {
    case DataType::f64: return scalar_of<double>(type, value);
    case DataType::f16: return scalar_of<uint16_t>(type, to_half(value));
    case DataType::bf16: return scalar_of<uint16_t>(type, to_bfloat16(value));
    case DataType::i8: return scalar_of<int8_t>(type, saturated<int8_t>(value));
    case DataType::u8: return scalar_of<uint8_t>(type, saturated<uint8_t>(value));
    case DataType::i16: return scalar_of<int16_t>(type, saturated<int16_t>(value));
    case DataType::u16: return scalar_of<uint16_t>(type, saturated<uint16_t>(value));
    case DataType::i32: return scalar_of<int32_t>(type, saturated<int32_t>(value));
    case DataType::u32: return scalar_of<uint32_t>(type, saturated<uint32_t>(value));
    case DataType::i64: return scalar_of<int64_t>(type, saturated<int64_t>(value));
    case DataType::u64: return scalar_of<uint64_t>(type, saturated<uint64_t>(value));
    case DataType::boolean: return scalar_of<uint8_t>(type, value != 0);
    default: return scalar_of<float>(DataType::f32, static_cast<float>(value));
  }
}

}  // namespace

DataType Emitter::element_type(ValueId id) const {
  return id == kAbsent ? DataType::undefined : builder_.value(id).type.element;
}

std::optional<size_t> Emitter::rank(ValueId id) const {
  if (id == kAbsent) return std::nullopt;
  const kernels::GraphValue& value = builder_.value(id);
  if (value.constant.defined()) return value.constant.dims().size();
  if (value.type.kind != kernels::ValueType::Kind::tensor || !value.type.shape) return std::nullopt;
  return value.type.shape->size();
}

std::optional<std::vector<int64_t>> Emitter::known_dims(ValueId id) const {
  if (const Tensor* tensor = constant(id)) return std::vector(tensor->dims().begin(), tensor->dims().end());
  if (!rank(id)) return std::nullopt;
  std::vector<int64_t> dims;
  for (const kernels::Dim& dim : *builder_.value(id).type.shape) {
    if (!dim.is_constant()) return std::nullopt;
    dims.push_back(dim.value);
  }
  return dims;
}

const Tensor* Emitter::constant(ValueId id) const {
  if (id == kAbsent || !builder_.value(id).constant.defined()) return nullptr;
  return &builder_.value(id).constant;
}

Result<ValueId> Emitter::constant(Tensor tensor) { return builder_.constant({}, std::move(tensor)); }

Result<ValueId> Emitter::int_vector(const std::vector<int64_t>& values) {
  return constant(TENON_TRY(
      Tensor::of<int64_t>(DataType::i64, Dims{static_cast<int64_t>(values.size())}, std::span(values))));
}

Result<ValueId> Emitter::int_scalar(int64_t value) {
  return constant(TENON_TRY(scalar_of<int64_t>(DataType::i64, value)));
}

Result<ValueId> Emitter::scalar_like(ValueId like, double value) {
  const DataType type = element_type(like);
  if (type != DataType::undefined) return constant(TENON_TRY(scalar_tensor(type, value)));
  // The file does not declare the type: let it be taken from the value when the graph is compiled.
  return emit("CastLike", {TENON_TRY(constant(TENON_TRY(scalar_tensor(DataType::f64, value)))), like});
}

Result<ValueId> Emitter::emit(std::string_view op, std::vector<ValueId> inputs,
                              kernels::Attributes attributes) {
  const ValueId output = builder_.add_value({});
  TENON_TRY(emit_to({output}, op, std::move(inputs), std::move(attributes)));
  return output;
}

Result<ValueId> Emitter::mirrored(ValueId id, const std::vector<int64_t>& pairs, bool repeats_edge) {
  const auto dims = known_dims(id);
  const int64_t skip = repeats_edge ? 0 : 1;
  for (size_t axis = 0; 2 * axis + 1 < pairs.size(); ++axis) {
    const int64_t before = pairs[2 * axis], after = pairs[2 * axis + 1];
    const int64_t most =
        dims && axis < dims->size() ? (*dims)[axis] - skip : std::numeric_limits<int64_t>::max() / 2;
    if (before < 0 || after < 0 || before > most || after > most)
      return invalid("mirrored rows {} and {} of axis {}", before, after, axis);
    if (before == 0 && after == 0) continue;
    const auto rows = [&](int64_t first, int64_t end) -> Result<ValueId> {
      return emit("Slice",
                  {id, TENON_TRY(int_vector({first})), TENON_TRY(int_vector({end})),
                   TENON_TRY(int_vector({static_cast<int64_t>(axis)})), TENON_TRY(int_vector({-1}))});
    };
    constexpr int64_t kBeforeFirst = std::numeric_limits<int64_t>::min();
    std::vector<ValueId> parts;
    if (before > 0) parts.push_back(TENON_TRY(rows(before - 1 + skip, repeats_edge ? kBeforeFirst : 0)));
    parts.push_back(id);
    if (after > 0) parts.push_back(TENON_TRY(rows(-1 - skip, -1 - skip - after)));
    id = TENON_TRY(emit("Concat", parts, {{"axis", static_cast<int64_t>(axis)}}));
  }
  return id;
}

Result<void> Emitter::emit_to(std::vector<ValueId> outputs, std::string_view op, std::vector<ValueId> inputs,
                              kernels::Attributes attributes) {
  const auto row = kernels::find_op(op);
  if (!row) return unsupported("no kernel for operator {}", op);
  while (!inputs.empty() && inputs.back() == kAbsent) inputs.pop_back();
  while (!outputs.empty() && outputs.back() == kAbsent) outputs.pop_back();
  // Rules of later nodes want to know element types that few files declare.
  const bool has_first = !inputs.empty() && !outputs.empty() && inputs[0] != kAbsent && outputs[0] != kAbsent;
  if (has_first && kernels::info(*row).keeps_type) infer_element_type(outputs[0], inputs[0]);
  return builder_.add_node(*row, inputs, outputs, std::move(attributes), source_);
}

void Emitter::infer_element_type(ValueId output, ValueId like) {
  kernels::ValueType type = builder_.value(output).type;
  if (type.kind != kernels::ValueType::Kind::tensor || type.element != DataType::undefined) return;
  type.element = element_type(like);
  builder_.set_type(output, std::move(type));
}

}  // namespace tenon::nn
