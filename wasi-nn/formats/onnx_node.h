// One ONNX node on its way into a kernels' Graph: operands, attributes that rules take or pass on, and
// emission of nodes. The rules themselves are in onnx_rules.cpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wasi-nn/formats/emitter.h"
#include "wasi-nn/formats/onnx_proto.h"

namespace tenon::nn::onnx {

// Conversions that need the importer's scopes and files.
class NodeHost {
 public:
  virtual ~NodeHost() = default;
  virtual Result<kernels::Tensor> tensor(const TensorProto& proto) = 0;
  virtual Result<kernels::Tensor> tensor(const SparseTensorProto& proto) = 0;
  virtual Result<std::shared_ptr<const kernels::Graph>> subgraph(const GraphProto& proto) = 0;
  // The body of a Loop that does for each position of `operands` what `proto` does for one: sequences give
  // their element there, other operands themselves; each result is appended to a sequence that the loop
  // carries.
  virtual Result<std::shared_ptr<const kernels::Graph>> mapping_body(
      const GraphProto& proto, const std::vector<ValueId>& operands) = 0;
  // The body of a Scan over the first dimension of all operands, which does for each position a Scan with
  // `attributes` and the body `proto`.
  virtual Result<std::shared_ptr<const kernels::Graph>> batched_scan(const GraphProto& proto,
                                                                     const std::vector<ValueId>& operands,
                                                                     kernels::Attributes attributes) = 0;
};

// Attributes of the function call that is being expanded, by the name that attributes in its body refer to.
using AttributeEnvironment = std::map<std::string_view, const AttributeProto*>;

// The attribute itself, or what it refers to; nullptr when the call leaves that out.
const AttributeProto* referenced(const AttributeProto& attribute, const AttributeEnvironment& environment);

class NodeImport : public Emitter {
 public:
  NodeImport(NodeHost& host, kernels::GraphBuilder& builder, const NodeProto& proto,
             const AttributeEnvironment& environment, int64_t opset, std::vector<ValueId> inputs,
             std::vector<ValueId> outputs, kernels::Source source);

  const NodeProto& proto() const { return proto_; }
  int64_t opset() const { return opset_; }

  // Operands. input() beyond the end is kAbsent.
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  ValueId input(size_t i) const { return i < inputs_.size() ? inputs_[i] : kernels::kAbsent; }
  ValueId output(size_t i) const { return i < outputs_.size() ? outputs_[i] : kernels::kAbsent; }
  bool has_input(size_t i) const { return input(i) != kernels::kAbsent; }
  bool has_output(size_t i) const { return output(i) != kernels::kAbsent; }
  // Rules that turn an attribute into an operand append it here; `i` may be beyond the end.
  void set_input(size_t i, ValueId id);
  void drop_inputs_after(size_t count);
  void drop_outputs_after(size_t count);

  // Removes an attribute and returns its value; absent is no error, another type is (invalid_encoding).
  Result<std::optional<int64_t>> take_int(std::string_view name);
  Result<std::optional<float>> take_float(std::string_view name);
  Result<std::optional<std::string_view>> take_string(std::string_view name);
  Result<std::optional<std::vector<int64_t>>> take_ints(std::string_view name);
  Result<std::optional<std::vector<float>>> take_floats(std::string_view name);
  const AttributeProto* take(std::string_view name);  // any type
  void drop(std::string_view name) { take(name); }
  bool has_attribute(std::string_view name) const;
  void add(std::string name, kernels::AttributeValue value) {
    extra_.push_back({std::move(name), std::move(value)});
  }
  NodeHost& host() { return host_; }

  // The node itself as operator `op`: its current inputs, outputs and the attributes that nobody took.
  Result<void> finish_as(std::string_view op);
  // Gives the only output constant contents.
  Result<void> define_output(kernels::Tensor tensor);
  // Output `i` becomes another name of value `id`.
  Result<void> alias(size_t i, ValueId id);

 private:
  Result<kernels::AttributeValue> convert(const AttributeProto& attribute);
  Result<const AttributeProto*> take_typed(std::string_view name, AttributeType type);

  NodeHost& host_;
  const NodeProto& proto_;
  int64_t opset_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  struct Named {
    std::string_view name;
    const AttributeProto* value;
  };
  std::vector<Named> attributes_;  // that nobody has taken
  kernels::Attributes extra_;
};

// Translates one node of domain ai.onnx by its row in onnx_ops.def. unsupported_operation when there is none
// for the operator at its opset.
Result<void> import_node(NodeImport& node);

// The newest opset whose operators the rows know.
inline constexpr int64_t kNewestOpset = 22;

}  // namespace tenon::nn::onnx
