// Models: checking types at compile time, and plans kept for each set of input shapes.
#include "kernels/model.h"

#include "kernels/guarded.h"
#include "kernels/rewrite.h"
#include "kernels/typecheck.h"

namespace tenon::kernels {
namespace internal {

ModelImpl::ModelImpl(Graph g, CompileOptions o) : graph(std::move(g)), options(o), cache(graph) {
  for (const auto id : graph.inputs()) {
    inputs.push_back({graph.value(id).name, graph.value(id).type});
    static_dims.push_back(graph.value(id).type.concrete_dims());
  }
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
    outputs.push_back({graph.output_name(i), graph.value(graph.outputs()[i]).type});
  }
  for (const auto& value : graph.values()) constant_bytes += value.constant.bytes().size();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    bool others_static = true;
    for (std::size_t j = 0; j < inputs.size(); ++j)
      others_static = others_static && (j == i || static_dims[j].has_value());
    may_be_early_.push_back(others_static && i < inputs.size() - graph.states().size());
  }
}

Result<void> ModelImpl::prepare() {
  TENON_TRY(prepare_edges());
  const auto callers = [&](const std::vector<TensorInfo>& all) {
    return std::vector(all.begin(), all.end() - static_cast<std::ptrdiff_t>(graph.states().size()));
  };
  callers_inputs = callers(inputs);
  callers_outputs = callers(outputs);
  return {};
}

Result<void> ModelImpl::prepare_edges() {
  const auto types = TENON_TRY(check_types(graph));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].type.kind == ValueType::Kind::tensor && outputs[i].type.element == DataType::undefined) {
      outputs[i].type.element = types[index(graph.outputs()[i])];
    }
  }
  for (std::size_t i = 0; i < graph.states().size(); ++i) {
    const auto& state = graph.states()[i];
    const auto& next = outputs[outputs.size() - graph.states().size() + i];
    if (next.type.kind != ValueType::Kind::tensor || next.type.element != state.type()) {
      return fail(ErrorCode::invalid_encoding, "{}: state '{}' of {} would become {}", graph.file(),
                  next.name, to_string(state.type()), to_string(next.type));
    }
  }
  std::vector<Dims> dims;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].type.kind == ValueType::Kind::tensor && inputs[i].type.element == DataType::undefined) {
      return fail(ErrorCode::invalid_encoding, "{}: input '{}' has no element type", graph.file(),
                  inputs[i].name);
    }
    if (!static_dims[i]) return {};
    if (TENON_TRY(byte_size(inputs[i].type.element, *static_dims[i])) > options.limits.max_tensor_bytes) {
      return fail(ErrorCode::too_large, "{}: input '{}' exceeds the limit of {} bytes", graph.file(),
                  inputs[i].name, options.limits.max_tensor_bytes);
    }
    dims.push_back(*static_dims[i]);
  }
  Statistics statistics;
  const auto plan = TENON_TRY(plan_for(dims, options.threads, statistics));
  if (plan->interpreted) return {};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].type = ValueType::tensor(plan->outputs[i].desc.type, plan->outputs[i].desc.dims);
  }
  return {};
}

Result<std::shared_ptr<const Plan>> ModelImpl::plan_for(std::span<const Dims> input_dims, int threads,
                                                        Statistics& statistics) {
  // Held while planning: two contexts that need the same plan make it once.
  const std::lock_guard lock(mutex_);
  for (auto it = plans_.begin(); it != plans_.end(); ++it) {
    if (it->plan->threads != threads ||
        !std::equal(it->dims.begin(), it->dims.end(), input_dims.begin(), input_dims.end()))
      continue;
    plans_.splice(plans_.begin(), plans_, it);
    return it->plan;
  }
  const auto start = std::chrono::steady_clock::now();
  const auto early = std::make_unique<bool[]>(may_be_early_.size() + 1);
  std::copy(may_be_early_.begin(), may_be_early_.end(), early.get());
  CompileOptions team = options;
  team.threads = threads;
  auto plan = TENON_TRY(make_plan(graph, input_dims, {early.get(), may_be_early_.size()}, team, cache));
  plans_.push_front({{input_dims.begin(), input_dims.end()}, plan});
  while (plans_.size() > std::max<std::size_t>(options.max_plans, 1)) plans_.pop_back();
  ++statistics.plans_made;
  statistics.plan_nanoseconds += static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count());
  return plan;
}

}  // namespace internal

std::string backend_version() {
  const auto* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

Model::Model(std::unique_ptr<internal::ModelImpl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;
const std::string& Model::name() const { return impl_->graph.file(); }
const std::vector<TensorInfo>& Model::inputs() const { return impl_->callers_inputs; }
const std::vector<TensorInfo>& Model::outputs() const { return impl_->callers_outputs; }
const Graph& Model::graph() const { return impl_->graph; }
std::uint64_t Model::constant_bytes() const { return impl_->constant_bytes + impl_->cache.bytes(); }

Result<std::shared_ptr<const Model>> compile(Graph graph, CompileOptions options) {
  if (options.threads < 1 || options.threads > 1024) {
    return fail(ErrorCode::invalid_argument, "{} threads", options.threads);
  }
  return guarded([&]() -> Result<std::shared_ptr<const Model>> {
    const auto has = [&](Op op) {
      return options.fuse && !options.reference &&
             std::ranges::find(graph.nodes(), op, &Node::op) != graph.nodes().end();
    };
    if (has(Op::Transpose)) graph = TENON_TRY(sink_transposes(graph, options.limits));
    if (has(Op::QuantizeLinear)) graph = TENON_TRY(fold_quantization(graph, options.limits));
    if (has(Op::DequantizeLinear) && has(Op::Conv) && has_integer_primitives())
      graph = TENON_TRY(fold_into_integer_sums(graph, options.limits));
    auto impl = std::make_unique<internal::ModelImpl>(std::move(graph), options);
    TENON_TRY(impl->prepare());
    return std::shared_ptr<const Model>(new Model(std::move(impl)));
  });
}

}  // namespace tenon::kernels
