// Operands, attributes and short forms; see tf_node.h.
#include "wasi-nn/formats/tf_node.h"

#include <algorithm>
#include <cstring>

#include "wasi-nn/formats/followed_type.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn::tf {

using kernels::DataType;
using kernels::Tensor;

// The only element of a tensor.
template <typename T>
static double single(const Tensor& tensor) {
  T value;
  std::memcpy(&value, tensor.data(), sizeof value);
  return static_cast<double>(value);
}

std::optional<std::vector<int64_t>> NodeImport::constant_ints(size_t i) const {
  const Tensor* tensor = constant(input(i));
  return tensor ? integers_of(*tensor) : std::nullopt;
}

std::optional<std::vector<float>> NodeImport::constant_floats(size_t i) const {
  const Tensor* tensor = constant(input(i));
  if (!tensor || tensor->type() != DataType::f32) return std::nullopt;
  std::vector<float> values(static_cast<size_t>(tensor->count()));
  if (!values.empty()) std::memcpy(values.data(), tensor->data(), values.size() * sizeof(float));
  return values;
}

Result<int64_t> NodeImport::constant_int(size_t i, std::string_view what) const {
  const auto values = constant_ints(i);
  if (!values) return unsupported("{} must be constant", what);
  if (values->size() != 1) return invalid("{} must be one number", what);
  return (*values)[0];
}

std::optional<double> NodeImport::constant_number(size_t i) const {
  const Tensor* tensor = constant(input(i));
  if (!tensor || tensor->count() != 1) return std::nullopt;
  if (tensor->type() == DataType::f32) return single<float>(*tensor);
  if (tensor->type() == DataType::f64) return single<double>(*tensor);
  if (tensor->type() == DataType::f16) return single<_Float16>(*tensor);
  const auto numbers = constant_ints(i);
  if (!numbers) return std::nullopt;
  return static_cast<double>((*numbers)[0]);
}

const AttrValue* NodeImport::attr(std::string_view name) const {
  const auto find = [](const std::vector<AttrEntry>& list, std::string_view key) -> const AttrValue* {
    const auto it = std::ranges::find(list, key, &AttrEntry::key);
    return it == list.end() ? nullptr : &it->value;
  };
  const AttrValue* value = find(def_.attr, name);
  if (!value || value->placeholder.empty()) return value;
  return environment_ ? find(*environment_, value->placeholder) : nullptr;
}

Result<int64_t> NodeImport::int_attr(std::string_view name, int64_t fallback) const {
  const AttrValue* value = attr(name);
  if (!value) return fallback;
  if (!value->i) return invalid("attribute '{}' is no integer", name);
  return *value->i;
}

Result<bool> NodeImport::bool_attr(std::string_view name, bool fallback) const {
  const AttrValue* value = attr(name);
  if (!value) return fallback;
  if (!value->b) return invalid("attribute '{}' is no bool", name);
  return *value->b;
}

Result<float> NodeImport::float_attr(std::string_view name, float fallback) const {
  const AttrValue* value = attr(name);
  if (!value) return fallback;
  if (!value->f) return invalid("attribute '{}' is no float", name);
  return *value->f;
}

Result<std::string_view> NodeImport::string_attr(std::string_view name, std::string_view fallback) const {
  const AttrValue* value = attr(name);
  if (!value) return fallback;
  if (!value->s) return invalid("attribute '{}' is no string", name);
  return *value->s;
}

Result<std::vector<int64_t>> NodeImport::ints_attr(std::string_view name) const {
  const AttrValue* value = attr(name);
  if (!value) return std::vector<int64_t>();
  if (!value->list) return invalid("attribute '{}' is no list", name);
  return value->list->i;
}

Result<DataType> NodeImport::type_attr(std::string_view name, TfType fallback) const {
  const AttrValue* value = attr(name);
  return to_data_type(value ? value->type : static_cast<int32_t>(fallback));
}

Result<ValueId> NodeImport::emit(std::string_view op, std::vector<ValueId> inputs,
                                 kernels::Attributes attributes) {
  return TENON_TRY(emit_many(op, std::move(inputs), 1, std::move(attributes)))[0];
}

Result<std::vector<ValueId>> NodeImport::emit_many(std::string_view op, std::vector<ValueId> inputs,
                                                   size_t outputs, kernels::Attributes attributes) {
  const auto row = kernels::find_op(op);
  if (row && outputs == 1) {
    if (auto known = folding_.result(builder(), *row, inputs, attributes))
      return std::vector{TENON_TRY(constant(*std::move(known)))};
  }
  std::vector<ValueId> ids;
  for (size_t i = 0; i < outputs; ++i) ids.push_back(builder().add_value({}));
  if (row) {
    kernels::ValueType type = followed_type(builder(), *row, inputs, attributes);
    for (const ValueId id : ids) declare(id, type);
  }
  TENON_TRY(emit_to(ids, op, std::move(inputs), std::move(attributes)));
  return ids;
}

Result<ValueId> NodeImport::axes(size_t i) {
  if (const auto values = constant_ints(i)) return int_vector(*values);
  return to_i64(input(i));
}

Result<ValueId> NodeImport::integers(size_t i) {
  const auto values = constant_ints(i);
  if (!values) return to_i64(input(i));
  if (element_type(input(i)) == DataType::i64) return input(i);
  return constant(
      TENON_TRY(Tensor::of<int64_t>(DataType::i64, constant(input(i))->dims(), std::span(*values))));
}

Result<ValueId> NodeImport::cast(ValueId id, DataType type) {
  if (element_type(id) == type) return id;
  return emit("Cast", {id}, {{"to", kernels::onnx_number(type)}});
}

Result<ValueId> NodeImport::transpose(ValueId id, const std::vector<int64_t>& perm) {
  return emit("Transpose", {id}, {{"perm", perm}});
}

Result<ValueId> NodeImport::reshape(ValueId id, const std::vector<int64_t>& dims) {
  return emit("Reshape", {id, TENON_TRY(int_vector(dims))}, {{"allowzero", int64_t{1}}});
}

Result<ValueId> NodeImport::squeeze(ValueId id, const std::vector<int64_t>& axes) {
  if (axes.empty()) return id;
  return emit("Squeeze", {id, TENON_TRY(int_vector(axes))});
}

Result<ValueId> NodeImport::unsqueeze(ValueId id, const std::vector<int64_t>& axes) {
  if (axes.empty()) return id;
  return emit("Unsqueeze", {id, TENON_TRY(int_vector(axes))});
}

Result<ValueId> NodeImport::concat(std::vector<ValueId> ids, int64_t axis) {
  if (ids.size() == 1) return ids[0];
  return emit("Concat", std::move(ids), {{"axis", axis}});
}

Result<ValueId> NodeImport::part(ValueId vector, int64_t begin, int64_t end) {
  return emit("Slice", {vector, TENON_TRY(int_vector({begin})), TENON_TRY(int_vector({end}))});
}

Result<ValueId> NodeImport::emit_sequence(std::string_view op, std::vector<ValueId> inputs, DataType element,
                                          kernels::Attributes attributes) {
  const ValueId id =
      builder().add_value({}, kernels::ValueType::sequence(kernels::ValueType::unranked(element)));
  TENON_TRY(emit_to({id}, op, std::move(inputs), std::move(attributes)));
  return id;
}

}  // namespace tenon::nn::tf
