// Watching plans and their steps, for tools.
#pragma once
#include "kernels/plan.h"

namespace tenon::kernels {

/// Sees each step of contexts whose profiling is on, after it ran, on the thread that computes.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  /// `start` is on the steady clock; both in nanoseconds.
  virtual void ran(const StepInfo& step, std::uint64_t start, std::uint64_t nanoseconds) = 0;
};

/// For the calling thread; null: nobody watches.
void observe_steps(StepObserver* observer);

/// For each step of the plan that these input dims get, the steps whose results it reads. Empty when the graph has no
/// plan as a whole. Makes the plan anew.
Result<std::vector<std::vector<std::uint32_t>>> plan_reads(const Graph& graph,
                                                           std::span<const Dims> input_dims,
                                                           const CompileOptions& options);

}  // namespace tenon::kernels
