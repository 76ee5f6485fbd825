// Rules of operators that the standard defines by a function body: written out with simpler operators.
#include <numbers>

#include "wasi-nn/formats/onnx_rules.h"

namespace tenon::nn::onnx::rules {

using kernels::Attributes;
using kernels::kAbsent;

// Short forms of emission for expressions that span many nodes.
namespace {

Attributes keep_dims(bool keep) { return {{"keepdims", int64_t{keep}}}; }

Result<ValueId> reshape_to(NodeImport& node, ValueId x, const std::vector<int64_t>& dims) {
  return node.emit("Reshape", {x, TENON_TRY(node.int_vector(dims))});
}

// x with its mean over `axes` taken off, and its variance there, both with dims kept.
struct Centred {
  ValueId mean, difference, variance;
};
Result<Centred> centre(NodeImport& node, ValueId x, const std::vector<int64_t>& axes) {
  const ValueId over = TENON_TRY(node.int_vector(axes));
  Centred c;
  c.mean = TENON_TRY(node.emit("ReduceMean", {x, over}));
  c.difference = TENON_TRY(node.emit("Sub", {x, c.mean}));
  const ValueId squares = TENON_TRY(node.emit("Mul", {c.difference, c.difference}));
  c.variance = TENON_TRY(node.emit("ReduceMean", {squares, over}));
  return c;
}

// sqrt(variance + epsilon)
Result<ValueId> deviation(NodeImport& node, ValueId variance, double epsilon) {
  return node.emit(
      "Sqrt", {TENON_TRY(node.emit("Add", {variance, TENON_TRY(node.scalar_like(node.input(0), epsilon))}))});
}

// The node's input 0 as [N, groups, rest], normalised over the rest and given its own shape again.
Result<ValueId> normalise_groups(NodeImport& node, int64_t groups, double epsilon) {
  const ValueId x = node.input(0);
  const ValueId rows = TENON_TRY(reshape_to(node, x, {0, groups, -1}));
  const Centred c = TENON_TRY(centre(node, rows, {2}));
  return node.emit("Div", {c.difference, TENON_TRY(deviation(node, c.variance, epsilon))});
}

// rows [N, C, rest] · scale [C] + bias [C], in the shape of the node's input 0, as its output.
Result<void> scale_channels(NodeImport& node, ValueId rows) {
  const ValueId axis = TENON_TRY(node.int_vector({1}));
  const ValueId scale = TENON_TRY(node.emit("Unsqueeze", {node.input(1), axis}));
  const ValueId bias = TENON_TRY(node.emit("Unsqueeze", {node.input(2), axis}));
  const ValueId scaled = TENON_TRY(node.emit("Mul", {rows, scale}));
  const ValueId result = TENON_TRY(node.emit("Add", {scaled, bias}));
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  return node.emit_to({node.output(0)}, "Reshape", {result, shape});
}

}  // namespace

Result<void> mean_variance_norm(NodeImport& node) {
  const auto axes = TENON_TRY(node.take_ints("axes")).value_or(std::vector<int64_t>{0, 2, 3});
  const Centred c = TENON_TRY(centre(node, node.input(0), axes));
  const ValueId root = TENON_TRY(node.emit("Sqrt", {c.variance}));
  const ValueId divisor =
      TENON_TRY(node.emit("Add", {root, TENON_TRY(node.scalar_like(node.input(0), 1e-9))}));
  return node.emit_to({node.output(0)}, "Div", {c.difference, divisor});
}

Result<void> instance_norm(NodeImport& node) {
  const double epsilon = TENON_TRY(node.take_float("epsilon")).value_or(1e-5f);
  return scale_channels(node, TENON_TRY(normalise_groups(node, 0, epsilon)));
}

Result<void> group_norm(NodeImport& node) {
  const auto groups = TENON_TRY(node.take_int("num_groups"));
  if (!groups || *groups < 1) return NodeImport::invalid("attribute 'num_groups' is missing or not positive");
  const double epsilon = TENON_TRY(node.take_float("epsilon")).value_or(1e-5f);
  const ValueId normalised = TENON_TRY(normalise_groups(node, *groups, epsilon));
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  const ValueId restored = TENON_TRY(node.emit("Reshape", {normalised, shape}));
  return scale_channels(node, TENON_TRY(reshape_to(node, restored, {0, 0, -1})));
}

// In training mode the statistics are the batch's own, and the running ones move towards them by 1 -
// momentum.
Result<void> batch_norm_training(NodeImport& node) {
  if (TENON_TRY(node.take_int("training_mode")).value_or(0) == 0) {
    if (node.output_count() > 1) return NodeImport::invalid("running statistics outside training mode");
    return direct(node);
  }
  const double momentum = TENON_TRY(node.take_float("momentum")).value_or(0.9f);
  const ValueId x = node.input(0);
  const ValueId rows = TENON_TRY(reshape_to(node, x, {0, 0, -1}));
  const Centred c = TENON_TRY(centre(node, rows, {0, 2}));
  const ValueId mean = TENON_TRY(reshape_to(node, c.mean, {-1}));
  const ValueId variance = TENON_TRY(reshape_to(node, c.variance, {-1}));
  const auto moved = [&](size_t output, ValueId running, ValueId current) -> Result<void> {
    if (!node.has_output(output)) return {};
    const ValueId old_share =
        TENON_TRY(node.emit("Mul", {running, TENON_TRY(node.scalar_like(running, momentum))}));
    const ValueId new_share =
        TENON_TRY(node.emit("Mul", {current, TENON_TRY(node.scalar_like(running, 1 - momentum))}));
    return node.emit_to({node.output(output)}, "Add", {old_share, new_share});
  };
  TENON_TRY(moved(1, node.input(3), mean));
  TENON_TRY(moved(2, node.input(4), variance));
  node.set_input(3, mean);
  node.set_input(4, variance);
  node.drop_outputs_after(1);
  return direct(node);
}

// x divided by its norm along an axis; a zero vector stays zero.
Result<void> lp_normalization(NodeImport& node) {
  const int64_t p = TENON_TRY(node.take_int("p")).value_or(2);
  const int64_t axis = TENON_TRY(node.take_int("axis")).value_or(-1);
  if (p != 1 && p != 2) return NodeImport::invalid("p = {}", p);
  const ValueId x = node.input(0);
  const ValueId norm =
      TENON_TRY(node.emit(p == 1 ? "ReduceL1" : "ReduceL2", {x, TENON_TRY(node.int_vector({axis}))}));
  const ValueId zero = TENON_TRY(node.emit("Equal", {norm, TENON_TRY(node.scalar_like(x, 0))}));
  const ValueId divisor = TENON_TRY(node.emit("Where", {zero, TENON_TRY(node.scalar_like(x, 1)), norm}));
  return node.emit_to({node.output(0)}, "Div", {x, divisor});
}

// a0 - a1 cos(2πn / N) + a2 cos(4πn / N); N is the size, or one less for a symmetric window.
Result<void> cosine_window(NodeImport& node) {
  struct Coefficients {
    std::string_view name;
    double a0, a1, a2;
  };
  static constexpr Coefficients kWindows[] = {{"HannWindow", 0.5, 0.5, 0},
                                              {"HammingWindow", 25.0 / 46, 21.0 / 46, 0},
                                              {"BlackmanWindow", 0.42, 0.5, 0.08}};
  const auto* window = std::ranges::find(kWindows, node.proto().op_type, &Coefficients::name);
  const int64_t type = TENON_TRY(node.take_int("output_datatype")).value_or(1);
  const bool periodic = TENON_TRY(node.take_int("periodic")).value_or(1) != 0;
  constexpr int64_t kInt64 = 7, kFloat = 1;
  const auto cast = [&](ValueId x, int64_t to) { return node.emit("Cast", {x}, {{"to", to}}); };
  const ValueId size = TENON_TRY(cast(node.input(0), kInt64));
  const ValueId one = TENON_TRY(node.int_scalar(1));
  const ValueId numbers =
      TENON_TRY(cast(TENON_TRY(node.emit("Range", {TENON_TRY(node.int_scalar(0)), size, one})), kFloat));
  const ValueId length = TENON_TRY(cast(periodic ? size : TENON_TRY(node.emit("Sub", {size, one})), kFloat));
  const auto scalar = [&](double value) { return node.scalar_like(length, value); };
  const ValueId turns = TENON_TRY(node.emit("Div", {numbers, length}));
  const auto cosine = [&](double times, double factor) -> Result<ValueId> {
    const ValueId angle =
        TENON_TRY(node.emit("Mul", {turns, TENON_TRY(scalar(times * 2 * std::numbers::pi))}));
    return node.emit("Mul", {TENON_TRY(node.emit("Cos", {angle})), TENON_TRY(scalar(factor))});
  };
  ValueId sum =
      TENON_TRY(node.emit("Sub", {TENON_TRY(scalar(window->a0)), TENON_TRY(cosine(1, window->a1))}));
  if (window->a2 != 0) sum = TENON_TRY(node.emit("Add", {sum, TENON_TRY(cosine(2, window->a2))}));
  return node.emit_to({node.output(0)}, "Cast", {sum}, {{"to", type}});
}

namespace {

// The loss of log probabilities [N, C, …] at targets [N, …], weighted by class and without the ignored class.
Result<void> picked_loss(NodeImport& node, ValueId log_probabilities) {
  const auto ignored = TENON_TRY(node.take_int("ignore_index"));
  const std::string reduction(TENON_TRY(node.take_string("reduction")).value_or("mean"));
  const ValueId axis = TENON_TRY(node.int_vector({1}));
  ValueId target =
      TENON_TRY(node.emit("Cast", {node.input(1)}, {{"to", kernels::onnx_number(kernels::DataType::i64)}}));
  ValueId is_ignored = kAbsent;
  if (ignored) {  // the ignored number need not be a class: look up class 0 instead, and weigh it with 0
    is_ignored = TENON_TRY(node.emit("Equal", {target, TENON_TRY(node.int_scalar(*ignored))}));
    target = TENON_TRY(node.emit("Where", {is_ignored, TENON_TRY(node.int_scalar(0)), target}));
  }
  const ValueId columns = TENON_TRY(node.emit("Unsqueeze", {target, axis}));
  const ValueId picked =
      TENON_TRY(node.emit("GatherElements", {log_probabilities, columns}, {{"axis", int64_t{1}}}));
  ValueId loss = TENON_TRY(node.emit("Neg", {TENON_TRY(node.emit("Squeeze", {picked, axis}))}));
  ValueId weights = kAbsent;
  if (node.has_input(2)) {
    weights = TENON_TRY(node.emit("Gather", {node.input(2), target}));
  } else if (ignored) {
    weights = TENON_TRY(node.emit(
        "Expand", {TENON_TRY(node.scalar_like(node.input(0), 1)), TENON_TRY(node.emit("Shape", {target}))}));
  }
  if (ignored) {
    weights =
        TENON_TRY(node.emit("Where", {is_ignored, TENON_TRY(node.scalar_like(node.input(0), 0)), weights}));
  }
  if (weights != kAbsent) loss = TENON_TRY(node.emit("Mul", {loss, weights}));
  if (reduction == "none") return node.alias(0, loss);
  if (reduction == "sum") return node.emit_to({node.output(0)}, "ReduceSum", {loss}, keep_dims(false));
  if (reduction != "mean") return NodeImport::invalid("reduction '{}'", reduction);
  if (weights == kAbsent) return node.emit_to({node.output(0)}, "ReduceMean", {loss}, keep_dims(false));
  const ValueId total = TENON_TRY(node.emit("ReduceSum", {loss}, keep_dims(false)));
  const ValueId weight = TENON_TRY(node.emit("ReduceSum", {weights}, keep_dims(false)));
  return node.emit_to({node.output(0)}, "Div", {total, weight});
}

}  // namespace

// A Loop over the positions of the first sequence; see NodeHost::mapping_body.
Result<void> sequence_map(NodeImport& node) {
  const AttributeProto* body = node.take("body");
  if (!body || !body->g) return NodeImport::invalid("attribute 'body' holds no graph");
  const ValueId length = TENON_TRY(node.emit("SequenceLength", {node.input(0)}));
  std::vector<ValueId> operands{length, kAbsent};
  for (size_t i = 0; i < node.output_count(); ++i)
    operands.push_back(TENON_TRY(node.emit("SequenceEmpty", {})));
  auto graph = TENON_TRY(node.host().mapping_body(*body->g, node.inputs()));
  if (graph->outputs().size() != node.output_count() + 1) {
    return NodeImport::invalid("{} outputs, the body has {}", node.output_count(),
                               graph->outputs().size() - 1);
  }
  return node.emit_to(node.outputs(), "Loop", std::move(operands), {{"body", std::move(graph)}});
}

// The middle of each axis: what is too long is cut, what is too short padded with zeros, the odd element at the end.
Result<void> center_crop_pad(NodeImport& node) {
  ValueId dims = TENON_TRY(node.emit("Shape", {node.input(0)}));
  std::vector<ValueId> axes;
  if (const auto given = TENON_TRY(node.take_ints("axes"))) {
    axes = {TENON_TRY(node.int_vector(*given))};
    dims = TENON_TRY(node.emit("Gather", {dims, axes[0]}));
  }
  const ValueId zero = TENON_TRY(node.int_scalar(0)), two = TENON_TRY(node.int_scalar(2));
  const ValueId target =
      TENON_TRY(node.emit("Cast", {node.input(1)}, {{"to", kernels::onnx_number(kernels::DataType::i64)}}));
  const auto half_of_excess = [&](ValueId a, ValueId b, ValueId* excess) -> Result<ValueId> {
    *excess = TENON_TRY(node.emit("Max", {TENON_TRY(node.emit("Sub", {a, b})), zero}));
    return node.emit("Div", {*excess, two});
  };
  ValueId cut{}, missing{};
  const ValueId start = TENON_TRY(half_of_excess(dims, target, &cut));
  const ValueId end = TENON_TRY(node.emit("Add", {start, TENON_TRY(node.emit("Min", {dims, target}))}));
  const ValueId before = TENON_TRY(half_of_excess(target, dims, &missing));
  const ValueId after = TENON_TRY(node.emit("Sub", {missing, before}));
  std::vector<ValueId> slice{node.input(0), start, end}, pad{kAbsent, kAbsent, kAbsent};
  slice.insert(slice.end(), axes.begin(), axes.end());
  pad[0] = TENON_TRY(node.emit("Slice", slice));
  pad[1] = TENON_TRY(node.emit("Concat", {before, after}, {{"axis", int64_t{0}}}));
  pad.insert(pad.end(), axes.begin(), axes.end());
  if (axes.empty()) pad.resize(2);
  return node.emit_to({node.output(0)}, "Pad", std::move(pad));
}

// Opset 8: operands have a batch dimension, then the one that is scanned; operand 0 may limit the lengths.
Result<void> scan_over_batch(NodeImport& node) {
  const AttributeProto* body = node.take("body");
  if (!body || !body->g) return NodeImport::invalid("attribute 'body' holds no graph");
  const auto scans = TENON_TRY(node.take_int("num_scan_inputs"));
  if (!scans) return NodeImport::invalid("attribute 'num_scan_inputs' is missing");
  kernels::Attributes attributes{{"num_scan_inputs", *scans}};
  if (const auto directions = TENON_TRY(node.take_ints("directions")))
    attributes.push_back({"scan_input_directions", *directions});
  if (node.has_input(0)) return NodeImport::unsupported("lengths for each sequence of the batch");
  if (node.input_count() < 2) return NodeImport::invalid("no operand to scan");
  std::vector<ValueId> operands(node.inputs().begin() + 1, node.inputs().end());
  auto outer = TENON_TRY(node.host().batched_scan(*body->g, operands, std::move(attributes)));
  if (outer->outputs().size() != node.output_count()) {
    return NodeImport::invalid("{} outputs, the body has {}", node.output_count(), outer->outputs().size());
  }
  const auto count = static_cast<int64_t>(operands.size());
  return node.emit_to(node.outputs(), "Scan", std::move(operands),
                      {{"body", std::move(outer)}, {"num_scan_inputs", count}});
}

Result<void> negative_log_likelihood(NodeImport& node) { return picked_loss(node, node.input(0)); }

Result<void> softmax_cross_entropy(NodeImport& node) {
  const ValueId log_probabilities =
      TENON_TRY(node.emit("LogSoftmax", {node.input(0)}, {{"axis", int64_t{1}}}));
  TENON_TRY(node.alias(1, log_probabilities));
  return picked_loss(node, log_probabilities);
}

}  // namespace tenon::nn::onnx::rules
