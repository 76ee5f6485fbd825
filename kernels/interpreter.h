// Runs a graph node by node on values of the heap: what has no static plan because shapes or branches depend
// on data, strings, sequences, optionals, and the bodies of If, Loop and Scan. Kernels are kept per node
// while operands keep their shapes. Not thread-safe: one for each context. Internal to kernels/.
#pragma once
#include "kernels/ops.h"

namespace tenon::kernels {

class Interpreter {
 public:
  /// Both live longer than the interpreter.
  Interpreter(const Graph& graph, const CompileOptions& options);
  ~Interpreter();

  /// One value for each graph input; gives one for each graph output.
  Result<std::vector<Value>> run(std::vector<Value> inputs, const ComputeOptions& options);

  /// Runs a subgraph of the node that is executing now: its captures come from this graph's values.
  Result<std::vector<Value>> run_subgraph(const Graph& body, std::vector<Value> inputs);

  const CompileOptions& options() const { return options_; }
  /// interrupted when the compute's stop request or deadline says so.
  Result<void> check_interrupt() const;

 private:
  struct Prepared;
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
  const ComputeOptions* compute_ = nullptr;
  std::vector<Value> values_;
  std::uint64_t live_bytes_ = 0;  // of values_ that nodes computed
  std::vector<Prepared> prepared_;
  std::vector<std::vector<ValueId>> dies_after_;  // for each node the values that nothing needs later
  std::unordered_map<const Graph*, std::unique_ptr<Interpreter>> bodies_;
};

}  // namespace tenon::kernels
