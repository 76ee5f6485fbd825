// Control flow of TensorFlow: If, Case and While with functions, and Switch, Merge, Enter and Exit of version 1, as the
// kernels' If and Loop.
#include <algorithm>

#include "wasi-nn/formats/tf_evaluation.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn::tf {

using kernels::DataType;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Graph;
using kernels::kAbsent;
using kernels::ValueType;

static const NameAttrList* function_attr(const NodeDef& def, std::string_view name) {
  const auto it = std::ranges::find(def.attr, name, &AttrEntry::key);
  return it == def.attr.end() ? nullptr : it->value.func.get();
}

// What is known of a value in every iteration or branch: its element type and rank.
static ValueType without_dims(ValueType type) {
  if (type.shape) std::ranges::fill(*type.shape, kernels::Dim::unknown());
  return type;
}

static ValueType common_type(const ValueType& a, const ValueType& b) {
  ValueType type = without_dims(a);
  if (type.kind != b.kind) return {};
  if (type.shape && (!b.shape || b.shape->size() != type.shape->size())) type.shape = std::nullopt;
  if (type.kind == ValueType::Kind::tensor && type.element != b.element) type.element = DataType::undefined;
  return type;
}

std::optional<bool> Walk::constant_bool(const Scope& scope, ValueId id) const {
  if (id == kAbsent) return std::nullopt;
  const kernels::Tensor& tensor = scope.builder.value(id).constant;
  if (!tensor.defined() || tensor.type() != DataType::boolean || tensor.count() != 1) return std::nullopt;
  return tensor.data()[0] != std::byte{0};
}

// Any number may be a condition.
Result<ValueId> Walk::as_condition(const Task& task, ValueId id, Scope& scope) {
  if (id == kAbsent) return fail(ErrorCode::invalid_encoding, "the condition is a handle");
  if (scope.builder.value(id).type.element == DataType::boolean) return id;
  return scope.builder.node(kernels::Op::Cast, {id}, {{"to", kernels::onnx_number(DataType::boolean)}},
                            source_of(task));
}

Result<Walk::Needs> Walk::step_call(const Task& task) {
  const NameAttrList* callee = function_attr(task.evaluation->graph->def(task.ref.node), "f");
  if (!callee) return fail(ErrorCode::invalid_encoding, "attribute 'f' names no function");
  return call(task, *callee, 0);
}

Result<std::vector<ValueId>> Walk::emit_if(const Task& task, ValueId condition,
                                           std::array<Evaluation*, 2> branches,
                                           const std::array<std::vector<TensorRef>, 2>& refs) {
  std::array<std::vector<ValueType>, 2> types;
  std::array<std::shared_ptr<const Graph>, 2> graphs;
  for (size_t side = 0; side < 2; ++side) {
    Scope& scope = *branches[side]->scope;
    for (size_t i = 0; i < refs[side].size(); ++i) {
      const ValueId value = TENON_TRY(get(*branches[side], refs[side][i]));
      const ValueId own = TENON_TRY(own_value(scope, value));
      types[side].push_back(scope.builder.value(own).type);
      TENON_TRY(scope.builder.add_output(own, fmt::format("result {}", i)));
    }
    graphs[side] = std::make_shared<const Graph>(TENON_TRY(std::move(scope.builder).finish()));
  }
  Scope& scope = *task.evaluation->scope;
  std::vector<ValueId> outputs;
  for (size_t i = 0; i < types[0].size(); ++i) {
    outputs.push_back(scope.builder.add_value({}, common_type(types[0][i], types[1][i])));
  }
  TENON_TRY(scope.builder.add_node(kernels::Op::If, std::array{condition}, outputs,
                                   {{"then_branch", graphs[1]}, {"else_branch", graphs[0]}},
                                   source_of(task)));
  return outputs;
}

Result<Walk::Needs> Walk::step_if(const Task& task) {
  Evaluation& e = *task.evaluation;
  const NodeDef& def = e.graph->def(task.ref.node);
  const std::array<const NameAttrList*, 2> callees{function_attr(def, "else_branch"),
                                                   function_attr(def, "then_branch")};
  if (!callees[0] || !callees[1]) return fail(ErrorCode::invalid_encoding, "a branch names no function");
  const auto& operands = e.graph->operands(task.ref.node);
  if (operands.empty()) return fail(ErrorCode::invalid_encoding, "the condition is missing");
  const Task condition{&e, operands[0]};
  const auto id = find(condition);
  if (!id) return Needs{condition};
  if (const auto known = constant_bool(*e.scope, *id)) return call(task, *callees[*known], 1);
  TENON_TRY(count_node());
  const ValueId truth = TENON_TRY(as_condition(task, *id, *e.scope));
  std::array<Evaluation*, 2> branches{};
  std::array<std::vector<TensorRef>, 2> refs;
  for (size_t side = 0; side < 2; ++side) {
    branches[side] = TENON_TRY(function_evaluation(task, *callees[side], 1, new_scope(*e.scope)));
    refs[side] = branches[side]->graph->results();
  }
  if (refs[0].size() != refs[1].size() || refs[0].empty()) {
    return fail(ErrorCode::invalid_encoding, "its branches have {} and {} results", refs[1].size(),
                refs[0].size());
  }
  const auto outputs = TENON_TRY(emit_if(task, truth, branches, refs));
  for (uint32_t port = 0; port < outputs.size(); ++port) define(e, {task.ref.node, port}, outputs[port]);
  return Needs{};
}

// One Loop; `body` makes, from the variables at the start of an iteration, the condition and the variables at its end.
Result<std::vector<ValueId>> Walk::emit_loop(
    const Task& task, ValueId condition, const std::vector<ValueId>& initial,
    const std::function<
        Result<std::pair<ValueId, std::vector<ValueId>>>(Scope&, const std::vector<ValueId>&)>& body) {
  Scope& scope = *task.evaluation->scope;
  Scope& inner = new_scope(scope);
  TENON_TRY(inner.builder.input("iteration", ValueType::tensor(DataType::i64, kernels::Dims{})));
  TENON_TRY(inner.builder.input("condition", ValueType::tensor(DataType::boolean, kernels::Dims{})));
  std::vector<ValueId> variables, operands{kAbsent, condition}, outputs;
  for (size_t i = 0; i < initial.size(); ++i) {
    if (initial[i] == kAbsent)
      return fail(ErrorCode::unsupported_operation, "loop variable {} is a handle", i);
    const ValueType type = without_dims(scope.builder.value(initial[i]).type);
    variables.push_back(TENON_TRY(inner.builder.input(fmt::format("variable {}", i), type)));
    operands.push_back(initial[i]);
    outputs.push_back(scope.builder.add_value({}, type));
  }
  const auto [next_condition, next] = TENON_TRY(body(inner, variables));
  TENON_TRY(inner.builder.add_output(TENON_TRY(own_value(inner, next_condition)), "condition"));
  std::set<ValueId> seen;
  for (size_t i = 0; i < next.size(); ++i) {
    ValueId id = TENON_TRY(own_value(inner, next[i]));
    if (!seen.insert(id).second) id = TENON_TRY(inner.builder.node(kernels::Op::Identity, {id}));
    TENON_TRY(inner.builder.add_output(id, fmt::format("variable {}", i)));
  }
  auto graph = std::make_shared<const Graph>(TENON_TRY(std::move(inner.builder).finish()));
  TENON_TRY(scope.builder.add_node(kernels::Op::Loop, operands, outputs, {{"body", std::move(graph)}},
                                   source_of(task)));
  return outputs;
}

Result<Walk::Needs> Walk::step_while(const Task& task) {
  Evaluation& e = *task.evaluation;
  const NodeDef& def = e.graph->def(task.ref.node);
  const NameAttrList* condition = function_attr(def, "cond");
  const NameAttrList* body = function_attr(def, "body");
  if (!condition || !body) return fail(ErrorCode::invalid_encoding, "condition or body names no function");
  const auto& operands = e.graph->operands(task.ref.node);
  Needs needs;
  for (const TensorRef ref : operands) needs.push_back({&e, ref});
  if (auto rest = missing(needs); !rest.empty()) return rest;

  const TfGraph* body_graph = TENON_TRY(function(body->name));
  const auto& results = body_graph->results();
  if (results.size() != operands.size()) {
    return fail(ErrorCode::invalid_encoding, "{} variables, the body returns {}", operands.size(),
                results.size());
  }
  // What the body hands on unchanged (weights above all) is no variable.
  std::vector<uint32_t> varying;
  std::vector<ValueId> initial;
  for (uint32_t i = 0; i < operands.size(); ++i) {
    if (body_graph->origin(results[i]) == TensorRef{i, 0}) continue;
    varying.push_back(i);
    initial.push_back(*find(needs[i]));
  }
  const auto condition_in = [&](Scope& scope, const std::vector<ValueId>& variables) -> Result<ValueId> {
    Evaluation* inner = TENON_TRY(function_evaluation(task, *condition, 0, scope));
    for (size_t k = 0; k < varying.size(); ++k) define(*inner, {varying[k], 0}, variables[k]);
    if (inner->graph->results().size() != 1)
      return fail(ErrorCode::invalid_encoding, "the condition is not one value");
    return as_condition(task, TENON_TRY(get(*inner, inner->graph->results()[0])), scope);
  };
  const ValueId first = TENON_TRY(condition_in(*e.scope, initial));
  const auto outputs = TENON_TRY(emit_loop(
      task, first, initial,
      [&](Scope& scope,
          const std::vector<ValueId>& variables) -> Result<std::pair<ValueId, std::vector<ValueId>>> {
        Evaluation* inner = TENON_TRY(function_evaluation(task, *body, 0, scope));
        for (size_t k = 0; k < varying.size(); ++k) define(*inner, {varying[k], 0}, variables[k]);
        std::vector<ValueId> next;
        for (const uint32_t i : varying) next.push_back(TENON_TRY(get(*inner, results[i])));
        const ValueId again = TENON_TRY(condition_in(scope, next));
        return std::pair(again, std::move(next));
      }));
  for (uint32_t i = 0; i < operands.size(); ++i) define(e, {task.ref.node, i}, *find(needs[i]));
  for (size_t k = 0; k < varying.size(); ++k) define(e, {task.ref.node, varying[k]}, outputs[k]);
  return Needs{};
}

// Within the branch that asks, a Switch hands its operand on.
Result<Walk::Needs> Walk::step_switch(const Task& task) {
  const Evaluation& e = *task.evaluation;
  const auto& operands = e.graph->operands(task.ref.node);
  if (operands.size() != 2 || task.ref.port > 1)
    return fail(ErrorCode::invalid_encoding, "{} operands", operands.size());
  if (e.graph->frame_of_switch(task.ref.node)) {
    if (task.ref.port == 1) return alias(task, operands[0]);
    return fail(ErrorCode::invalid_encoding, "the loop's last value is used inside of it");
  }
  const Condition own{e.graph->origin(operands[1]), task.ref.port == 1};
  bool open = false;
  for (const Evaluation* at = &e; at && !open; at = at->is_function ? nullptr : at->outer)
    open = at->condition == own;
  if (!open) {
    const Task predicate{task.evaluation, operands[1]};
    const auto id = find(predicate);
    if (!id) return Needs{predicate};
    if (constant_bool(*e.scope, *id) != own.value) {
      return fail(ErrorCode::unsupported_operation, "its output is used without a Merge");
    }
  }
  return alias(task, operands[0]);
}

Result<Walk::Needs> Walk::step_merge(const Task& task) {
  Evaluation& e = *task.evaluation;
  const Conditional* group = e.graph->conditional(task.ref.node);
  if (!group) return fail(ErrorCode::unsupported_operation, "a Merge that belongs to no conditional");
  if (task.ref.port != 0)
    return fail(ErrorCode::unsupported_operation, "the index of the value that arrived");
  const Task predicate{&e, group->predicate};
  const auto id = find(predicate);
  if (!id) return Needs{predicate};
  TENON_TRY(count_node());
  const auto branch = [&](bool value, Scope& scope) {
    return &new_evaluation({.scope = &scope,
                            .graph = e.graph,
                            .environment = e.environment,
                            .outer = &e,
                            .arguments = {},
                            .condition = Condition{group->predicate, value},
                            .prefix = e.prefix,
                            .calls = e.calls});
  };
  std::array<std::vector<TensorRef>, 2> refs;
  for (size_t i = 0; i < group->merges.size(); ++i) {
    for (size_t side = 0; side < 2; ++side) {
      refs[side].push_back(e.graph->operands(group->merges[i])[group->operands[i][side]]);
    }
  }
  if (const auto known = constant_bool(*e.scope, *id)) {
    Evaluation* taken = branch(*known, *e.scope);
    for (size_t i = 0; i < group->merges.size(); ++i) {
      define(e, {group->merges[i], 0}, TENON_TRY(get(*taken, refs[*known][i])));
    }
    return Needs{};
  }
  const ValueId truth = TENON_TRY(as_condition(task, *id, *e.scope));
  const std::array branches{branch(false, new_scope(*e.scope)), branch(true, new_scope(*e.scope))};
  const auto outputs = TENON_TRY(emit_if(task, truth, branches, refs));
  for (size_t i = 0; i < group->merges.size(); ++i) define(e, {group->merges[i], 0}, outputs[i]);
  return Needs{};
}

Result<Walk::Needs> Walk::step_exit(const Task& task) {
  Evaluation& e = *task.evaluation;
  const WhileFrame* frame = e.graph->frame_of_exit(task.ref.node);
  if (!frame) return fail(ErrorCode::invalid_encoding, "an Exit without its loop");
  if (!e.loops.contains(frame)) {
    Needs needs;
    for (const auto& variable : frame->variables) {
      const auto& operands = e.graph->operands(variable.enter.node);
      if (operands.empty()) return fail(ErrorCode::invalid_encoding, "an Enter without operand");
      needs.push_back({&e, operands[0]});
    }
    if (auto rest = missing(needs); !rest.empty()) return rest;
    TENON_TRY(run_while_frame(task, *frame));
  }
  const uint32_t merge = e.graph->operands(e.graph->operands(task.ref.node)[0].node)[0].node;
  const auto it = std::ranges::find(frame->variables, merge, &WhileFrame::Variable::merge);
  if (it == frame->variables.end()) return fail(ErrorCode::invalid_encoding, "an Exit of another loop");
  define(task, e.loops.at(frame)[static_cast<size_t>(it - frame->variables.begin())]);
  return Needs{};
}

Result<void> Walk::run_while_frame(const Task& task, const WhileFrame& frame) {
  TENON_TRY(count_node());
  Evaluation& e = *task.evaluation;
  const TfGraph& graph = *e.graph;
  // The switch of the Exit that asks leads to the condition; switches of all variables give the body its operands.
  const TensorRef condition = graph.origin(graph.operands(graph.operands(task.ref.node)[0].node)[1]);
  if (graph.operands(condition.node).empty())
    return fail(ErrorCode::invalid_encoding, "the loop has no condition");
  const TensorRef truth = graph.operands(condition.node)[0];
  std::vector<TensorRef> starts, nexts;
  std::vector<ValueId> initial;
  for (const auto& variable : frame.variables) {
    if (graph.operands(variable.next.node).empty())
      return fail(ErrorCode::invalid_encoding, "a loop without end");
    initial.push_back(*find({&e, graph.operands(variable.enter.node)[0]}));
    starts.push_back({variable.merge, 0});
    nexts.push_back(graph.operands(variable.next.node)[0]);
  }
  const auto evaluation = [&](Scope& scope, const std::vector<ValueId>& variables) -> Evaluation& {
    Evaluation& inner = new_evaluation({.scope = &scope,
                                        .graph = &graph,
                                        .environment = e.environment,
                                        .outer = &e,
                                        .arguments = {},
                                        .frame = &frame,
                                        .prefix = e.prefix,
                                        .calls = e.calls});
    for (size_t k = 0; k < variables.size(); ++k) define(inner, starts[k], variables[k]);
    return inner;
  };
  const auto condition_in = [&](Scope& scope, const std::vector<ValueId>& variables) -> Result<ValueId> {
    return as_condition(task, TENON_TRY(get(evaluation(scope, variables), truth)), scope);
  };
  const ValueId first = TENON_TRY(condition_in(*e.scope, initial));
  auto finals = TENON_TRY(emit_loop(task, first, initial,
                                    [&](Scope& scope, const std::vector<ValueId>& variables)
                                        -> Result<std::pair<ValueId, std::vector<ValueId>>> {
                                      Evaluation& inner = evaluation(scope, variables);
                                      std::vector<ValueId> next;
                                      for (const TensorRef ref : nexts)
                                        next.push_back(TENON_TRY(get(inner, ref)));
                                      const ValueId again = TENON_TRY(condition_in(scope, next));
                                      return std::pair(again, std::move(next));
                                    }));
  e.loops.emplace(&frame, std::move(finals));
  return {};
}

}  // namespace tenon::nn::tf
