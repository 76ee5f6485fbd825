// Operands, attributes and emission; see onnx_node.h.
#include "wasi-nn/formats/onnx_node.h"

namespace tenon::nn::onnx {
namespace {

using kernels::AttributeValue;
using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;

std::string_view type_name(AttributeType type) {
  static constexpr std::string_view kNames[] = {"undefined", "float",  "int",     "string",  "tensor",
                                                "graph",     "floats", "ints",    "strings", "tensors",
                                                "graphs",    "sparse", "sparses", "type",    "types"};
  const auto i = static_cast<size_t>(type);
  return i < std::size(kNames) ? kNames[i] : "unknown";
}

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

const AttributeProto* referenced(const AttributeProto& attribute, const AttributeEnvironment& environment) {
  if (attribute.ref_attr_name.empty()) return &attribute;
  const auto it = environment.find(attribute.ref_attr_name);
  return it == environment.end() ? nullptr : it->second;
}

NodeImport::NodeImport(NodeHost& host, kernels::GraphBuilder& builder, const NodeProto& proto,
                       const AttributeEnvironment& environment, int64_t opset, std::vector<ValueId> inputs,
                       std::vector<ValueId> outputs, kernels::Source source)
    : host_(host),
      builder_(builder),
      proto_(proto),
      opset_(opset),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      source_(std::move(source)) {
  for (const AttributeProto& attribute : proto.attribute) {
    if (const AttributeProto* value = referenced(attribute, environment))
      attributes_.push_back({attribute.name, value});
  }
}

void NodeImport::set_input(size_t i, ValueId id) {
  if (i >= inputs_.size()) inputs_.resize(i + 1, kAbsent);
  inputs_[i] = id;
}

void NodeImport::drop_inputs_after(size_t count) {
  if (inputs_.size() > count) inputs_.resize(count);
}

void NodeImport::drop_outputs_after(size_t count) {
  if (outputs_.size() > count) outputs_.resize(count);
}

DataType NodeImport::element_type(ValueId id) const {
  return id == kAbsent ? DataType::undefined : builder_.value(id).type.element;
}

std::optional<size_t> NodeImport::rank(ValueId id) const {
  if (id == kAbsent) return std::nullopt;
  const kernels::GraphValue& value = builder_.value(id);
  if (value.constant.defined()) return value.constant.dims().size();
  if (value.type.kind != kernels::ValueType::Kind::tensor || !value.type.shape) return std::nullopt;
  return value.type.shape->size();
}

const Tensor* NodeImport::constant(ValueId id) const {
  if (id == kAbsent || !builder_.value(id).constant.defined()) return nullptr;
  return &builder_.value(id).constant;
}

bool NodeImport::has_attribute(std::string_view name) const {
  return std::ranges::any_of(attributes_, [&](const Named& a) { return a.name == name; });
}

const AttributeProto* NodeImport::take(std::string_view name) {
  const auto it = std::ranges::find_if(attributes_, [&](const Named& a) { return a.name == name; });
  if (it == attributes_.end()) return nullptr;
  const AttributeProto* found = it->value;
  attributes_.erase(it);
  return found;
}

Result<const AttributeProto*> NodeImport::take_typed(std::string_view name, AttributeType type) {
  const AttributeProto* found = take(name);
  if (found && found->type() != type) {
    return invalid("attribute '{}' is of type {}, expected {}", name, type_name(found->type()),
                   type_name(type));
  }
  return found;
}

Result<std::optional<int64_t>> NodeImport::take_int(std::string_view name) {
  const AttributeProto* a = TENON_TRY(take_typed(name, AttributeType::kInt));
  return a ? std::optional(a->i) : std::nullopt;
}

Result<std::optional<float>> NodeImport::take_float(std::string_view name) {
  const AttributeProto* a = TENON_TRY(take_typed(name, AttributeType::kFloat));
  return a ? std::optional(a->f) : std::nullopt;
}

Result<std::optional<std::string_view>> NodeImport::take_string(std::string_view name) {
  const AttributeProto* a = TENON_TRY(take_typed(name, AttributeType::kString));
  return a ? std::optional(a->s) : std::nullopt;
}

Result<std::optional<std::vector<int64_t>>> NodeImport::take_ints(std::string_view name) {
  const AttributeProto* a = TENON_TRY(take_typed(name, AttributeType::kInts));
  return a ? std::optional(a->ints) : std::nullopt;
}

Result<std::optional<std::vector<float>>> NodeImport::take_floats(std::string_view name) {
  const AttributeProto* a = TENON_TRY(take_typed(name, AttributeType::kFloats));
  return a ? std::optional(a->floats) : std::nullopt;
}

Result<ValueId> NodeImport::constant(Tensor tensor) { return builder_.constant({}, std::move(tensor)); }

Result<ValueId> NodeImport::int_vector(const std::vector<int64_t>& values) {
  return constant(TENON_TRY(
      Tensor::of<int64_t>(DataType::i64, Dims{static_cast<int64_t>(values.size())}, std::span(values))));
}

Result<ValueId> NodeImport::int_scalar(int64_t value) {
  return constant(TENON_TRY(scalar_of<int64_t>(DataType::i64, value)));
}

Result<ValueId> NodeImport::scalar_like(ValueId like, double value) {
  const DataType type = element_type(like);
  if (type != DataType::undefined) return constant(TENON_TRY(scalar_tensor(type, value)));
  // The file does not declare the type: let it be taken from the value when the graph is compiled.
  return emit("CastLike", {TENON_TRY(constant(TENON_TRY(scalar_tensor(DataType::f64, value)))), like});
}

Result<ValueId> NodeImport::emit(std::string_view op, std::vector<ValueId> inputs,
                                 kernels::Attributes attributes) {
  const ValueId output = builder_.add_value({});
  TENON_TRY(emit_to({output}, op, std::move(inputs), std::move(attributes)));
  return output;
}

Result<void> NodeImport::emit_to(std::vector<ValueId> outputs, std::string_view op,
                                 std::vector<ValueId> inputs, kernels::Attributes attributes) {
  const auto row = kernels::find_op(op);
  if (!row) return unsupported("no kernel for operator {}", op);
  while (!inputs.empty() && inputs.back() == kAbsent) inputs.pop_back();
  while (!outputs.empty() && outputs.back() == kAbsent) outputs.pop_back();
  // Rules of later nodes want to know element types that few files declare.
  const bool has_first = !inputs.empty() && !outputs.empty() && inputs[0] != kAbsent && outputs[0] != kAbsent;
  if (has_first && kernels::info(*row).keeps_type) infer_element_type(outputs[0], inputs[0]);
  return builder_.add_node(*row, inputs, outputs, std::move(attributes), source_);
}

void NodeImport::infer_element_type(ValueId output, ValueId like) {
  kernels::ValueType type = builder_.value(output).type;
  if (type.kind != kernels::ValueType::Kind::tensor || type.element != DataType::undefined) return;
  type.element = element_type(like);
  builder_.set_type(output, std::move(type));
}

Result<void> NodeImport::finish_as(std::string_view op) {
  kernels::Attributes attributes = std::move(extra_);
  for (const Named& a : attributes_) {
    auto value = convert(*a.value);
    if (!value) {
      // Errors inside a subgraph name its node already.
      if (a.value->g) return std::unexpected(std::move(value).error());
      return std::unexpected(
          kernels::with_place(std::move(value).error(), fmt::format("attribute '{}'", a.name)));
    }
    attributes.push_back({std::string(a.name), *std::move(value)});
  }
  return emit_to(outputs_, op, inputs_, std::move(attributes));
}

Result<void> NodeImport::alias(size_t i, ValueId id) {
  if (!has_output(i)) return {};
  return emit_to({output(i)}, "Identity", {id});
}

Result<void> NodeImport::define_output(Tensor tensor) {
  if (output_count() != 1 || !has_output(0)) return invalid("{} outputs, expected 1", output_count());
  return builder_.define_constant(output(0), std::move(tensor));
}

Result<AttributeValue> NodeImport::convert(const AttributeProto& attribute) {
  switch (attribute.type()) {
    case AttributeType::kFloat: return AttributeValue(attribute.f);
    case AttributeType::kInt: return AttributeValue(attribute.i);
    case AttributeType::kString: return AttributeValue(std::string(attribute.s));
    case AttributeType::kFloats: return AttributeValue(attribute.floats);
    case AttributeType::kInts: return AttributeValue(attribute.ints);
    case AttributeType::kStrings:
      return AttributeValue(std::vector<std::string>(attribute.strings.begin(), attribute.strings.end()));
    case AttributeType::kTensor:
      if (!attribute.t) return invalid("the tensor is missing");
      return AttributeValue(TENON_TRY(host_.tensor(*attribute.t)));
    case AttributeType::kGraph:
      if (!attribute.g) return invalid("the graph is missing");
      return AttributeValue(TENON_TRY(host_.subgraph(*attribute.g)));
    default: break;
  }
  if (!attribute.ref_attr_name.empty()) {
    return invalid("refers to attribute '{}' of a function, outside a function", attribute.ref_attr_name);
  }
  return unsupported("attributes of type {} are not supported", type_name(attribute.type()));
}

}  // namespace tenon::nn::onnx
