// Rules for operators that run other graphs of the model, and for variables. Graphs take what they use as arguments; in the
// kernels' graph these are captures of a branch and variables of a loop.
#include <set>

#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite::rules {

using kernels::DataType;
using kernels::Graph;
using kernels::GraphBuilder;
using kernels::kAbsent;
using kernels::ValueType;

static Result<std::vector<ValueId>> operands_from(const Node& n, size_t first) {
  std::vector<ValueId> operands;
  for (size_t i = first; i < n.input_count(); ++i) operands.push_back(TENON_TRY(n.raw(i)));
  return operands;
}

// What is known of a value in every iteration or branch: its element type and rank.
static ValueType without_dims(ValueType type) {
  if (type.shape) std::ranges::fill(*type.shape, kernels::Dim::unknown());
  return type;
}

// Results that are values of their own, each once.
static Result<void> add_outputs(GraphBuilder& builder, const std::vector<ValueId>& values) {
  std::set<ValueId> seen;
  for (size_t i = 0; i < values.size(); ++i) {
    ValueId id = values[i];
    const bool own = builder.value(id).origin == kernels::GraphValue::Origin::node;
    if (!own || !seen.insert(id).second) id = TENON_TRY(builder.node(kernels::Op::Identity, {id}));
    TENON_TRY(builder.add_output(id, fmt::format("result {}", i)));
  }
  return {};
}

static Result<std::shared_ptr<const Graph>> branch(Node& n, unsigned field,
                                                   const std::vector<ValueId>& operands) {
  GraphBuilder builder = n.scope().session.new_builder();
  std::vector<ValueId> arguments;
  for (const ValueId outer : operands) {
    const auto& value = n.builder().value(outer);
    // Constants stay constant, since rules read shapes and the like from them.
    if (value.constant.defined()) {
      arguments.push_back(TENON_TRY(builder.constant(value.name, value.constant)));
      continue;
    }
    arguments.push_back(builder.add_value(value.name, value.type));
    TENON_TRY(builder.define_capture(arguments.back(), outer));
  }
  const auto results = TENON_TRY(n.scope().session.inlined(builder, n.integer(field), arguments));
  if (results.size() != n.output_count() || results.empty())
    return Node::invalid("a branch has {} results, expected {}", results.size(), n.output_count());
  TENON_TRY(add_outputs(builder, results));
  return std::make_shared<const Graph>(TENON_TRY(std::move(builder).finish()));
}

Result<void> if_else(Node& n) {
  TENON_TRY(n.needs(1));
  const auto operands = TENON_TRY(operands_from(n, 1));
  auto yes = TENON_TRY(branch(n, option::first_graph, operands));
  auto no = TENON_TRY(branch(n, option::second_graph, operands));
  const auto results = n.new_values(n.output_count());
  TENON_TRY(n.emit_to(results, "If", {TENON_TRY(n.raw(0))},
                      {{"then_branch", std::move(yes)}, {"else_branch", std::move(no)}}));
  for (size_t i = 0; i < results.size(); ++i) TENON_TRY(n.define(i, results[i]));
  return {};
}

// Operands and results are the loop's variables. The condition is asked before the loop and after each iteration.
Result<void> while_loop(Node& n) {
  TENON_TRY(n.needs(1));
  Session& session = n.scope().session;
  const auto initial = TENON_TRY(operands_from(n, 0));
  if (n.output_count() != initial.size())
    return Node::invalid("{} operands and {} results", initial.size(), n.output_count());
  const auto condition_of = [&](GraphBuilder& builder,
                                const std::vector<ValueId>& variables) -> Result<ValueId> {
    const auto results = TENON_TRY(session.inlined(builder, n.integer(option::first_graph), variables));
    if (results.size() != 1) return Node::invalid("a condition with {} results", results.size());
    return results[0];
  };
  const ValueId first = TENON_TRY(condition_of(n.builder(), initial));
  GraphBuilder body = session.new_builder();
  TENON_TRY(body.input("iteration", ValueType::tensor(DataType::i64, kernels::Dims{})));
  TENON_TRY(body.input("condition", ValueType::tensor(DataType::boolean, kernels::Dims{})));
  std::vector<ValueId> variables;
  for (size_t i = 0; i < initial.size(); ++i)
    variables.push_back(TENON_TRY(
        body.input(fmt::format("variable {}", i), without_dims(n.builder().value(initial[i]).type))));
  auto results = TENON_TRY(session.inlined(body, n.integer(option::second_graph), variables));
  if (results.size() != variables.size())
    return Node::invalid("a body of {} variables with {} results", variables.size(), results.size());
  results.insert(results.begin(), TENON_TRY(condition_of(body, results)));
  TENON_TRY(add_outputs(body, results));
  std::vector<ValueId> operands{kAbsent, first};
  operands.insert(operands.end(), initial.begin(), initial.end());
  const auto outputs = n.new_values(initial.size());
  TENON_TRY(n.emit_to(outputs, "Loop", operands,
                      {{"body", std::make_shared<const Graph>(TENON_TRY(std::move(body).finish()))}}));
  for (size_t i = 0; i < outputs.size(); ++i) {
    n.builder().set_type(outputs[i], without_dims(n.builder().value(initial[i]).type));
    TENON_TRY(n.define(i, outputs[i]));
  }
  return {};
}

Result<void> call_once(Node& n) {
  if (!n.scope().outermost) return Node::unsupported("an initialisation inside of a body");
  return n.scope().session.initialise(n.integer(option::first_graph));
}

Result<void> var_handle(Node& n) {
  TENON_TRY(n.needs(0));
  if (!n.scope().outermost && !n.scope().initialises) return Node::unsupported("a variable inside of a body");
  const auto& options = n.info().options;
  return n.define_handle(
      fmt::format("variable {}/{}", options.text(option::first), options.text(option::second)));
}

Result<void> read_variable(Node& n) {
  TENON_TRY(n.needs(1));
  const Variable& variable = *TENON_TRY(n.variable(0));
  if (variable.now == kAbsent || n.scope().initialises)
    return Node::unsupported("a variable without a constant first value");
  // Through a node, since a state may be read after it has been read and assigned.
  return n.define(0, TENON_TRY(n.emit("Identity", {variable.now})));
}

Result<void> assign_variable(Node& n) {
  TENON_TRY(n.needs(2, 0));
  Variable& variable = *TENON_TRY(n.variable(0));
  const ValueId value = TENON_TRY(n.raw(1));
  if (!n.scope().initialises) {
    variable.now = value;
    return {};
  }
  const kernels::Tensor* constant = n.constant(value);
  if (constant == nullptr) return Node::unsupported("a first value that is not constant");
  if (variable.state != kAbsent) return Node::unsupported("a variable that is initialised twice");
  variable.state = TENON_TRY(n.scope().session.new_state(std::string(n.in(0).name), *constant));
  variable.now = variable.state;
  return {};
}

}  // namespace tenon::nn::tflite::rules
