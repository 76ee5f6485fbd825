// What a Model holds: the graph, its plans, its derived constants. Internal to kernels/.
#pragma once
#include "kernels/segments.h"

namespace tenon::kernels::internal {

class ModelImpl {
 public:
  ModelImpl(Graph graph, CompileOptions options);

  /// Plans at once when shapes are constant.
  Result<void> prepare();
  /// The plan for these input shapes and this team size: kept ones first. Thread-safe.
  Result<std::shared_ptr<const Plan>> plan_for(std::span<const Dims> input_dims, int threads,
                                               Statistics& statistics);

  const Graph graph;
  const CompileOptions options;
  std::vector<TensorInfo> inputs, outputs;                  // those of states last
  std::vector<TensorInfo> callers_inputs, callers_outputs;  // without states
  std::vector<std::optional<Dims>> static_dims;             // of inputs whose dims are all constant
  ConstantCache cache;
  SegmentStore segments{options, cache};  // of graphs without a plan as a whole
  std::uint64_t constant_bytes = 0;

 private:
  Result<void> prepare_edges();

  struct Entry {
    std::vector<Dims> dims;
    std::shared_ptr<const Plan> plan;
  };
  std::mutex mutex_;
  std::list<Entry> plans_;  // most recently used first
  std::vector<bool> may_be_early_;
};

}  // namespace tenon::kernels::internal
