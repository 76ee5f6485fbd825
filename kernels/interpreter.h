// Runs a graph on values of the heap: what has no plan as a whole because shapes or branches depend on data,
// strings, sequences, optionals, and the bodies of If, Loop and Scan. Parts that can be planned are (segments.h); other
// nodes run one by one, their kernels are kept while operands keep their shapes. Not thread-safe: one for each
// context. Internal to kernels/.
#pragma once
#include "kernels/segments.h"

namespace tenon::kernels {

class Interpreter {
 public:
  /// All live longer than the interpreter. Without `segments` every node runs alone.
  Interpreter(const Graph& graph, const CompileOptions& options, SegmentStore* segments);
  ~Interpreter();

  /// One value for each graph input; gives one for each graph output.
  Result<std::vector<Value>> run(std::vector<Value> inputs, const ComputeOptions& options);

  /// Runs a subgraph of the node that is executing now: its captures come from this graph's values.
  Result<std::vector<Value>> run_subgraph(const Graph& body, std::vector<Value> inputs);

  const CompileOptions& options() const { return options_; }
  void set_profiling(bool on);
  /// The steps of the present plans of parts, and the nodes that ran alone, bodies included.
  std::vector<StepInfo> profile() const;
  /// interrupted when the compute's stop request or deadline says so.
  Result<void> check_interrupt() const;

 private:
  struct Prepared;
  struct PartRun;
  Result<bool> run_part(std::size_t first, const SegmentedGraph::Part& part);
  Result<void> run_plan(const PlannedPart& part, std::shared_ptr<const Plan> plan, PartRun& run);
  Result<void> run_node(std::size_t n);
  void release(std::size_t first, std::size_t last);
  Result<void> execute(const Node& node, Prepared& prepared);
  Result<void> execute_values(const Node& node, const Kernel& kernel);
  Result<std::vector<Operand>> operands_of(const Node& node) const;
  Result<void> prepare(const Node& node, std::vector<Operand>& operands, Prepared& prepared);
  std::vector<Value> captured(const Graph& body) const;
  Result<void> store(ValueId id, Value value);
  Result<std::vector<Value>> run_with(std::vector<Value> inputs, std::span<const Value> captures,
                                      const ComputeOptions& options);

  const Graph& graph_;
  const CompileOptions& options_;
  SegmentStore* store_;
  SegmentedGraph* segments_ = nullptr;
  bool profiling_ = false;
  const ComputeOptions* compute_ = nullptr;
  std::vector<Value> values_;
  std::uint64_t live_bytes_ = 0;  // of values_ that nodes computed
  std::vector<Prepared> prepared_;
  std::map<std::size_t, PartRun> parts_;          // by first node
  std::vector<std::vector<ValueId>> dies_after_;  // for each node the values that nothing needs later
  std::unordered_map<const Graph*, std::unique_ptr<Interpreter>> bodies_;
};

}  // namespace tenon::kernels
