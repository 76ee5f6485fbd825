// Operands, attributes and emission; see onnx_node.h.
#include "wasi-nn/formats/onnx_node.h"

namespace tenon::nn::onnx {
namespace {

using kernels::AttributeValue;
using kernels::kAbsent;
using kernels::Tensor;

std::string_view type_name(AttributeType type) {
  static constexpr std::string_view kNames[] = {"undefined", "float",  "int",     "string",  "tensor",
                                                "graph",     "floats", "ints",    "strings", "tensors",
                                                "graphs",    "sparse", "sparses", "type",    "types"};
  const auto i = static_cast<size_t>(type);
  return i < std::size(kNames) ? kNames[i] : "unknown";
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
    : Emitter(builder, std::move(source)),
      host_(host),
      proto_(proto),
      opset_(opset),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)) {
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
  return builder().define_constant(output(0), std::move(tensor));
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
