// Handles, tensors and calls; see nn_context.h.
#include "wasi-nn/nn_context.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <utility>

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;

constexpr uint32_t kTargets = 3;  // cpu, gpu, tpu

struct TypeRow {
  DataType type;
  int number;
  int older_number;
};
constexpr TypeRow kTypeRows[] = {
#define NN_TENSOR(type, number, older_number) {DataType::type, number, older_number},
#include "wasi-nn/abi/tensor_types.def"
#undef NN_TENSOR
};

const TypeRow* type_row(DataType type) {
  const auto row = std::ranges::find(kTypeRows, type, &TypeRow::type);
  return row == std::end(kTypeRows) ? nullptr : row;
}

// Each dimension is read once: another thread of the guest may change the record meanwhile.
Result<Dims> read_dims(std::span<const std::byte> record, const kernels::ValueType& declared) {
  const size_t rank = record.size() / sizeof(uint32_t);
  if (rank > Dims::kMaxRank)
    return fail(ErrorCode::invalid_argument, "rank {} exceeds {}", rank, Dims::kMaxRank);
  int64_t dims[Dims::kMaxRank];
  for (size_t i = 0; i < rank; ++i) {
    uint32_t dim = 0;
    std::memcpy(&dim, record.data() + i * sizeof dim, sizeof dim);
    dims[i] = dim;
  }
  const bool scalar_as_one = rank == 1 && dims[0] == 1 && declared.shape && declared.shape->empty();
  return Dims::from(std::span(dims, scalar_as_one ? 0 : rank));
}

Result<void> check_edge(std::string_view what, const kernels::TensorInfo& info) {
  if (info.type.kind == kernels::ValueType::Kind::tensor &&
      (info.type.element == DataType::undefined || type_row(info.type.element))) {
    return {};
  }
  return fail(ErrorCode::unsupported_operation, "{} '{}' is {}, which no wasi-nn tensor can hold", what,
              info.name, to_string(info.type));
}

// The range of the caller's memory, or null when any of it lies outside.
std::byte* resolve(const MemoryDesc& memory, uint64_t address, uint64_t size) {
  const GuestMemory now{memory.base, __atomic_load_n(&memory.length, __ATOMIC_ACQUIRE)};
  return reinterpret_cast<std::byte*>(now.at(address, size));
}

Result<size_t> find_edge(const std::vector<kernels::TensorInfo>& edges, const Edge& edge,
                         std::string_view what) {
  if (edge.name.data() == nullptr) {
    if (edge.index < edges.size()) return edge.index;
    return fail(ErrorCode::invalid_argument, "{} index {}; the graph has {} {}s", what, edge.index,
                edges.size(), what);
  }
  const auto it = std::ranges::find(edges, edge.name, &kernels::TensorInfo::name);
  if (it != edges.end()) return static_cast<size_t>(it - edges.begin());
  return fail(ErrorCode::invalid_argument, "the graph has no {} of that name", what);
}

Result<kernels::TensorView> view_tensor(const kernels::TensorInfo& input, const GuestTensor& tensor,
                                        TypeNumbers numbers) {
  const auto place = [&](kernels::Error error) {
    return std::unexpected(kernels::with_place(std::move(error), fmt::format("input '{}'", input.name)));
  };
  const auto dims = read_dims(tensor.dims, input.type);
  if (!dims) return place(dims.error());
  const auto elements = kernels::element_count(*dims);
  if (!elements) return place({ErrorCode::invalid_argument, elements.error().message});
  auto data = tensor.data;
  if (!tensor.sized) {
    const auto bytes = kernels::byte_size(input.type.element, *dims);
    if (!bytes || *bytes > data.size())
      return place({ErrorCode::invalid_argument, "the data lies outside the guest's memory"});
    data = data.first(*bytes);
  }
  if (auto ok = check_element_type(tensor.type, input.type.element, *elements, data.size(), numbers); !ok)
    return place(std::move(ok).error());
  return kernels::TensorView{input.type.element, *dims, data};
}

}  // namespace

Result<Dims> dims_from_size(const kernels::ValueType& declared, uint64_t bytes) {
  if (!declared.shape) return fail(ErrorCode::invalid_argument, "of unknown rank: bind it with dimensions");
  Dims dims;
  std::optional<size_t> unknown;
  for (const kernels::Dim& dim : *declared.shape) {
    if (!dim.is_constant() && std::exchange(unknown, dims.size()))
      return fail(ErrorCode::invalid_argument, "has several dynamic dimensions: bind it with dimensions");
    dims.push_back(dim.is_constant() ? dim.value : 1);
  }
  const size_t slice = TENON_TRY(kernels::byte_size(declared.element, dims));
  if (unknown) {
    if (slice == 0 || bytes % slice != 0)
      return fail(ErrorCode::invalid_argument, "{} bytes are no multiple of {}", bytes, slice);
    dims[*unknown] = static_cast<int64_t>(bytes / slice);
  } else if (slice != bytes) {
    return fail(ErrorCode::invalid_argument, "{} bytes; it has {}", bytes, slice);
  }
  return dims;
}

Result<void> check_element_type(uint32_t number, DataType declared, int64_t elements, size_t bytes,
                                TypeNumbers numbers) {
  const TypeRow* row = type_row(declared);
  if (!row)
    return fail(ErrorCode::unsupported_operation, "{} cannot pass through wasi-nn", to_string(declared));
  if (numbers != TypeNumbers::older && row->number == static_cast<int64_t>(number)) return {};
  const bool older = row->older_number == static_cast<int64_t>(number);
  if (older && numbers == TypeNumbers::older) return {};
  if (older && numbers == TypeNumbers::either &&
      bytes == static_cast<size_t>(elements) * (kernels::bit_width(declared) / 8)) {
    return {};
  }
  return fail(ErrorCode::invalid_argument, "tensor type {}; the graph takes {} ({})", number,
              to_string(declared), numbers == TypeNumbers::older ? row->older_number : row->number);
}

std::optional<uint32_t> type_number(DataType type) {
  const TypeRow* row = type_row(type);
  return row ? std::optional(static_cast<uint32_t>(row->number)) : std::nullopt;
}

Result<void> check_edges(const kernels::Model& model) {
  for (const auto& input : model.inputs()) TENON_TRY(check_edge("input", input));
  for (const auto& output : model.outputs()) TENON_TRY(check_edge("output", output));
  return {};
}

struct NnContext::Execution {
  // A range of guest memory, resolved at each use: memories move when they grow.
  struct Bound {
    size_t edge;
    Dims dims;  // of inputs
    const MemoryDesc* memory;
    uint64_t address, size;
    bool shared;
  };
  using Clock = std::chrono::steady_clock;

  ~Execution() {
    if (context) graph->counters->remove_context(context.get());
  }
  static void unbind(std::vector<Bound>& list, size_t edge) {
    std::erase_if(list, [&](const Bound& bound) { return bound.edge == edge; });
  }
  static void bind(std::vector<Bound>& list, const Bound& bound) {
    unbind(list, bound.edge);
    list.push_back(bound);
  }
  const std::vector<kernels::TensorInfo>& inputs() const { return graph->model->inputs(); }
  const std::vector<kernels::TensorInfo>& outputs() const { return graph->model->outputs(); }

  std::shared_ptr<LoadedGraph> graph;
  std::unique_ptr<kernels::Context> context;
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  std::vector<Bound> bound_inputs, bound_outputs;
  Clock::duration spent{};  // by early operators since the last compute
};

namespace {

// One call on a context: keeps others out, and gives what its operators may use. Early operators count against
// the time of the compute that follows.
template <class Execution>
class Turn {
 public:
  Turn(Execution& execution, const Caller& caller, std::chrono::nanoseconds limit)
      : execution_(execution), entered_(!execution.busy.test_and_set(std::memory_order_acquire)) {
    options_.interrupt = caller.interrupt;
    if (limit.count() > 0 && entered_) {
      start_ = Execution::Clock::now();
      options_.deadline = start_ + limit - execution.spent;
    }
  }
  ~Turn() {
    if (entered_) execution_.busy.clear(std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  Result<void> check() const {
    if (entered_) return {};
    return fail(ErrorCode::busy, "another thread uses this context");
  }
  const kernels::ComputeOptions& options() const { return options_; }
  void count_time() {
    if (start_ != typename Execution::Clock::time_point())
      execution_.spent += Execution::Clock::now() - start_;
  }

 private:
  Execution& execution_;
  bool entered_;
  typename Execution::Clock::time_point start_{};
  kernels::ComputeOptions options_;
};

}  // namespace

NnContext::~NnContext() = default;

Result<void> NnContext::check_handles() const {
  if (last_handle_ != std::numeric_limits<uint32_t>::max()) return {};
  return fail(ErrorCode::too_large, "all handles have been used");
}

Result<void> NnContext::check_room_for_graph() const {
  if (graphs_.size() < environment_.options().max_graphs) return check_handles();
  return fail(ErrorCode::too_large, "{} graphs are open, the limit", graphs_.size());
}

Result<void> NnContext::check_room_for_context() const {
  if (contexts_.size() < environment_.options().max_contexts) return check_handles();
  return fail(ErrorCode::too_large, "{} execution contexts are open, the limit", contexts_.size());
}

Result<GraphHandle> NnContext::add_graph(std::shared_ptr<LoadedGraph> graph) {
  TENON_TRY(check_edges(*graph->model));
  const std::lock_guard lock(mutex_);
  TENON_TRY(check_room_for_graph());
  graphs_.emplace(++last_handle_, std::move(graph));
  return GraphHandle{last_handle_};
}

Result<GraphHandle> NnContext::load(std::span<const std::span<const std::byte>> builders, uint32_t encoding,
                                    uint32_t target, const Caller& caller) {
  if (target >= kTargets)
    return fail(ErrorCode::invalid_argument, "execution target {} is not defined", target);
  if (target != 0 && !environment_.options().target_fallback) {
    return fail(ErrorCode::unsupported_operation, "execution target {}: only the cpu (0) is there",
                target == 1 ? "gpu" : "tpu");
  }
  {
    const std::lock_guard lock(mutex_);
    TENON_TRY(check_room_for_graph());
  }
  return add_graph(TENON_TRY(environment_.load_bytes(builders, encoding, *caller.dialect)));
}

Result<GraphHandle> NnContext::load_by_name(std::string_view name) {
  return add_graph(TENON_TRY(environment_.load_named(name)));
}

Result<ContextHandle> NnContext::init_execution_context(GraphHandle graph) {
  auto execution = std::make_shared<Execution>();
  {
    const std::lock_guard lock(mutex_);
    const auto it = graphs_.find(static_cast<uint32_t>(graph));
    if (it == graphs_.end()) {
      return fail(ErrorCode::invalid_argument, "graph handle {} is not open", static_cast<uint32_t>(graph));
    }
    TENON_TRY(check_room_for_context());
    execution->graph = it->second;
  }
  execution->context = TENON_TRY(execution->graph->model->create_context());
  execution->context->set_timing(environment_.options().timing);
  execution->graph->counters->add_context(execution->context.get());
  const std::lock_guard lock(mutex_);
  TENON_TRY(check_room_for_context());  // another thread may have taken the last one
  contexts_.emplace(++last_handle_, std::move(execution));
  return ContextHandle{last_handle_};
}

Result<std::shared_ptr<NnContext::Execution>> NnContext::find(ContextHandle handle) const {
  const std::lock_guard lock(mutex_);
  const auto it = contexts_.find(static_cast<uint32_t>(handle));
  if (it != contexts_.end()) return it->second;
  return fail(ErrorCode::invalid_argument, "execution context handle {} is not open",
              static_cast<uint32_t>(handle));
}

Result<void> NnContext::set_input(ContextHandle context, Edge edge, const GuestTensor& tensor,
                                  const Caller& caller) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, caller, environment_.options().max_compute_time);
  TENON_TRY(turn.check());
  const size_t index = TENON_TRY(find_edge(execution->inputs(), edge, "input"));
  const auto view = TENON_TRY(view_tensor(execution->inputs()[index], tensor, caller.dialect->types));
  auto set = execution->context->set_input(index, view, turn.options());
  turn.count_time();
  if (set && !execution->bound_inputs.empty()) Execution::unbind(execution->bound_inputs, index);
  return set;
}

Result<void> NnContext::compute(ContextHandle context, const Caller& caller) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, caller, environment_.options().max_compute_time);
  TENON_TRY(turn.check());
  execution->spent = {};
  if (execution->bound_inputs.empty() && execution->bound_outputs.empty())
    return execution->context->compute(turn.options());
  std::vector<kernels::RunInput> inputs;
  std::vector<kernels::RunOutput> outputs;
  bool stable = true;
  for (const auto& bound : execution->bound_inputs) {
    const std::byte* at = resolve(*bound.memory, bound.address, bound.size);
    if (!at) return fail(ErrorCode::invalid_argument, "a bound input lies outside the guest's memory");
    inputs.push_back(
        {bound.edge, {execution->inputs()[bound.edge].type.element, bound.dims, {at, bound.size}}});
    stable = stable && !bound.shared;
  }
  for (const auto& bound : execution->bound_outputs) {
    std::byte* at = resolve(*bound.memory, bound.address, bound.size);
    if (!at) return fail(ErrorCode::invalid_argument, "a bound output lies outside the guest's memory");
    outputs.push_back({bound.edge, {at, bound.size}});
  }
  return execution->context->run(inputs, outputs, stable, turn.options());
}

Result<void> NnContext::compute_named(ContextHandle context, std::span<const NamedInput> inputs,
                                      std::span<NamedOutput> outputs, const Caller& caller) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, caller, environment_.options().max_compute_time);
  TENON_TRY(turn.check());
  std::vector<kernels::RunInput> in;
  std::vector<kernels::RunOutput> out;
  for (const NamedInput& input : inputs) {
    const size_t index = TENON_TRY(find_edge(execution->inputs(), {.name = input.name}, "input"));
    in.push_back(
        {index, TENON_TRY(view_tensor(execution->inputs()[index], input.tensor, caller.dialect->types))});
  }
  for (const NamedOutput& output : outputs) {
    const size_t index = TENON_TRY(find_edge(execution->outputs(), {.name = output.name}, "output"));
    out.push_back({index, output.data});
  }
  execution->spent = {};
  TENON_TRY(execution->context->run(in, out, !caller.shared_memory, turn.options()));
  for (size_t i = 0; i < out.size(); ++i) outputs[i].written = out[i].written;
  return {};
}

Result<size_t> NnContext::get_output(ContextHandle context, Edge edge, std::span<std::byte> out,
                                     const Caller& caller) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, caller, environment_.options().max_compute_time);
  TENON_TRY(turn.check());
  const size_t index = TENON_TRY(find_edge(execution->outputs(), edge, "output"));
  return execution->context->get_output(index, out, turn.options());
}

Result<void> NnContext::bind_input(ContextHandle context, Edge edge,
                                   std::optional<std::span<const std::byte>> dims, uint64_t address,
                                   uint64_t size, const Caller& caller) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, caller, {});
  TENON_TRY(turn.check());
  const size_t index = TENON_TRY(find_edge(execution->inputs(), edge, "input"));
  const kernels::TensorInfo& input = execution->inputs()[index];
  if (!resolve(*caller.memory, address, size))
    return fail(ErrorCode::invalid_argument, "the range lies outside the guest's memory");
  const auto shape = dims ? read_dims(*dims, input.type) : dims_from_size(input.type, size);
  if (!shape)
    return std::unexpected(kernels::with_place(shape.error(), fmt::format("input '{}'", input.name)));
  const auto bytes = kernels::byte_size(input.type.element, *shape);
  if (!bytes || *bytes != size) {
    return fail(ErrorCode::invalid_argument, "input '{}': {} bytes do not fill {}", input.name, size,
                to_string(*shape));
  }
  Execution::bind(execution->bound_inputs,
                  {index, *shape, caller.memory, address, size, caller.shared_memory});
  return {};
}

Result<void> NnContext::bind_output(ContextHandle context, Edge edge, uint64_t address, uint64_t size,
                                    const Caller& caller) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, caller, {});
  TENON_TRY(turn.check());
  const size_t index = TENON_TRY(find_edge(execution->outputs(), edge, "output"));
  if (!resolve(*caller.memory, address, size))
    return fail(ErrorCode::invalid_argument, "the range lies outside the guest's memory");
  Execution::bind(execution->bound_outputs, {index, {}, caller.memory, address, size, caller.shared_memory});
  return {};
}

Result<void> NnContext::unbind(ContextHandle context, EdgeKind kind, Edge edge) {
  const auto execution = TENON_TRY(find(context));
  Turn turn(*execution, Caller{}, {});
  TENON_TRY(turn.check());
  const bool input = kind == EdgeKind::input;
  const size_t index = TENON_TRY(
      find_edge(input ? execution->inputs() : execution->outputs(), edge, input ? "input" : "output"));
  Execution::unbind(input ? execution->bound_inputs : execution->bound_outputs, index);
  return {};
}

Result<uint32_t> NnContext::count(uint32_t handle, EdgeKind kind) const {
  std::shared_ptr<LoadedGraph> graph = TENON_TRY(graph_of(handle));
  return static_cast<uint32_t>(
      (kind == EdgeKind::input ? graph->model->inputs() : graph->model->outputs()).size());
}

Result<EdgeInfo> NnContext::describe(uint32_t handle, EdgeKind kind, uint32_t index,
                                     std::shared_ptr<const void>& keep) const {
  const auto graph = TENON_TRY(graph_of(handle));
  const bool input = kind == EdgeKind::input;
  const auto& edges = input ? graph->model->inputs() : graph->model->outputs();
  const kernels::TensorInfo& edge =
      edges[TENON_TRY(find_edge(edges, {.index = index, .name = {}}, input ? "input" : "output"))];
  keep = graph;
  EdgeInfo info{.name = edge.name, .type = type_number(edge.type.element).value_or(0)};
  std::optional<Dims> dims = edge.type.concrete_dims();
  if (const auto execution = find(ContextHandle{handle}); execution && !input && !dims) {
    Turn turn(**execution, Caller{}, {});
    TENON_TRY(turn.check());
    if (const auto known = (*execution)->context->describe_output(index)) dims = known->dims;
  }
  if (dims) {
    info.rank = static_cast<uint32_t>(dims->size());
    info.bytes = TENON_TRY(kernels::byte_size(edge.type.element, *dims));
    for (uint32_t i = 0; i < info.rank; ++i)
      info.dims[i] = static_cast<uint32_t>(std::min<int64_t>((*dims)[i], kDynamicDim - 1));
    return info;
  }
  info.rank = edge.type.shape ? static_cast<uint32_t>(edge.type.shape->size()) : kUnknownRank;
  for (uint32_t i = 0; edge.type.shape && i < info.rank; ++i) {
    const kernels::Dim& dim = (*edge.type.shape)[i];
    info.dims[i] = dim.is_constant() ? static_cast<uint32_t>(std::min<int64_t>(dim.value, kDynamicDim - 1))
                                     : kDynamicDim;
  }
  return info;
}

Result<uint64_t> NnContext::output_element_bytes(ContextHandle context, uint32_t index) const {
  const auto execution = TENON_TRY(find(context));
  const size_t at = TENON_TRY(find_edge(execution->outputs(), {.index = index, .name = {}}, "output"));
  return std::max<uint64_t>(kernels::bit_width(execution->outputs()[at].type.element) / 8, 1);
}

Result<std::shared_ptr<LoadedGraph>> NnContext::graph_of(uint32_t handle) const {
  const std::lock_guard lock(mutex_);
  if (const auto it = graphs_.find(handle); it != graphs_.end()) return it->second;
  if (const auto it = contexts_.find(handle); it != contexts_.end()) return it->second->graph;
  return fail(ErrorCode::invalid_argument, "handle {} is not open", handle);
}

Result<void> NnContext::unload(GraphHandle graph) {
  std::shared_ptr<LoadedGraph> dying;  // destroyed after the lock is released
  const std::lock_guard lock(mutex_);
  const auto it = graphs_.find(static_cast<uint32_t>(graph));
  if (it == graphs_.end()) {
    return fail(ErrorCode::invalid_argument, "graph handle {} is not open", static_cast<uint32_t>(graph));
  }
  dying = std::move(it->second);
  graphs_.erase(it);
  return {};
}

Result<void> NnContext::close(ContextHandle context) {
  std::shared_ptr<Execution> dying;
  const std::lock_guard lock(mutex_);
  const auto it = contexts_.find(static_cast<uint32_t>(context));
  if (it == contexts_.end()) {
    return fail(ErrorCode::invalid_argument, "execution context handle {} is not open",
                static_cast<uint32_t>(context));
  }
  dying = std::move(it->second);
  contexts_.erase(it);
  return {};
}

std::string NnContext::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

void NnContext::remember(std::string message) {
  environment_.remember_error(message);
  const std::lock_guard lock(mutex_);
  last_error_ = std::move(message);
}

}  // namespace tenon::nn
