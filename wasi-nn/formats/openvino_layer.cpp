// Operands and attributes of layers; see openvino_layer.h.
#include "wasi-nn/formats/openvino_layer.h"

#include "wasi-nn/golden.h"

namespace tenon::nn::openvino {

using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;

DataType parse_type(std::string_view name) {
  struct Row {
    std::string_view in_data, in_ports;
    DataType type;
  };
  static constexpr Row kRows[] = {
      {"f32", "FP32", DataType::f32},        {"f16", "FP16", DataType::f32}, {"bf16", "BF16", DataType::f32},
      {"f64", "FP64", DataType::f64},        {"i8", "I8", DataType::i8},     {"u8", "U8", DataType::u8},
      {"i16", "I16", DataType::i16},         {"u16", "U16", DataType::u16},  {"i32", "I32", DataType::i32},
      {"u32", "U32", DataType::u32},         {"i64", "I64", DataType::i64},  {"u64", "U64", DataType::u64},
      {"boolean", "BOOL", DataType::boolean}};
  for (const Row& row : kRows) {
    if (name == row.in_data || name == row.in_ports) return row.type;
  }
  return DataType::undefined;
}

Result<ValueId> LayerImport::need(size_t i) const {
  if (has_input(i)) return input(i);
  return invalid("input {} is missing", i);
}

DataType LayerImport::element(size_t i) const {
  if (!has_input(i)) return DataType::undefined;
  const DataType known = element_type(input(i));
  if (known != DataType::undefined) return known;
  const Port* port = host_.port(layer_, i);
  return port ? parse_type(port->precision) : DataType::undefined;
}

Result<int64_t> LayerImport::need_rank(size_t i) const {
  if (const auto rank = this->rank(TENON_TRY(need(i)))) return static_cast<int64_t>(*rank);
  return unsupported("the rank of input {} is not declared", i);
}

std::vector<int64_t> LayerImport::dims_of(size_t i) const {
  if (!has_input(i)) return {};
  if (const Tensor* tensor = constant(input(i))) return {tensor->dims().begin(), tensor->dims().end()};
  return i < layer_.inputs.size() ? layer_.inputs[i].dims : std::vector<int64_t>{};
}

Result<int64_t> LayerImport::positive_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) return invalid("axis {} of a tensor of rank {}", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

Result<int64_t> LayerImport::integer(const char* key, std::optional<int64_t> fallback) const {
  if (!layer_.has(key)) {
    if (fallback) return *fallback;
    return invalid("attribute '{}' is missing", key);
  }
  if (const auto value = parse_int(layer_.attribute(key))) return *value;
  return invalid("attribute '{}': '{}' is no integer", key, layer_.attribute(key));
}

Result<float> LayerImport::real(const char* key, std::optional<float> fallback) const {
  if (!layer_.has(key)) {
    if (fallback) return *fallback;
    return invalid("attribute '{}' is missing", key);
  }
  if (const auto value = parse_real(layer_.attribute(key))) return static_cast<float>(*value);
  return invalid("attribute '{}': '{}' is no number", key, layer_.attribute(key));
}

Result<bool> LayerImport::flag(const char* key, std::optional<bool> fallback) const {
  if (!layer_.has(key)) {
    if (fallback) return *fallback;
    return invalid("attribute '{}' is missing", key);
  }
  const std::string_view value = layer_.attribute(key);
  if (value == "true" || value == "True" || value == "1") return true;
  if (value == "false" || value == "False" || value == "0") return false;
  return invalid("attribute '{}': '{}' is neither true nor false", key, value);
}

Result<std::vector<int64_t>> LayerImport::integers(const char* key) const {
  if (auto values = parse_ints(layer_.attribute(key))) return *std::move(values);
  return invalid("attribute '{}': '{}' is no list of integers", key, layer_.attribute(key));
}

Result<std::vector<float>> LayerImport::reals(const char* key) const {
  std::vector<float> values;
  std::string_view text = layer_.attribute(key);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const auto value = parse_real(text.substr(0, comma));
    if (!value) return invalid("attribute '{}': '{}' is no list of numbers", key, layer_.attribute(key));
    values.push_back(static_cast<float>(*value));
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
  }
  return values;
}

std::string_view LayerImport::text(const char* key, std::string_view fallback) const {
  return layer_.has(key) ? layer_.attribute(key) : fallback;
}

Result<std::string> LayerImport::word(const char* key, std::string_view fallback,
                                      std::span<const Word> words) const {
  const std::string_view given = text(key, fallback);
  for (const Word& word : words) {
    if (word.from == given) return std::string(word.to);
  }
  return unsupported("attribute '{}': '{}' is not supported", key, given);
}

Result<DataType> LayerImport::type(const char* key, std::string_view fallback) const {
  const DataType type = parse_type(text(key, fallback));
  if (type != DataType::undefined) return type;
  return unsupported("attribute '{}': elements of type '{}' are not supported", key, text(key, fallback));
}

Result<std::vector<int64_t>> LayerImport::constant_ints(size_t i) const {
  const Tensor* tensor = constant(TENON_TRY(need(i)));
  if (!tensor) return unsupported("input {} must be a constant", i);
  std::vector<int64_t> values;
  for (const double value : to_doubles(*tensor)) {
    if (!(std::abs(value) < 0x1p62)) return invalid("input {}: {} is no index", i, value);
    values.push_back(static_cast<int64_t>(value));
  }
  return values;
}

Result<std::vector<float>> LayerImport::constant_reals(size_t i) const {
  const Tensor* tensor = constant(TENON_TRY(need(i)));
  if (!tensor) return unsupported("input {} must be a constant", i);
  const auto values = to_doubles(*tensor);
  return std::vector<float>(values.begin(), values.end());
}

Result<ValueId> LayerImport::as_i64(ValueId id) {
  return element_type(id) == DataType::i64 ? Result<ValueId>(id) : cast(id, DataType::i64);
}

Result<ValueId> LayerImport::cast(ValueId id, DataType type) {
  return emit("Cast", {id}, {{"to", kernels::onnx_number(type)}});
}

Result<ValueId> LayerImport::reshape(ValueId id, const std::vector<int64_t>& dims) {
  return emit("Reshape", {id, TENON_TRY(int_vector(dims))});
}

Result<ValueId> LayerImport::real_scalar(double value) {
  const auto narrow = static_cast<float>(value);
  return Emitter::constant(TENON_TRY(Tensor::of<float>(DataType::f32, Dims{}, std::span(&narrow, 1))));
}

Result<void> LayerImport::define(size_t i, Tensor tensor) {
  if (output(i) == kAbsent) return {};
  return builder().define_constant(output(i), std::move(tensor));
}

Result<void> LayerImport::define_quantized(ValueId id, QuantizedConstant constant) {
  const auto count = static_cast<int64_t>(constant.scales.size());
  const Dims dims = constant.codes.dims();
  const bool in_rows = count == 1 || (!dims.empty() && dims[0] == count);
  const std::vector<uint8_t> zeros(constant.scales.size(), static_cast<uint8_t>(constant.zero));
  const Dims parameters = count == 1 ? Dims{} : Dims{count};
  const ValueId scale = TENON_TRY(
      Emitter::constant(TENON_TRY(Tensor::of<float>(DataType::f32, parameters, std::span(constant.scales)))));
  const ValueId zero = TENON_TRY(
      Emitter::constant(TENON_TRY(Tensor::of<uint8_t>(constant.codes.type(), parameters, std::span(zeros)))));
  const Tensor codes =
      in_rows ? constant.codes : TENON_TRY(constant.codes.reshaped({count, constant.codes.count() / count}));
  const std::vector<ValueId> operands{TENON_TRY(Emitter::constant(codes)), scale, zero};
  if (in_rows) {
    TENON_TRY(emit_to({id}, "DequantizeLinear", operands, {{"axis", int64_t{0}}}));
  } else {
    const ValueId rows = TENON_TRY(emit("DequantizeLinear", operands, {{"axis", int64_t{0}}}));
    TENON_TRY(emit_to({id}, "Reshape", {rows, TENON_TRY(int_vector({dims.begin(), dims.end()}))}));
  }
  host_.remember(id, std::move(constant));
  return {};
}

}  // namespace tenon::nn::openvino
