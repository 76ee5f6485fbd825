// TensorFlow graphs and function bodies with their references resolved: which output of which node each operand is, and
// what control flow of version 1 (Switch, Merge, Enter, Exit) means. Builds nothing.
#pragma once

#include <array>
#include <map>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wasi-nn/formats/tf_proto.h"

namespace tenon::nn::tf {

// An output of a node. Arguments of a function are nodes without a NodeDef, with one output.
struct TensorRef {
  uint32_t node = 0;
  uint32_t port = 0;
  auto operator<=>(const TensorRef&) const = default;
};

// A predicate and the value it must have for a node to run.
struct Condition {
  TensorRef predicate;
  bool value = false;
  auto operator<=>(const Condition&) const = default;
};

// Merges that leave the same conditional: they become one If.
struct Conditional {
  TensorRef predicate;
  std::vector<uint32_t> merges;
  std::vector<std::array<uint32_t, 2>> operands;  // of each merge: which operand comes when false, when true
};

// A loop of version 1: one Merge, Switch, NextIteration for each variable.
struct WhileFrame {
  struct Variable {
    uint32_t merge = 0;
    TensorRef enter;  // of its Enter node
    TensorRef next;   // of its NextIteration node
  };
  std::string_view name;
  std::vector<Variable> variables;
};

class TfGraph {
 public:
  // `functions` tells how many outputs calls by name have. The nodes outlive the graph. Errors (invalid_encoding) name
  // the node: unknown operands, names that are taken.
  using Functions = std::map<std::string_view, const FunctionDef*>;
  static Result<TfGraph> of(const std::vector<NodeDef>& nodes, const Functions& functions);
  static Result<TfGraph> of(const FunctionDef& function, const Functions& functions);

  size_t size() const { return nodes_.size(); }
  size_t arguments() const { return arguments_; }
  bool is_argument(uint32_t node) const { return node < arguments_; }
  const NodeDef& def(uint32_t node) const { return *nodes_[node].def; }  // not of arguments
  const std::vector<TensorRef>& operands(uint32_t node) const { return nodes_[node].operands; }
  const std::vector<uint32_t>& controls(uint32_t node) const { return nodes_[node].controls; }
  std::string_view name(uint32_t node) const { return nodes_[node].name; }
  std::string_view op(uint32_t node) const;  // "" for arguments
  // What the function returns.
  const std::vector<TensorRef>& results() const { return results_; }
  // "node", "node:1", and in functions "node:output:1".
  Result<TensorRef> resolve(std::string_view reference) const;
  // Nodes whose outputs nobody reads, in the file's order.
  std::vector<uint32_t> sinks() const;

  // Nodes that these outputs depend on, sorted by number.
  std::vector<uint32_t> needed(const std::vector<TensorRef>& targets) const;

  // The node behind Identity and its like.
  TensorRef origin(TensorRef ref) const;

  // Finds conditionals and loops of version 1 among what `targets` need. Nothing to do for most graphs. Errors:
  // invalid_encoding for constructs without sense.
  Result<void> analyse_control_flow(const std::vector<TensorRef>& targets);
  // Whether this output only exists when the condition holds.
  bool depends_on(TensorRef ref, const Condition& condition) const;
  // The conditional that a Merge belongs to; the loop that an Exit leaves. Null when there is none.
  const Conditional* conditional(uint32_t merge) const;
  const WhileFrame* frame_of_exit(uint32_t exit) const;
  // Whether the Switch belongs to a loop, and to which.
  const WhileFrame* frame_of_switch(uint32_t node) const;

 private:
  struct Node {
    std::string_view name;
    const NodeDef* def = nullptr;
    std::vector<TensorRef> operands;
    std::vector<uint32_t> controls;
    std::vector<Condition> conditions;  // sorted
    uint32_t level = 0;                 // merges on the way here
    int32_t frame = -1;                 // of merges and switches of loops
  };

  Result<void> add_nodes(const std::vector<NodeDef>& nodes);
  Result<void> connect(const Functions& functions);
  std::vector<Condition> conditions_of(TensorRef ref) const;
  std::vector<uint32_t> sorted_nodes(const std::vector<TensorRef>& targets) const;
  Result<void> find_frames(const std::vector<uint32_t>& nodes);
  Result<void> find_conditions(const std::vector<uint32_t>& sorted);
  Result<void> find_conditionals(const std::vector<uint32_t>& sorted);

  std::vector<Node> nodes_;
  size_t arguments_ = 0;
  std::unordered_map<std::string_view, uint32_t> names_;
  const Functions* functions_ = nullptr;
  std::vector<TensorRef> results_;
  std::vector<WhileFrame> frames_;
  std::vector<Conditional> conditionals_;
  std::unordered_map<uint32_t, size_t> conditional_of_;
};

}  // namespace tenon::nn::tf
