// One OpenVINO layer on its way into a kernels' Graph: operands, attributes as numbers, and what the importer knows of its
// surroundings. The rules themselves are in openvino_rules.cpp and its neighbours.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wasi-nn/formats/emitter.h"
#include "wasi-nn/formats/openvino_ir.h"

namespace tenon::nn::openvino {

// A constant that a FakeQuantize left as integers: value i is (codes[i] - zero) * scales[i / (count / scales.size())].
struct QuantizedConstant {
  kernels::Tensor codes;  // i8 or u8
  std::vector<float> scales;
  int32_t zero = 0;
};

class LayerImport;

// Conversions that need the importer's scopes.
class LayerHost {
 public:
  virtual ~LayerHost() = default;
  // How a body becomes a graph.
  struct BodyPlan {
    struct Input {
      size_t parameter = 0;  // index of the Parameter in the body
      ValueId captured =
          kernels::kAbsent;          // of the enclosing graph; kAbsent: the next input of the body's graph
      std::optional<int64_t> slice;  // each iteration takes `part_size` positions along this axis of it
      int64_t start = 0, stride = 1, part_size = 1;
      bool is_iteration = false;  // the loop's counter
      bool is_unread = false;     // an input of the body's graph that no Parameter stands for
    };
    struct Output {
      size_t result = 0;               // index of the Result in the body
      std::optional<int64_t> squeeze;  // drops this axis of size 1
    };
    bool loop = false;  // the graph begins with the inputs and the output that a Loop's body has
    std::optional<size_t> condition;  // Result that says whether to go on; nothing: as before
    std::vector<Input> inputs;
    std::vector<Output> outputs;
  };
  virtual Result<std::shared_ptr<const kernels::Graph>> body(const Body& body, const BodyPlan& plan) = 0;
  // The layer that defines an operand; null when no edge leads to it.
  virtual const Layer* producer(const Layer& layer, size_t input) const = 0;
  // The port of that layer, and its value.
  virtual const Port* port(const Layer& layer, size_t input) const = 0;
  virtual ValueId operand(const Layer& layer, size_t input) const = 0;
  // Whether an edge leads away from an output port.
  virtual bool is_read(const Layer& layer, size_t output) const = 0;
  // The model's variables, which stay between computes. A new one begins as `initial`, of its type and dims; or, without
  // contents, at 0. Gives its value during a compute. invalid_encoding for a second one of the name.
  virtual Result<ValueId> new_variable(const std::string& name, kernels::DataType type,
                                       const kernels::Dims& dims, kernels::Tensor initial) = 0;
  // What a variable is after a compute. invalid_encoding the second time.
  virtual Result<void> set_variable(const std::string& name, ValueId next) = 0;
  virtual void remember(ValueId id, QuantizedConstant constant) = 0;
  virtual const QuantizedConstant* quantized(ValueId id) const = 0;
};

class LayerImport : public Emitter {
 public:
  LayerImport(LayerHost& host, kernels::GraphBuilder& builder, const Layer& layer, int64_t opset,
              std::vector<ValueId> inputs, std::vector<ValueId> outputs, kernels::Source source)
      : Emitter(builder, std::move(source)),
        host_(host),
        layer_(layer),
        opset_(opset),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)) {}

  const Layer& layer() const { return layer_; }
  LayerHost& host() { return host_; }
  int64_t opset() const { return opset_; }
  // Row of ops.def that the layer's row in openvino_ops.def names.
  std::string_view op() const { return op_; }
  void set_op(std::string_view op) { op_ = op; }
  size_t input_count() const { return inputs_.size(); }
  size_t output_count() const { return outputs_.size(); }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }
  // Beyond the end: kAbsent.
  ValueId input(size_t i) const { return i < inputs_.size() ? inputs_[i] : kernels::kAbsent; }
  ValueId output(size_t i) const { return i < outputs_.size() ? outputs_[i] : kernels::kAbsent; }
  bool has_input(size_t i) const { return input(i) != kernels::kAbsent; }
  // An operand that must be there.
  Result<ValueId> need(size_t i) const;

  // Element type of an operand, as known or as the file declares it; undefined otherwise.
  kernels::DataType element(size_t i) const;
  bool is_integer(size_t i) const { return kernels::is_integer(element(i)); }
  // Rank of an operand as the file declares it; unsupported_operation when it does not.
  Result<int64_t> need_rank(size_t i) const;
  // Declared dims of an operand: -1 where not known. Empty: not declared.
  std::vector<int64_t> dims_of(size_t i) const;
  // An axis of an operand of this rank, counted from the front.
  static Result<int64_t> positive_axis(int64_t axis, int64_t rank);

  // Attributes: the fallback when absent, invalid_encoding when they are something else.
  Result<int64_t> integer(const char* key, std::optional<int64_t> fallback = std::nullopt) const;
  Result<float> real(const char* key, std::optional<float> fallback = std::nullopt) const;
  Result<bool> flag(const char* key, std::optional<bool> fallback = std::nullopt) const;
  Result<std::vector<int64_t>> integers(const char* key) const;  // absent: empty
  Result<std::vector<float>> reals(const char* key) const;
  std::string_view text(const char* key, std::string_view fallback = {}) const;
  // The value of a text attribute as one of `from` gives the word of `to` beside it.
  struct Word {
    std::string_view from, to;
  };
  Result<std::string> word(const char* key, std::string_view fallback, std::span<const Word> words) const;
  Result<kernels::DataType> type(const char* key, std::string_view fallback = {}) const;

  // Contents of a constant operand; unsupported_operation when it is computed.
  Result<std::vector<int64_t>> constant_ints(size_t i) const;
  Result<std::vector<float>> constant_reals(size_t i) const;

  // Integers of any type as i64, for operands that the kernels want so.
  Result<ValueId> as_i64(ValueId id);
  Result<ValueId> cast(ValueId id, kernels::DataType type);
  Result<ValueId> reshape(ValueId id, const std::vector<int64_t>& dims);
  // The dims of `id` at run time, as i64.
  Result<ValueId> shape(ValueId id) { return emit("Shape", {id}); }
  Result<ValueId> real_scalar(double value);
  Result<ValueId> binary(std::string_view op, ValueId a, ValueId b) { return emit(op, {a, b}); }

  // For nodes with several outputs.
  ValueId new_value() { return builder().add_value({}); }
  // Output 0 as this node; without `op` as op().
  Result<void> finish(std::string_view op, std::vector<ValueId> inputs, kernels::Attributes attributes = {}) {
    return emit_to({output(0)}, op, std::move(inputs), std::move(attributes));
  }
  Result<void> finish(std::vector<ValueId> inputs, kernels::Attributes attributes = {}) {
    return finish(op_, std::move(inputs), std::move(attributes));
  }
  Result<void> alias(size_t i, ValueId id) {
    if (output(i) == kernels::kAbsent) return {};
    return emit_to({output(i)}, "Identity", {id});
  }
  // Output i has constant contents.
  Result<void> define(size_t i, kernels::Tensor tensor);
  // The value is a quantised constant: dequantised where it is read, and remembered for rules that look deeper.
  Result<void> define_quantized(ValueId id, QuantizedConstant constant);

 private:
  LayerHost& host_;
  const Layer& layer_;
  int64_t opset_;
  std::string_view op_;
  std::vector<ValueId> inputs_, outputs_;
};

// The kernels' type for "f32", "FP32", "i64", …; f16 and bf16 are computed as f32. undefined for others.
kernels::DataType parse_type(std::string_view name);

// Translates one layer by its row in openvino_ops.def. unsupported_operation when there is none.
Result<void> import_layer(LayerImport& layer);

}  // namespace tenon::nn::openvino
