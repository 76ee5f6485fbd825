// Asking for values, functions and scopes; control flow is in tf_control.cpp.
#include "wasi-nn/formats/tf_evaluation.h"

#include <algorithm>

#include "wasi-nn/formats/tf_operators.h"
#include "wasi-nn/formats/tf_tensor.h"

namespace tenon::nn::tf {

using kernels::ErrorCode;
using kernels::fail;
using kernels::GraphBuilder;
using kernels::GraphValue;
using kernels::kAbsent;

static constexpr int kMaxCalls = 64;

const Walk::StepRow Walk::kSteps[] = {
#define TF_OP(...)
#define TF_STEP(name, outputs, step) {#name, &Walk::step},
#include "wasi-nn/formats/tf_ops.def"
#undef TF_STEP
#undef TF_OP
};

Walk::Walk(const ModelSource& source, const TfGraph& main, const TfGraph::Functions& functions,
           ReadVariable read_variable, ModelSummary& summary)
    : source_(source),
      functions_(functions),
      read_variable_(std::move(read_variable)),
      summary_(summary),
      fill_budget_(source.limits.max_context_bytes) {
  scopes_.push_back({GraphBuilder(source.file, source.limits), nullptr, 1, {}});
  evaluations_.push_back({.scope = &scopes_.front(), .graph = &main, .arguments = {}, .prefix = {}});
}

Result<void> Walk::add_input(TensorRef ref, std::string name, kernels::ValueType type) {
  const ValueId id = TENON_TRY(scopes_.front().builder.input(std::move(name), std::move(type)));
  define(evaluations_.front(), ref, id);
  return {};
}

Result<void> Walk::add_output(TensorRef ref, std::string name) {
  Scope& scope = scopes_.front();
  const ValueId id = TENON_TRY(own_value(scope, TENON_TRY(get(evaluations_.front(), ref))));
  return scope.builder.add_output(id, std::move(name));
}

Result<void> Walk::add_outputs_of(uint32_t node) {
  Evaluation& main = evaluations_.front();
  const std::string name(main.graph->name(node));
  TENON_TRY(add_output({node, 0}, name));
  for (uint32_t port = 1; main.values.contains(key({node, port})); ++port) {
    TENON_TRY(add_output({node, port}, fmt::format("{}:{}", name, port)));
  }
  return {};
}

Result<kernels::Graph> Walk::finish() && { return std::move(scopes_.front().builder).finish(); }

std::optional<ValueId> Walk::find(const Task& task) {
  const auto it = task.evaluation->values.find(key(task.ref));
  return it == task.evaluation->values.end() ? std::nullopt : std::optional(it->second);
}

Walk::Needs Walk::missing(Needs tasks) {
  std::erase_if(tasks, [](const Task& task) { return find(task).has_value(); });
  return tasks;
}

// Where a value comes from that this evaluation does not make.
std::optional<Walk::Task> Walk::elsewhere(const Task& task) {
  const Evaluation& e = *task.evaluation;
  if (!e.outer) return std::nullopt;
  if (e.is_function) {
    if (!e.graph->is_argument(task.ref.node)) return std::nullopt;
    return Task{e.outer, e.arguments[task.ref.node]};
  }
  const std::string_view op = e.graph->op(task.ref.node);
  if (e.condition && !e.graph->depends_on(task.ref, *e.condition)) return Task{e.outer, task.ref};
  if (op == "Placeholder" || op.empty()) return Task{e.outer, task.ref};
  if (e.frame && (op == "Enter" || op == "RefEnter")) {
    const auto& attributes = e.graph->def(task.ref.node).attr;
    const auto name = std::ranges::find(attributes, "frame_name", &AttrEntry::key);
    const bool own = name != attributes.end() && name->value.s && *name->value.s == e.frame->name;
    if (own && !e.graph->operands(task.ref.node).empty()) {
      return Task{e.outer, e.graph->operands(task.ref.node)[0]};
    }
  }
  return std::nullopt;
}

// Without recursion, because graphs are as deep as a file wants; only bodies of If and Loop recurse.
Result<ValueId> Walk::get(Evaluation& e, TensorRef ref) {
  std::vector<Task> stack{{&e, ref}};
  while (!stack.empty()) {
    const Task task = stack.back();
    if (find(task)) {
      task.evaluation->busy.erase(key(task.ref));
      stack.pop_back();
      continue;
    }
    auto needs = step(task);
    if (!needs) return std::unexpected(placed(std::move(needs).error(), task));
    if (needs->empty() && !find(task)) {
      return std::unexpected(placed(
          {ErrorCode::invalid_encoding, fmt::format("it has no output {} here", task.ref.port)}, task));
    }
    if (needs->empty()) continue;
    task.evaluation->busy.insert(key(task.ref));
    for (const Task& need : *needs) {
      if (need.evaluation->busy.contains(key(need.ref))) {
        return std::unexpected(placed({ErrorCode::invalid_encoding, "it depends on itself"}, need));
      }
      stack.push_back(need);
    }
  }
  return *find({&e, ref});
}

Result<Walk::Needs> Walk::step(const Task& task) {
  if (const auto there = elsewhere(task)) {
    const auto id = find(*there);
    if (!id) return Needs{*there};
    define(task, TENON_TRY(bring(*id, *there->evaluation->scope, *task.evaluation->scope)));
    return Needs{};
  }
  const TfGraph& graph = *task.evaluation->graph;
  if (graph.is_argument(task.ref.node)) return fail(ErrorCode::invalid_encoding, "the argument has no value");
  const std::string_view op = graph.op(task.ref.node);
  const auto* row = std::ranges::find(kSteps, op, &StepRow::op);
  if (row != std::end(kSteps)) return (this->*row->step)(task);
  if (functions_.contains(op)) {
    const NameAttrList callee{.name = op, .attr = {}};
    return call(task, callee, 0);
  }
  return step_operator(task);
}

kernels::Source Walk::source_of(const Task& task) const {
  const TfGraph& graph = *task.evaluation->graph;
  return {.node = task.evaluation->prefix + std::string(graph.name(task.ref.node)),
          .operator_name = std::string(graph.op(task.ref.node))};
}

kernels::Error Walk::placed(kernels::Error error, const Task& task) const {
  if (error.message.starts_with(source_.file + ": ")) return error;
  const kernels::Source at = source_of(task);
  return kernels::with_place(std::move(error),
                             fmt::format("{}: node '{}' ({})", source_.file, at.node, at.operator_name));
}

Result<void> Walk::count_node() {
  if (++nodes_seen_ <= source_.limits.max_nodes) return {};
  return fail(ErrorCode::too_large, "more than {} nodes", source_.limits.max_nodes);
}

Walk::Scope& Walk::new_scope(Scope& outer) {
  scopes_.push_back({GraphBuilder(source_.file, source_.limits), &outer, outer.depth + 1, {}});
  return scopes_.back();
}

Walk::Evaluation& Walk::new_evaluation(Evaluation like) {
  evaluations_.push_back(std::move(like));
  return evaluations_.back();
}

Result<ValueId> Walk::bring(ValueId id, Scope& from, Scope& to) {
  if (id == kAbsent || &from == &to) return id;
  if (!to.outer)
    return fail(ErrorCode::invalid_encoding, "a value is used outside of the body that makes it");
  const ValueId outer = TENON_TRY(bring(id, from, *to.outer));
  const auto it = to.captured.find(static_cast<uint32_t>(outer));
  if (it != to.captured.end()) return it->second;
  const GraphValue& value = to.outer->builder.value(outer);
  const ValueId inner = to.builder.add_value(value.name, value.type);
  TENON_TRY(value.constant.defined() ? to.builder.define_constant(inner, value.constant)
                                     : to.builder.define_capture(inner, outer));
  to.captured.emplace(static_cast<uint32_t>(outer), inner);
  return inner;
}

Result<ValueId> Walk::own_value(Scope& scope, ValueId id) {
  if (id == kAbsent) return fail(ErrorCode::unsupported_operation, "a handle cannot be a result");
  const bool made_here = scope.builder.value(id).origin == GraphValue::Origin::node;
  if (made_here && (&scope != &scopes_.front() || outputs_.insert(id).second)) return id;
  const kernels::ValueType type = scope.builder.value(id).type;
  const ValueId copy = TENON_TRY(scope.builder.node(kernels::Op::Identity, {id}));
  scope.builder.set_type(copy, type);
  if (&scope == &scopes_.front()) outputs_.insert(copy);
  return copy;
}

Result<const TfGraph*> Walk::function(std::string_view name) {
  if (const auto it = function_graphs_.find(name); it != function_graphs_.end()) return it->second.get();
  const auto found = functions_.find(name);
  if (found == functions_.end()) return fail(ErrorCode::invalid_encoding, "there is no function '{}'", name);
  const auto place = [&](kernels::Error error) {
    return std::unexpected(kernels::with_place(std::move(error), fmt::format("function '{}'", name)));
  };
  auto made = TfGraph::of(*found->second, functions_);
  if (!made) return place(std::move(made).error());
  auto graph = std::make_unique<TfGraph>(*std::move(made));
  for (uint32_t i = static_cast<uint32_t>(graph->arguments()); i < graph->size(); ++i) {
    if (graph->op(i).starts_with("Assign") && graph->op(i).ends_with("VariableOp")) {
      return place({ErrorCode::unsupported_operation,
                    fmt::format("node '{}' ({}): variables that change are not supported", graph->name(i),
                                graph->op(i))});
    }
  }
  if (auto ok = graph->analyse_control_flow(graph->results()); !ok) return place(std::move(ok).error());
  return function_graphs_.emplace(found->first, std::move(graph)).first->second.get();
}

Result<Walk::Needs> Walk::alias(const Task& task, TensorRef operand) {
  const Task source{task.evaluation, operand};
  const auto id = find(source);
  if (!id) return Needs{source};
  define(task, *id);
  return Needs{};
}

Result<Walk::Needs> Walk::step_alias(const Task& task) {
  const auto& operands = task.evaluation->graph->operands(task.ref.node);
  if (task.ref.port >= operands.size())
    return fail(ErrorCode::invalid_encoding, "it has {} operands", operands.size());
  return alias(task, operands[task.ref.port]);
}

Result<Walk::Needs> Walk::step_constant(const Task& task) {
  TENON_TRY(count_node());
  const NodeDef& def = task.evaluation->graph->def(task.ref.node);
  const auto value = std::ranges::find(def.attr, "value", &AttrEntry::key);
  if (value == def.attr.end() || !value->value.tensor)
    return fail(ErrorCode::invalid_encoding, "it has no value");
  auto tensor = TENON_TRY(to_tensor(*value->value.tensor, source_.owner, fill_budget_));
  define(task, TENON_TRY(task.evaluation->scope->builder.constant(std::string(def.name), std::move(tensor))));
  return Needs{};
}

// A handle stands for the variable's value: nothing that is imported changes it.
Result<Walk::Needs> Walk::step_variable(const Task& task) {
  TENON_TRY(count_node());
  const NodeDef& def = task.evaluation->graph->def(task.ref.node);
  auto tensor = TENON_TRY(read_variable_(def));
  define(task, TENON_TRY(task.evaluation->scope->builder.constant(std::string(def.name), std::move(tensor))));
  return Needs{};
}

Result<Walk::Needs> Walk::step_placeholder(const Task&) {
  return fail(ErrorCode::invalid_encoding, "the outputs need it, but it is no input of the signature");
}

Result<Walk::Evaluation*> Walk::function_evaluation(const Task& task, const NameAttrList& callee,
                                                    size_t skipped_operands, Scope& scope) {
  TENON_TRY(count_node());
  Evaluation& e = *task.evaluation;
  if (e.calls >= kMaxCalls) return fail(ErrorCode::too_large, "functions nest deeper than {}", kMaxCalls);
  const TfGraph* graph = TENON_TRY(function(callee.name));
  const auto& operands = e.graph->operands(task.ref.node);
  if (operands.size() != graph->arguments() + skipped_operands) {
    return fail(ErrorCode::invalid_encoding, "{} operands for function '{}' of {}",
                operands.size() - skipped_operands, callee.name, graph->arguments());
  }
  return &new_evaluation(
      {.scope = &scope,
       .graph = graph,
       .environment = &callee.attr,
       .outer = &e,
       .is_function = true,
       .arguments = {operands.begin() + static_cast<std::ptrdiff_t>(skipped_operands), operands.end()},
       .prefix = source_of(task).node + "/",
       .calls = e.calls + 1});
}

// The function's nodes take the place of the call.
Result<Walk::Needs> Walk::call(const Task& task, const NameAttrList& callee, size_t skipped_operands) {
  Evaluation& e = *task.evaluation;
  auto it = e.called.find(task.ref.node);
  if (it == e.called.end()) {
    if (e.graph->operands(task.ref.node).size() < skipped_operands)
      return fail(ErrorCode::invalid_encoding, "no operand");
    Evaluation* made = TENON_TRY(function_evaluation(task, callee, skipped_operands, *e.scope));
    // A call by name has its attributes on the node.
    if (callee.name == e.graph->op(task.ref.node)) made->environment = &e.graph->def(task.ref.node).attr;
    it = e.called.emplace(task.ref.node, made).first;
  }
  const auto& results = it->second->graph->results();
  if (task.ref.port >= results.size()) {
    return fail(ErrorCode::invalid_encoding, "function '{}' has {} results", callee.name, results.size());
  }
  const Task result{it->second, results[task.ref.port]};
  const auto id = find(result);
  if (!id) return Needs{result};
  define(task, *id);
  return Needs{};
}

Result<Walk::Needs> Walk::step_operator(const Task& task) {
  Evaluation& e = *task.evaluation;
  const NodeDef& def = e.graph->def(task.ref.node);
  const OperatorRow* row = find_row(def.op);
  if (!row || !row->rule)
    return fail(ErrorCode::unsupported_operation, "operator {} is not supported", def.op);
  const auto& operands = e.graph->operands(task.ref.node);
  if (operands.size() < row->min_inputs) {
    return fail(ErrorCode::invalid_encoding, "{} operands, expected at least {}", operands.size(),
                row->min_inputs);
  }
  Needs needs;
  for (const TensorRef ref : operands) needs.push_back({&e, ref});
  if (auto rest = missing(needs); !rest.empty()) return rest;
  TENON_TRY(count_node());
  if (e.prefix.empty()) ++summary_.operators[std::string(def.op)];
  std::vector<ValueId> inputs;
  for (const Task& need : needs) inputs.push_back(*find(need));
  NodeImport node(e.scope->builder, folding_, def, e.environment, row->target, std::move(inputs),
                  source_of(task));
  TENON_TRY(row->rule(node));
  for (uint32_t port = 0; port < node.results().size(); ++port)
    define(e, {task.ref.node, port}, node.results()[port]);
  return Needs{};
}

}  // namespace tenon::nn::tf
