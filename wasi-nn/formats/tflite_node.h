// One TensorFlow Lite operator on its way into a kernels' Graph: operands as they are stored or as real numbers, options,
// and results that are quantised again where the file says so. Rules use it; tflite_importer makes it.
#pragma once

#include <map>

#include "wasi-nn/formats/emitter.h"
#include "wasi-nn/formats/tflite_model.h"

namespace tenon::nn::tflite {

// The number of each field in the schema's tables of options.
namespace option {
enum Conv2D : unsigned { padding, stride_w, stride_h, conv_activation, dilation_w, dilation_h };
enum Depthwise : unsigned {
  multiplier = 3,
  depthwise_activation,
  depthwise_dilation_w,
  depthwise_dilation_h
};
enum Pool : unsigned { filter_w = 3, filter_h, pool_activation };
enum FullyConnected : unsigned { fc_activation, weights_format, keep_dims, asymmetric };
enum TransposedConv : unsigned { transposed_activation = 3 };
enum Conv3D : unsigned {
  stride3_d = 1,
  stride3_w,
  stride3_h,
  activation3,
  dilation3_d,
  dilation3_w,
  dilation3_h
};
enum StridedSlice : unsigned { begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_mask, offset_ends };
enum ResizeBilinear : unsigned { bilinear_corners = 2, bilinear_half_pixel };
enum Sequence : unsigned { sequence_activation, cell_clip, projection_clip, time_major };
enum Bidirectional : unsigned { merge_outputs = 3, bidirectional_time_major };
enum Svdf : unsigned { svdf_rank, svdf_activation };
enum BidirectionalRnn : unsigned { rnn_time_major, rnn_activation, rnn_merge_outputs };
enum Lstm : unsigned { kernel_type = 3 };
enum ControlFlow : unsigned { first_graph, second_graph };
inline constexpr unsigned first = 0, second = 1;  // of small tables
}  // namespace option

enum class Activation : int8_t { none, relu, relu_n1_to_1, relu6, tanh, sign_bit };

struct Row;

// What stays between computes: a variable by its name, or the state of a recurrent operator.
struct Variable {
  ValueId state = kernels::kAbsent;  // of the outermost graph
  ValueId now = kernels::kAbsent;    // what it holds after the operators so far
};

// What rules ask of the importer beyond their own operator: other graphs of the model, and variables.
class Session {
 public:
  virtual ~Session() = default;
  // The operators of a graph, imported into `builder` on these arguments; gives its results.
  virtual Result<std::vector<ValueId>> inlined(kernels::GraphBuilder& builder, int64_t graph,
                                               const std::vector<ValueId>& arguments) = 0;
  // A graph that gives variables their first values.
  virtual Result<void> initialise(int64_t graph) = 0;
  virtual kernels::GraphBuilder new_builder() const = 0;
  // A state of the outermost graph; too_large when all of them exceed the limit of a tensor.
  virtual Result<ValueId> new_state(std::string name, kernels::Tensor initial) = 0;
  // As new_state, of real numbers that begin at 0.
  virtual Result<ValueId> new_zero_state(std::string name, const kernels::Dims& dims) = 0;

  std::map<std::string, Variable> variables;
};

// The values of a graph that is being built, by number of the tensor.
struct Scope {
  const Model& model;
  const SubGraph& graph;
  Session& session;
  std::vector<ValueId> values;             // kAbsent: nothing has defined it yet
  std::map<int32_t, std::string> handles;  // tensors that name a variable
  bool outermost = false, initialises = false;
};

class Node : public Emitter {
 public:
  Node(kernels::GraphBuilder& builder, Scope& scope, const OperatorInfo& info, const Row& row,
       kernels::Source source)
      : Emitter(builder, std::move(source)), scope_(scope), info_(info), row_(row) {}

  const Row& row() const { return row_; }
  const Model& model() const { return scope_.model; }
  Scope& scope() const { return scope_; }
  using Emitter::builder;
  const OperatorInfo& info() const { return info_; }

  size_t input_count() const { return info_.inputs.size(); }
  size_t output_count() const { return info_.outputs.size(); }
  bool has_input(size_t i) const { return i < info_.inputs.size() && info_.inputs[i] >= 0; }
  bool has_output(size_t i) const { return i < info_.outputs.size() && info_.outputs[i] >= 0; }
  // Requires that the operand is there; rules check with `needs`.
  const TensorInfo& in(size_t i) const { return scope_.graph.tensors[static_cast<size_t>(info_.inputs[i])]; }
  const TensorInfo& out(size_t i) const {
    return scope_.graph.tensors[static_cast<size_t>(info_.outputs[i])];
  }
  // At least these many operands and results, all given.
  Result<void> needs(size_t inputs, size_t outputs = 1) const;

  // Scalars of the options; what is missing has the schema's default.
  int64_t integer(unsigned field, int32_t fallback = 0) const {
    return info_.options.scalar<int32_t>(field, fallback);
  }
  int8_t small(unsigned field) const { return info_.options.scalar<int8_t>(field); }
  bool flag(unsigned field) const { return info_.options.scalar<uint8_t>(field) != 0; }
  float real_option(unsigned field) const { return info_.options.scalar<float>(field); }
  Activation activation(unsigned field) const { return static_cast<Activation>(small(field)); }

  // Operands as they are stored; contents of constant ones as integers.
  Result<ValueId> raw(size_t i) const;
  Result<std::vector<int64_t>> integers(size_t i) const;
  bool is_constant(size_t i) const;
  // Rank as the file declares it.
  Result<int64_t> rank(size_t i) const;
  Result<size_t> axis(int64_t axis, size_t rank) const;

  // Whether quantised operands and results have one quantisation, so that moving codes moves what they stand for.
  // Then operand() and finish() work on codes.
  void move_codes();
  // Sums are rounded as TensorFlow Lite's integer convolutions and products do it ("twice_up"), or its depthwise
  // convolutions ("twice"); see ops.def.
  void round(std::string_view rounding) { rounding_ = rounding; }
  // The operand in the form that the rule computes on: real numbers, unless codes are moved.
  Result<ValueId> operand(size_t i);
  Result<ValueId> real(size_t i);
  // A value that holds codes of tensor `like`, as real numbers. `axis` is where scales lie, when there are several.
  Result<ValueId> dequantised(ValueId codes, const TensorInfo& like, size_t axis);
  // What operand i, a tensor for a state, holds before this operator, as real numbers; kAbsent: 0, in each compute anew
  // (where the file leaves a dimension of it open).
  Result<ValueId> state(size_t i);
  Result<void> set_state(size_t i, ValueId next);
  // The variable that operand or result i names.
  Result<Variable*> variable(size_t i);
  Result<void> define_handle(std::string name);

  // Operand i with its axes in another order, as real numbers.
  Result<ValueId> weights(size_t i, const std::vector<int64_t>& perm);
  // Operand i as what is added to sums of products of operands x and w.
  Result<ValueId> bias(size_t i, size_t x, size_t w);

  // Channels last to channels first, and back.
  Result<ValueId> channels_first(ValueId id, int64_t rank);
  Result<ValueId> channels_last(ValueId id, int64_t rank);
  Result<ValueId> transposed(ValueId id, const std::vector<int64_t>& perm);
  Result<ValueId> reshaped(ValueId id, const std::vector<int64_t>& dims);
  // With the dimensions that the file declares for result 0, unless it has that rank already.
  Result<ValueId> shaped_as_declared(ValueId id, size_t rank);
  // Results that a node of several is to define.
  std::vector<ValueId> new_values(size_t count);
  Result<ValueId> activated(ValueId id, Activation activation);
  Result<ValueId> number(double value);  // f32
  Result<ValueId> clipped(ValueId id, double low, double high);

  // Defines result i: as it is stored, or from real numbers (from codes, when codes are moved).
  Result<void> define(size_t i, ValueId id);
  Result<void> finish(ValueId id, Activation activation = Activation::none, size_t i = 0);
  // Quantised as `like` is (codes stay what they are when codes are moved), within an activation's range of codes.
  Result<ValueId> stored(ValueId id, const TensorInfo& like, Activation activation);
  // Quantised as result i is, without defining it.
  Result<ValueId> quantised(ValueId id, const TensorInfo& like);

  Result<ValueId> scale_of(const TensorInfo& like);

 private:
  Result<ValueId> zero_of(const TensorInfo& like);
  Result<ValueId> activated_codes(ValueId id, Activation activation, const TensorInfo& like);
  template <class T>
  Result<ValueId> clipped_codes(ValueId id, kernels::DataType type, const std::pair<double, double>& range,
                                const Quantization& q);

  Scope& scope_;
  const OperatorInfo& info_;
  const Row& row_;
  bool codes_ = false;
  std::string_view rounding_ = "once";
};

struct Row {
  std::string_view name;
  int32_t code;
  Result<void> (*rule)(Node&);
  std::string_view op;  // of ops.def, that the rule uses; empty: several
};
// The row of an operator; null when there is none.
const Row* find_row(const OperatorCode& code);
// What the format calls an operator, supported or not.
std::string name_of(const OperatorCode& code);

bool is_quantised(const TensorInfo& tensor);
bool same_quantisation(const TensorInfo& a, const TensorInfo& b);
kernels::ValueType type_of(const TensorInfo& tensor);

}  // namespace tenon::nn::tflite
