// Which graph, which inputs and outputs, which variables; the walk over the graph is tf_evaluation.cpp's.
#include "wasi-nn/formats/tf_importer.h"

#include <algorithm>
#include <filesystem>

#include "wasi-nn/formats/tf_bundle.h"
#include "wasi-nn/formats/tf_evaluation.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn {
namespace tf {
namespace {

using kernels::ErrorCode;
using kernels::fail;

constexpr std::string_view kServingTag = "serve";
constexpr std::string_view kServingSignature = "serving_default";
// Graphs of older producers write a shape without dimensions where they mean an unknown one.
constexpr int32_t kFirstWithUnknownRank = 24;

const AttrValue* find_attr(const NodeDef& node, std::string_view name) {
  const auto it = std::ranges::find(node.attr, name, &AttrEntry::key);
  return it == node.attr.end() ? nullptr : &it->value;
}

TfGraph::Functions functions_of(const GraphDef& graph) {
  TfGraph::Functions functions;
  for (const FunctionDef& function : graph.library.function)
    functions.emplace(function.signature.name, &function);
  return functions;
}

template <typename T>
Result<T> placed(Result<T> result, std::string_view place) {
  if (result || result.error().message.starts_with(fmt::format("{}: ", place))) return result;
  return std::unexpected(kernels::with_place(std::move(result).error(), place));
}

// Under which key a SavedModel stores each variable: what its restore operators assign to it.
class VariableKeys {
 public:
  VariableKeys(const TfGraph& main, const TfGraph::Functions& functions) {
    scan(main, nullptr, 0);
    for (uint32_t i = 0; i < main.size(); ++i) {
      const AttrValue* f = main.op(i).ends_with("PartitionedCall") ? find_attr(main.def(i), "f") : nullptr;
      const auto callee = f && f->func ? functions.find(f->func->name) : functions.end();
      if (callee == functions.end() || !restores(*callee->second)) continue;
      if (const auto body = TfGraph::of(*callee->second, functions)) scan(*body, &main, i);
    }
  }

  std::string_view of(const NodeDef& variable) const {
    if (const auto it = keys_.find(variable.name); it != keys_.end()) return it->second;
    const AttrValue* shared = find_attr(variable, "shared_name");
    return shared && shared->s && !shared->s->empty() ? *shared->s : variable.name;
  }

 private:
  static bool restores(const FunctionDef& function) {
    return std::ranges::any_of(function.node_def, [](const NodeDef& node) { return node.op == "RestoreV2"; });
  }

  // Assignments in `graph`, whose arguments are the operands of node `call` of `caller`.
  void scan(const TfGraph& graph, const TfGraph* caller, uint32_t call) {
    for (uint32_t i = 0; i < graph.size(); ++i) {
      const bool assigns = graph.op(i) == "Assign" || graph.op(i) == "AssignVariableOp";
      if (!assigns || graph.operands(i).size() != 2) continue;
      const TensorRef value = graph.origin(graph.operands(i)[1]);
      if (graph.op(value.node) != "RestoreV2" || graph.operands(value.node).size() < 2) continue;
      const TensorRef list = graph.origin(graph.operands(value.node)[1]);
      const AttrValue* tensor =
          graph.op(list.node) == "Const" ? find_attr(graph.def(list.node), "value") : nullptr;
      if (!tensor || !tensor->tensor || value.port >= tensor->tensor->string_val.size()) continue;
      TensorRef variable = graph.origin(graph.operands(i)[0]);
      const TfGraph* holder = &graph;
      if (caller && graph.is_argument(variable.node) && variable.node < caller->operands(call).size()) {
        variable = caller->origin(caller->operands(call)[variable.node]);
        holder = caller;
      }
      if (!holder->is_argument(variable.node)) {
        keys_.emplace(holder->name(variable.node), tensor->tensor->string_val[value.port]);
      }
    }
  }

  std::map<std::string_view, std::string_view> keys_;
};

// The values of variables, from the parts of the model.
class Variables {
 public:
  Variables(const ModelSource& source, const TfGraph& main, const TfGraph::Functions& functions)
      : source_(source), keys_(main, functions) {}

  Result<kernels::Tensor> read(const NodeDef& variable) {
    if (source_.parts.empty()) {
      return fail(ErrorCode::invalid_encoding, "the model comes without the files of its variables");
    }
    const ModelPart& index = source_.parts[0];
    if (!bundle_) {
      bundle_ = TENON_TRY(
          placed(TensorBundle::read(index.bytes,
                                    [this](int32_t shard, int32_t count) { return open(shard, count); }),
                 index.file));
    }
    return placed(bundle_->tensor(keys_.of(variable)), index.file);
  }

 private:
  Result<FileBytes> open(int32_t shard, int32_t count) const {
    const auto at = static_cast<size_t>(shard) + 1;
    if (at < source_.parts.size()) return FileBytes{source_.parts[at].bytes, source_.parts[at].owner};
    return fail(ErrorCode::invalid_encoding, "data file {} of {} is missing", shard, count);
  }

  const ModelSource& source_;
  VariableKeys keys_;
  std::optional<TensorBundle> bundle_;
};

// Placeholders that the outputs need, in the file's order.
Result<void> add_placeholders(Walk& walk, const TfGraph& graph, const std::vector<uint32_t>& needed,
                              int32_t producer) {
  for (uint32_t i = 0; i < graph.size(); ++i) {
    if (graph.op(i) != "Placeholder" || !std::ranges::binary_search(needed, i)) continue;
    const AttrValue* type = find_attr(graph.def(i), "dtype");
    const AttrValue* declared = find_attr(graph.def(i), "shape");
    const TensorShapeProto* shape = declared ? declared->shape.get() : nullptr;
    if (shape && shape->dim.empty() && producer > 0 && producer < kFirstWithUnknownRank) shape = nullptr;
    auto value = placed(to_value_type(type ? type->type : 0, shape),
                        fmt::format("node '{}' (Placeholder)", graph.name(i)));
    TENON_TRY(walk.add_input({i, 0}, std::string(graph.name(i)), TENON_TRY(std::move(value))));
  }
  return {};
}

Result<ImportedModel> import_frozen(const ModelSource& source, const GraphDef& def) {
  ModelSummary summary;
  summary.format = def.versions.producer > 0
                       ? fmt::format("TensorFlow graph, producer version {}", def.versions.producer)
                       : "TensorFlow graph";
  const TfGraph::Functions functions = functions_of(def);
  TfGraph graph = TENON_TRY(TfGraph::of(def.node, functions));
  const std::vector<uint32_t> sinks = graph.sinks();
  if (sinks.empty()) return fail(ErrorCode::invalid_encoding, "the graph has no outputs");
  std::vector<TensorRef> targets;
  for (const uint32_t sink : sinks) targets.push_back({sink, 0});
  TENON_TRY(graph.analyse_control_flow(targets));
  Variables variables(source, graph, functions);
  Walk walk(source, graph, functions, [&](const NodeDef& node) { return variables.read(node); }, summary);
  TENON_TRY(add_placeholders(walk, graph, graph.needed(targets), def.versions.producer));
  for (const uint32_t sink : sinks) TENON_TRY(walk.add_outputs_of(sink));
  kernels::Graph made = TENON_TRY(std::move(walk).finish());
  return ImportedModel{std::move(made), std::move(summary)};
}

const MetaGraphDef* choose_graph(const SavedModel& model) {
  const auto serves = [](const MetaGraphDef& meta) {
    return std::ranges::find(meta.meta_info_def.tags, kServingTag) != meta.meta_info_def.tags.end();
  };
  const auto it = std::ranges::find_if(model.meta_graphs, serves);
  if (it != model.meta_graphs.end()) return &*it;
  return model.meta_graphs.empty() ? nullptr : &model.meta_graphs.front();
}

Result<const SignatureDef*> choose_signature(const MetaGraphDef& meta) {
  std::vector<const SignatureEntry*> usable;
  for (const SignatureEntry& entry : meta.signature_def) {
    if (entry.key == kServingSignature) return &entry.value;
    if (!entry.key.starts_with("__")) usable.push_back(&entry);  // of TensorFlow's own, for initialisation
  }
  if (usable.size() == 1) return &usable[0]->value;
  std::vector<std::string_view> names;
  for (const SignatureEntry* entry : usable) names.push_back(entry->key);
  return fail(ErrorCode::unsupported_operation, "no signature is called '{}'; there are {}: {}",
              kServingSignature, names.size(), fmt::join(names, ", "));
}

std::vector<const TensorInfoEntry*> sorted(const std::vector<TensorInfoEntry>& entries) {
  std::vector<const TensorInfoEntry*> list;
  for (const TensorInfoEntry& entry : entries) list.push_back(&entry);
  std::ranges::sort(list, {}, &TensorInfoEntry::key);
  return list;
}

Result<ImportedModel> import_saved(const ModelSource& source, const SavedModel& model) {
  const MetaGraphDef* meta = choose_graph(model);
  if (!meta) return fail(ErrorCode::invalid_encoding, "holds no graph");
  ModelSummary summary;
  summary.format = "TensorFlow SavedModel";
  if (!meta->meta_info_def.tensorflow_version.empty()) {
    summary.producer = "TensorFlow " + std::string(meta->meta_info_def.tensorflow_version);
  }
  const SignatureDef* signature = TENON_TRY(choose_signature(*meta));
  const TfGraph::Functions functions = functions_of(meta->graph_def);
  TfGraph graph = TENON_TRY(TfGraph::of(meta->graph_def.node, functions));
  const auto outputs = sorted(signature->outputs);
  std::vector<TensorRef> targets;
  for (const TensorInfoEntry* output : outputs) {
    const auto place = fmt::format("output '{}' of the signature", output->key);
    targets.push_back(TENON_TRY(placed(graph.resolve(output->value.name), place)));
  }
  if (targets.empty()) return fail(ErrorCode::invalid_encoding, "the signature has no outputs");
  TENON_TRY(graph.analyse_control_flow(targets));
  Variables variables(source, graph, functions);
  Walk walk(source, graph, functions, [&](const NodeDef& node) { return variables.read(node); }, summary);
  for (const TensorInfoEntry* input : sorted(signature->inputs)) {
    const auto place = fmt::format("input '{}' of the signature", input->key);
    const TensorRef ref = TENON_TRY(placed(graph.resolve(input->value.name), place));
    auto type = TENON_TRY(placed(to_value_type(input->value.dtype, input->value.tensor_shape.get()), place));
    TENON_TRY(walk.add_input(ref, std::string(input->key), std::move(type)));
  }
  for (size_t i = 0; i < targets.size(); ++i)
    TENON_TRY(walk.add_output(targets[i], std::string(outputs[i]->key)));
  kernels::Graph made = TENON_TRY(std::move(walk).finish());
  return ImportedModel{std::move(made), std::move(summary)};
}

Result<ImportedModel> import_any(const ModelSource& source) {
  if (looks_like_saved_model(source.bytes)) {
    return import_saved(source, TENON_TRY(decode_saved_model(source.bytes)));
  }
  return import_frozen(source, TENON_TRY(decode_graph(source.bytes)));
}

}  // namespace
}  // namespace tf

Result<ImportedModel> import_tensorflow(const ModelSource& source) {
  return tf::placed(tf::import_any(source), source.file);
}

std::vector<std::string> saved_model_files(const std::string& path) {
  namespace fs = std::filesystem;
  if (fs::path(path).filename() != "saved_model.pb") return {};
  const fs::path folder = fs::path(path).parent_path() / "variables";
  std::vector<std::string> shards;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with("variables.data-"))
      shards.push_back(entry.path().string());
  }
  std::ranges::sort(shards);
  shards.insert(shards.begin(), (folder / "variables.index").string());
  return shards;
}

}  // namespace tenon::nn
