// Scopes, functions and graphs of an ONNX model; single nodes are onnx_rules.cpp's.
#include "wasi-nn/formats/onnx_importer.h"

#include "wasi-nn/formats/onnx_node.h"
#include "wasi-nn/formats/onnx_tensor.h"

namespace tenon::nn {
namespace onnx {
namespace {

using kernels::ErrorCode;
using kernels::fail;
using kernels::Graph;
using kernels::GraphBuilder;
using kernels::kAbsent;
using kernels::Tensor;
using kernels::ValueType;

constexpr int kMaxFunctionDepth = 32;

using Opsets = std::map<std::string_view, int64_t>;

std::string_view normalised(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

Opsets opsets_of(const std::vector<OperatorSetIdProto>& imports) {
  Opsets opsets;
  for (const auto& import : imports) opsets[normalised(import.domain)] = import.version;
  return opsets;
}

// What all graphs of one model share.
struct Shared {
  const ModelSource& source;
  TensorSource tensors;
  std::map<std::pair<std::string_view, std::string_view>, const FunctionProto*> functions;
  ModelSummary summary;
  uint64_t nodes_seen = 0;
};

// Names and opsets at one place: a graph, or the body of a function that is being expanded in it.
struct Frame {
  std::unordered_map<std::string_view, ValueId> names;
  const Opsets* opsets = nullptr;
  AttributeEnvironment attributes;  // of the function call
  std::string prefix;               // of node names in messages
  bool is_function = false;         // sees nothing of what is around it
};

class GraphImport final : public NodeHost {
 public:
  GraphImport(Shared& shared, GraphImport* outer, const Opsets* opsets, int depth)
      : shared_(shared), outer_(outer), builder_(shared.source.file, shared.source.limits), depth_(depth) {
    frame_.opsets = opsets;
    if (outer) {
      frame_.attributes = outer->frame_.attributes;
      frame_.prefix = outer->frame_.prefix;
    }
  }

  Result<Graph> import(const GraphProto& graph) {
    if (depth_ > static_cast<int>(shared_.source.limits.max_graph_depth)) {
      return fail(ErrorCode::too_large, "{}: graphs nest deeper than {}", file(), depth_ - 1);
    }
    TENON_TRY(declare_initialisers(graph));
    TENON_TRY(declare_inputs(graph));
    TENON_TRY(import_body(graph));
    for (const ValueInfoProto& output : graph.output) {
      const auto id = resolve(output.name);
      if (!id || *id == kAbsent) {
        return fail(ErrorCode::invalid_encoding, "{}: nothing defines the output '{}'", file(), output.name);
      }
      TENON_TRY(builder_.add_output(*id, std::string(output.name)));
    }
    return std::move(builder_).finish();
  }

  // NodeHost
  Result<Tensor> tensor(const TensorProto& proto) override { return to_tensor(proto, shared_.tensors); }
  Result<Tensor> tensor(const SparseTensorProto& proto) override { return to_tensor(proto, shared_.tensors); }
  Result<std::shared_ptr<const Graph>> subgraph(const GraphProto& proto) override {
    GraphImport inner(shared_, this, frame_.opsets, depth_ + 1);
    return std::make_shared<const Graph>(TENON_TRY(inner.import(proto)));
  }
  Result<std::shared_ptr<const Graph>> mapping_body(const GraphProto& proto,
                                                    const std::vector<ValueId>& operands) override {
    GraphImport inner(shared_, this, frame_.opsets, depth_ + 1);
    return std::make_shared<const Graph>(TENON_TRY(inner.import_mapped(proto, operands)));
  }
  Result<std::shared_ptr<const Graph>> batched_scan(const GraphProto& proto,
                                                    const std::vector<ValueId>& operands,
                                                    kernels::Attributes attributes) override {
    GraphImport inner(shared_, this, frame_.opsets, depth_ + 1);
    return std::make_shared<const Graph>(
        TENON_TRY(inner.import_batched_scan(proto, operands, std::move(attributes))));
  }

 private:
  const std::string& file() const { return shared_.source.file; }

  Result<void> import_body(const GraphProto& graph) {
    declare_outputs_of(graph.node);
    TENON_TRY(declare_types(graph.value_info));
    TENON_TRY(declare_types(graph.output));
    return import_nodes(graph.node);
  }

  // A Loop's body around `graph`: inputs are position, condition and one sequence for each output; see
  // mapping_body.
  Result<Graph> import_mapped(const GraphProto& graph, const std::vector<ValueId>& operands) {
    if (operands.size() != graph.input.size()) {
      return fail(ErrorCode::invalid_encoding, "{} operands for a body with {} inputs", operands.size(),
                  graph.input.size());
    }
    const ValueId position =
        TENON_TRY(builder_.input("position", ValueType::tensor(kernels::DataType::i64, kernels::Dims{})));
    const ValueId condition = TENON_TRY(
        builder_.input("condition", ValueType::tensor(kernels::DataType::boolean, kernels::Dims{})));
    std::vector<ValueId> carried;
    for (const ValueInfoProto& output : graph.output) {
      const ValueType element = TENON_TRY(declared_type(output));
      carried.push_back(TENON_TRY(builder_.input(std::string(output.name), ValueType::sequence(element))));
    }
    TENON_TRY(declare_initialisers(graph));
    for (size_t i = 0; i < operands.size(); ++i) {
      if (operands[i] == kAbsent) return fail(ErrorCode::invalid_encoding, "operand {} is missing", i);
      const kernels::GraphValue& outer = outer_->builder_.value(operands[i]);
      ValueId bound = builder_.add_value(outer.name, outer.type);
      TENON_TRY(outer.constant.defined() ? builder_.define_constant(bound, outer.constant)
                                         : builder_.define_capture(bound, operands[i]));
      if (i == 0 || outer.type.kind == ValueType::Kind::sequence) {
        bound = TENON_TRY(builder_.node(kernels::Op::SequenceAt, {bound, position}));
      }
      frame_.names.insert_or_assign(graph.input[i].name, bound);
    }
    TENON_TRY(import_body(graph));
    TENON_TRY(builder_.add_output(TENON_TRY(builder_.node(kernels::Op::Identity, {condition}))));
    for (size_t i = 0; i < carried.size(); ++i) {
      const auto result = resolve(graph.output[i].name);
      if (!result || *result == kAbsent) {
        return fail(ErrorCode::invalid_encoding, "nothing defines the output '{}'", graph.output[i].name);
      }
      TENON_TRY(
          builder_.add_output(TENON_TRY(builder_.node(kernels::Op::SequenceInsert, {carried[i], *result}))));
    }
    return std::move(builder_).finish();
  }

  // See batched_scan: one Scan on the operands without their first dimension.
  Result<Graph> import_batched_scan(const GraphProto& proto, const std::vector<ValueId>& operands,
                                    kernels::Attributes attributes) {
    std::vector<ValueId> inputs;
    for (const ValueId operand : operands) {
      if (operand == kAbsent) return fail(ErrorCode::invalid_encoding, "an operand is missing");
      const kernels::GraphValue& outer = outer_->builder_.value(operand);
      inputs.push_back(TENON_TRY(builder_.input(outer.name, ValueType::unranked(outer.type.element))));
    }
    auto body = TENON_TRY(subgraph(proto));
    std::vector<ValueId> results;
    for (size_t i = 0; i < body->outputs().size(); ++i)
      results.push_back(builder_.add_value(body->output_name(i)));
    attributes.push_back({"body", std::move(body)});
    TENON_TRY(
        builder_.add_node(kernels::Op::Scan, inputs, results, std::move(attributes), {"per batch", {}, 8}));
    for (const ValueId result : results) TENON_TRY(builder_.add_output(result));
    return std::move(builder_).finish();
  }

  template <typename T>
  Result<T> at_file(Result<T> result) const {
    if (result) return result;
    return std::unexpected(kernels::with_place(std::move(result).error(), file()));
  }

  Result<void> declare_initialisers(const GraphProto& graph) {
    for (const TensorProto& proto : graph.initializer)
      TENON_TRY(initialiser(proto.name, at_file(tensor(proto))));
    for (const SparseTensorProto& proto : graph.sparse_initializer) {
      TENON_TRY(initialiser(proto.values ? proto.values->name : "", at_file(tensor(proto))));
    }
    return {};
  }

  Result<void> initialiser(std::string_view name, Result<Tensor> tensor) {
    const ValueId id = builder_.add_value(std::string(name));
    if (name.empty() || !frame_.names.emplace(name, id).second) {
      return fail(ErrorCode::invalid_encoding, "{}: initialiser '{}' has no name of its own", file(), name);
    }
    return builder_.define_constant(id, TENON_TRY(std::move(tensor)));
  }

  Result<ValueType> declared_type(const ValueInfoProto& info) const {
    if (!info.type) return ValueType{};
    auto type = to_value_type(*info.type);
    if (type) return type;
    auto error =
        kernels::with_place(std::move(type).error(), fmt::format("{}: value '{}'", file(), info.name));
    if (error.code != ErrorCode::unsupported_operation) error.code = ErrorCode::invalid_encoding;
    return std::unexpected(std::move(error));
  }

  // Inputs with an initialiser are constants: nobody can set them through wasi-nn.
  Result<void> declare_inputs(const GraphProto& graph) {
    for (const ValueInfoProto& info : graph.input) {
      ValueType type = TENON_TRY(declared_type(info));
      if (const auto it = frame_.names.find(info.name); it != frame_.names.end()) {
        if (builder_.value(it->second).origin == kernels::GraphValue::Origin::constant) {
          TENON_TRY(agree(info.name, type, builder_.value(it->second).constant));
          continue;
        }
        return fail(ErrorCode::invalid_encoding, "{}: two inputs are named '{}'", file(), info.name);
      }
      if (info.name.empty()) return fail(ErrorCode::invalid_encoding, "{}: an input has no name", file());
      const ValueId id = builder_.add_value(std::string(info.name), std::move(type));
      TENON_TRY(builder_.define_input(id));
      frame_.names.emplace(info.name, id);
    }
    return {};
  }

  Result<void> agree(std::string_view name, const ValueType& declared, const Tensor& given) const {
    bool same = declared.element == kernels::DataType::undefined || declared.element == given.type();
    if (declared.shape) {
      same = same && declared.shape->size() == given.dims().size();
      for (size_t i = 0; same && i < given.dims().size(); ++i) {
        const kernels::Dim& dim = (*declared.shape)[i];
        same = !dim.is_constant() || dim.value == given.dims()[i];
      }
    }
    if (same) return {};
    return fail(ErrorCode::invalid_encoding, "{}: input '{}' is declared as {}, its initialiser is {} {}",
                file(), name, to_string(declared), to_string(given.type()), to_string(given.dims()));
  }

  void declare_outputs_of(const std::vector<NodeProto>& nodes) {
    for (const NodeProto& node : nodes) {
      for (const std::string_view name : node.output) {
        if (!name.empty() && !frame_.names.contains(name)) {
          frame_.names.emplace(name, builder_.add_value(std::string(name)));
        }
      }
    }
  }

  // Types that the file gives for values of nodes. Those of inputs and constants are known already.
  Result<void> declare_types(const std::vector<ValueInfoProto>& infos) {
    for (const ValueInfoProto& info : infos) {
      const auto it = frame_.names.find(info.name);
      if (it == frame_.names.end() || it->second == kAbsent) continue;
      if (builder_.value(it->second).origin != kernels::GraphValue::Origin::undefined) continue;
      builder_.set_type(it->second, TENON_TRY(declared_type(info)));
    }
    return {};
  }

  // The value of a name, from this graph or one around it. Constants are shared, other outer values captured.
  std::optional<ValueId> resolve(std::string_view name) {
    if (name.empty()) return kAbsent;
    if (const auto it = frame_.names.find(name); it != frame_.names.end()) return it->second;
    if (frame_.is_function || !outer_) return std::nullopt;
    const auto outer = outer_->resolve(name);
    if (!outer || *outer == kAbsent) return outer;
    const kernels::GraphValue& value = outer_->builder_.value(*outer);
    const ValueId inner = builder_.add_value(value.name, value.type);
    const auto defined = value.constant.defined() ? builder_.define_constant(inner, value.constant)
                                                  : builder_.define_capture(inner, *outer);
    if (!defined) return std::nullopt;
    frame_.names.emplace(name, inner);
    return inner;
  }

  Result<void> import_nodes(const std::vector<NodeProto>& nodes) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const NodeProto& proto = nodes[i];
      kernels::Source source;
      source.node = frame_.prefix + (proto.name.empty() ? fmt::format("#{}", i) : std::string(proto.name));
      source.operator_name = std::string(proto.op_type);
      if (const auto it = frame_.opsets->find(normalised(proto.domain)); it != frame_.opsets->end()) {
        source.opset = it->second;
      }
      auto done = import_one(proto, source);
      if (!done) return std::unexpected(placed(std::move(done).error(), source, proto.domain));
    }
    return {};
  }

  // The builder places its own errors; others get the same form here.
  kernels::Error placed(kernels::Error error, const kernels::Source& source, std::string_view domain) const {
    if (error.message.starts_with(file() + ": ")) return error;
    const bool foreign = !normalised(domain).empty();
    return kernels::with_place(std::move(error),
                               fmt::format("{}: node '{}' ({}{}{}, opset {})", file(), source.node, domain,
                                           foreign ? "." : "", source.operator_name, source.opset));
  }

  Result<void> import_one(const NodeProto& proto, const kernels::Source& source) {
    if (++shared_.nodes_seen > shared_.source.limits.max_nodes) {
      return fail(ErrorCode::too_large, "more than {} nodes", shared_.source.limits.max_nodes);
    }
    std::vector<ValueId> inputs;
    for (const std::string_view name : proto.input) {
      const auto id = resolve(name);
      if (!id) return fail(ErrorCode::invalid_encoding, "nothing defines its input '{}'", name);
      inputs.push_back(*id);
    }
    std::vector<ValueId> outputs;
    for (const std::string_view name : proto.output) {
      outputs.push_back(name.empty() ? kAbsent : frame_.names.at(name));
    }
    const std::string_view domain = normalised(proto.domain);
    const auto function = shared_.functions.find({domain, proto.op_type});
    if (function != shared_.functions.end()) return expand(*function->second, proto, inputs, outputs, source);
    if (!frame_.is_function) ++shared_.summary.operators[std::string(proto.op_type)];
    if (!domain.empty()) {
      return fail(ErrorCode::unsupported_operation, "operators of domain '{}' are not supported", domain);
    }
    if (source.opset < 1)
      return fail(ErrorCode::invalid_encoding, "the model imports no opset of domain ai.onnx");
    NodeImport node(*this, builder_, proto, frame_.attributes, source.opset, std::move(inputs),
                    std::move(outputs), source);
    return import_node(node);
  }

  // A call of a model-local function: its nodes take the place of the call.
  Result<void> expand(const FunctionProto& function, const NodeProto& call,
                      const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs,
                      const kernels::Source& source) {
    if (function_depth_ >= kMaxFunctionDepth) {
      return fail(ErrorCode::too_large, "functions nest deeper than {}", kMaxFunctionDepth);
    }
    if (inputs.size() > function.input.size() || outputs.size() > function.output.size()) {
      return fail(ErrorCode::invalid_encoding, "more operands than function '{}' has", function.name);
    }
    const Opsets opsets = opsets_of(function.opset_import);
    Frame inner;
    inner.is_function = true;
    inner.opsets = &opsets;
    inner.prefix = source.node + "/";
    for (const AttributeProto& attribute : function.attribute_proto)
      inner.attributes[attribute.name] = &attribute;
    for (const AttributeProto& attribute : call.attribute) {
      const AttributeProto* value = referenced(attribute, frame_.attributes);
      if (value) inner.attributes[attribute.name] = value;
    }
    for (size_t i = 0; i < function.input.size(); ++i) {
      inner.names.emplace(function.input[i], i < inputs.size() ? inputs[i] : kAbsent);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] != kAbsent) inner.names.emplace(function.output[i], outputs[i]);
    }
    std::swap(frame_, inner);
    ++function_depth_;
    declare_outputs_of(function.node);
    auto done = import_nodes(function.node);
    --function_depth_;
    std::swap(frame_, inner);
    return done;
  }

  Shared& shared_;
  GraphImport* outer_;
  GraphBuilder builder_;
  Frame frame_;
  int depth_;
  int function_depth_ = 0;
};

Result<void> check_opsets(const std::string& file, const Opsets& opsets) {
  const auto it = opsets.find("");
  if (it == opsets.end()) return {};
  if (it->second < 1) return fail(ErrorCode::invalid_encoding, "{}: opset {} of ai.onnx", file, it->second);
  if (it->second > kNewestOpset) {
    return fail(ErrorCode::unsupported_operation, "{}: opset {} of ai.onnx is newer than {}", file,
                it->second, kNewestOpset);
  }
  return {};
}

ModelSummary summarise(const ModelProto& model) {
  ModelSummary summary;
  summary.format = fmt::format("ONNX, IR version {}", model.ir_version);
  summary.producer = std::string(model.producer_name);
  if (!model.producer_version.empty()) summary.producer += " " + std::string(model.producer_version);
  for (const auto& import : model.opset_import) {
    summary.opsets.emplace_back(import.domain.empty() ? "ai.onnx" : std::string(import.domain),
                                import.version);
  }
  return summary;
}

}  // namespace
}  // namespace onnx

Result<ImportedModel> import_onnx(const ModelSource& source) {
  auto decoded = onnx::decode_model(source.bytes);
  if (!decoded) return std::unexpected(kernels::with_place(std::move(decoded).error(), source.file));
  const onnx::ModelProto model = *std::move(decoded);
  if (!model.graph)
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "{}: holds no graph", source.file);
  onnx::Opsets opsets = onnx::opsets_of(model.opset_import);
  if (model.ir_version < 3 && opsets.empty()) opsets[""] = 1;  // before there was a list
  TENON_TRY(onnx::check_opsets(source.file, opsets));
  onnx::Shared shared{source, {source.owner, source.folder, source.access}, {}, onnx::summarise(model)};
  for (const auto& function : model.functions) {
    TENON_TRY(onnx::check_opsets(source.file, onnx::opsets_of(function.opset_import)));
    shared.functions[{onnx::normalised(function.domain), function.name}] = &function;
  }
  onnx::GraphImport import(shared, nullptr, &opsets, 1);
  kernels::Graph graph = TENON_TRY(import.import(*model.graph));
  return ImportedModel{std::move(graph), std::move(shared.summary)};
}

}  // namespace tenon::nn
