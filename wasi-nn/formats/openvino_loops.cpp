// Rules of recurrent layers and of layers with bodies.
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::kAbsent;

namespace {

// What differs between the three kinds of recurrent layers.
struct Recurrent {
  std::string_view op;  // of ops.def
  int64_t gates;
  std::vector<int64_t> order;  // ONNX's gates as indices into OpenVINO's
  bool has_cell;               // a second state
};

// OpenVINO's gates: f i c o, and z r h. ONNX's: i o f c, and z r h.
Recurrent recurrent_of(std::string_view op) {
  if (op == "LSTM") return {op, 4, {1, 3, 0, 2}, true};
  if (op == "GRU") return {op, 3, {0, 1, 2}, false};
  return {op, 1, {0}, false};
}

// Gates along axis 1, put in the order of ONNX.
Result<ValueId> in_order(LayerImport& layer, ValueId weights, const Recurrent& kind) {
  if (kind.op != "LSTM") return weights;
  std::vector<ValueId> gates;
  for (int64_t i = 0; i < kind.gates; ++i) gates.push_back(layer.new_value());
  TENON_TRY(layer.emit_to(gates, "Split", {weights}, {{"axis", int64_t{1}}, {"num_outputs", kind.gates}}));
  std::vector<ValueId> sorted;
  for (const int64_t gate : kind.order) sorted.push_back(gates[static_cast<size_t>(gate)]);
  return layer.emit("Concat", sorted, {{"axis", int64_t{1}}});
}

// One bias for the sum of both products, as ONNX's pair: the other half is zero. A GRU that multiplies first has a fourth
// part, which is its second product's bias for h.
Result<ValueId> biases(LayerImport& layer, ValueId bias, const Recurrent& kind, bool fourth) {
  if (!fourth) {
    const ValueId sorted = TENON_TRY(in_order(layer, bias, kind));
    const ValueId zeros = TENON_TRY(layer.emit("Sub", {sorted, sorted}));
    return layer.emit("Concat", {sorted, zeros}, {{"axis", int64_t{1}}});
  }
  std::vector<ValueId> parts;
  for (int i = 0; i < 4; ++i) parts.push_back(layer.new_value());
  TENON_TRY(layer.emit_to(parts, "Split", {bias}, {{"axis", int64_t{1}}, {"num_outputs", int64_t{4}}}));
  const ValueId zeros = TENON_TRY(layer.emit("Sub", {parts[0], parts[0]}));
  return layer.emit("Concat", {parts[0], parts[1], parts[2], zeros, zeros, parts[3]}, {{"axis", int64_t{1}}});
}

// "sigmoid,tanh,tanh" as ONNX names them, once for each direction.
Result<std::vector<std::string>> activations(LayerImport& layer, std::string_view fallback, bool both) {
  static constexpr LayerImport::Word kNames[] = {{"sigmoid", "Sigmoid"},
                                                 {"tanh", "Tanh"},
                                                 {"relu", "Relu"},
                                                 {"hardsigmoid", "HardSigmoid"},
                                                 {"elu", "Elu"}};
  std::vector<std::string> names;
  for (std::string_view rest = layer.text("activations", fallback); !rest.empty();) {
    const size_t comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    const auto* found = std::ranges::find(kNames, name, &LayerImport::Word::from);
    if (found == std::end(kNames)) return LayerImport::unsupported("activation '{}' is not supported", name);
    names.emplace_back(found->to);
    if (comma == rest.npos) break;
    rest.remove_prefix(comma + 1);
  }
  const size_t one = names.size();
  for (size_t i = 0; both && i < one; ++i) names.push_back(names[i]);
  return names;
}

Result<Attributes> recurrent_attributes(LayerImport& layer, const Recurrent& kind,
                                        const std::string& direction) {
  static constexpr std::string_view kDefaults[] = {"sigmoid,tanh,tanh", "sigmoid,tanh", "tanh"};
  const auto fallback = kDefaults[kind.op == "LSTM" ? 0 : kind.op == "GRU" ? 1 : 2];
  Attributes attributes{
      {"activations", TENON_TRY(activations(layer, fallback, direction == "bidirectional"))},
      {"direction", direction},
      {"hidden_size", TENON_TRY(layer.integer("hidden_size"))},
      {"layout", int64_t{1}}};
  if (const float clip = TENON_TRY(layer.real("clip", 0.0f)); clip > 0) attributes.push_back({"clip", clip});
  for (const auto& [key, name] : {std::pair{"activations_alpha", "activation_alpha"},
                                  std::pair{"activations_beta", "activation_beta"}}) {
    auto values = TENON_TRY(layer.reals(key));
    if (!values.empty()) attributes.push_back({name, std::move(values)});
  }
  if (kind.op == "GRU" && TENON_TRY(layer.flag("linear_before_reset", false)))
    attributes.push_back({"linear_before_reset", int64_t{1}});
  return attributes;
}

// Lengths that are all the declared length of the sequences say nothing.
bool are_full(LayerImport& layer, size_t input) {
  const auto dims = layer.dims_of(0);
  const auto lengths = layer.constant_ints(input);
  return lengths && dims.size() == 3 && dims[1] >= 0 &&
         std::ranges::all_of(*lengths, [&](int64_t length) { return length == dims[1]; });
}

struct RecurrentOperands {
  ValueId x, hidden, cell, lengths, w, r, b;  // of the operator with layout 1
};

// The operator itself; outputs Y [batch, length, directions, hidden], Y_h and Y_c [batch, directions, hidden].
Result<std::vector<ValueId>> emit_recurrent(LayerImport& layer, const Recurrent& kind,
                                            const RecurrentOperands& o, const std::string& direction) {
  const auto attributes = TENON_TRY(recurrent_attributes(layer, kind, direction));
  const bool fourth = std::ranges::any_of(
      attributes, [](const kernels::Attribute& a) { return a.name == "linear_before_reset"; });
  std::vector<ValueId> operands{o.x,
                                TENON_TRY(in_order(layer, o.w, kind)),
                                TENON_TRY(in_order(layer, o.r, kind)),
                                TENON_TRY(biases(layer, o.b, kind, fourth)),
                                o.lengths,
                                o.hidden};
  if (kind.has_cell) operands.push_back(o.cell);
  std::vector<ValueId> results{layer.new_value(), layer.new_value()};
  if (kind.has_cell) results.push_back(layer.new_value());
  TENON_TRY(layer.emit_to(results, kind.op, std::move(operands), attributes));
  return results;
}

}  // namespace

// X, H, [C], lengths, W, R, B → Y [batch, directions, length, hidden], Ho, [Co]
Result<void> sequence(LayerImport& layer) {
  static constexpr LayerImport::Word kDirections[] = {
      {"forward", "forward"}, {"reverse", "reverse"}, {"bidirectional", "bidirectional"},
      {"FORWARD", "forward"}, {"REVERSE", "reverse"}, {"BIDIRECTIONAL", "bidirectional"}};
  const Recurrent kind = recurrent_of(layer.op());
  const size_t lengths = kind.has_cell ? 3 : 2;
  RecurrentOperands o{TENON_TRY(layer.need(0)),
                      TENON_TRY(layer.need(1)),
                      kind.has_cell ? TENON_TRY(layer.need(2)) : kAbsent,
                      kAbsent,
                      TENON_TRY(layer.need(lengths + 1)),
                      TENON_TRY(layer.need(lengths + 2)),
                      TENON_TRY(layer.need(lengths + 3))};
  TENON_TRY(layer.need(lengths));
  if (!are_full(layer, lengths)) o.lengths = TENON_TRY(layer.cast(layer.input(lengths), DataType::i32));
  const auto results =
      TENON_TRY(emit_recurrent(layer, kind, o, TENON_TRY(layer.word("direction", "forward", kDirections))));
  TENON_TRY(layer.finish("Transpose", {results[0]}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}}));
  for (size_t i = 1; i < results.size(); ++i) TENON_TRY(layer.alias(i, results[i]));
  return {};
}

// One step: X [batch, input], H, [C], W, R, B → Ho, [Co], as a sequence of length 1.
Result<void> cell(LayerImport& layer) {
  const Recurrent kind = recurrent_of(layer.op());
  const size_t weights = kind.has_cell ? 3 : 2;
  if (layer.text("weights_format", "fico") != "fico" && kind.has_cell)
    return LayerImport::unsupported("weights_format '{}'", layer.text("weights_format"));
  const ValueId middle = TENON_TRY(layer.int_vector({1})), front = TENON_TRY(layer.int_vector({0}));
  const auto unsqueeze = [&](size_t i, ValueId axis) -> Result<ValueId> {
    return layer.emit("Unsqueeze", {TENON_TRY(layer.need(i)), axis});
  };
  const RecurrentOperands o{TENON_TRY(unsqueeze(0, middle)),
                            TENON_TRY(unsqueeze(1, middle)),
                            kind.has_cell ? TENON_TRY(unsqueeze(2, middle)) : kAbsent,
                            kAbsent,
                            TENON_TRY(unsqueeze(weights, front)),
                            TENON_TRY(unsqueeze(weights + 1, front)),
                            TENON_TRY(unsqueeze(weights + 2, front))};
  const auto results = TENON_TRY(emit_recurrent(layer, kind, o, "forward"));
  for (size_t i = 1; i < results.size(); ++i) {
    if (layer.output(i - 1) != kAbsent)
      TENON_TRY(layer.emit_to({layer.output(i - 1)}, "Squeeze", {results[i], middle}));
  }
  return {};
}

namespace {

using BodyPlan = LayerHost::BodyPlan;

constexpr size_t kNoPort = static_cast<size_t>(-1);

// A loop's operands and results beside its body. The body's outputs are the states and then what is joined.
struct LoopPlan {
  struct Joined {
    size_t port;  // of the layer
    int64_t axis;
    int64_t rank;  // of the joined result; 0: not declared
    bool backwards;
    size_t result;  // of the body
  };
  BodyPlan body;
  std::vector<ValueId> carried;  // first values of the states
  std::vector<size_t> states;    // ports of the layer, or kNoPort
  std::vector<Joined> joined;
  std::vector<const PortMap*> slices;
};

Result<const Body*> only_body(const LayerImport& layer) {
  const auto& bodies = layer.layer().bodies;
  if (bodies.size() == 1 && bodies[0].tag == "body") return bodies.data();
  return LayerImport::invalid("has no body");
}

Result<void> plan_input(LayerImport& layer, const Body& body, const PortMap& map, LoopPlan& plan) {
  const Layer& parameter = body.net->layers[map.internal_layer];
  if (parameter.type != "Parameter")
    return LayerImport::invalid("'{}' is no Parameter of the body", parameter.name);
  BodyPlan::Input input;
  input.parameter = map.internal_layer;
  if (!map.has_external || map.purpose == "current_iteration") {
    input.is_iteration = true;
    plan.body.inputs.push_back(input);
    return {};
  }
  input.captured = TENON_TRY(layer.need(map.external_port));
  const auto edge = std::ranges::find(body.back_edges, map.internal_layer, &BackEdge::to);
  const bool carried = edge != body.back_edges.end();
  if (map.axis) {
    if (carried) return LayerImport::invalid("'{}' is both sliced and carried", parameter.name);
    constexpr int64_t kFarthest = int64_t{1} << 40;
    if (map.start < -kFarthest || map.start > kFarthest || map.end < -kFarthest || map.end > kFarthest)
      return LayerImport::invalid("slices from {} to {}", map.start, map.end);
    const bool in_steps = map.part_size >= 1 && map.part_size <= (1 << 20) &&
                          (map.stride == map.part_size || (map.part_size == 1 && map.stride == -1));
    if (!in_steps)
      return LayerImport::unsupported("slices of {} at a stride of {}", map.part_size, map.stride);
    input.slice = map.axis;
    input.start = map.start;
    input.stride = map.stride;
    input.part_size = map.part_size;
    plan.slices.push_back(&map);
  } else if (carried) {
    plan.carried.push_back(input.captured);
    plan.states.push_back(kNoPort);
    plan.body.outputs.push_back({edge->from, {}});
    input.captured = kAbsent;
  }
  plan.body.inputs.push_back(input);
  return {};
}

// A result of which the last value is wanted is a state too, whether or not the next iteration reads it.
Result<void> plan_output(LayerImport& layer, const Body& body, const PortMap& map, LoopPlan& plan) {
  if (map.purpose == "execution_condition") plan.body.condition = map.internal_layer;
  if (!map.has_external) return {};
  if (map.axis) {
    if (map.part_size != 1 || (map.stride != 1 && map.stride != -1))
      return LayerImport::unsupported("results of {} at a stride of {} are joined", map.part_size,
                                      map.stride);
    const Layer& result = body.net->layers[map.internal_layer];
    const auto rank = result.inputs.empty() ? 0 : static_cast<int64_t>(result.inputs[0].dims.size());
    plan.joined.push_back({map.external_port, *map.axis, rank, map.stride < 0, map.internal_layer});
    return {};
  }
  for (size_t i = 0; i < plan.states.size(); ++i) {
    if (plan.states[i] != kNoPort || plan.body.outputs[i].result != map.internal_layer) continue;
    plan.states[i] = map.external_port;
    return {};
  }
  BodyPlan::Input unread;
  unread.is_unread = true;
  plan.body.inputs.push_back(unread);
  plan.carried.push_back(TENON_TRY(layer.real_scalar(0)));
  plan.states.push_back(map.external_port);
  plan.body.outputs.push_back({map.internal_layer, {}});
  return {};
}

// Iterations that a sliced operand makes: (|end - start| + part) / part, where both count from the end when negative.
Result<ValueId> trips_of(LayerImport& layer, const PortMap& map) {
  const ValueId dims = TENON_TRY(layer.shape(TENON_TRY(layer.need(map.external_port))));
  const ValueId size = TENON_TRY(layer.emit("Gather", {dims, TENON_TRY(layer.int_scalar(*map.axis))}));
  const auto position = [&](int64_t at) -> Result<ValueId> {
    const ValueId constant = TENON_TRY(layer.int_scalar(at));
    return at < 0 ? layer.emit("Add", {size, constant}) : Result<ValueId>(constant);
  };
  const ValueId span =
      TENON_TRY(layer.emit("Sub", {TENON_TRY(position(map.end)), TENON_TRY(position(map.start))}));
  const ValueId part = TENON_TRY(layer.int_scalar(map.part_size));
  const ValueId whole = TENON_TRY(layer.emit("Add", {TENON_TRY(layer.emit("Abs", {span})), part}));
  return layer.emit("Div", {whole, part});
}

// [iterations, a, b, …] with the iterations where `axis` was.
Result<void> emit_joined(LayerImport& layer, const LoopPlan::Joined& joined, ValueId stacked) {
  ValueId value = stacked;
  if (joined.backwards) {
    const auto list = [&](int64_t at) { return layer.int_vector({at}); };
    value = TENON_TRY(
        layer.emit("Slice", {value, TENON_TRY(list(-1)), TENON_TRY(list(std::numeric_limits<int64_t>::min())),
                             TENON_TRY(list(0)), TENON_TRY(list(-1))}));
  }
  const ValueId output = layer.output(joined.port);
  if (joined.axis == 0) return layer.emit_to({output}, "Identity", {value});
  if (joined.rank == 0) return LayerImport::unsupported("the rank of a joined result is not declared");
  const int64_t axis = TENON_TRY(LayerImport::positive_axis(joined.axis, joined.rank));
  std::vector<int64_t> perm;
  for (int64_t i = 1; i < joined.rank; ++i) perm.push_back(i);
  perm.insert(perm.begin() + axis, 0);
  return layer.emit_to({output}, "Transpose", {value}, {{"perm", perm}});
}

Result<void> emit_loop(LayerImport& layer, const Body& body, LoopPlan& plan, ValueId trips,
                       ValueId condition) {
  for (const auto& joined : plan.joined) plan.body.outputs.push_back({joined.result, joined.axis});
  plan.body.loop = true;
  auto graph = TENON_TRY(layer.host().body(body, plan.body));
  std::vector<ValueId> operands{trips, condition}, results;
  operands.insert(operands.end(), plan.carried.begin(), plan.carried.end());
  for (const size_t port : plan.states)
    results.push_back(port == kNoPort ? layer.new_value() : layer.output(port));
  for (size_t i = 0; i < plan.joined.size(); ++i) results.push_back(layer.new_value());
  const size_t first = plan.states.size();
  for (size_t i = 0; i < plan.joined.size(); ++i)
    TENON_TRY(emit_joined(layer, plan.joined[i], results[first + i]));
  return layer.emit_to(std::move(results), "Loop", std::move(operands), {{"body", std::move(graph)}});
}

Result<LoopPlan> plan_loop(LayerImport& layer, const Body& body) {
  LoopPlan plan;
  for (const PortMap& map : body.inputs) TENON_TRY(plan_input(layer, body, map, plan));
  for (const PortMap& map : body.outputs) TENON_TRY(plan_output(layer, body, map, plan));
  return plan;
}

}  // namespace

// As often as its sliced operands have slices; without one, once.
Result<void> tensor_iterator(LayerImport& layer) {
  const Body* body = TENON_TRY(only_body(layer));
  LoopPlan plan = TENON_TRY(plan_loop(layer, *body));
  const ValueId trips =
      plan.slices.empty() ? TENON_TRY(layer.int_scalar(1)) : TENON_TRY(trips_of(layer, *plan.slices[0]));
  return emit_loop(layer, *body, plan, trips, kAbsent);
}

// Input 0 limits the iterations unless it is negative, input 1 says whether there is a first.
Result<void> loop(LayerImport& layer) {
  const Body* body = TENON_TRY(only_body(layer));
  LoopPlan plan = TENON_TRY(plan_loop(layer, *body));
  const ValueId given = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(0))));
  const ValueId zero = TENON_TRY(layer.int_scalar(0));
  const ValueId unlimited = TENON_TRY(layer.int_scalar(std::numeric_limits<int64_t>::max()));
  const ValueId trips =
      TENON_TRY(layer.emit("Where", {TENON_TRY(layer.emit("Less", {given, zero})), unlimited, given}));
  const ValueId condition = TENON_TRY(layer.reshape(TENON_TRY(layer.need(1)), {}));
  return emit_loop(layer, *body, plan, trips, condition);
}

Result<void> branch(LayerImport& layer) {
  kernels::Attributes attributes;
  for (const auto& [tag, name] :
       {std::pair<std::string_view, const char*>{"then_body", "then_branch"}, {"else_body", "else_branch"}}) {
    const auto& bodies = layer.layer().bodies;
    const auto body = std::ranges::find(bodies, tag, &Body::tag);
    if (body == bodies.end()) return LayerImport::invalid("has no {}", tag);
    BodyPlan plan;
    for (const PortMap& map : body->inputs) {
      BodyPlan::Input input;
      input.parameter = map.internal_layer;
      if (!map.has_external) return LayerImport::invalid("an input of the {} comes from nowhere", tag);
      input.captured = TENON_TRY(layer.need(map.external_port));
      plan.inputs.push_back(input);
    }
    for (size_t port = 0; port < layer.output_count(); ++port) {
      const auto map = std::ranges::find_if(
          body->outputs, [&](const PortMap& m) { return m.has_external && m.external_port == port; });
      if (map == body->outputs.end()) return LayerImport::invalid("the {} gives no output {}", tag, port);
      plan.outputs.push_back({map->internal_layer, {}});
    }
    attributes.push_back({name, TENON_TRY(layer.host().body(*body, plan))});
  }
  return layer.emit_to(layer.outputs(), "If", {TENON_TRY(layer.need(0))}, std::move(attributes));
}

}  // namespace tenon::nn::openvino::rules
