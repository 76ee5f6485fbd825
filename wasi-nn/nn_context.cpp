// Handles, tensors and calls; see nn_context.h.
#include "wasi-nn/nn_context.h"

#include <limits>

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

}  // namespace

Result<void> check_element_type(uint32_t number, DataType declared, int64_t elements, size_t bytes) {
  const TypeRow* row = type_row(declared);
  if (!row)
    return fail(ErrorCode::unsupported_operation, "{} cannot pass through wasi-nn", to_string(declared));
  if (row->number == static_cast<int64_t>(number)) return {};
  const bool older = row->older_number == static_cast<int64_t>(number);
  if (older && bytes == static_cast<size_t>(elements) * (kernels::bit_width(declared) / 8)) return {};
  return fail(ErrorCode::invalid_argument, "tensor type {}; the graph takes {} ({})", number,
              to_string(declared), row->number);
}

Result<void> check_edges(const kernels::Model& model) {
  for (const auto& input : model.inputs()) TENON_TRY(check_edge("input", input));
  for (const auto& output : model.outputs()) TENON_TRY(check_edge("output", output));
  return {};
}

NnContext::Execution::~Execution() {
  if (context) graph->counters->remove_context(context.get());
}

NnContext::~NnContext() = default;

Result<uint32_t> NnContext::next_handle() {
  if (last_handle_ == std::numeric_limits<uint32_t>::max()) {
    return fail(ErrorCode::too_large, "all handles have been used");
  }
  return ++last_handle_;
}

Result<GraphHandle> NnContext::add_graph(std::shared_ptr<LoadedGraph> graph) {
  TENON_TRY(check_edges(*graph->model));
  const std::lock_guard lock(mutex_);
  if (graphs_.size() >= environment_.options().max_graphs) {
    return fail(ErrorCode::too_large, "{} graphs are open, the limit", graphs_.size());
  }
  const uint32_t handle = TENON_TRY(next_handle());
  graphs_.emplace(handle, std::move(graph));
  return GraphHandle{handle};
}

Result<GraphHandle> NnContext::load(std::span<const std::span<const std::byte>> builders, uint32_t encoding,
                                    uint32_t target) {
  if (target >= kTargets)
    return fail(ErrorCode::invalid_argument, "execution target {} is not defined", target);
  if (target != 0 && !environment_.options().target_fallback) {
    return fail(ErrorCode::unsupported_operation, "execution target {}: only the cpu (0) is there",
                target == 1 ? "gpu" : "tpu");
  }
  {
    const std::lock_guard lock(mutex_);
    if (graphs_.size() >= environment_.options().max_graphs) {
      return fail(ErrorCode::too_large, "{} graphs are open, the limit", graphs_.size());
    }
  }
  return add_graph(TENON_TRY(environment_.load_bytes(builders, encoding)));
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
    if (contexts_.size() >= environment_.options().max_contexts) {
      return fail(ErrorCode::too_large, "{} execution contexts are open, the limit", contexts_.size());
    }
    execution->graph = it->second;
  }
  execution->context = TENON_TRY(execution->graph->model->create_context());
  execution->graph->counters->add_context(execution->context.get());
  const std::lock_guard lock(mutex_);
  const uint32_t handle = TENON_TRY(next_handle());
  contexts_.emplace(handle, std::move(execution));
  return ContextHandle{handle};
}

Result<std::shared_ptr<NnContext::Execution>> NnContext::find(ContextHandle handle) const {
  const std::lock_guard lock(mutex_);
  const auto it = contexts_.find(static_cast<uint32_t>(handle));
  if (it != contexts_.end()) return it->second;
  return fail(ErrorCode::invalid_argument, "execution context handle {} is not open",
              static_cast<uint32_t>(handle));
}

Result<void> NnContext::set_input(ContextHandle context, uint32_t index, const GuestTensor& tensor) {
  const auto execution = TENON_TRY(find(context));
  const auto& inputs = execution->graph->model->inputs();
  if (index >= inputs.size()) {
    return fail(ErrorCode::invalid_argument, "input index {}; the graph has {} inputs", index, inputs.size());
  }
  const kernels::TensorInfo& input = inputs[index];
  const auto place = [&](kernels::Error error) {
    return std::unexpected(kernels::with_place(std::move(error), fmt::format("input '{}'", input.name)));
  };
  const auto dims = read_dims(tensor.dims, input.type);
  if (!dims) return place(dims.error());
  const auto elements = kernels::element_count(*dims);
  if (!elements) return place({ErrorCode::invalid_argument, elements.error().message});
  if (auto ok = check_element_type(tensor.type, input.type.element, *elements, tensor.data.size()); !ok) {
    return place(std::move(ok).error());
  }
  return execution->context->set_input(index, {input.type.element, *dims, tensor.data});
}

Result<void> NnContext::compute(ContextHandle context) {
  return TENON_TRY(find(context))->context->compute();
}

Result<size_t> NnContext::get_output(ContextHandle context, uint32_t index, std::span<std::byte> out) {
  return TENON_TRY(find(context))->context->get_output(index, out);
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
  const std::lock_guard lock(mutex_);
  last_error_ = std::move(message);
}

}  // namespace tenon::nn
