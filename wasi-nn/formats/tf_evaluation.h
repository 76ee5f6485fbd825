// The walk over TensorFlow graphs: an output that is asked for asks for its operands, so that only what outputs need is
// imported; functions are written out where they are called, control flow of both versions becomes If and Loop.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <unordered_set>

#include "wasi-nn/formats/model_source.h"
#include "wasi-nn/formats/tf_graph.h"
#include "wasi-nn/formats/tf_node.h"

namespace tenon::nn::tf {

// Gives a variable its value. `variable` is a VarHandleOp or a VariableV2.
using ReadVariable = std::function<Result<kernels::Tensor>(const NodeDef& variable)>;

class Walk {
 public:
  // All of them outlive the walk.
  Walk(const ModelSource& source, const TfGraph& main, const TfGraph::Functions& functions,
       ReadVariable read_variable, ModelSummary& summary);

  // This output of the main graph is an input of the model.
  Result<void> add_input(TensorRef ref, std::string name, kernels::ValueType type);
  Result<void> add_output(TensorRef ref, std::string name);
  // Every output of a node, named after it ("node", "node:1").
  Result<void> add_outputs_of(uint32_t node);
  Result<kernels::Graph> finish() &&;

 private:
  // A graph that is being built: the model's, or the body of an If or Loop.
  struct Scope {
    kernels::GraphBuilder builder;
    Scope* outer;
    int depth;
    std::unordered_map<uint32_t, ValueId> captured;  // by value of the outer scope
  };

  // One use of a graph: values of its outputs so far, and where values come from that it does not make itself.
  struct Evaluation {
    Scope* scope;
    const TfGraph* graph;
    AttributeEnvironment environment = nullptr;
    Evaluation* outer = nullptr;
    // A function: its arguments in `outer`. Otherwise `outer` is of the same graph, and this one makes only what
    // happens under `condition` or in the loop `frame`.
    bool is_function = false;
    std::vector<TensorRef> arguments = {};
    std::optional<Condition> condition = {};
    const WhileFrame* frame = nullptr;
    std::string prefix = {};  // of node names in messages
    int calls = 0;            // how deep functions call each other

    std::unordered_map<uint64_t, ValueId> values = {};
    std::unordered_set<uint64_t> busy = {};
    std::map<uint32_t, Evaluation*> called = {};
    std::map<const WhileFrame*, std::vector<ValueId>> loops = {};  // final values of variables
  };

  struct Task {
    Evaluation* evaluation;
    TensorRef ref;
  };
  // What has to be there first; nothing when the task's value is there now.
  using Needs = std::vector<Task>;
  using Step = Result<Needs> (Walk::*)(const Task&);
  struct StepRow {
    std::string_view op;
    Step step;
  };
  static const StepRow kSteps[];

  static uint64_t key(TensorRef ref) { return static_cast<uint64_t>(ref.node) << 32 | ref.port; }
  static std::optional<ValueId> find(const Task& task);
  static void define(Evaluation& e, TensorRef ref, ValueId id) { e.values.insert_or_assign(key(ref), id); }
  static void define(const Task& task, ValueId id) { define(*task.evaluation, task.ref, id); }
  // The tasks that have no value yet.
  static Needs missing(Needs tasks);
  static std::optional<Task> elsewhere(const Task& task);

  Result<ValueId> get(Evaluation& e, TensorRef ref);
  Result<Needs> step(const Task& task);
  kernels::Error placed(kernels::Error error, const Task& task) const;
  kernels::Source source_of(const Task& task) const;
  Result<void> count_node();

  Scope& new_scope(Scope& outer);
  Evaluation& new_evaluation(Evaluation like);
  // `id` of scope `from`, in `to`, which is `from` or inside it.
  Result<ValueId> bring(ValueId id, Scope& from, Scope& to);
  // A value that must not be an input, a constant or another output: a copy if it is.
  Result<ValueId> own_value(Scope& scope, ValueId id);
  Result<const TfGraph*> function(std::string_view name);

  // The task's value is this operand's.
  Result<Needs> alias(const Task& task, TensorRef operand);
  Result<Needs> step_alias(const Task& task);  // output i is operand i
  Result<Needs> step_constant(const Task& task);
  Result<Needs> step_variable(const Task& task);
  Result<Needs> step_call(const Task& task);
  Result<Needs> step_if(const Task& task);
  Result<Needs> step_while(const Task& task);
  Result<Needs> step_switch(const Task& task);
  Result<Needs> step_merge(const Task& task);
  Result<Needs> step_exit(const Task& task);
  Result<Needs> step_placeholder(const Task& task);
  Result<Needs> step_operator(const Task& task);

  Result<Needs> call(const Task& task, const NameAttrList& callee, size_t skipped_operands);
  Result<Evaluation*> function_evaluation(const Task& task, const NameAttrList& callee,
                                          size_t skipped_operands, Scope& scope);
  std::optional<bool> constant_bool(const Scope& scope, ValueId id) const;
  Result<ValueId> as_condition(const Task& task, ValueId id, Scope& scope);
  // Both branches' values as outputs of one If; evaluates `refs` of each.
  Result<std::vector<ValueId>> emit_if(const Task& task, ValueId condition,
                                       std::array<Evaluation*, 2> branches,  // false, true
                                       const std::array<std::vector<TensorRef>, 2>& refs);
  Result<std::vector<ValueId>> emit_loop(const Task& task, ValueId condition,
                                         const std::vector<ValueId>& initial,
                                         const std::function<Result<std::pair<ValueId, std::vector<ValueId>>>(
                                             Scope&, const std::vector<ValueId>&)>& body);
  Result<void> run_while_frame(const Task& task, const WhileFrame& frame);

  const ModelSource& source_;
  const TfGraph::Functions& functions_;
  ReadVariable read_variable_;
  ModelSummary& summary_;
  uint64_t fill_budget_;
  ConstantFolding folding_;
  uint64_t nodes_seen_ = 0;
  std::deque<Scope> scopes_;
  std::deque<Evaluation> evaluations_;
  std::map<std::string_view, std::unique_ptr<TfGraph>, std::less<>> function_graphs_;
  std::set<ValueId> outputs_;
};

}  // namespace tenon::nn::tf
