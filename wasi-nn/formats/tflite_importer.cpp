// Tensors, buffers and the order of operators of a TensorFlow Lite model; single operators are the rules'.
#include "wasi-nn/formats/tflite_importer.h"

#include "wasi-nn/formats/tflite_node.h"

namespace tenon::nn {
namespace tflite {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Graph;
using kernels::GraphBuilder;
using kernels::kAbsent;
using kernels::Tensor;

class GraphImport : public Session {
 public:
  GraphImport(const ModelSource& source, const Model& model, ModelSummary& summary)
      : source_(source), model_(model), summary_(summary), builder_(source.file, source.limits) {}

  Result<Graph> import() {
    for (const SubGraph& graph : model_.subgraphs) TENON_TRY(check_indices(graph));
    Scope scope = new_scope(0);
    scope.outermost = true;
    for (size_t i = 0; i < scope.graph.inputs.size(); ++i) TENON_TRY(declare_input(scope, i));
    const auto results = TENON_TRY(import_operators(builder_, scope));
    for (size_t i = 0; i < results.size(); ++i)
      TENON_TRY(builder_.add_output(results[i], name_of_edge(scope.graph.outputs[i], false)));
    for (const auto& [name, variable] : variables) {
      if (variable.state != kAbsent) TENON_TRY(builder_.set_next(variable.state, variable.now));
    }
    return std::move(builder_).finish();
  }

  Result<std::vector<ValueId>> inlined(GraphBuilder& builder, int64_t graph,
                                       const std::vector<ValueId>& arguments) override {
    Scope scope = TENON_TRY(scope_of(graph));
    if (scope.graph.inputs.size() != arguments.size())
      return invalid("graph {} has {} inputs, given {}", graph, scope.graph.inputs.size(), arguments.size());
    for (size_t i = 0; i < arguments.size(); ++i)
      scope.values[static_cast<size_t>(scope.graph.inputs[i])] = arguments[i];
    return import_operators(builder, scope);
  }

  Result<void> initialise(int64_t graph) override {
    Scope scope = TENON_TRY(scope_of(graph));
    scope.initialises = true;
    GraphBuilder builder = new_builder();
    TENON_TRY(import_operators(builder, scope));
    return {};
  }

  GraphBuilder new_builder() const override { return GraphBuilder(source_.file, source_.limits); }

  Result<ValueId> new_state(std::string name, Tensor initial) override {
    return builder_.add_state(std::move(name), std::move(initial));
  }

  Result<ValueId> new_zero_state(std::string name, const Dims& dims) override {
    return builder_.add_zero_state(std::move(name), DataType::f32, dims);
  }

 private:
  template <typename... Args>
  std::unexpected<kernels::Error> invalid(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::invalid_encoding, "{}: {}", source_.file,
                fmt::format(format, std::forward<Args>(args)...));
  }

  Scope new_scope(size_t index) {
    const SubGraph& graph = model_.subgraphs[index];
    return {model_, graph, *this, std::vector<ValueId>(graph.tensors.size(), kAbsent), {}};
  }

  // Of a graph that another one names.
  Result<Scope> scope_of(int64_t graph) {
    if (graph < 1 || static_cast<size_t>(graph) >= model_.subgraphs.size())
      return fail(ErrorCode::invalid_encoding, "graph {} of {}", graph, model_.subgraphs.size());
    return new_scope(static_cast<size_t>(graph));
  }

  // Graphs may name each other, themselves included, and more than once.
  Result<std::vector<ValueId>> import_operators(GraphBuilder& builder, Scope& scope) {
    struct Depth {
      uint32_t& depth;
      ~Depth() { --depth; }
    } depth{++depth_};
    work_ += scope.graph.tensors.size() + scope.graph.operators.size() + 1;
    if (depth_ > source_.limits.max_graph_depth || work_ > source_.limits.max_nodes)
      return fail(ErrorCode::too_large, "{}: graphs within graphs: {} deep, {} operators and tensors",
                  source_.file, depth_, work_);
    TENON_TRY(declare_constants(builder, scope));
    for (size_t i = 0; i < scope.graph.operators.size(); ++i) TENON_TRY(import_operator(builder, scope, i));
    std::vector<ValueId> results;
    for (const int32_t tensor : scope.graph.outputs) {
      const auto at = static_cast<size_t>(tensor);
      if (scope.values[at] == kAbsent)
        return invalid("nothing defines the output '{}'", scope.graph.tensors[at].name);
      results.push_back(scope.values[at]);
    }
    return results;
  }

  // Every index of a tensor, operator code or buffer, once.
  Result<void> check_indices(const SubGraph& graph) const {
    const auto count = static_cast<int64_t>(graph.tensors.size());
    const auto check = [&](const std::vector<int32_t>& tensors, int32_t least,
                           std::string_view what) -> Result<void> {
      for (const int32_t tensor : tensors) {
        if (tensor < least || tensor >= count) return invalid("{}: tensor {} of {}", what, tensor, count);
      }
      return {};
    };
    TENON_TRY(check(graph.inputs, 0, "inputs"));
    TENON_TRY(check(graph.outputs, 0, "outputs"));
    for (size_t i = 0; i < graph.operators.size(); ++i) {
      const auto& op = graph.operators[i];
      if (op.code >= model_.codes.size())
        return invalid("operator #{}: code {} of {}", i, op.code, model_.codes.size());
      TENON_TRY(check(op.inputs, -1, fmt::format("inputs of operator #{}", i)));
      TENON_TRY(check(op.outputs, -1, fmt::format("outputs of operator #{}", i)));
      TENON_TRY(check(op.intermediates, -1, fmt::format("intermediates of operator #{}", i)));
    }
    for (const auto& tensor : graph.tensors) {
      if (tensor.buffer >= model_.buffers.size() && tensor.buffer != 0)
        return invalid("tensor '{}': buffer {} of {}", tensor.name, tensor.buffer, model_.buffers.size());
      if (tensor.shape.size() > Dims::kMaxRank)
        return invalid("tensor '{}' has {} dimensions", tensor.name, tensor.shape.size());
      for (const int32_t dim : tensor.shape) {
        if (dim < -1) return invalid("tensor '{}' has a dimension of {}", tensor.name, dim);
      }
    }
    return {};
  }

  // The name in a signature, which is what users know, or the tensor's own.
  std::string name_of_edge(int32_t tensor, bool input) const {
    for (const auto& signature : model_.signatures) {
      if (signature.subgraph != 0) continue;
      for (const auto& [name, index] : input ? signature.inputs : signature.outputs) {
        if (index == static_cast<uint32_t>(tensor) && !name.empty()) return std::string(name);
      }
    }
    return std::string(model_.subgraphs[0].tensors[static_cast<size_t>(tensor)].name);
  }

  Result<void> declare_input(Scope& scope, size_t i) {
    const int32_t tensor = scope.graph.inputs[i];
    const auto& info = scope.graph.tensors[static_cast<size_t>(tensor)];
    auto& value = scope.values[static_cast<size_t>(tensor)];
    if (value != kAbsent) return invalid("tensor '{}' is an input twice", info.name);
    auto type = type_of(info);
    if (type.element == DataType::undefined || type.element == DataType::string)
      return fail(ErrorCode::unsupported_operation, "{}: input '{}' has element type {}", source_.file,
                  info.name, info.type);
    // Without a shape it is a scalar, which is what an empty shape meant before files could tell.
    if (!info.has_rank) type = kernels::ValueType::tensor(type.element, Dims{});
    value = TENON_TRY(builder_.input(name_of_edge(tensor, true), std::move(type)));
    return {};
  }

  // Tensors with a buffer are constants, viewed where they lie.
  Result<void> declare_constants(GraphBuilder& builder, Scope& scope) {
    for (size_t i = 0; i < scope.graph.tensors.size(); ++i) {
      const auto& info = scope.graph.tensors[i];
      if (scope.values[i] != kAbsent || info.buffer == 0 || info.is_variable) continue;
      const auto bytes = model_.buffers[info.buffer];
      if (bytes.empty()) continue;
      auto tensor = constant_of(info, bytes);
      if (!tensor) {
        return std::unexpected(kernels::with_place(std::move(tensor).error(),
                                                   fmt::format("{}: tensor '{}'", source_.file, info.name)));
      }
      scope.values[i] = TENON_TRY(builder.constant(std::string(info.name), *std::move(tensor)));
    }
    return {};
  }

  Result<Tensor> constant_of(const TensorInfo& info, std::span<const std::byte> bytes) const {
    const auto type = to_data_type(info.type);
    if (type == DataType::undefined || type == DataType::string)
      return fail(ErrorCode::unsupported_operation, "element type {}", info.type);
    if (info.is_sparse) return fail(ErrorCode::unsupported_operation, "sparse storage");
    Dims dims;
    for (const int32_t dim : info.shape) {
      if (dim < 0) return fail(ErrorCode::invalid_encoding, "a constant with an open dimension");
      dims.push_back(dim);
    }
    return Tensor::view(type, dims, bytes, source_.owner);
  }

  Result<void> import_operator(GraphBuilder& builder, Scope& scope, size_t i) {
    const auto& info = scope.graph.operators[i];
    const auto& code = model_.codes[info.code];
    const Row* row = find_row(code);
    const std::string operator_name = name_of(code);
    ++summary_.operators[operator_name];
    std::string name = fmt::format("#{}", i);
    if (!info.outputs.empty() && info.outputs[0] >= 0) {
      const auto& result = scope.graph.tensors[static_cast<size_t>(info.outputs[0])];
      if (!result.name.empty()) name = result.name;
    }
    const kernels::Source source{name, operator_name, 0};
    const auto place = [&](kernels::Error error) {
      if (error.message.find(source_.file) != std::string::npos) return std::unexpected(std::move(error));
      return std::unexpected(kernels::with_place(
          std::move(error), fmt::format("{}: node '{}' ({})", source_.file, name, operator_name)));
    };
    if (row == nullptr)
      return place(
          {ErrorCode::unsupported_operation, fmt::format("operator {} is not supported", operator_name)});
    Node node(builder, scope, info, *row, source);
    if (auto ok = row->rule(node); !ok) return place(std::move(ok).error());
    if (auto ok = model_.buffer.check(); !ok) return place(std::move(ok).error());
    return {};
  }

  const ModelSource& source_;
  const Model& model_;
  ModelSummary& summary_;
  GraphBuilder builder_;  // of the outermost graph
  uint32_t depth_ = 0;
  uint64_t work_ = 0;
};

}  // namespace
}  // namespace tflite

kernels::Result<ImportedModel> import_tflite(const ModelSource& source) {
  auto model = tflite::read_model(source.bytes);
  if (!model) return std::unexpected(kernels::with_place(std::move(model).error(), source.file));
  ImportedModel imported;
  imported.summary.format = fmt::format("TensorFlow Lite, schema version {}", (*model)->version);
  imported.summary.producer = (*model)->description;
  imported.graph = TENON_TRY(tflite::GraphImport(source, **model, imported.summary).import());
  return imported;
}

}  // namespace tenon::nn
