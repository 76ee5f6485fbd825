// Rules of element-wise layers, data movement and shapes. They never see oneDNN, nor shapes beyond what the file declares.
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;

constexpr int64_t kLast = std::numeric_limits<int64_t>::max();  // of a slice: to the end
constexpr int64_t kFirst = std::numeric_limits<int64_t>::min();

// auto_broadcast="pdpd": the last operand's first dimension is lined up with `axis` of the first.
static Result<ValueId> lined_up(LayerImport& layer, size_t last) {
  const int64_t rank = TENON_TRY(layer.need_rank(0)), own = TENON_TRY(layer.need_rank(last));
  int64_t axis = TENON_TRY(layer.integer("axis", -1));
  if (axis == -1) axis = rank - own;
  const int64_t missing = rank - own - axis;
  if (axis < 0 || missing < 0)
    return LayerImport::invalid("axis {} does not fit ranks {} and {}", axis, rank, own);
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < missing; ++i) axes.push_back(own + i);
  if (axes.empty()) return layer.input(last);
  return layer.emit("Unsqueeze", {layer.input(last), TENON_TRY(layer.int_vector(axes))});
}

static Result<std::vector<ValueId>> broadcast_operands(LayerImport& layer) {
  std::vector<ValueId> inputs = layer.inputs();
  if (inputs.size() > 1 && layer.text("auto_broadcast", "numpy") == "pdpd")
    inputs.back() = TENON_TRY(lined_up(layer, inputs.size() - 1));
  return inputs;
}

Result<void> binary(LayerImport& layer) { return layer.finish(TENON_TRY(broadcast_operands(layer))); }

Result<void> not_equal(LayerImport& layer) {
  return layer.finish("Not", {TENON_TRY(layer.emit("Equal", TENON_TRY(broadcast_operands(layer))))});
}

// Integers round down, as Python's do, unless the file says otherwise.
Result<void> divide(LayerImport& layer) {
  const auto inputs = TENON_TRY(broadcast_operands(layer));
  if (!layer.is_integer(0) || !TENON_TRY(layer.flag("m_pythondiv", true))) return layer.finish("Div", inputs);
  // (a - a mod b) / b, where the remainder has the sign of b
  const ValueId rest = TENON_TRY(layer.emit("Mod", inputs));
  return layer.finish("Div", {TENON_TRY(layer.emit("Sub", {inputs[0], rest})), inputs[1]});
}

Result<void> bit_shift(LayerImport& layer) {
  const bool left = layer.layer().type == "BitwiseLeftShift";
  return layer.finish(TENON_TRY(broadcast_operands(layer)),
                      {{"direction", std::string(left ? "LEFT" : "RIGHT")}});
}

Result<void> mod(LayerImport& layer) {
  return layer.finish("Mod", TENON_TRY(broadcast_operands(layer)), {{"fmod", int64_t{1}}});
}

Result<void> floor_mod(LayerImport& layer) {
  const auto inputs = TENON_TRY(broadcast_operands(layer));
  if (layer.is_integer(0)) return layer.finish("Mod", inputs);
  const ValueId times = TENON_TRY(layer.emit("Floor", {TENON_TRY(layer.emit("Div", inputs))}));
  return layer.finish("Sub", {inputs[0], TENON_TRY(layer.emit("Mul", {times, inputs[1]}))});
}

Result<void> squared_difference(LayerImport& layer) {
  const ValueId difference = TENON_TRY(layer.emit("Sub", TENON_TRY(broadcast_operands(layer))));
  return layer.finish("Mul", {difference, difference});
}

// A slope for each channel is lined up with axis 1.
Result<void> prelu(LayerImport& layer) {
  ValueId slope = TENON_TRY(layer.need(1));
  const auto dims = layer.dims_of(1);
  const auto rank = layer.rank(layer.input(0));
  if (dims.size() == 1 && dims[0] != 1 && rank && *rank > 2) {
    std::vector<int64_t> shape(*rank - 1, 1);
    shape[0] = -1;
    slope = TENON_TRY(layer.reshape(slope, shape));
  }
  return layer.finish({layer.input(0), slope});
}

Result<void> clamp(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const float low = TENON_TRY(layer.real("min")), high = TENON_TRY(layer.real("max"));
  if (layer.is_integer(0)) {
    return layer.finish({x, TENON_TRY(layer.scalar_like(x, std::ceil(low))),
                         TENON_TRY(layer.scalar_like(x, std::floor(high)))});
  }
  if (layer.element(0) == DataType::f32)
    return layer.finish({x, TENON_TRY(layer.real_scalar(low)), TENON_TRY(layer.real_scalar(high))});
  return layer.finish({x, TENON_TRY(layer.scalar_like(x, low)), TENON_TRY(layer.scalar_like(x, high))});
}

Result<void> convert(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0))},
                      {{"to", kernels::onnx_number(TENON_TRY(layer.type("destination_type")))}});
}

Result<void> elu(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0))}, {{"alpha", TENON_TRY(layer.real("alpha"))}});
}

Result<void> gelu(LayerImport& layer) {
  static constexpr LayerImport::Word kWords[] = {
      {"ERF", "none"}, {"erf", "none"}, {"TANH", "tanh"}, {"tanh", "tanh"}};
  return layer.finish({TENON_TRY(layer.need(0))},
                      {{"approximate", TENON_TRY(layer.word("approximation_mode", "ERF", kWords))}});
}

static Result<void> with_two_constants(LayerImport& layer, const char* first, const char* second) {
  const auto a = TENON_TRY(layer.constant_reals(1)), b = TENON_TRY(layer.constant_reals(2));
  if (a.size() != 1 || b.size() != 1) return LayerImport::invalid("inputs 1 and 2 are no scalars");
  return layer.finish({layer.input(0)}, {{first, a[0]}, {second, b[0]}});
}

Result<void> hard_sigmoid(LayerImport& layer) { return with_two_constants(layer, "alpha", "beta"); }
Result<void> selu(LayerImport& layer) { return with_two_constants(layer, "alpha", "gamma"); }

// min(max(x + 3, 0), 6) / 6
Result<void> hsigmoid(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0))}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
}

Result<void> swish(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  ValueId scaled = x;
  if (layer.has_input(1)) scaled = TENON_TRY(layer.emit("Mul", {x, layer.input(1)}));
  return layer.finish("Mul", {x, TENON_TRY(layer.emit("Sigmoid", {scaled}))});
}

Result<void> is_inf(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0))},
                      {{"detect_negative", int64_t{TENON_TRY(layer.flag("detect_negative", true))}},
                       {"detect_positive", int64_t{TENON_TRY(layer.flag("detect_positive", true))}}});
}

Result<void> is_finite(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const ValueId either =
      TENON_TRY(layer.emit("Or", {TENON_TRY(layer.emit("IsInf", {x})), TENON_TRY(layer.emit("IsNaN", {x}))}));
  return layer.finish("Not", {either});
}

// Halves go to the even neighbour, or away from zero: sign(x) * floor(|x| + 0.5).
Result<void> round(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const std::string_view mode = layer.text("mode", "half_to_even");
  if (mode == "half_to_even" || mode == "HALF_TO_EVEN") return layer.finish({x});
  if (mode != "half_away_from_zero" && mode != "HALF_AWAY_FROM_ZERO")
    return LayerImport::unsupported("attribute 'mode': '{}' is not supported", mode);
  const ValueId above =
      TENON_TRY(layer.emit("Add", {TENON_TRY(layer.emit("Abs", {x})), TENON_TRY(layer.scalar_like(x, 0.5))}));
  return layer.finish("Mul", {TENON_TRY(layer.emit("Sign", {x})), TENON_TRY(layer.emit("Floor", {above}))});
}

Result<void> softmax(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0))},
                      {{"axis", TENON_TRY(layer.integer("axis", layer.op() == "Softmax" ? 1 : -1))}});
}

Result<void> reduce(LayerImport& layer) {
  const ValueId axes = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  // Without axes nothing is reduced.
  Attributes attributes{{"keepdims", int64_t{TENON_TRY(layer.flag("keep_dims", false))}},
                        {"noop_with_empty_axes", int64_t{1}}};
  const auto rank = layer.rank(layer.input(1));
  const ValueId list = rank == 0 ? TENON_TRY(layer.reshape(axes, {1})) : axes;
  return layer.finish({TENON_TRY(layer.need(0)), list}, std::move(attributes));
}

Result<void> reshape(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const bool copies_zeros = TENON_TRY(layer.flag("special_zero", false));
  const QuantizedConstant* quantized = layer.host().quantized(x);
  if (quantized && layer.constant(TENON_TRY(layer.need(1)))) {
    const auto dims = Dims::from(TENON_TRY(layer.constant_ints(1)));
    if (dims) {
      if (auto codes = quantized->codes.reshaped(*dims))
        return layer.define_quantized(layer.output(0),
                                      {*std::move(codes), quantized->scales, quantized->zero});
    }
  }
  return layer.finish({x, TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))))},
                      {{"allowzero", int64_t{!copies_zeros}}});
}

// Squeeze and Unsqueeze; the axes may be a scalar.
Result<void> squeeze(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  if (!layer.has_input(1)) return layer.finish({x});
  const ValueId axes = TENON_TRY(layer.as_i64(layer.input(1)));
  return layer.finish({x, TENON_TRY(layer.reshape(axes, {-1}))});
}

Result<void> transpose(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const auto order = TENON_TRY(layer.constant_ints(1));
  if (order.empty()) return layer.finish({x});
  return layer.finish({x}, {{"perm", order}});
}

Result<void> concat(LayerImport& layer) {
  return layer.finish(layer.inputs(), {{"axis", TENON_TRY(layer.integer("axis"))}});
}

static Result<int64_t> constant_axis(LayerImport& layer, size_t input) {
  const auto axis = TENON_TRY(layer.constant_ints(input));
  if (axis.size() != 1) return LayerImport::invalid("input {} is no axis", input);
  return axis[0];
}

Result<void> split(LayerImport& layer) {
  const int64_t axis = TENON_TRY(constant_axis(layer, 1));
  const int64_t parts = TENON_TRY(layer.integer("num_splits"));
  if (parts != static_cast<int64_t>(layer.output_count()))
    return LayerImport::invalid("num_splits is {}, the layer has {} outputs", parts, layer.output_count());
  return layer.emit_to(layer.outputs(), "Split", {TENON_TRY(layer.need(0))},
                       {{"axis", axis}, {"num_outputs", parts}});
}

Result<void> variadic_split(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const int64_t axis = TENON_TRY(constant_axis(layer, 1));
  auto lengths = TENON_TRY(layer.constant_ints(2));
  const auto open = std::ranges::find(lengths, -1);
  if (open != lengths.end()) {
    const auto dims = layer.dims_of(0);
    const int64_t at = TENON_TRY(LayerImport::positive_axis(axis, TENON_TRY(layer.need_rank(0))));
    int64_t rest = dims[static_cast<size_t>(at)];
    if (rest < 0) return LayerImport::unsupported("a length of -1 along a dimension that is not declared");
    for (const int64_t length : lengths) {
      if (length < -1 || length > rest) return LayerImport::invalid("length {} is too long", length);
      rest -= std::max<int64_t>(length, 0);
    }
    *open = rest;
  }
  return layer.emit_to(layer.outputs(), "Split", {x, TENON_TRY(layer.int_vector(lengths))}, {{"axis", axis}});
}

namespace {

// What a StridedSlice does to one dimension of its operand, by its masks.
struct SlicePlan {
  std::vector<int64_t> axes, starts, ends, steps;
  std::vector<int64_t> dropped;  // of the operand: an index, not a range
  std::vector<int64_t> added;    // of the result: new dimensions of size 1
};

struct SliceMasks {
  std::vector<int64_t> begin, end, new_axis, shrink_axis, ellipsis;
  static bool has(const std::vector<int64_t>& mask, size_t i) { return i < mask.size() && mask[i] != 0; }
};

Result<SliceMasks> slice_masks(const LayerImport& layer) {
  return SliceMasks{TENON_TRY(layer.integers("begin_mask")), TENON_TRY(layer.integers("end_mask")),
                    TENON_TRY(layer.integers("new_axis_mask")), TENON_TRY(layer.integers("shrink_axis_mask")),
                    TENON_TRY(layer.integers("ellipsis_mask"))};
}

Result<SlicePlan> plan_slice(const LayerImport& layer, const SliceMasks& masks) {
  const auto begin = TENON_TRY(layer.constant_ints(1)), end = TENON_TRY(layer.constant_ints(2));
  const auto stride =
      layer.has_input(3) ? TENON_TRY(layer.constant_ints(3)) : std::vector<int64_t>(begin.size(), 1);
  if (end.size() != begin.size() || stride.size() != begin.size())
    return LayerImport::invalid("begin, end and strides differ in length");
  SlicePlan plan;
  int64_t axis = 0, result_axis = 0;
  for (size_t i = 0; i < begin.size(); ++i) {
    if (SliceMasks::has(masks.ellipsis, i)) {
      int64_t own = 0;  // dimensions that the other entries take
      for (size_t j = 0; j < begin.size(); ++j) own += j != i && !SliceMasks::has(masks.new_axis, j);
      const int64_t covered = TENON_TRY(layer.need_rank(0)) - own;
      if (covered < 0) return LayerImport::invalid("more ranges than dimensions");
      axis += covered;
      result_axis += covered;
    } else if (SliceMasks::has(masks.new_axis, i)) {
      plan.added.push_back(result_axis++);
    } else {
      const bool drops = SliceMasks::has(masks.shrink_axis, i);
      const bool backwards = stride[i] < 0;
      plan.axes.push_back(axis);
      plan.steps.push_back(drops ? 1 : stride[i]);
      const bool from_first = SliceMasks::has(masks.begin, i) && !drops;
      const bool to_last = SliceMasks::has(masks.end, i) && !drops;
      plan.starts.push_back(!from_first ? begin[i] : backwards ? kLast : 0);
      if (drops) {
        plan.ends.push_back(begin[i] == -1 ? kLast : begin[i] + 1);
        plan.dropped.push_back(axis);
      } else {
        plan.ends.push_back(!to_last ? end[i] : backwards ? kFirst : kLast);
        ++result_axis;
      }
      ++axis;
    }
  }
  return plan;
}

// The same for ranges that are computed: no new, dropped or left out dimensions.
Result<void> slice_computed(LayerImport& layer, const SliceMasks& masks) {
  const auto any = [](const std::vector<int64_t>& mask) {
    return std::ranges::any_of(mask, [](int64_t bit) { return bit != 0; });
  };
  const auto count = layer.dims_of(1);
  if (any(masks.new_axis) || any(masks.shrink_axis) || any(masks.ellipsis) || count.size() != 1 ||
      count[0] < 0)
    return LayerImport::unsupported("computed ranges with masks for new, dropped or left out dimensions");
  // range * kept + replacement
  const auto masked = [&](size_t input, const std::vector<int64_t>& mask,
                          int64_t replacement) -> Result<ValueId> {
    const ValueId range = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(input))));
    if (!any(mask)) return range;
    std::vector<int64_t> kept, other;
    for (size_t i = 0; i < static_cast<size_t>(count[0]); ++i) {
      kept.push_back(!SliceMasks::has(mask, i));
      other.push_back(SliceMasks::has(mask, i) ? replacement : 0);
    }
    const ValueId product = TENON_TRY(layer.emit("Mul", {range, TENON_TRY(layer.int_vector(kept))}));
    return layer.emit("Add", {product, TENON_TRY(layer.int_vector(other))});
  };
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < count[0]; ++i) axes.push_back(i);
  std::vector<ValueId> operands{layer.input(0), TENON_TRY(masked(1, masks.begin, 0)),
                                TENON_TRY(masked(2, masks.end, kLast)), TENON_TRY(layer.int_vector(axes))};
  if (layer.has_input(3)) operands.push_back(TENON_TRY(layer.as_i64(layer.input(3))));
  return layer.finish(operands);
}

}  // namespace

Result<void> strided_slice(LayerImport& layer) {
  const SliceMasks masks = TENON_TRY(slice_masks(layer));
  const ValueId x = TENON_TRY(layer.need(0));
  if (!layer.constant(TENON_TRY(layer.need(1))) || !layer.constant(TENON_TRY(layer.need(2))))
    return slice_computed(layer, masks);
  const SlicePlan plan = TENON_TRY(plan_slice(layer, masks));
  ValueId value = x;
  if (!plan.axes.empty()) {
    value = TENON_TRY(layer.emit(
        "Slice", {value, TENON_TRY(layer.int_vector(plan.starts)), TENON_TRY(layer.int_vector(plan.ends)),
                  TENON_TRY(layer.int_vector(plan.axes)), TENON_TRY(layer.int_vector(plan.steps))}));
  }
  if (!plan.dropped.empty())
    value = TENON_TRY(layer.emit("Squeeze", {value, TENON_TRY(layer.int_vector(plan.dropped))}));
  if (!plan.added.empty())
    value = TENON_TRY(layer.emit("Unsqueeze", {value, TENON_TRY(layer.int_vector(plan.added))}));
  return layer.alias(0, value);
}

// data, start, stop, step, axes → data, starts, ends, axes, steps
Result<void> slice(LayerImport& layer) {
  std::vector<ValueId> operands{TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))),
                                TENON_TRY(layer.as_i64(TENON_TRY(layer.need(2)))), kAbsent,
                                TENON_TRY(layer.as_i64(TENON_TRY(layer.need(3))))};
  if (layer.has_input(4)) operands[3] = TENON_TRY(layer.as_i64(layer.input(4)));
  return layer.finish(std::move(operands));
}

Result<void> gather(LayerImport& layer) {
  const ValueId data = TENON_TRY(layer.need(0)), indices = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  const int64_t axis = TENON_TRY(constant_axis(layer, 2));
  int64_t batch = TENON_TRY(layer.integer("batch_dims", 0));
  if (batch < 0) batch += TENON_TRY(layer.need_rank(1));
  if (batch == 0) return layer.finish({data, indices}, {{"axis", axis}});
  const int64_t rank = TENON_TRY(layer.need_rank(0)), of_indices = TENON_TRY(layer.need_rank(1));
  const int64_t from = TENON_TRY(LayerImport::positive_axis(axis, rank));
  if (batch < 0 || batch > from || batch > of_indices) return LayerImport::invalid("batch_dims {}", batch);
  const ValueId tuples = TENON_TRY(layer.emit("Unsqueeze", {indices, TENON_TRY(layer.int_vector({-1}))}));
  if (from == batch) return layer.finish("GatherND", {data, tuples}, {{"batch_dims", batch}});
  // The axis is brought next to the batch, and what was between them behind the indices' own axes after.
  const int64_t own = of_indices - batch, between = from - batch;
  std::vector<int64_t> there, back;
  for (int64_t i = 0; i < batch; ++i) there.push_back(i);
  there.push_back(from);
  for (int64_t i = batch; i < rank; ++i) {
    if (i != from) there.push_back(i);
  }
  for (int64_t i = 0; i < batch; ++i) back.push_back(i);
  for (int64_t i = 0; i < between; ++i) back.push_back(batch + own + i);
  for (int64_t i = 0; i < own; ++i) back.push_back(batch + i);
  for (int64_t i = batch + own + between; i < rank + own - 1; ++i) back.push_back(i);
  const ValueId turned = TENON_TRY(layer.emit("Transpose", {data}, {{"perm", there}}));
  const ValueId found = TENON_TRY(layer.emit("GatherND", {turned, tuples}, {{"batch_dims", batch}}));
  return layer.finish("Transpose", {found}, {{"perm", back}});
}

Result<void> gather_elements(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))))},
                      {{"axis", TENON_TRY(layer.integer("axis"))}});
}

Result<void> gather_nd(LayerImport& layer) {
  const int64_t batch = TENON_TRY(layer.integer("batch_dims", 0));
  if (layer.opset() < 8 && batch > 1) return LayerImport::unsupported("batch_dims {} before opset8", batch);
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))))},
                      {{"batch_dims", batch}});
}

Result<void> scatter_elements(LayerImport& layer) {
  static constexpr LayerImport::Word kWords[] = {
      {"none", "none"}, {"sum", "add"}, {"prod", "mul"}, {"min", "min"}, {"max", "max"}};
  if (!TENON_TRY(layer.flag("use_init_val", true))) return LayerImport::unsupported("use_init_val is false");
  return layer.finish(
      {TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))), TENON_TRY(layer.need(2))},
      {{"axis", TENON_TRY(constant_axis(layer, 3))},
       {"reduction", TENON_TRY(layer.word("reduction", "none", kWords))}});
}

Result<void> scatter_nd(LayerImport& layer) {
  static constexpr LayerImport::Word kWords[] = {
      {"none", "none"}, {"sum", "add"}, {"prod", "mul"}, {"min", "min"}, {"max", "max"}};
  return layer.finish(
      {TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))), TENON_TRY(layer.need(2))},
      {{"reduction", TENON_TRY(layer.word("reduction", "none", kWords))}});
}

Result<void> pad(LayerImport& layer) {
  if (const std::string_view mode = layer.text("pad_mode"); mode == "symmetric" || mode == "SYMMETRIC") {
    const auto begin = TENON_TRY(layer.constant_ints(1)), end = TENON_TRY(layer.constant_ints(2));
    if (begin.size() != end.size()) return LayerImport::invalid("pads_begin and pads_end differ in length");
    std::vector<int64_t> pairs;
    for (size_t i = 0; i < begin.size(); ++i) pairs.insert(pairs.end(), {begin[i], end[i]});
    return layer.alias(0, TENON_TRY(layer.mirrored(TENON_TRY(layer.need(0)), pairs, true)));
  }
  static constexpr LayerImport::Word kWords[] = {
      {"constant", "constant"}, {"edge", "edge"}, {"reflect", "reflect"}};
  const ValueId begin = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))),
                end = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(2))));
  const ValueId pads = TENON_TRY(layer.emit("Concat", {begin, end}, {{"axis", int64_t{0}}}));
  std::vector<ValueId> operands{TENON_TRY(layer.need(0)), pads};
  const std::string mode = TENON_TRY(layer.word("pad_mode", "constant", kWords));
  if (mode == "constant" && layer.has_input(3)) operands.push_back(layer.input(3));
  return layer.finish(std::move(operands), {{"mode", mode}});
}

// More repeats than dimensions add dimensions in front.
Result<void> tile(LayerImport& layer) {
  ValueId x = TENON_TRY(layer.need(0)), repeats = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  const auto count = layer.dims_of(1);
  const auto rank = layer.rank(x);
  if (rank && count.size() == 1 && count[0] >= 0) {
    const int64_t more = count[0] - static_cast<int64_t>(*rank);
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < more && i < static_cast<int64_t>(Dims::kMaxRank); ++i) axes.push_back(i);
    if (more > 0) x = TENON_TRY(layer.emit("Unsqueeze", {x, TENON_TRY(layer.int_vector(axes))}));
    if (more < 0) {
      const std::vector<int64_t> ones(static_cast<size_t>(-more), 1);
      repeats = TENON_TRY(
          layer.emit("Concat", {TENON_TRY(layer.int_vector(ones)), repeats}, {{"axis", int64_t{0}}}));
    }
  }
  return layer.finish({x, repeats});
}

// Mode "explicit": input 2 says which axis of the result each dimension of the operand is.
Result<void> broadcast(LayerImport& layer) {
  ValueId x = TENON_TRY(layer.need(0));
  const ValueId target = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  const std::string_view mode = layer.text("mode", "numpy");
  if (mode == "explicit") {
    const auto mapping = TENON_TRY(layer.constant_ints(2));
    const auto rank = layer.dims_of(1);
    if (rank.size() != 1 || rank[0] < 0 || rank[0] > static_cast<int64_t>(Dims::kMaxRank))
      return LayerImport::unsupported("a target whose length is not declared");
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < rank[0]; ++i) {
      if (std::ranges::find(mapping, i) == mapping.end()) axes.push_back(i);
    }
    if (!axes.empty()) x = TENON_TRY(layer.emit("Unsqueeze", {x, TENON_TRY(layer.int_vector(axes))}));
  } else if (mode != "numpy" && mode != "bidirectional") {
    return LayerImport::unsupported("attribute 'mode': '{}' is not supported", mode);
  }
  return layer.finish({x, target});
}

Result<void> depth_to_space(LayerImport& layer) {
  static constexpr LayerImport::Word kWords[] = {{"blocks_first", "DCR"}, {"depth_first", "CRD"}};
  return layer.finish({TENON_TRY(layer.need(0))},
                      {{"blocksize", TENON_TRY(layer.integer("block_size", 1))},
                       {"mode", TENON_TRY(layer.word("mode", "blocks_first", kWords))}});
}

Result<void> space_to_depth(LayerImport& layer) {
  if (const std::string_view mode = layer.text("mode", "blocks_first"); mode != "blocks_first")
    return LayerImport::unsupported("attribute 'mode': '{}' is not supported", mode);
  return layer.finish({TENON_TRY(layer.need(0))}, {{"blocksize", TENON_TRY(layer.integer("block_size", 1))}});
}

namespace {

// Declared dims, all known, of the operand that blocks are made of.
Result<std::vector<int64_t>> known_dims(const LayerImport& layer) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // so that products of two do not overflow
  auto dims = layer.dims_of(0);
  if (dims.empty() || std::ranges::any_of(dims, [](int64_t dim) { return dim < 0 || dim > kMost; }))
    return LayerImport::unsupported("an operand whose dimensions are not declared, or too large");
  return dims;
}

Result<std::vector<int64_t>> block_list(const LayerImport& layer, size_t input, size_t rank) {
  auto list = TENON_TRY(layer.constant_ints(input));
  if (list.size() == rank) return list;
  return LayerImport::invalid("input {} has {} elements, the operand {} dimensions", input, list.size(),
                              rank);
}

}  // namespace

// data, block_shape, crops_begin, crops_end: parts of the batch become positions between each other.
Result<void> batch_to_space(LayerImport& layer) {
  auto dims = TENON_TRY(known_dims(layer));
  const size_t rank = dims.size();
  const auto blocks = TENON_TRY(block_list(layer, 1, rank));
  const auto before = TENON_TRY(block_list(layer, 2, rank)), after = TENON_TRY(block_list(layer, 3, rank));
  int64_t parts = 1;
  for (const int64_t block : blocks) {
    if (block < 1 || block > dims[0] || parts > dims[0] / block)
      return LayerImport::invalid("block of {}", block);
    parts *= block;
  }
  if (dims[0] % parts != 0) return LayerImport::invalid("a batch of {} is not {} parts", dims[0], parts);
  // [blocks 1…, batch, dim 1…] → [batch, dim 1, block 1, …] → merged → cropped
  std::vector<int64_t> open, perm, merged, starts, ends, axes;
  for (size_t i = 1; i < rank; ++i) open.push_back(blocks[i]);
  const auto first = static_cast<int64_t>(rank) - 1;
  open.push_back(dims[0] / parts);
  perm.push_back(first);
  merged.push_back(dims[0] / parts);
  for (size_t i = 1; i < rank; ++i) {
    open.push_back(dims[i]);
    perm.push_back(first + static_cast<int64_t>(i));
    perm.push_back(static_cast<int64_t>(i) - 1);
    merged.push_back(dims[i] * blocks[i]);
    if (before[i] < 0 || after[i] < 0 || before[i] > merged[i] - after[i])
      return LayerImport::invalid("crops");
    starts.push_back(before[i]);
    ends.push_back(merged[i] - after[i]);
    axes.push_back(static_cast<int64_t>(i));
  }
  const ValueId split = TENON_TRY(layer.reshape(layer.input(0), open));
  const ValueId moved = TENON_TRY(layer.emit("Transpose", {split}, {{"perm", perm}}));
  return layer.finish("Slice", {TENON_TRY(layer.reshape(moved, merged)), TENON_TRY(layer.int_vector(starts)),
                                TENON_TRY(layer.int_vector(ends)), TENON_TRY(layer.int_vector(axes))});
}

// data, block_shape, pads_begin, pads_end: the other way round.
Result<void> space_to_batch(LayerImport& layer) {
  auto dims = TENON_TRY(known_dims(layer));
  const size_t rank = dims.size();
  const auto blocks = TENON_TRY(block_list(layer, 1, rank));
  auto pads = TENON_TRY(block_list(layer, 2, rank));
  const auto after = TENON_TRY(block_list(layer, 3, rank));
  pads.insert(pads.end(), after.begin(), after.end());
  constexpr int64_t kLimit = int64_t{1} << 40;
  std::vector<int64_t> open{dims[0]}, perm, merged{dims[0]};
  for (size_t i = 1; i < rank; ++i) {
    if (blocks[i] < 1 || blocks[i] > kLimit || pads[i] < 0 || after[i] < 0 || pads[i] > kLimit ||
        after[i] > kLimit)
      return LayerImport::invalid("blocks or pads");
    const int64_t padded = dims[i] + pads[i] + after[i];
    if (padded % blocks[i] != 0)
      return LayerImport::invalid("{} positions are no blocks of {}", padded, blocks[i]);
    open.push_back(padded / blocks[i]);
    open.push_back(blocks[i]);
    perm.push_back(static_cast<int64_t>(2 * i));
    merged[0] = merged[0] > kLimit / blocks[i] ? -1 : merged[0] * blocks[i];
    if (merged[0] < 0) return LayerImport::invalid("blocks");
    merged.push_back(padded / blocks[i]);
  }
  perm.push_back(0);
  for (size_t i = 1; i < rank; ++i) perm.push_back(static_cast<int64_t>(2 * i - 1));
  const ValueId padded = TENON_TRY(layer.emit("Pad", {layer.input(0), TENON_TRY(layer.int_vector(pads))}));
  const ValueId moved =
      TENON_TRY(layer.emit("Transpose", {TENON_TRY(layer.reshape(padded, open))}, {{"perm", perm}}));
  return layer.finish("Reshape", {moved, TENON_TRY(layer.int_vector(merged))});
}

// [.., C, ..] as [.., groups, C / groups, ..] with these two exchanged.
Result<void> shuffle_channels(LayerImport& layer) {
  const auto dims = TENON_TRY(known_dims(layer));
  const auto rank = static_cast<int64_t>(dims.size());
  const int64_t axis = TENON_TRY(LayerImport::positive_axis(TENON_TRY(layer.integer("axis", 1)), rank));
  const int64_t groups = TENON_TRY(layer.integer("group", 1));
  const int64_t channels = dims[static_cast<size_t>(axis)];
  if (groups < 1 || channels % groups != 0) return LayerImport::invalid("{} groups of {}", groups, channels);
  std::vector<int64_t> open = dims, perm;
  open[static_cast<size_t>(axis)] = groups;
  open.insert(open.begin() + axis + 1, channels / groups);
  for (int64_t i = 0; i <= rank; ++i) perm.push_back(i);
  std::swap(perm[static_cast<size_t>(axis)], perm[static_cast<size_t>(axis) + 1]);
  const ValueId split = TENON_TRY(layer.reshape(layer.input(0), open));
  const ValueId moved = TENON_TRY(layer.emit("Transpose", {split}, {{"perm", perm}}));
  return layer.finish("Reshape", {moved, TENON_TRY(layer.int_vector(dims))});
}

// Axes by number, or by a mask of booleans.
Result<void> reverse(LayerImport& layer) {
  auto axes = TENON_TRY(layer.constant_ints(1));
  if (layer.text("mode", "index") == "mask") {
    std::vector<int64_t> marked;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] != 0) marked.push_back(static_cast<int64_t>(i));
    }
    axes = std::move(marked);
  }
  if (axes.empty()) return layer.alias(0, TENON_TRY(layer.need(0)));
  const auto all = [&](int64_t value) { return layer.int_vector(std::vector<int64_t>(axes.size(), value)); };
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(all(-1)), TENON_TRY(all(kFirst)),
                       TENON_TRY(layer.int_vector(axes)), TENON_TRY(all(-1))});
}

Result<void> reverse_sequence(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  const auto axis = [&](const char* key, int64_t fallback) -> Result<int64_t> {
    return LayerImport::positive_axis(TENON_TRY(layer.integer(key, fallback)), rank);
  };
  return layer.finish(
      {layer.input(0), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))))},
      {{"batch_axis", TENON_TRY(axis("batch_axis", 0))}, {"time_axis", TENON_TRY(axis("seq_axis", 1))}});
}

// Along each axis the last `shift` elements come first.
Result<void> roll(LayerImport& layer) {
  auto shifts = TENON_TRY(layer.constant_ints(1));
  const auto axes = TENON_TRY(layer.constant_ints(2));
  if (shifts.size() == 1) shifts.resize(axes.size(), shifts[0]);
  if (shifts.size() != axes.size())
    return LayerImport::invalid("{} shifts for {} axes", shifts.size(), axes.size());
  const auto dims = TENON_TRY(known_dims(layer));
  ValueId value = layer.input(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = TENON_TRY(LayerImport::positive_axis(axes[i], static_cast<int64_t>(dims.size())));
    const int64_t size = dims[static_cast<size_t>(axis)];
    const int64_t start = size == 0 ? 0 : (size - shifts[i] % size) % size;
    const auto part = [&](int64_t from, int64_t to) -> Result<ValueId> {
      return layer.emit("Slice", {value, TENON_TRY(layer.int_vector({from})),
                                  TENON_TRY(layer.int_vector({to})), TENON_TRY(layer.int_vector({axis}))});
    };
    value = TENON_TRY(
        layer.emit("Concat", {TENON_TRY(part(start, kLast)), TENON_TRY(part(0, start))}, {{"axis", axis}}));
  }
  return layer.alias(0, value);
}

Result<void> shape_of(LayerImport& layer) {
  const ValueId shape = TENON_TRY(layer.shape(TENON_TRY(layer.need(0))));
  const DataType type = TENON_TRY(layer.type("output_type", "i64"));
  if (type == DataType::i64) return layer.alias(0, shape);
  return layer.finish("Cast", {shape}, {{"to", kernels::onnx_number(type)}});
}

Result<void> range(LayerImport& layer) {
  const DataType type =
      layer.layer().has("output_type") ? TENON_TRY(layer.type("output_type")) : layer.element(0);
  std::vector<ValueId> operands;
  for (size_t i = 0; i < 3; ++i) {
    ValueId value = TENON_TRY(layer.reshape(TENON_TRY(layer.need(i)), {}));
    if (type != DataType::undefined && layer.element(i) != type) value = TENON_TRY(layer.cast(value, type));
    operands.push_back(value);
  }
  return layer.finish(std::move(operands));
}

// indices, depth, on, off → indices, depth, [off, on]
Result<void> one_hot(LayerImport& layer) {
  const auto single = [&](size_t i) -> Result<ValueId> {
    return layer.reshape(TENON_TRY(layer.need(i)), {1});
  };
  const ValueId values =
      TENON_TRY(layer.emit("Concat", {TENON_TRY(single(3)), TENON_TRY(single(2))}, {{"axis", int64_t{0}}}));
  const ValueId depth = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  return layer.finish({TENON_TRY(layer.as_i64(TENON_TRY(layer.need(0)))), depth, values},
                      {{"axis", TENON_TRY(layer.integer("axis", -1))}});
}

// Sorted by value, or taken as a set and put in the order of the indices.
Result<void> top_k(LayerImport& layer) {
  const int64_t axis = TENON_TRY(layer.integer("axis"));
  const std::string_view mode = layer.text("mode"), sort = layer.text("sort", "value");
  if (mode != "max" && mode != "min") return LayerImport::invalid("attribute 'mode': '{}'", mode);
  if (sort != "value" && sort != "none" && sort != "index")
    return LayerImport::invalid("attribute 'sort': '{}'", sort);
  const ValueId count = TENON_TRY(layer.reshape(TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))), {1}));
  const DataType type = TENON_TRY(layer.type("index_element_type", "i32"));
  const ValueId values = layer.new_value(), indices = layer.new_value();
  const auto attributes = [&](bool largest) {
    return Attributes{{"axis", axis}, {"largest", int64_t{largest}}, {"sorted", int64_t{1}}};
  };
  TENON_TRY(
      layer.emit_to({values, indices}, "TopK", {TENON_TRY(layer.need(0)), count}, attributes(mode == "max")));
  ValueId ordered = indices, picked = values;
  if (sort == "index") {
    ordered = TENON_TRY(layer.emit("TopK", {indices, count}, attributes(false)));
    picked = TENON_TRY(layer.emit("GatherElements", {layer.input(0), ordered}, {{"axis", axis}}));
  }
  TENON_TRY(layer.alias(0, picked));
  if (layer.output(1) == kAbsent) return {};
  return layer.emit_to({layer.output(1)}, "Cast", {ordered}, {{"to", kernels::onnx_number(type)}});
}

Result<void> non_zero(LayerImport& layer) {
  const ValueId found = TENON_TRY(layer.emit("NonZero", {TENON_TRY(layer.need(0))}));
  const DataType type = TENON_TRY(layer.type("output_type", "i64"));
  if (type == DataType::i64) return layer.alias(0, found);
  return layer.finish("Cast", {found}, {{"to", kernels::onnx_number(type)}});
}

Result<void> cum_sum(LayerImport& layer) {
  const ValueId axis = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  return layer.finish({layer.input(0), axis},
                      {{"exclusive", int64_t{TENON_TRY(layer.flag("exclusive", false))}},
                       {"reverse", int64_t{TENON_TRY(layer.flag("reverse", false))}}});
}

Result<void> einsum(LayerImport& layer) {
  return layer.finish(layer.inputs(), {{"equation", std::string(layer.text("equation"))}});
}

}  // namespace tenon::nn::openvino::rules
