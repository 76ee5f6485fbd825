// Rules for recurrent operators. Gates that TensorFlow Lite keeps in tensors of their own become the stacked ones of ONNX;
// what its variable tensors hold between computes are states of the graph.
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

// States [batch, units] as the operands and results of operators with one direction.
struct StateRows {
  int64_t units;

  Result<ValueId> begin(Node& n, size_t i) const {
    const ValueId state = TENON_TRY(n.state(i));
    if (state == kAbsent) return kAbsent;
    if (n.in(i).shape.size() != 2 || n.in(i).shape[1] != units)
      return Node::invalid("a state whose rows are not of {} units", units);
    return n.emit("Unsqueeze", {state, TENON_TRY(n.int_vector({0}))});
  }
  Result<void> end(Node& n, size_t i, ValueId last) const {
    return n.set_state(i, TENON_TRY(n.emit("Squeeze", {last, TENON_TRY(n.int_vector({0}))})));
  }
};

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
  const StateRows rows{shape[1]};
  const ValueId hidden = TENON_TRY(rows.begin(n, at.output_state)),
                memory = TENON_TRY(rows.begin(n, at.output_state + 1));
  Attributes attributes{{"hidden_size", int64_t{shape[1]}},
                        {"direction", std::string(backwards ? "reverse" : "forward")},
                        {"activations", std::vector<std::string>{"Sigmoid", cell, cell}},
                        {"cell_clip", n.real_option(option::cell_clip)}};
  TENON_TRY(add_steps(n, at.output_state, attributes));
  const auto results = n.new_values(3);
  TENON_TRY(n.emit_to(results, "LSTM", {x, w, r, b, kAbsent, hidden, memory, p}, std::move(attributes)));
  TENON_TRY(rows.end(n, at.output_state, results[1]));
  TENON_TRY(rows.end(n, at.output_state + 1, results[2]));
  return n.emit("Squeeze", {results[0], TENON_TRY(n.int_vector({1}))});
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

// One position.
Result<void> lstm_step(Node& n) {
  TENON_TRY(n.needs(0));
  if (n.small(option::kernel_type) != 0)
    return Node::unsupported("kernel type {}", n.small(option::kernel_type));
  const ValueId x = TENON_TRY(n.emit("Unsqueeze", {TENON_TRY(n.real(0)), TENON_TRY(n.int_vector({0}))}));
  const ValueId y = TENON_TRY(lstm(n, x, {1, 5, 9, 12, 16, 18, 20}, false));
  return n.finish(TENON_TRY(n.emit("Squeeze", {y, TENON_TRY(n.int_vector({0}))})));
}

// One direction over x [time, batch, inputs] → [time, batch, units]; operands from `first` on: weights, recurrent weights,
// bias, state.
static Result<ValueId> rnn(Node& n, ValueId x, size_t first, Activation activation, bool backwards) {
  TENON_TRY(n.needs(first + 4, 0));
  const auto matrix = [&](size_t i) -> Result<ValueId> {
    return n.emit("Unsqueeze", {TENON_TRY(n.real(i)), TENON_TRY(n.int_vector({0}))});
  };
  const ValueId own = TENON_TRY(matrix(first + 2)), none = TENON_TRY(n.emit("Sub", {own, own}));
  const ValueId b = TENON_TRY(n.emit("Concat", {own, none}, {{"axis", int64_t{1}}}));
  const auto& shape = n.in(first + 1).shape;
  if (shape.size() != 2) return Node::invalid("recurrent weights of {} dimensions", shape.size());
  const StateRows rows{shape[0]};
  const ValueId hidden = TENON_TRY(rows.begin(n, first + 3));
  const auto results = n.new_values(2);
  TENON_TRY(n.emit_to(results, "RNN",
                      {x, TENON_TRY(matrix(first)), TENON_TRY(matrix(first + 1)), b, kAbsent, hidden},
                      {{"hidden_size", int64_t{shape[0]}},
                       {"direction", std::string(backwards ? "reverse" : "forward")},
                       {"activations", std::vector<std::string>{TENON_TRY(activation_name(activation))}}}));
  TENON_TRY(rows.end(n, first + 3, results[1]));
  return n.emit("Squeeze", {results[0], TENON_TRY(n.int_vector({1}))});
}

Result<void> sequence_rnn(Node& n) {
  TENON_TRY(n.needs(5));
  const bool major = n.flag(option::first);
  const ValueId x = TENON_TRY(time_first(n, TENON_TRY(n.real(0)), major));
  const ValueId y = TENON_TRY(rnn(n, x, 1, n.activation(option::second), false));
  return n.finish(TENON_TRY(time_first(n, y, major)));
}

Result<void> bidirectional_rnn(Node& n) {
  TENON_TRY(n.needs(9));
  for (size_t i = 9; i < n.input_count(); ++i) {
    if (n.has_input(i)) return Node::unsupported("auxiliary input");
  }
  const bool major = n.flag(option::rnn_time_major);
  const auto activation = n.activation(option::rnn_activation);
  const ValueId x = TENON_TRY(time_first(n, TENON_TRY(n.real(0)), major));
  const ValueId first = TENON_TRY(time_first(n, TENON_TRY(rnn(n, x, 1, activation, false)), major));
  const ValueId second = TENON_TRY(time_first(n, TENON_TRY(rnn(n, x, 5, activation, true)), major));
  if (n.flag(option::rnn_merge_outputs))
    return n.finish(TENON_TRY(n.emit("Concat", {first, second}, {{"axis", int64_t{2}}})));
  TENON_TRY(n.finish(first));
  return n.finish(second, Activation::none, 1);
}

Result<void> rnn_step(Node& n) {
  TENON_TRY(n.needs(5));
  const ValueId x = TENON_TRY(n.emit("Unsqueeze", {TENON_TRY(n.real(0)), TENON_TRY(n.int_vector({0}))}));
  const ValueId y = TENON_TRY(rnn(n, x, 1, n.activation(option::first), false));
  return n.finish(TENON_TRY(n.emit("Squeeze", {y, TENON_TRY(n.int_vector({0}))})));
}

// A dense layer of rank `rank` over the last positions in time. Operands: x [batch, inputs], weights of features
// [units · rank, inputs] and of time [units · rank, memory], perhaps a bias, and the last features [batch, units · rank · memory].
Result<void> svdf(Node& n) {
  TENON_TRY(n.needs(3));
  if (!n.has_input(4)) return Node::invalid("input 4 is missing");
  const auto &features = n.in(1).shape, &time = n.in(2).shape, &state = n.in(4).shape;
  const int64_t rank = n.integer(option::svdf_rank);
  if (features.size() != 2 || time.size() != 2 || state.size() != 2 || features[0] != time[0] ||
      time[1] < 1 || rank < 1 || features[0] < 1 || features[0] % rank != 0 ||
      int64_t{state[1]} != int64_t{features[0]} * time[1])
    return Node::invalid("weights and state of shapes that do not fit, or rank {}", rank);
  ValueId past = TENON_TRY(n.state(4));
  if (past == kAbsent) return Node::unsupported("a state whose dimensions are not known");
  const int64_t filters = features[0], memory = time[1];
  past = TENON_TRY(n.reshaped(past, {-1, filters, memory}));
  ValueId now =
      TENON_TRY(n.emit("Gemm", {TENON_TRY(n.real(0)), TENON_TRY(n.real(1))}, {{"transB", int64_t{1}}}));
  if (is_quantised(n.in(4)))  // the state is kept in codes
    now = TENON_TRY(n.dequantised(TENON_TRY(n.quantised(now, n.in(4))), n.in(4), 0));
  const ValueId last = TENON_TRY(n.emit("Unsqueeze", {now, TENON_TRY(n.int_vector({2}))}));
  const ValueId kept =
      TENON_TRY(n.emit("Slice", {past, TENON_TRY(n.int_vector({1})), TENON_TRY(n.int_vector({memory})),
                                 TENON_TRY(n.int_vector({2}))}));
  const ValueId all = TENON_TRY(n.emit("Concat", {kept, last}, {{"axis", int64_t{2}}}));
  TENON_TRY(n.set_state(4, TENON_TRY(n.reshaped(all, {-1, filters * memory}))));
  const ValueId weighted = TENON_TRY(n.emit("Mul", {all, TENON_TRY(n.real(2))}));
  const ValueId by_unit = TENON_TRY(n.reshaped(weighted, {-1, filters / rank, rank * memory}));
  ValueId y =
      TENON_TRY(n.emit("ReduceSum", {by_unit, TENON_TRY(n.int_vector({2}))}, {{"keepdims", int64_t{0}}}));
  if (n.has_input(3)) y = TENON_TRY(n.emit("Add", {y, TENON_TRY(n.bias(3, 4, 2))}));
  return n.finish(y, n.activation(option::svdf_activation));
}

}  // namespace tenon::nn::tflite::rules
