// See host_graph.h.
#include "wasi-nn/host_graph.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <new>

#include "wasi-nn/nn_context.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::ErrorCode;
using kernels::fail;

// By NnType.
constexpr DataType kTypes[] = {DataType::f16, DataType::f32,  DataType::f64,    DataType::u8,  DataType::i32,
                               DataType::i64, DataType::bf16, DataType::i8,     DataType::i16, DataType::u16,
                               DataType::u32, DataType::u64,  DataType::boolean};
static_assert(std::size(kTypes) == static_cast<size_t>(NnType::boolean) + 1);

std::optional<NnType> host_type(DataType type) {
  const auto* const found = std::ranges::find(kTypes, type);
  if (found == std::end(kTypes)) return std::nullopt;
  return static_cast<NnType>(found - std::begin(kTypes));
}

tenon::Error engine_error(ErrorCategory category, std::string message) {
  return {category, std::move(message), std::nullopt};
}

// Nothing of C++ leaves, and errors become the engine's.
template <class F>
auto guarded(F f) -> tenon::Result<typename std::invoke_result_t<F>::value_type> {
  try {
    auto result = f();
    if (!result) return std::unexpected(to_engine_error(std::move(result.error())));
    if constexpr (std::is_void_v<typename decltype(result)::value_type>)
      return {};
    else
      return std::move(*result);
  } catch (const std::bad_alloc&) {
    return std::unexpected(engine_error(ErrorCategory::limit, "out of memory"));
  } catch (const std::exception& e) {
    return std::unexpected(engine_error(ErrorCategory::trap, e.what()));
  }
}

Result<NnEdge> edge_of(const kernels::TensorInfo& info) {
  const auto type =
      info.type.kind == kernels::ValueType::Kind::tensor ? host_type(info.type.element) : std::nullopt;
  if (!type) {
    return fail(ErrorCode::unsupported_operation, "'{}' is {}, which cannot pass as a tensor", info.name,
                to_string(info.type));
  }
  NnEdge edge{.name = info.name, .type = *type, .dims = std::nullopt, .bytes = 0};
  if (info.type.shape) {
    edge.dims.emplace();
    for (const kernels::Dim& dim : *info.type.shape) edge.dims->push_back(dim.is_constant() ? dim.value : -1);
  }
  if (const auto dims = info.type.concrete_dims())
    edge.bytes = TENON_TRY(kernels::byte_size(info.type.element, *dims));
  return edge;
}

Result<std::vector<NnEdge>> edges_of(const std::vector<kernels::TensorInfo>& infos) {
  std::vector<NnEdge> edges;
  for (const auto& info : infos) edges.push_back(TENON_TRY(edge_of(info)));
  return edges;
}

class HostExecution final : public NnExecution {
 public:
  HostExecution(std::shared_ptr<LoadedGraph> graph, std::unique_ptr<kernels::Context> context,
                const NnOptions& options)
      : graph_(std::move(graph)), context_(std::move(context)), limit_(options.max_compute_time) {
    context_->set_timing(options.timing);
    graph_->counters->add_context(context_.get());
  }
  ~HostExecution() override { graph_->counters->remove_context(context_.get()); }
  HostExecution(const HostExecution&) = delete;
  HostExecution& operator=(const HostExecution&) = delete;

  tenon::Result<void> set_input(const NnTensor& tensor) override {
    return guarded([&]() -> Result<void> {
      return context_->set_input(tensor.index, TENON_TRY(view(tensor)), options());
    });
  }
  tenon::Result<void> compute() override {
    return guarded([&] { return context_->compute(options()); });
  }
  tenon::Result<void> get_output(u32 index, std::span<std::byte> out, u64& size) override {
    return guarded([&]() -> Result<void> {
      auto written = context_->get_output(index, out, options());
      if (written || written.error().needed_bytes > 0)
        size = written ? *written : written.error().needed_bytes;
      if (!written) return std::unexpected(std::move(written.error()));
      return {};
    });
  }
  tenon::Result<void> run(std::span<const NnTensor> inputs, std::span<NnOutput> outputs) override {
    return guarded([&]() -> Result<void> {
      std::vector<kernels::RunInput> in;
      std::vector<kernels::RunOutput> out;
      for (const NnTensor& tensor : inputs) in.push_back({tensor.index, TENON_TRY(view(tensor))});
      for (const NnOutput& output : outputs) out.push_back({output.index, output.bytes});
      TENON_TRY(context_->run(in, out, true, options()));
      for (size_t i = 0; i < out.size(); ++i) outputs[i].written = out[i].written;
      return {};
    });
  }
  tenon::Result<NnEdge> describe_output(u32 index) const override {
    return guarded([&]() -> Result<NnEdge> {
      const auto& all = graph_->model->outputs();
      if (index >= all.size())
        return fail(ErrorCode::invalid_argument, "output {}; the graph has {}", index, all.size());
      NnEdge edge = TENON_TRY(edge_of(all[index]));
      if (const auto known = context_->describe_output(index)) {
        edge.dims.emplace(known->dims.begin(), known->dims.end());
        edge.bytes = TENON_TRY(kernels::byte_size(known->type, known->dims));
      }
      return edge;
    });
  }
  void interrupt(bool on) override { stop_.store(on, std::memory_order_relaxed); }

 private:
  kernels::ComputeOptions options() const {
    kernels::ComputeOptions options;
    options.stop = &stop_;
    if (limit_.count() > 0) options.deadline = std::chrono::steady_clock::now() + limit_;
    return options;
  }
  Result<kernels::TensorView> view(const NnTensor& tensor) const {
    const auto& all = graph_->model->inputs();
    if (tensor.index >= all.size())
      return fail(ErrorCode::invalid_argument, "input {}; the graph has {}", tensor.index, all.size());
    if (static_cast<size_t>(tensor.type) >= std::size(kTypes))
      return fail(ErrorCode::invalid_argument, "there is no tensor type {}", static_cast<int>(tensor.type));
    const kernels::TensorInfo& info = all[tensor.index];
    const auto dims =
        tensor.dims ? kernels::Dims::from(*tensor.dims) : dims_from_size(info.type, tensor.bytes.size());
    if (!dims)
      return std::unexpected(kernels::with_place(dims.error(), fmt::format("input '{}'", info.name)));
    return kernels::TensorView{kTypes[static_cast<size_t>(tensor.type)], *dims, tensor.bytes};
  }

  std::shared_ptr<LoadedGraph> graph_;
  std::unique_ptr<kernels::Context> context_;
  std::chrono::nanoseconds limit_;
  std::atomic<bool> stop_ = false;
};

class HostGraph final : public NnGraph {
 public:
  HostGraph(const Environment& environment, std::shared_ptr<LoadedGraph> graph, std::vector<NnEdge> inputs,
            std::vector<NnEdge> outputs)
      : environment_(environment),
        graph_(std::move(graph)),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)) {}
  std::span<const NnEdge> inputs() const override { return inputs_; }
  std::span<const NnEdge> outputs() const override { return outputs_; }
  tenon::Result<std::unique_ptr<NnExecution>> new_execution() const override {
    return guarded([&]() -> Result<std::unique_ptr<NnExecution>> {
      return std::make_unique<HostExecution>(graph_, TENON_TRY(graph_->model->create_context()),
                                             environment_.options());
    });
  }

 private:
  const Environment& environment_;
  std::shared_ptr<LoadedGraph> graph_;
  std::vector<NnEdge> inputs_, outputs_;
};

}  // namespace

tenon::Error to_engine_error(kernels::Error error) {
  switch (error.code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::busy: return engine_error(ErrorCategory::usage, std::move(error.message));
    case ErrorCode::invalid_encoding: return engine_error(ErrorCategory::invalid, std::move(error.message));
    case ErrorCode::runtime_error:
    case ErrorCode::interrupted: return engine_error(ErrorCategory::trap, std::move(error.message));
    case ErrorCode::unsupported_operation:
      return engine_error(ErrorCategory::unsupported, std::move(error.message));
    case ErrorCode::too_large: return engine_error(ErrorCategory::limit, std::move(error.message));
    case ErrorCode::not_found: return engine_error(ErrorCategory::not_found, std::move(error.message));
  }
  return engine_error(ErrorCategory::trap, std::move(error.message));
}

tenon::Result<std::unique_ptr<NnGraph>> make_host_graph(
    const Environment& environment, const std::function<Result<std::shared_ptr<LoadedGraph>>()>& load) {
  return guarded([&]() -> Result<std::unique_ptr<NnGraph>> {
    auto graph = TENON_TRY(load());
    auto inputs = TENON_TRY(edges_of(graph->model->inputs()));
    auto outputs = TENON_TRY(edges_of(graph->model->outputs()));
    return std::make_unique<HostGraph>(environment, std::move(graph), std::move(inputs), std::move(outputs));
  });
}

}  // namespace tenon::nn
