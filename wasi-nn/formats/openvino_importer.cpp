// Nets, constants and bodies of an IR; single layers are openvino_rules.cpp's.
#include "wasi-nn/formats/openvino_importer.h"

#include <set>

#include "kernels/element.h"
#include "wasi-nn/formats/openvino_layer.h"

namespace tenon::nn {
namespace openvino {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Graph;
using kernels::GraphBuilder;
using kernels::kAbsent;
using kernels::Tensor;
using kernels::ValueType;

// What all nets of one model share.
struct Shared {
  const ModelSource& source;
  int64_t version;  // of the IR
  ModelSummary summary;
};

int64_t opset_of(const Layer& layer) {
  constexpr std::string_view kPrefix = "opset";
  if (!layer.version.starts_with(kPrefix)) return 0;
  return parse_int(layer.version.substr(kPrefix.size())).value_or(0);
}

ValueType declared_type(DataType element, const std::vector<int64_t>& dims) {
  std::vector<kernels::Dim> shape;
  for (const int64_t dim : dims)
    shape.push_back(dim < 0 ? kernels::Dim::unknown() : kernels::Dim::constant(dim));
  return ValueType::tensor(element, std::move(shape));
}

template <typename T>
Result<Tensor> widened(const Dims& dims, std::span<const std::byte> bytes) {
  Tensor out = TENON_TRY(Tensor::allocate(DataType::f32, dims));
  const kernels::In<T> from{bytes.data()};
  auto* to = reinterpret_cast<float*>(out.mutable_data());
  for (int64_t i = 0; i < out.count(); ++i) to[i] = static_cast<float>(from[i]);
  return out;
}

// Two to a byte, the first in the low half.
Result<Tensor> unpacked(bool is_signed, const Dims& dims, std::span<const std::byte> bytes) {
  Tensor out = TENON_TRY(Tensor::allocate(is_signed ? DataType::i8 : DataType::u8, dims));
  for (int64_t i = 0; i < out.count(); ++i) {
    const auto pair = static_cast<uint8_t>(bytes[static_cast<size_t>(i) / 2]);
    const int half = i % 2 == 0 ? pair & 15 : pair >> 4;
    out.mutable_data()[i] = static_cast<std::byte>(is_signed && half > 7 ? half - 16 : half);
  }
  return out;
}

// The Const layer's tensor: a view where the elements are as the kernels want them.
Result<Tensor> constant_of(const Layer& layer, const ModelSource& source) {
  const auto shape = parse_ints(layer.attribute("shape"));
  const auto offset = parse_int(layer.attribute("offset")), size = parse_int(layer.attribute("size"));
  if (!shape) return Emitter::invalid("shape '{}'", layer.attribute("shape"));
  if (!offset || !size || *offset < 0 || *size < 0)
    return Emitter::invalid("offset or size of its data is missing");
  const Dims dims = TENON_TRY(Dims::from(*shape));
  const std::string_view type = layer.attribute("element_type");
  const bool half_bytes = type == "u4" || type == "i4";
  const DataType stored = type == "f16"    ? DataType::f16
                          : type == "bf16" ? DataType::bf16
                          : half_bytes     ? DataType::u8
                                           : parse_type(type);
  if (stored == DataType::undefined)
    return fail(ErrorCode::unsupported_operation, "elements of type '{}' are not supported", type);
  uint64_t wanted = TENON_TRY(kernels::byte_size(stored, dims));
  if (half_bytes) wanted = (wanted + 1) / 2;
  if (static_cast<uint64_t>(*size) != wanted)
    return Emitter::invalid("{} bytes of data, {} {} take {}", *size, type, kernels::to_string(dims), wanted);
  if (source.parts.empty()) {
    if (wanted != 0) return Emitter::invalid("the weights (second byte array, or .bin file) are missing");
    return Tensor::allocate(parse_type(type), dims);
  }
  const ModelPart& weights = source.parts[0];
  const auto start = static_cast<uint64_t>(*offset);
  if (start > weights.bytes.size() || wanted > weights.bytes.size() - start) {
    return Emitter::invalid("its data, {} bytes at offset {}, end beyond {} ({} bytes)", wanted, start,
                            weights.file, weights.bytes.size());
  }
  const auto bytes = weights.bytes.subspan(start, wanted);
  if (half_bytes) return unpacked(type == "i4", dims, bytes);
  if (stored == DataType::f16) return widened<kernels::f16_t>(dims, bytes);
  if (stored == DataType::bf16) return widened<kernels::bf16_t>(dims, bytes);
  return Tensor::view(stored, dims, bytes, weights.owner);
}

class NetImport final : public LayerHost {
 public:
  NetImport(Shared& shared, NetImport* outer, const Net& net)
      : shared_(shared), outer_(outer), net_(net), builder_(shared.source.file, shared.source.limits) {}

  // The net of the model: Parameters are inputs, Results outputs, each in the order of the file.
  Result<Graph> import_model() {
    TENON_TRY(declare());
    for (size_t i = 0; i < net_.layers.size(); ++i) {
      if (net_.layers[i].type == "Parameter") TENON_TRY(builder_.define_input(values_[i][0]));
    }
    TENON_TRY(import_layers());
    TENON_TRY(finish_variables());
    std::set<std::string> names;
    for (const Layer& layer : net_.layers) {
      if (layer.type != "Result") continue;
      const auto& from = layer.connections.empty() ? std::nullopt : layer.connections[0];
      if (!from) return at(layer, kernels::Error{ErrorCode::invalid_encoding, "nothing leads to it"});
      std::string name = name_of(*from);
      if (!names.insert(name).second) name = std::string(layer.name);
      TENON_TRY(builder_.add_output(value_of(*from), std::move(name)));
    }
    return std::move(builder_).finish();
  }

  // The body of a layer; see LayerHost::BodyPlan.
  Result<Graph> import_body(const BodyPlan& plan) {
    TENON_TRY(declare());
    ValueId iteration = kAbsent, condition = kAbsent;
    if (plan.loop) {
      iteration = TENON_TRY(builder_.input("iteration", ValueType::tensor(DataType::i64, Dims{})));
      condition = TENON_TRY(builder_.input("condition", ValueType::tensor(DataType::boolean, Dims{})));
    }
    std::map<ValueId, ValueId> captured;  // of the enclosing graph → here
    for (const BodyPlan::Input& input : plan.inputs) TENON_TRY(bind(input, iteration, captured));
    TENON_TRY(import_layers());
    if (plan.loop) {
      const ValueId next = plan.condition ? TENON_TRY(result_value(*plan.condition)) : condition;
      TENON_TRY(builder_.add_output(TENON_TRY(next_condition(next))));
    }
    for (const BodyPlan::Output& output : plan.outputs) {
      ValueId value = TENON_TRY(result_value(output.result));
      if (output.squeeze) {
        const ValueId axes = TENON_TRY(int_constant({*output.squeeze}, Dims{1}));
        value = TENON_TRY(builder_.node(kernels::Op::Squeeze, {value, axes}));
      } else {
        value = TENON_TRY(builder_.node(kernels::Op::Identity, {value}));
      }
      TENON_TRY(builder_.add_output(value));
    }
    return std::move(builder_).finish();
  }

  // LayerHost
  Result<std::shared_ptr<const Graph>> body(const Body& body, const BodyPlan& plan) override {
    NetImport inner(shared_, this, *body.net);
    return std::make_shared<const Graph>(TENON_TRY(inner.import_body(plan)));
  }
  const Layer* producer(const Layer& layer, size_t input) const override {
    if (input >= layer.connections.size() || !layer.connections[input]) return nullptr;
    return &net_.layers[layer.connections[input]->layer];
  }
  const Port* port(const Layer& layer, size_t input) const override {
    const Layer* from = producer(layer, input);
    return from ? &from->outputs[layer.connections[input]->port] : nullptr;
  }
  ValueId operand(const Layer& layer, size_t input) const override {
    return producer(layer, input) ? value_of(*layer.connections[input]) : kAbsent;
  }
  bool is_read(const Layer& layer, size_t output) const override {
    const auto index = static_cast<size_t>(&layer - net_.layers.data());
    return output < values_[index].size() && read_.contains(values_[index][output]);
  }
  Result<ValueId> new_variable(const std::string& name, DataType type, const Dims& dims,
                               Tensor initial) override {
    if (outer_) return Emitter::unsupported("a variable ('{}') in a body", name);
    Variable& variable = variables_[name];
    if (variable.state != kAbsent)
      return Emitter::invalid("another layer reads the variable '{}' already", name);
    variable.state = TENON_TRY(initial.defined() ? builder_.add_state(name, std::move(initial))
                                                 : builder_.add_zero_state(name, type, dims));
    return variable.state;
  }
  Result<void> set_variable(const std::string& name, ValueId next) override {
    if (outer_) return Emitter::unsupported("a variable ('{}') in a body", name);
    Variable& variable = variables_[name];
    if (variable.next != kAbsent)
      return Emitter::invalid("another layer assigns the variable '{}' already", name);
    variable.next = next;
    return {};
  }
  void remember(ValueId id, QuantizedConstant constant) override {
    quantized_.insert_or_assign(id, std::move(constant));
  }
  const QuantizedConstant* quantized(ValueId id) const override {
    const auto it = quantized_.find(id);
    return it == quantized_.end() ? nullptr : &it->second;
  }

 private:
  const std::string& file() const { return shared_.source.file; }
  ValueId value_of(PortRef ref) const { return values_[ref.layer][ref.port]; }

  // What variables become, now that layers of any order have named them.
  Result<void> finish_variables() {
    for (const auto& [name, variable] : variables_) {
      if (variable.state == kAbsent || variable.next == kAbsent) {
        return fail(ErrorCode::invalid_encoding, "{}: no layer {} the variable '{}'", file(),
                    variable.state == kAbsent ? "reads" : "assigns", name);
      }
      TENON_TRY(builder_.set_next(variable.state, variable.next));
    }
    return {};
  }

  // Errors of the builder have a place already.
  std::unexpected<kernels::Error> at(const Layer& layer, kernels::Error error) const {
    if (error.message.starts_with(file() + ": ")) return std::unexpected(std::move(error));
    return std::unexpected(kernels::with_place(
        std::move(error), fmt::format("{}: node '{}' ({}, {})", file(), layer.name, layer.type,
                                      layer.version.empty() ? "no opset" : std::string(layer.version))));
  }

  // IR 11 names tensors; before, a tensor is known by its layer, and its port where the layer has several.
  std::string name_of(PortRef ref) const {
    const Layer& layer = net_.layers[ref.layer];
    const std::string_view names = layer.outputs[ref.port].names;
    if (shared_.version >= 11 && !names.empty()) return std::string(names.substr(0, names.find(',')));
    if (layer.outputs.size() == 1) return std::string(layer.name);
    return fmt::format("{}.{}", layer.name, ref.port);
  }

  // Values for all ports, contents for constants.
  Result<void> declare() {
    values_.resize(net_.layers.size());
    for (size_t i = 0; i < net_.layers.size(); ++i) {
      const Layer& layer = net_.layers[i];
      for (size_t port = 0; port < layer.outputs.size(); ++port)
        values_[i].push_back(builder_.add_value(name_of({i, port}), port_type(layer, layer.outputs[port])));
      auto done = declare_layer(layer, values_[i]);
      if (!done) return at(layer, std::move(done).error());
    }
    for (const Layer& layer : net_.layers) {
      for (const auto& from : layer.connections) {
        if (from) read_.insert(value_of(*from));
      }
    }
    return {};
  }

  // Ports without dims are scalars or of unknown rank, so their shape stays open. Element types follow from operators;
  // what the file says of them is LayerHost::port's.
  static ValueType port_type(const Layer& layer, const Port& port) {
    const bool is_open = port.dims.empty() || port.dims.size() > Dims::kMaxRank;
    if (layer.type == "Const" || layer.type == "Parameter" || is_open) return {};
    return declared_type(DataType::undefined, port.dims);
  }

  Result<void> declare_layer(const Layer& layer, const std::vector<ValueId>& outputs) {
    const bool is_constant = layer.type == "Const", is_parameter = layer.type == "Parameter";
    if (!is_constant && !is_parameter) return {};
    if (outputs.size() != 1)
      return fail(ErrorCode::invalid_encoding, "{} outputs, expected 1", outputs.size());
    if (is_constant)
      return builder_.define_constant(outputs[0], TENON_TRY(constant_of(layer, shared_.source)));
    const DataType type = parse_type(layer.attribute("element_type"));
    if (type == DataType::undefined) {
      return fail(ErrorCode::unsupported_operation, "elements of type '{}' are not supported",
                  layer.attribute("element_type"));
    }
    builder_.set_type(outputs[0], TENON_TRY(parameter_type(layer.attribute("shape"), type)));
    return {};
  }

  // "1,3,?,10..20"; "..." is any rank.
  static Result<ValueType> parameter_type(std::string_view shape, DataType type) {
    std::vector<int64_t> dims;
    if (shape.find("...") != shape.npos) return ValueType::unranked(type);
    while (!shape.empty()) {
      const size_t comma = shape.find(',');
      const std::string_view text = shape.substr(0, comma);
      const auto dim = parse_int(text);
      const bool open = !dim && (text.find('?') != text.npos || text.find("..") != text.npos);
      if ((!dim && !open) || (dim && *dim < -1))
        return fail(ErrorCode::invalid_encoding, "shape '{}'", shape);
      dims.push_back(open ? -1 : *dim);
      if (comma == shape.npos) break;
      shape.remove_prefix(comma + 1);
    }
    return declared_type(type, dims);
  }

  Result<void> import_layers() {
    for (size_t i = 0; i < net_.layers.size(); ++i) {
      const Layer& layer = net_.layers[i];
      ++shared_.summary.operators[std::string(layer.type)];
      if (layer.type == "Const" || layer.type == "Parameter" || layer.type == "Result") continue;
      auto done = import_one(layer, values_[i]);
      if (!done) return at(layer, std::move(done).error());
    }
    return {};
  }

  Result<void> import_one(const Layer& layer, const std::vector<ValueId>& outputs) {
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < layer.inputs.size(); ++i) {
      if (!layer.connections[i])
        return fail(ErrorCode::invalid_encoding, "no edge leads to its input port {}", layer.inputs[i].id);
      inputs.push_back(value_of(*layer.connections[i]));
    }
    const int64_t opset = opset_of(layer);
    LayerImport import(*this, builder_, layer, opset, std::move(inputs), outputs,
                       {std::string(layer.name), std::string(layer.type), opset});
    return import_layer(import);
  }

  Result<ValueId> int_constant(const std::vector<int64_t>& values, const Dims& dims) {
    return builder_.constant({}, TENON_TRY(Tensor::of<int64_t>(DataType::i64, dims, std::span(values))));
  }

  // What the body's Parameter is: an input, a value from outside, a slice of one, or the loop's counter.
  Result<void> bind(const BodyPlan::Input& input, ValueId iteration, std::map<ValueId, ValueId>& captured) {
    if (input.is_unread) return builder_.define_input(builder_.add_value("unread", ValueType::unranked({})));
    const auto& outputs = values_[input.parameter];
    if (outputs.size() != 1)
      return fail(ErrorCode::invalid_encoding, "a Parameter of the body has no output");
    const ValueId parameter = outputs[0];
    if (input.is_iteration) {
      const DataType type = builder_.value(parameter).type.element;
      const auto shape = builder_.value(parameter).type.shape;  // a copy: nodes are added below
      const ValueId counted =
          TENON_TRY(builder_.node(kernels::Op::Cast, {iteration}, {{"to", kernels::onnx_number(type)}}));
      if (shape && shape->empty()) return define(parameter, kernels::Op::Identity, {counted});
      return define(parameter, kernels::Op::Reshape, {counted, TENON_TRY(int_constant({1}, Dims{1}))});
    }
    if (input.captured == kAbsent) return builder_.define_input(parameter);
    const ValueId outside = TENON_TRY(capture(input.captured, captured));
    if (!input.slice) return define(parameter, kernels::Op::Identity, {outside});
    // start + stride * iteration + 0, 1, …, part_size - 1
    std::vector<int64_t> first;
    for (int64_t i = 0; i < input.part_size; ++i) first.push_back(input.start + i);
    const ValueId stride = TENON_TRY(int_constant({input.stride}, Dims{}));
    const ValueId offset = TENON_TRY(builder_.node(kernels::Op::Mul, {iteration, stride}));
    const ValueId base = TENON_TRY(int_constant(first, Dims{input.part_size}));
    const ValueId positions = TENON_TRY(builder_.node(kernels::Op::Add, {base, offset}));
    return define(parameter, kernels::Op::Gather, {outside, positions}, {{"axis", *input.slice}});
  }

  Result<void> define(ValueId id, kernels::Op op, std::vector<ValueId> inputs,
                      kernels::Attributes attributes = {}) {
    return builder_.add_node(op, inputs, std::span(&id, 1), std::move(attributes),
                             {builder_.value(id).name, {}, 0});
  }

  Result<ValueId> capture(ValueId outer, std::map<ValueId, ValueId>& captured) {
    if (const auto it = captured.find(outer); it != captured.end()) return it->second;
    const kernels::GraphValue& value = outer_->builder_.value(outer);
    const ValueId inner = builder_.add_value(value.name, value.type);
    TENON_TRY(value.constant.defined() ? builder_.define_constant(inner, value.constant)
                                       : builder_.define_capture(inner, outer));
    captured.emplace(outer, inner);
    return inner;
  }

  Result<ValueId> result_value(size_t result) const {
    const Layer& layer = net_.layers[result];
    if (layer.type != "Result" || layer.connections.empty() || !layer.connections[0])
      return fail(ErrorCode::invalid_encoding, "'{}' is no Result with an input", layer.name);
    return value_of(*layer.connections[0]);
  }

  // A Loop's condition is a scalar; the body's may have the shape [1].
  Result<ValueId> next_condition(ValueId id) {
    return builder_.node(kernels::Op::Reshape, {id, TENON_TRY(int_constant({}, Dims{0}))});
  }

  Shared& shared_;
  NetImport* outer_;
  const Net& net_;
  GraphBuilder builder_;
  std::vector<std::vector<ValueId>> values_;  // of each layer's output ports
  std::map<ValueId, QuantizedConstant> quantized_;
  std::set<ValueId> read_;  // values that an edge leads from
  struct Variable {
    ValueId state = kAbsent, next = kAbsent;
  };
  std::map<std::string, Variable> variables_;
};

ModelSummary summarise(const Model& model) {
  ModelSummary summary;
  summary.format = fmt::format("OpenVINO IR, version {}", model.version);
  const pugi::xml_node meta = model.document->child("net").child("meta_data");
  const std::string_view version = meta.child("MO_version").attribute("value").value();
  summary.producer = version.empty() ? "" : fmt::format("Model Optimizer {}", version);
  return summary;
}

}  // namespace
}  // namespace openvino

Result<ImportedModel> import_openvino(const ModelSource& source) {
  auto parsed = openvino::parse_model(source.bytes, source.limits);
  if (!parsed) return std::unexpected(kernels::with_place(std::move(parsed).error(), source.file));
  openvino::Shared shared{source, parsed->version, openvino::summarise(*parsed)};
  openvino::NetImport import(shared, nullptr, parsed->net);
  kernels::Graph graph = TENON_TRY(import.import_model());
  return ImportedModel{std::move(graph), std::move(shared.summary)};
}

}  // namespace tenon::nn
