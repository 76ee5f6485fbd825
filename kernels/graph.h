// The graph IR: what importers build and plans are made from. Immutable once built.
// Nodes are in the form of the newest ONNX opset (22); importers normalise older forms and other formats onto
// it. Layout is N, C, spatial. Knows no file format and no kernel.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/limits.h"
#include "kernels/tensor.h"

namespace tenon::kernels {

enum class Op : std::uint16_t {
#define NN_OP(name, ...) name,
#include "kernels/ops.def"
#undef NN_OP
  kCount
};

std::string_view to_string(Op op);
/// The operator of this ONNX name (domain ai.onnx), if the table has it.
std::optional<Op> find_op(std::string_view name);

enum class AttributeKind : std::uint8_t { integer, real, text, tensor, graph, integers, reals, texts };

class Graph;
using AttributeValue = std::variant<std::int64_t, float, std::string, Tensor, std::shared_ptr<const Graph>,
                                    std::vector<std::int64_t>, std::vector<float>, std::vector<std::string>>;
struct Attribute {
  std::string name;
  AttributeValue value;
};
using Attributes = std::vector<Attribute>;

/// One attribute of an operator, from the schema string of its row.
struct AttributeSpec {
  std::string name;
  AttributeKind kind;
  bool required;
  std::optional<AttributeValue> fallback;
};

/// What a row of ops.def says about an operator, for builders, documentation and tests.
struct OpInfo {
  std::string_view name;
  std::uint32_t min_inputs, max_inputs;    // kVariadic: no upper bound
  std::uint32_t min_outputs, max_outputs;  // as above
  std::vector<AttributeSpec> attributes;
  bool keeps_type;  // output 0 has the element type of operand 0
};
inline constexpr std::uint32_t kVariadic = 0xffffffff;
const OpInfo& info(Op op);

/// Index of a value in its graph.
enum class ValueId : std::uint32_t {};
inline constexpr ValueId kAbsent{0xffffffff};  // an optional operand that is not given
constexpr std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

/// Where a node came from, for messages: "model.onnx: node 'conv1' (Conv, opset 13)".
struct Source {
  std::string node = {};           // its name in the file, or a position such as "#12"
  std::string operator_name = {};  // as the file calls it; empty: the Op's own name
  std::int64_t opset = 0;
};

struct Node {
  Op op{};
  std::vector<ValueId> inputs;  // kAbsent allowed where the operator allows it; trailing absents trimmed
  std::vector<ValueId> outputs;
  Attributes attributes;  // checked against the schema, defaults filled in; optional ones without default may
                          // be missing
  Source source;

  const AttributeValue* find(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;  // 0 when missing
  float real(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  std::span<const std::int64_t> integers(std::string_view name) const;
  std::span<const float> reals(std::string_view name) const;
  std::span<const std::string> texts(std::string_view name) const;
  const Tensor* tensor(std::string_view name) const;
  std::shared_ptr<const Graph> graph(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  bool has_input(std::size_t i) const { return i < inputs.size() && inputs[i] != kAbsent; }
  bool has_output(std::size_t i) const { return i < outputs.size() && outputs[i] != kAbsent; }
};

struct GraphValue {
  enum class Origin : std::uint8_t { undefined, input, constant, capture, node };
  std::string name;
  ValueType type;  // as declared or as inferred by the importer; may be incomplete
  Origin origin = Origin::undefined;
  std::uint32_t producer = 0;  // Origin::node: index into nodes
  Tensor constant;             // Origin::constant
};

/// A value of the enclosing graph that a subgraph uses.
struct Capture {
  ValueId outer;  // in the graph that holds the node with this subgraph
  ValueId inner;  // in the subgraph
};

class Graph {
 public:
  const std::string& file() const { return file_; }
  const std::vector<GraphValue>& values() const { return values_; }
  const GraphValue& value(ValueId id) const { return values_[index(id)]; }
  const std::vector<Node>& nodes() const { return nodes_; }  // sorted: producers before consumers
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  const std::vector<Capture>& captures() const { return captures_; }
  const std::string& output_name(std::size_t i) const { return output_names_[i]; }
  /// What states hold before the first compute. Each is an input and an output, behind those of callers: the last
  /// states().size() inputs are what states hold during a compute, the outputs there what they hold after it.
  const std::vector<Tensor>& states() const { return states_; }
  /// Nodes here and in all subgraphs.
  std::uint64_t total_nodes() const { return total_nodes_; }
  std::uint32_t depth() const { return depth_; }  // 1 without subgraphs
  /// "file: node 'name' (Operator, opset N)".
  std::string place(const Node& node) const;

 private:
  friend class GraphBuilder;
  std::string file_;
  std::vector<GraphValue> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_, outputs_;
  std::vector<std::string> output_names_;
  std::vector<Tensor> states_;
  std::vector<Capture> captures_;
  std::uint64_t total_nodes_ = 0;
  std::uint32_t depth_ = 1;
};

/// Builds a graph and checks it. Values may be used before they are defined; `finish` sorts the nodes and
/// reports cycles and values that nothing defines. Errors: invalid_encoding for what contradicts itself,
/// unsupported_operation, too_large.
class GraphBuilder {
 public:
  /// `file` is used in messages only.
  explicit GraphBuilder(std::string file, Limits limits = {});

  /// A new value that something will define later. `type` may be incomplete.
  ValueId add_value(std::string name, ValueType type = {});
  /// Declares a value as the next graph input. Its kind must be declared, its shape may be unknown.
  Result<void> define_input(ValueId id);
  /// Gives a value constant contents; its type becomes the tensor's. invalid_encoding when declared
  /// otherwise.
  Result<void> define_constant(ValueId id, Tensor tensor);
  /// For a subgraph's builder: `inner` stands for value `outer` of the graph that will hold the node.
  Result<void> define_capture(ValueId inner, ValueId outer);
  /// Checks operand counts and attributes (names, kinds, required ones) against the operator's row and fills
  /// in defaults. Outputs must not have been defined; kAbsent skips an optional output.
  Result<void> add_node(Op op, std::span<const ValueId> inputs, std::span<const ValueId> outputs,
                        Attributes attributes, Source source);
  /// The next graph output. Its public name is the value's unless given.
  Result<void> add_output(ValueId id, std::string name = {});
  /// A value that stays between computes, of each context its own. It begins as `initial`, of the same type and dims.
  /// For outermost graphs only. too_large when all of a graph's states exceed the limit of one tensor.
  Result<ValueId> add_state(std::string name, Tensor initial);
  /// As add_state, beginning at 0.
  Result<ValueId> add_zero_state(std::string name, DataType type, const Dims& dims);
  /// What a state is after a compute; without this call it stays. Type and dims must be those of its initial value.
  Result<void> set_next(ValueId state, ValueId next);
  /// For rewritten copies of `graph`, whose inputs and outputs are given to this builder with those of states.
  void keep_states(const Graph& graph) { graph_.states_ = graph.states_; }
  /// What is declared of a value so far.
  const GraphValue& value(ValueId id) const { return graph_.values_[index(id)]; }
  /// Completes the declared type of a value (from a file's value infos).
  void set_type(ValueId id, ValueType type) { graph_.values_[index(id)].type = std::move(type); }

  /// The values, inputs and constants of another graph, for a pass that then adds its nodes. Into an empty builder:
  /// values keep their numbers, so that captures of subgraphs stay right.
  Result<void> copy_values(const Graph& graph);

  // Shorthands that create the value too.
  Result<ValueId> input(std::string name, ValueType type);
  Result<ValueId> constant(std::string name, Tensor tensor);
  /// A node with one new output value.
  Result<ValueId> node(Op op, std::initializer_list<ValueId> inputs, Attributes attributes = {},
                       Source source = {});

  /// Sorts, checks and hands over the graph.
  Result<Graph> finish() &&;

 private:
  Result<void> check_id(ValueId id, std::string_view what) const;
  Result<void> check_attributes(const OpInfo& row, Attributes& attributes) const;
  Result<void> check_subgraphs(const Node& node);
  Result<void> sort_nodes();
  void append_states();
  struct State {
    ValueId now, next;
    Tensor initial;
  };
  Result<void> check_state_bytes(const std::string& name, std::uint64_t bytes) const;
  Graph graph_;
  std::vector<State> states_;  // those that add_state made
  std::uint64_t state_bytes_ = 0;
  Limits limits_;
};

}  // namespace tenon::kernels
