// Rules for recurrent operators. Gates that TensorFlow Lite keeps in tensors of their own become the stacked ones of ONNX.
#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite::rules {

using kernels::Attributes;
using kernels::kAbsent;

using Integers = std::vector<int64_t>;

// Where the operands of one direction are: weights of the input, forget, cell and output gates, and so on.
struct LstmOperands {
  size_t weights, recurrent, peephole, bias, projection, output_state, normalisation;
};

// The gates of operands `first` and following, in the order input, output, forget, cell, as one matrix. A missing input
// gate is one minus the forget gate: the sigmoid of what is negated.
template <typename Get>
static Result<ValueId> stacked(Node& n, Get get, bool coupled) {
  std::vector<ValueId> rows;
  for (const size_t gate : {0, 3, 1, 2}) {
    const bool negated = coupled && gate == 0;
    ValueId one = TENON_TRY(get(negated ? size_t{1} : gate));
    if (negated) one = TENON_TRY(n.emit("Neg", {one}));
    rows.push_back(one);
  }
  const ValueId all = TENON_TRY(n.emit("Concat", rows, {{"axis", int64_t{0}}}));
  return n.emit("Unsqueeze", {all, TENON_TRY(n.int_vector({0}))});
}

static Result<std::string> activation_name(Activation activation) {
  if (activation == Activation::tanh) return std::string("Tanh");
  if (activation == Activation::relu) return std::string("Relu");
  return Node::unsupported("fused activation {}", static_cast<int>(activation));
}

// Quantised networks round the hidden state and the cell at each position.
static Result<void> add_steps(Node& n, size_t state, Attributes& attributes) {
  if (!n.has_input(state) || !n.has_input(state + 1)) return Node::invalid("no tensors for the state");
  const auto &hidden = n.in(state), &cell = n.in(state + 1);
  if (!is_quantised(hidden)) return {};
  if (to_data_type(hidden.type) != kernels::DataType::i8 ||
      to_data_type(cell.type) != kernels::DataType::i16 || !is_quantised(cell))
    return Node::unsupported("a state of types {} and {}", hidden.type, cell.type);
  const auto& zeros = hidden.quantization.zero_point;
  attributes.push_back({"hidden_step", hidden.quantization.scale[0]});
  attributes.push_back({"hidden_zero", zeros.empty() ? int64_t{0} : zeros[0]});
  attributes.push_back({"cell_step", cell.quantization.scale[0]});
  return {};
}

// One direction over x [time, batch, inputs] → [time, batch, hidden].
static Result<ValueId> lstm(Node& n, ValueId x, const LstmOperands& at, bool backwards) {
  for (const size_t i : {at.projection, at.projection + 1}) {
    if (n.has_input(i)) return Node::unsupported("a projection");
  }
  for (size_t i = at.normalisation; i < at.normalisation + 4; ++i) {
    if (n.has_input(i)) return Node::unsupported("layer normalisation");
  }
  const bool coupled = !n.has_input(at.weights);
  const auto weights = [&](size_t gate) { return n.real(at.weights + gate); };
  const auto recurrent = [&](size_t gate) { return n.real(at.recurrent + gate); };
  const ValueId w = TENON_TRY(stacked(n, weights, coupled)), r = TENON_TRY(stacked(n, recurrent, coupled));
  const auto bias = [&](size_t gate) { return n.bias(at.bias + gate, 0, at.weights + gate); };
  const ValueId own = TENON_TRY(stacked(n, bias, coupled));
  const ValueId none =
      TENON_TRY(n.emit("Sub", {own, own}));  // TensorFlow Lite has one bias for both products
  const ValueId b = TENON_TRY(n.emit("Concat", {own, none}, {{"axis", int64_t{1}}}));
  ValueId p = kAbsent;
  if (n.has_input(at.peephole + 1)) {
    // Input, output, forget; the tensors are those of input, forget, output.
    ValueId input = TENON_TRY(n.real(at.peephole + (coupled ? 1 : 0)));
    if (coupled) input = TENON_TRY(n.emit("Neg", {input}));
    p = TENON_TRY(n.emit("Concat",
                         {input, TENON_TRY(n.real(at.peephole + 2)), TENON_TRY(n.real(at.peephole + 1))},
                         {{"axis", int64_t{0}}}));
    p = TENON_TRY(n.emit("Unsqueeze", {p, TENON_TRY(n.int_vector({0}))}));
  }
  const auto& shape = n.in(at.recurrent + 1).shape;
  if (shape.size() != 2) return Node::invalid("recurrent weights of {} dimensions", shape.size());
  const std::string cell = TENON_TRY(activation_name(n.activation(option::sequence_activation)));
  Attributes attributes{{"hidden_size", int64_t{shape[1]}},
                        {"direction", std::string(backwards ? "reverse" : "forward")},
                        {"activations", std::vector<std::string>{"Sigmoid", cell, cell}},
                        {"cell_clip", n.real_option(option::cell_clip)}};
  TENON_TRY(add_steps(n, at.output_state, attributes));
  const ValueId y =
      TENON_TRY(n.emit("LSTM", {x, w, r, b, kAbsent, kAbsent, kAbsent, p}, std::move(attributes)));
  return n.emit("Squeeze", {y, TENON_TRY(n.int_vector({1}))});
}

// The first two axes change places unless time comes first already.
static Result<ValueId> time_first(Node& n, ValueId x, bool is_so) {
  if (is_so) return x;
  return n.transposed(x, {1, 0, 2});
}

Result<void> sequence_lstm(Node& n) {
  TENON_TRY(n.needs(0));
  const bool major = n.flag(option::time_major);
  const ValueId x = TENON_TRY(time_first(n, TENON_TRY(n.real(0)), major));
  const LstmOperands at{1, 5, 9, 12, 16, 18, 20};
  return n.finish(TENON_TRY(time_first(n, TENON_TRY(lstm(n, x, at, false)), major)));
}

Result<void> bidirectional_lstm(Node& n) {
  TENON_TRY(n.needs(0));
  for (size_t i = 39; i < n.input_count(); ++i) {
    if (n.has_input(i)) return Node::unsupported("auxiliary input");
  }
  const bool major = n.flag(option::bidirectional_time_major);
  const ValueId x = TENON_TRY(time_first(n, TENON_TRY(n.real(0)), major));
  const LstmOperands forwards{1, 5, 9, 12, 16, 35, 39}, backwards{18, 22, 26, 29, 33, 37, 39};
  const ValueId first = TENON_TRY(time_first(n, TENON_TRY(lstm(n, x, forwards, false)), major));
  const ValueId second = TENON_TRY(time_first(n, TENON_TRY(lstm(n, x, backwards, true)), major));
  if (n.flag(option::merge_outputs))
    return n.finish(TENON_TRY(n.emit("Concat", {first, second}, {{"axis", int64_t{2}}})));
  TENON_TRY(n.finish(first));
  return n.finish(second, Activation::none, 1);
}

// Operands: x, weights, recurrent weights, bias, state.
Result<void> sequence_rnn(Node& n) {
  TENON_TRY(n.needs(4));
  const bool major = n.flag(option::first);
  const ValueId x = TENON_TRY(time_first(n, TENON_TRY(n.real(0)), major));
  const auto matrix = [&](size_t i) -> Result<ValueId> {
    return n.emit("Unsqueeze", {TENON_TRY(n.real(i)), TENON_TRY(n.int_vector({0}))});
  };
  const ValueId own = TENON_TRY(matrix(3)), none = TENON_TRY(n.emit("Sub", {own, own}));
  const ValueId b = TENON_TRY(n.emit("Concat", {own, none}, {{"axis", int64_t{1}}}));
  const auto& shape = n.in(2).shape;
  if (shape.size() != 2) return Node::invalid("recurrent weights of {} dimensions", shape.size());
  const std::string cell = TENON_TRY(activation_name(n.activation(option::second)));
  const ValueId y = TENON_TRY(
      n.emit("RNN", {x, TENON_TRY(matrix(1)), TENON_TRY(matrix(2)), b},
             {{"hidden_size", int64_t{shape[0]}}, {"activations", std::vector<std::string>{cell}}}));
  return n.finish(
      TENON_TRY(time_first(n, TENON_TRY(n.emit("Squeeze", {y, TENON_TRY(n.int_vector({1}))})), major)));
}

}  // namespace tenon::nn::tflite::rules
