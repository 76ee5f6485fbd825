// The rules of onnx_ops.def: each brings one node of an older opset into the form of the newest. They never
// see oneDNN, nor types or shapes beyond what the file declares.
#include "wasi-nn/formats/onnx_rules.h"

namespace tenon::nn::onnx::rules {

using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;

// Before opset 6 several operators carry this hint for in-place execution, which means nothing here.
static constexpr std::string_view kLegacyHint = "consumed_inputs";

Result<void> direct(NodeImport& node) {
  if (node.opset() < 6) node.drop(kLegacyHint);
  return node.finish_as(node.proto().op_type);
}

// Scales may be of half width; the kernels compute with f32.
Result<void> qlinear_scales(NodeImport& node) {
  for (const size_t i : {1u, 4u, 6u}) {
    if (!node.has_input(i)) continue;
    const Tensor* scale = node.constant(node.input(i));
    if (!scale || scale->type() != DataType::f32)
      node.set_input(i, TENON_TRY(node.emit("Cast", {node.input(i)},
                                            {{"to", kernels::onnx_number(kernels::DataType::f32)}})));
  }
  return direct(node);
}

// axes: attribute → input 1.
Result<void> axes_attribute(NodeImport& node) {
  if (const auto axes = TENON_TRY(node.take_ints("axes"))) {
    node.set_input(1, TENON_TRY(node.int_vector(*axes)));
  } else if (node.proto().op_type == "Unsqueeze") {
    return NodeImport::invalid("attribute 'axes' is missing");
  }
  return direct(node);
}

// Opset 1: the second operand is lined up with the first at `axis`, and only if `broadcast` is set.
Result<void> old_broadcast(NodeImport& node) {
  const bool broadcast = TENON_TRY(node.take_int("broadcast")).value_or(0) != 0;
  const auto axis = TENON_TRY(node.take_int("axis"));
  if (broadcast && axis) {
    const auto rank_a = node.rank(node.input(0));
    const auto rank_b = node.rank(node.input(1));
    if (!rank_a || !rank_b) return NodeImport::unsupported("'axis' with operands of undeclared rank");
    const int64_t start = *axis < 0 ? *axis + static_cast<int64_t>(*rank_a) : *axis;
    const int64_t missing = static_cast<int64_t>(*rank_a) - static_cast<int64_t>(*rank_b) - start;
    if (start < 0 || missing < 0) {
      return NodeImport::invalid("axis {} does not fit ranks {} and {}", *axis, *rank_a, *rank_b);
    }
    if (missing > 0) {
      std::vector<int64_t> axes;
      for (int64_t i = 0; i < missing; ++i) axes.push_back(static_cast<int64_t>(*rank_b) + i);
      node.set_input(1, TENON_TRY(node.emit("Unsqueeze", {node.input(1), TENON_TRY(node.int_vector(axes))})));
    }
  }
  return direct(node);
}

// Before opset 7 the slope has one element for each channel (axis 1), or a single one.
Result<void> prelu_by_channel(NodeImport& node) {
  const auto rank = node.rank(node.input(0));
  const Tensor* slope = node.constant(node.input(1));
  const bool single = slope && slope->count() == 1;
  if (!single) {
    const auto slope_rank = node.rank(node.input(1));
    if (!rank || !slope_rank) return NodeImport::unsupported("operands of undeclared rank");
    if (*slope_rank == 1 && *rank > 2) {
      std::vector<int64_t> axes;
      for (size_t i = 2; i < *rank; ++i) axes.push_back(static_cast<int64_t>(i) - 1);
      node.set_input(1, TENON_TRY(node.emit("Unsqueeze", {node.input(1), TENON_TRY(node.int_vector(axes))})));
    }
  }
  return direct(node);
}

// Opset 9 and older: flags say what to do. Training outputs that nobody asks for may be listed.
Result<void> batch_norm(NodeImport& node) {
  const bool test_mode = TENON_TRY(node.take_int("is_test")).value_or(0) != 0 || node.opset() >= 7;
  const bool spatial = TENON_TRY(node.take_int("spatial")).value_or(1) != 0;
  if (!spatial && node.rank(node.input(0)).value_or(3) > 2) {
    return NodeImport::unsupported("statistics for each element (spatial = 0)");
  }
  for (size_t i = 1; i < node.output_count(); ++i) {
    if (node.has_output(i)) return NodeImport::unsupported("training outputs");
  }
  if (!test_mode) return NodeImport::unsupported("training mode (is_test = 0)");
  node.drop_outputs_after(1);
  return direct(node);
}

Result<void> cast_by_name(NodeImport& node) {
  static constexpr std::pair<std::string_view, kernels::DataType> kNames[] = {
      {"FLOAT", DataType::f32},    {"UINT8", DataType::u8},     {"INT8", DataType::i8},
      {"UINT16", DataType::u16},   {"INT16", DataType::i16},    {"INT32", DataType::i32},
      {"INT64", DataType::i64},    {"BOOL", DataType::boolean}, {"FLOAT16", DataType::f16},
      {"DOUBLE", DataType::f64},   {"UINT32", DataType::u32},   {"UINT64", DataType::u64},
      {"STRING", DataType::string}};
  static constexpr int64_t kNumbers[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 8};
  const auto to = TENON_TRY(node.take_string("to"));
  for (size_t i = 0; to && i < std::size(kNames); ++i) {
    if (kNames[i].first == *to) {
      node.add("to", kNumbers[i]);
      return direct(node);
    }
  }
  return NodeImport::invalid("attribute 'to' names no element type");
}

Result<void> clip(NodeImport& node) {
  if (const auto low = TENON_TRY(node.take_float("min")))
    node.set_input(1, TENON_TRY(node.scalar_like(node.input(0), *low)));
  if (const auto high = TENON_TRY(node.take_float("max")))
    node.set_input(2, TENON_TRY(node.scalar_like(node.input(0), *high)));
  return direct(node);
}

Result<void> concat_default_axis(NodeImport& node) {
  if (!node.has_attribute("axis")) node.add("axis", int64_t{1});
  return direct(node);
}

// value, sparse_value, value_float(s), value_int(s), value_string(s): exactly one.
static Result<Tensor> constant_tensor(NodeImport& node) {
  const auto vector_dims = [](size_t size) { return Dims{static_cast<int64_t>(size)}; };
  if (const AttributeProto* a = node.take("value")) {
    if (a->t) return node.host().tensor(*a->t);
    return NodeImport::invalid("attribute 'value' holds no tensor");
  }
  if (const AttributeProto* a = node.take("sparse_value")) {
    if (a->sparse_tensor) return node.host().tensor(*a->sparse_tensor);
    return NodeImport::invalid("attribute 'sparse_value' holds no tensor");
  }
  if (const auto v = TENON_TRY(node.take_float("value_float"))) {
    return Tensor::of<float>(DataType::f32, {}, std::span(&*v, 1));
  }
  if (const auto v = TENON_TRY(node.take_floats("value_floats"))) {
    return Tensor::of<float>(DataType::f32, vector_dims(v->size()), std::span(*v));
  }
  if (const auto v = TENON_TRY(node.take_int("value_int"))) {
    return Tensor::of<int64_t>(DataType::i64, {}, std::span(&*v, 1));
  }
  if (const auto v = TENON_TRY(node.take_ints("value_ints"))) {
    return Tensor::of<int64_t>(DataType::i64, vector_dims(v->size()), std::span(*v));
  }
  if (const auto v = TENON_TRY(node.take_string("value_string")))
    return Tensor::strings({}, {std::string(*v)});
  if (const AttributeProto* a = node.take("value_strings")) {
    return Tensor::strings(vector_dims(a->strings.size()), {a->strings.begin(), a->strings.end()});
  }
  return NodeImport::invalid("no value");
}

Result<void> constant(NodeImport& node) { return node.define_output(TENON_TRY(constant_tensor(node))); }

// Opset 17: axis is an attribute, counted without the batch; opset 20 has it as input 2.
Result<void> dft_axis(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.take_int("axis")).value_or(1);
  node.set_input(2, TENON_TRY(node.int_scalar(axis)));
  return direct(node);
}

// Training mode, decided when it runs: elements whose random number is below the ratio are dropped, the
// others scaled by 1 / (1 - ratio).
static Result<void> dropout_training(NodeImport& node) {
  constexpr int64_t kFloat = 1;
  const ValueId x = node.input(0);
  const ValueId training = node.input(2);
  ValueId ratio = kAbsent;
  if (node.has_input(1)) {
    ratio = TENON_TRY(node.emit("Cast", {node.input(1)}, {{"to", kFloat}}));
  } else {
    const float half = 0.5f;
    ratio = TENON_TRY(node.constant(TENON_TRY(Tensor::of<float>(DataType::f32, {}, std::span(&half, 1)))));
  }
  const float unit = 1;
  const ValueId one =
      TENON_TRY(node.constant(TENON_TRY(Tensor::of<float>(DataType::f32, {}, std::span(&unit, 1)))));
  kernels::Attributes attributes{{"dtype", kFloat}};
  if (const auto seed = TENON_TRY(node.take_int("seed")))
    attributes.push_back({"seed", static_cast<float>(*seed)});
  const ValueId random = TENON_TRY(node.emit("RandomUniformLike", {x}, std::move(attributes)));
  const ValueId chosen = TENON_TRY(node.emit("GreaterOrEqual", {random, ratio}));
  const ValueId mask = TENON_TRY(node.emit("Or", {chosen, TENON_TRY(node.emit("Not", {training}))}));
  const ValueId kept = TENON_TRY(node.emit("Mul", {x, TENON_TRY(node.emit("CastLike", {mask, x}))}));
  const ValueId share = TENON_TRY(node.emit("CastLike", {TENON_TRY(node.emit("Sub", {one, ratio})), x}));
  const ValueId scaled = TENON_TRY(node.emit("Div", {kept, share}));
  TENON_TRY(node.emit_to({node.output(0)}, "Where", {training, scaled, x}));
  return node.alias(1, mask);
}

// Inference: the identity, and a mask of ones for whoever asks for it.
Result<void> dropout(NodeImport& node) {
  if (node.opset() < 7 && TENON_TRY(node.take_int("is_test")).value_or(0) == 0) {
    return NodeImport::unsupported("training mode (is_test = 0)");
  }
  if (node.opset() >= 12 && node.has_input(2)) {
    const Tensor* training = node.constant(node.input(2));
    const bool never = training && training->type() == DataType::boolean && training->count() == 1 &&
                       training->data()[0] == std::byte{};
    if (!never) return dropout_training(node);
  }
  TENON_TRY(node.alias(0, node.input(0)));
  if (!node.has_output(1)) return {};
  if (node.opset() < 10) {  // the mask had the type of the data
    const ValueId ones = TENON_TRY(node.emit("Equal", {node.input(0), node.input(0)}));
    return node.emit_to({node.output(1)}, "CastLike", {ones, node.input(0)});
  }
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  const uint8_t one = 1;
  return node.emit_to(
      {node.output(1)}, "ConstantOfShape", {shape},
      {{"value", TENON_TRY(Tensor::of<uint8_t>(DataType::boolean, Dims{1}, std::span(&one, 1)))}});
}

Result<void> gemm(NodeImport& node) {
  node.drop("broadcast");  // opset 7 broadcasts whenever shapes ask for it
  return direct(node);
}

// Opset 1 has the order of the norm as a float.
Result<void> lp_pool(NodeImport& node) {
  if (const auto p = TENON_TRY(node.take_float("p"))) {
    if (*p != static_cast<float>(static_cast<int64_t>(*p))) return NodeImport::unsupported("p = {}", *p);
    node.add("p", static_cast<int64_t>(*p));
  }
  return direct(node);
}
Result<void> global_lp_pool(NodeImport& node) { return lp_pool(node); }

// Opset 16 names of the interpolation modes.
Result<void> grid_sample(NodeImport& node) {
  const std::string_view mode = TENON_TRY(node.take_string("mode")).value_or("bilinear");
  node.add("mode", std::string(mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode));
  return direct(node);
}

// Opset 18 has scale and bias for each group, opset 21 for each channel.
Result<void> group_norm_by_group(NodeImport& node) {
  return NodeImport::unsupported("scale and bias for each group; opset 21 has them for each channel");
}

Result<void> recurrent(NodeImport& node) {
  node.drop("output_sequence");  // a hint: the first output is there when it is named
  return direct(node);
}

// Opset 1: attributes paddings, value; opset 2: pads, value. Now inputs 1 and 2.
Result<void> pad(NodeImport& node) {
  const auto pads = TENON_TRY(node.take_ints(node.opset() < 2 ? "paddings" : "pads"));
  if (!pads) return NodeImport::invalid("attribute 'pads' is missing");
  node.set_input(1, TENON_TRY(node.int_vector(*pads)));
  if (const auto value = TENON_TRY(node.take_float("value")); value && *value != 0) {
    node.set_input(2, TENON_TRY(node.scalar_like(node.input(0), *value)));
  }
  return direct(node);
}

Result<void> reshape(NodeImport& node) {
  const auto shape = TENON_TRY(node.take_ints("shape"));
  if (!shape) return NodeImport::invalid("attribute 'shape' is missing");
  node.set_input(1, TENON_TRY(node.int_vector(*shape)));
  return direct(node);
}

// Opset 10: inputs X, scales; the rounding was asymmetric and downwards. Opset 11: X, roi, scales, sizes.
Result<void> resize_by_scales(NodeImport& node) {
  const ValueId scales = node.input(1);
  node.set_input(1, kAbsent);
  node.set_input(2, scales);
  node.add("coordinate_transformation_mode", std::string("asymmetric"));
  node.add("nearest_mode", std::string("floor"));
  return node.finish_as("Resize");
}

// Opset 9: scales are input 1; 7: an attribute; 1: two attributes for NCHW.
Result<void> upsample(NodeImport& node) {
  if (node.opset() < 9) {
    auto scales = TENON_TRY(node.take_floats("scales"));
    if (node.opset() < 7) {
      const auto height = TENON_TRY(node.take_float("height_scale"));
      const auto width = TENON_TRY(node.take_float("width_scale"));
      if (height && width) scales = {1, 1, *height, *width};
    }
    if (!scales) return NodeImport::invalid("attribute 'scales' is missing");
    node.set_input(1, TENON_TRY(node.constant(TENON_TRY(Tensor::of<float>(
                          DataType::f32, Dims{static_cast<int64_t>(scales->size())}, std::span(*scales))))));
  }
  return resize_by_scales(node);
}

Result<void> roi_align(NodeImport& node) {
  node.add("coordinate_transformation_mode",
           std::string("output_half_pixel"));  // opset 16 changed the default
  return direct(node);
}

Result<void> scatter(NodeImport& node) { return node.finish_as("ScatterElements"); }

// Opset 1 rounded the two constants differently.
Result<void> selu(NodeImport& node) {
  if (!node.has_attribute("alpha")) node.add("alpha", 1.6732f);
  if (!node.has_attribute("gamma")) node.add("gamma", 1.0507f);
  return direct(node);
}

Result<void> slice(NodeImport& node) {
  static constexpr std::string_view kNames[] = {"starts", "ends", "axes"};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    const auto values = TENON_TRY(node.take_ints(kNames[i]));
    if (values) node.set_input(i + 1, TENON_TRY(node.int_vector(*values)));
    if (!values && i < 2) return NodeImport::invalid("attribute '{}' is missing", kNames[i]);
  }
  return direct(node);
}

// Before opset 13 these see a matrix: the axes before `axis` are rows, the others columns.
Result<void> softmax_flattened(NodeImport& node) {
  const int64_t axis = TENON_TRY(node.take_int("axis")).value_or(1);
  const std::string_view op = node.proto().op_type;
  auto rank = node.rank(node.input(0));
  if (!rank) rank = node.rank(node.output(0));
  const bool last = axis == -1 || (rank && axis == static_cast<int64_t>(*rank) - 1);
  if (last) return node.emit_to({node.output(0)}, op, {node.input(0)}, {{"axis", int64_t{-1}}});
  const ValueId rows = TENON_TRY(node.emit("Flatten", {node.input(0)}, {{"axis", axis}}));
  const ValueId result = TENON_TRY(node.emit(op, {rows}, {{"axis", int64_t{-1}}}));
  const ValueId shape = TENON_TRY(node.emit("Shape", {node.input(0)}));
  return node.emit_to({node.output(0)}, "Reshape", {result, shape}, {{"allowzero", int64_t{1}}});
}

// split: attribute (opset 1 also has an input) → input 1; equal parts without it.
Result<void> split(NodeImport& node) {
  if (node.opset() < 13) {
    const auto parts = TENON_TRY(node.take_ints("split"));
    if (parts && !node.has_input(1)) node.set_input(1, TENON_TRY(node.int_vector(*parts)));
  }
  if (!node.has_input(1)) node.add("num_outputs", static_cast<int64_t>(node.output_count()));
  return direct(node);
}

// Opset 1: inputs tiles and axis repeat one axis.
Result<void> tile(NodeImport& node) {
  const Tensor* tiles = node.constant(node.input(1));
  const Tensor* axis = node.constant(node.input(2));
  const auto rank = node.rank(node.input(0));
  if (!tiles || !axis || !rank) return NodeImport::unsupported("tiles and axis that are not constant");
  const auto number = [](const Tensor& t) -> std::optional<int64_t> {
    int64_t value = 0;
    if (t.type() != DataType::i64 || t.count() != 1) return std::nullopt;
    std::memcpy(&value, t.data(), sizeof value);
    return value;
  };
  const auto count = number(*tiles);
  const auto at = number(*axis);
  if (!count || !at || *at < 0 || *at >= static_cast<int64_t>(*rank))
    return NodeImport::invalid("bad tiles or axis");
  std::vector<int64_t> repeats(*rank, 1);
  repeats[static_cast<size_t>(*at)] = *count;
  node.set_input(1, TENON_TRY(node.int_vector(repeats)));
  node.drop_inputs_after(2);
  return direct(node);
}

Result<void> top_k(NodeImport& node) {
  const auto k = TENON_TRY(node.take_int("k"));
  if (!k) return NodeImport::invalid("attribute 'k' is missing");
  node.set_input(1, TENON_TRY(node.int_vector({*k})));
  return direct(node);
}

// The `type` attribute only serves an optional without content, whose type the output declares too.
Result<void> optional(NodeImport& node) {
  node.drop("type");
  return direct(node);
}

}  // namespace tenon::nn::onnx::rules
