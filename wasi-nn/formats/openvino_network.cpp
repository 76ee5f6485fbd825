// Rules of networks' layers: convolutions, pools, normalisation, products, interpolation.
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;

// strides, dilations, pads and auto_pad as ONNX names them.
static Result<Attributes> window_attributes(const LayerImport& layer) {
  static constexpr LayerImport::Word kWords[] = {
      {"explicit", "NOTSET"},       {"EXPLICIT", "NOTSET"},       {"notset", "NOTSET"},
      {"same_upper", "SAME_UPPER"}, {"SAME_UPPER", "SAME_UPPER"}, {"same_lower", "SAME_LOWER"},
      {"SAME_LOWER", "SAME_LOWER"}, {"valid", "VALID"},           {"VALID", "VALID"}};
  const std::string auto_pad = TENON_TRY(layer.word("auto_pad", "explicit", kWords));
  Attributes attributes{{"auto_pad", auto_pad}};
  const auto take = [&](const char* key, const char* name) -> Result<void> {
    auto values = TENON_TRY(layer.integers(key));
    if (!values.empty()) attributes.push_back({name, std::move(values)});
    return {};
  };
  TENON_TRY(take("strides", "strides"));
  TENON_TRY(take("dilations", "dilations"));
  auto pads = TENON_TRY(layer.integers("pads_begin"));
  const auto after = TENON_TRY(layer.integers("pads_end"));
  if (pads.size() != after.size()) return LayerImport::invalid("pads_begin and pads_end differ in length");
  pads.insert(pads.end(), after.begin(), after.end());
  if (auto_pad == "NOTSET" && !pads.empty()) attributes.push_back({"pads", std::move(pads)});
  return attributes;
}

Result<void> convolution(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(layer.need(1))},
                      TENON_TRY(window_attributes(layer)));
}

namespace {

// Filters [groups, a, b, …] as [groups * a, b, …].
struct GroupedFilters {
  int64_t groups;
  ValueId filters;
};
Result<GroupedFilters> merge_groups(LayerImport& layer) {
  const ValueId filters = TENON_TRY(layer.need(1));
  const auto dims = layer.dims_of(1);
  if (dims.size() < 3 || dims[0] < 1 || dims[1] < 0)
    return LayerImport::unsupported("filters whose dimensions are not declared");
  if (dims[1] > std::numeric_limits<int64_t>::max() / dims[0])
    return LayerImport::invalid("filters are too large");
  Dims merged{dims[0] * dims[1]};
  for (size_t i = 2; i < dims.size(); ++i) {
    if (i > Dims::kMaxRank) return LayerImport::invalid("filters of rank {}", dims.size());
    merged.push_back(dims[i]);
  }
  if (const Tensor* tensor = layer.constant(filters)) {
    return GroupedFilters{dims[0], TENON_TRY(layer.constant(TENON_TRY(tensor->reshaped(merged))))};
  }
  if (const QuantizedConstant* quantized = layer.host().quantized(filters)) {
    if (auto codes = quantized->codes.reshaped(merged)) {
      const ValueId id = layer.new_value();
      TENON_TRY(layer.define_quantized(id, {*std::move(codes), quantized->scales, quantized->zero}));
      return GroupedFilters{dims[0], id};
    }
  }
  std::vector<int64_t> shape(merged.begin(), merged.end());
  std::ranges::replace_if(shape, [](int64_t dim) { return dim < 0; }, -1);
  return GroupedFilters{dims[0], TENON_TRY(layer.reshape(filters, shape))};
}

// One axis of a transposed convolution whose result has a given extent: what is cut off in front and behind, or added.
struct DeconvolutionAxis {
  int64_t begin, end, added;

  // `full`: extent with nothing cut off. "same" cuts evenly, the odd row in front for same_upper.
  static DeconvolutionAxis of(int64_t full, int64_t wanted, const std::string& auto_pad, int64_t pad) {
    const int64_t surplus = std::max<int64_t>(full - wanted, 0);
    const int64_t begin = auto_pad == "SAME_UPPER"   ? surplus - surplus / 2
                          : auto_pad == "SAME_LOWER" ? surplus / 2
                                                     : pad;
    const int64_t end = full - begin - wanted;
    return {begin, std::max<int64_t>(end, 0), std::max<int64_t>(-end, 0)};
  }
};

// Strides, dilations and pads. A shape (input 2) decides what is cut off; without one "same" cuts nothing. Filters have
// their spatial dimensions from `first` on.
Result<Attributes> deconvolution_attributes(LayerImport& layer, size_t first) {
  Attributes attributes = TENON_TRY(window_attributes(layer));
  const std::string auto_pad = std::get<std::string>(attributes[0].value);
  auto padding = TENON_TRY(layer.integers("output_padding"));
  std::erase_if(attributes, [&](const kernels::Attribute& a) {
    return a.name == "auto_pad" || (a.name == "pads" && layer.has_input(2));
  });
  if (!layer.has_input(2)) {
    if (!padding.empty()) attributes.push_back({"output_padding", std::move(padding)});
    return attributes;
  }
  const auto shape = TENON_TRY(layer.constant_ints(2));
  const auto dims = layer.dims_of(0), filter = layer.dims_of(1);
  const size_t axes = shape.size();
  auto strides = TENON_TRY(layer.integers("strides")), dilations = TENON_TRY(layer.integers("dilations"));
  auto pads = TENON_TRY(layer.integers("pads_begin"));
  strides.resize(axes, 1);
  dilations.resize(axes, 1);
  pads.resize(axes, 0);
  padding.resize(axes, 0);
  if (axes == 0 || dims.size() != axes + 2 || filter.size() != axes + first)
    return LayerImport::unsupported("an operand whose dimensions are not declared");
  std::vector<int64_t> begins, ends, added;
  for (size_t i = 0; i < axes; ++i) {
    constexpr int64_t kMost = 1 << 28;
    for (const int64_t number : {shape[i], dims[i + 2], filter[i + first], strides[i], dilations[i]}) {
      if (number < 1 || number > kMost) return LayerImport::invalid("an extent or step of {}", number);
    }
    if (pads[i] < 0 || pads[i] > kMost || padding[i] < 0 || padding[i] > kMost)
      return LayerImport::invalid("pads of {} and {}", pads[i], padding[i]);
    const int64_t full =
        strides[i] * (dims[i + 2] - 1) + dilations[i] * (filter[i + first] - 1) + 1 + padding[i];
    const auto axis = DeconvolutionAxis::of(full, shape[i], auto_pad, pads[i]);
    begins.push_back(axis.begin);
    ends.push_back(axis.end);
    added.push_back(axis.added + padding[i]);
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  attributes.push_back({"pads", std::move(begins)});
  attributes.push_back({"output_padding", std::move(added)});
  return attributes;
}

}  // namespace

Result<void> group_convolution(LayerImport& layer) {
  Attributes attributes = TENON_TRY(window_attributes(layer));
  const GroupedFilters merged = TENON_TRY(merge_groups(layer));
  attributes.push_back({"group", merged.groups});
  return layer.finish({TENON_TRY(layer.need(0)), merged.filters}, std::move(attributes));
}

Result<void> deconvolution(LayerImport& layer) {
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(layer.need(1))},
                      TENON_TRY(deconvolution_attributes(layer, 2)));
}

Result<void> group_deconvolution(LayerImport& layer) {
  Attributes attributes = TENON_TRY(deconvolution_attributes(layer, 3));
  const GroupedFilters merged = TENON_TRY(merge_groups(layer));
  attributes.push_back({"group", merged.groups});
  return layer.finish({TENON_TRY(layer.need(0)), merged.filters}, std::move(attributes));
}

static Result<Attributes> pool_attributes(const LayerImport& layer) {
  static constexpr LayerImport::Word kWords[] = {{"floor", "0"}, {"FLOOR", "0"},      {"ceil", "1"},
                                                 {"CEIL", "1"},  {"ceil_torch", "1"}, {"CEIL_TORCH", "1"}};
  Attributes attributes = TENON_TRY(window_attributes(layer));
  attributes.push_back({"kernel_shape", TENON_TRY(layer.integers("kernel"))});
  attributes.push_back(
      {"ceil_mode", int64_t{TENON_TRY(layer.word("rounding_type", "floor", kWords)) == "1"}});
  return attributes;
}

// Output 1, from opset 8 on: positions in the operand, flattened from `axis` on.
Result<void> max_pool(LayerImport& layer) {
  Attributes attributes = TENON_TRY(pool_attributes(layer));
  const ValueId x = TENON_TRY(layer.need(0));
  if (layer.output(1) == kAbsent) return layer.finish({x}, std::move(attributes));
  if (TENON_TRY(layer.integer("axis", 0)) != 0)
    return LayerImport::unsupported("indices from another axis than 0");
  const ValueId indices = layer.new_value();
  TENON_TRY(layer.emit_to({layer.output(0), indices}, "MaxPool", {x}, std::move(attributes)));
  const DataType type = TENON_TRY(layer.type("index_element_type", "i64"));
  return layer.emit_to({layer.output(1)}, "Cast", {indices}, {{"to", kernels::onnx_number(type)}});
}

Result<void> avg_pool(LayerImport& layer) {
  Attributes attributes = TENON_TRY(pool_attributes(layer));
  attributes.push_back({"count_include_pad", int64_t{!TENON_TRY(layer.flag("exclude-pad", true))}});
  return layer.finish({TENON_TRY(layer.need(0))}, std::move(attributes));
}

namespace {

// Rows of an axis that result `i` of `count` is made from.
struct AdaptiveWindow {
  int64_t begin, end;
  static AdaptiveWindow of(int64_t i, int64_t count, int64_t extent) {
    return {i * extent / count, ((i + 1) * extent + count - 1) / count};
  }
};

// Means along one axis by a matrix [count, extent], or maxima window by window.
Result<ValueId> adaptive_axis(LayerImport& layer, ValueId x, int64_t axis, int64_t extent, int64_t count,
                              bool is_max) {
  if (is_max) {
    std::vector<ValueId> rows;
    const ValueId axes = TENON_TRY(layer.int_vector({axis}));
    for (int64_t i = 0; i < count; ++i) {
      const auto window = AdaptiveWindow::of(i, count, extent);
      const ValueId part = TENON_TRY(layer.emit("Slice", {x, TENON_TRY(layer.int_vector({window.begin})),
                                                          TENON_TRY(layer.int_vector({window.end})), axes}));
      rows.push_back(TENON_TRY(layer.emit("ReduceMax", {part, axes})));
    }
    return layer.emit("Concat", std::move(rows), {{"axis", axis}});
  }
  std::vector<float> matrix(static_cast<size_t>(extent * count), 0.0f);
  for (int64_t i = 0; i < count; ++i) {
    const auto window = AdaptiveWindow::of(i, count, extent);
    for (int64_t k = window.begin; k < window.end; ++k)
      matrix[static_cast<size_t>(k * count + i)] = 1.0f / static_cast<float>(window.end - window.begin);
  }
  const ValueId means = TENON_TRY(
      layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, {extent, count}, std::span(matrix)))));
  // The axis comes last for the product.
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i) perm.push_back(i);
  std::swap(perm[static_cast<size_t>(axis)], perm.back());
  const ValueId turned = TENON_TRY(layer.emit("Transpose", {x}, {{"perm", perm}}));
  return layer.emit("Transpose", {TENON_TRY(layer.emit("MatMul", {turned, means}))}, {{"perm", perm}});
}

}  // namespace

// A pool where the result's dimensions divide the operand's, else axis by axis.
Result<void> adaptive_pool(LayerImport& layer) {
  if (layer.output(1) != kAbsent && layer.host().is_read(layer.layer(), 1))
    return LayerImport::unsupported("indices of adaptive maxima");
  const auto target = TENON_TRY(layer.constant_ints(1));
  const bool is_max = layer.op() == "MaxPool";
  if (std::ranges::all_of(target, [](int64_t size) { return size == 1; }))
    return layer.finish(is_max ? "GlobalMaxPool" : "GlobalAveragePool", {TENON_TRY(layer.need(0))});
  const auto dims = layer.dims_of(0);
  if (dims.size() != target.size() + 2)
    return LayerImport::unsupported("an operand whose dimensions are not declared");
  constexpr int64_t kMost = 1 << 12;
  std::vector<int64_t> kernel;
  bool even = true;
  for (size_t i = 0; i < target.size(); ++i) {
    const int64_t size = dims[i + 2];
    if (target[i] < 1 || size < 1) return LayerImport::invalid("{} of {} positions", target[i], size);
    if (target[i] > kMost || size > kMost)
      return LayerImport::unsupported("windows of {} of {} positions", target[i], size);
    even = even && size % target[i] == 0;
    kernel.push_back(size / target[i]);
  }
  if (even) return layer.finish({layer.input(0)}, {{"kernel_shape", kernel}, {"strides", kernel}});
  ValueId x = layer.input(0);
  for (size_t i = 0; i < target.size(); ++i)
    x = TENON_TRY(adaptive_axis(layer, x, static_cast<int64_t>(i) + 2, dims[i + 2], target[i], is_max));
  return layer.alias(0, x);
}

// gamma, beta, data, mean, variance; from opset 5 on data comes first.
Result<void> batch_norm(LayerImport& layer) {
  const bool old = layer.opset() < 5;
  const size_t data = old ? 2 : 0, gamma = old ? 0 : 1, beta = old ? 1 : 2;
  const float epsilon = TENON_TRY(layer.real(layer.layer().has("epsilon") ? "epsilon" : "eps"));
  return layer.finish({TENON_TRY(layer.need(data)), TENON_TRY(layer.need(gamma)), TENON_TRY(layer.need(beta)),
                       TENON_TRY(layer.need(3)), TENON_TRY(layer.need(4))},
                      {{"epsilon", epsilon}});
}

Result<void> lrn(LayerImport& layer) {
  const auto axes = TENON_TRY(layer.constant_ints(1));
  if (axes != std::vector<int64_t>{1})
    return LayerImport::unsupported("normalisation over other axes than 1");
  return layer.finish({layer.input(0)}, {{"alpha", TENON_TRY(layer.real("alpha"))},
                                         {"beta", TENON_TRY(layer.real("beta"))},
                                         {"bias", TENON_TRY(layer.real("bias"))},
                                         {"size", TENON_TRY(layer.integer("size"))}});
}

namespace {

// (x - mean) / deviation over `axes`; `inside`: epsilon is added below the root.
Result<ValueId> normalised(LayerImport& layer, ValueId x, ValueId axes, bool variance, float epsilon,
                           bool inside) {
  const ValueId mean = TENON_TRY(layer.emit("ReduceMean", {x, axes}));
  const ValueId centred = TENON_TRY(layer.emit("Sub", {x, mean}));
  if (!variance) return centred;
  const ValueId squares = TENON_TRY(layer.emit("Mul", {centred, centred}));
  ValueId deviation = TENON_TRY(layer.emit("ReduceMean", {squares, axes}));
  const ValueId small = TENON_TRY(layer.real_scalar(epsilon));
  if (inside) deviation = TENON_TRY(layer.emit("Add", {deviation, small}));
  deviation = TENON_TRY(layer.emit("Sqrt", {deviation}));
  if (!inside) deviation = TENON_TRY(layer.emit("Add", {deviation, small}));
  return layer.emit("Div", {centred, deviation});
}

}  // namespace

Result<void> mvn(LayerImport& layer) {
  const std::string_view mode = layer.text("eps_mode", "inside_sqrt");
  const bool inside = mode == "inside_sqrt" || mode == "INSIDE_SQRT";
  const ValueId axes = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  return layer.alias(0, TENON_TRY(normalised(layer, TENON_TRY(layer.need(0)), axes,
                                             TENON_TRY(layer.flag("normalize_variance", true)),
                                             TENON_TRY(layer.real("eps")), inside)));
}

// Over all spatial axes, and the channels too if so asked.
Result<void> mvn_old(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  std::vector<int64_t> axes;
  for (int64_t i = TENON_TRY(layer.flag("across_channels", true)) ? 1 : 2; i < rank; ++i) axes.push_back(i);
  return layer.alias(0, TENON_TRY(normalised(layer, layer.input(0), TENON_TRY(layer.int_vector(axes)),
                                             TENON_TRY(layer.flag("normalize_variance", true)),
                                             TENON_TRY(layer.real("eps", 1e-9f)), true)));
}

// x / sqrt(sum of squares + eps), or the larger of both
Result<void> normalize_l2(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0)), axes = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  const ValueId sum =
      TENON_TRY(layer.emit("ReduceSumSquare", {x, axes}, {{"noop_with_empty_axes", int64_t{1}}}));
  const ValueId small = TENON_TRY(layer.real_scalar(TENON_TRY(layer.real("eps"))));
  const std::string_view mode = layer.text("eps_mode", "add");
  const ValueId lifted = TENON_TRY(layer.emit(mode == "max" || mode == "MAX" ? "Max" : "Add", {sum, small}));
  return layer.finish("Div", {x, TENON_TRY(layer.emit("Sqrt", {lifted}))});
}

// x / sqrt(sum of squares over channels + bias)
Result<void> grn(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const ValueId sum = TENON_TRY(layer.emit("ReduceSumSquare", {x, TENON_TRY(layer.int_vector({1}))}));
  const ValueId lifted =
      TENON_TRY(layer.emit("Add", {sum, TENON_TRY(layer.real_scalar(TENON_TRY(layer.real("bias"))))}));
  return layer.finish("Div", {x, TENON_TRY(layer.emit("Sqrt", {lifted}))});
}

// data, scale [C], bias [C]
Result<void> group_norm(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  const int64_t groups = TENON_TRY(layer.integer("num_groups"));
  if (groups < 1) return LayerImport::invalid("num_groups is {}", groups);
  const ValueId rows = TENON_TRY(layer.reshape(x, {0, groups, -1}));
  const ValueId even = TENON_TRY(normalised(layer, rows, TENON_TRY(layer.int_vector({2})), true,
                                            TENON_TRY(layer.real("epsilon")), true));
  const ValueId shape = TENON_TRY(layer.shape(x));
  const ValueId restored = TENON_TRY(layer.emit("Reshape", {even, shape}));
  const ValueId channels = TENON_TRY(layer.reshape(restored, {0, 0, -1}));
  const ValueId axis = TENON_TRY(layer.int_vector({1}));
  const ValueId scale = TENON_TRY(layer.emit("Unsqueeze", {TENON_TRY(layer.need(1)), axis}));
  const ValueId bias = TENON_TRY(layer.emit("Unsqueeze", {TENON_TRY(layer.need(2)), axis}));
  const ValueId scaled = TENON_TRY(layer.emit("Mul", {channels, scale}));
  return layer.finish("Reshape", {TENON_TRY(layer.emit("Add", {scaled, bias})), shape});
}

namespace {

// The last two axes exchanged.
Result<ValueId> transposed(LayerImport& layer, size_t input) {
  const int64_t rank = TENON_TRY(layer.need_rank(input));
  if (rank < 2) return layer.input(input);  // a vector stays what it is
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i) perm.push_back(i);
  std::swap(perm[static_cast<size_t>(rank) - 1], perm[static_cast<size_t>(rank) - 2]);
  return layer.emit("Transpose", {layer.input(input)}, {{"perm", perm}});
}

}  // namespace

Result<void> matmul(LayerImport& layer) {
  const bool a = TENON_TRY(layer.flag("transpose_a", false)), b = TENON_TRY(layer.flag("transpose_b", false));
  ValueId left = TENON_TRY(layer.need(0)), right = TENON_TRY(layer.need(1));
  if ((a || b) && layer.rank(left) == 2 && layer.rank(right) == 2)
    return layer.finish("Gemm", {left, right}, {{"transA", int64_t{a}}, {"transB", int64_t{b}}});
  if (a) left = TENON_TRY(transposed(layer, 0));
  if (b) right = TENON_TRY(transposed(layer, 1));
  return layer.finish({left, right});
}

// query, key, value, mask, scale: softmax(query · keyᵀ · scale + mask) · value. The mask may be of booleans, or say that
// nothing is seen of what comes later.
Result<void> attention(LayerImport& layer) {
  const ValueId query = TENON_TRY(layer.need(0)), key = TENON_TRY(transposed(layer, 1));
  ValueId scale = layer.input(4);
  if (scale == kAbsent) {
    const ValueId shape = TENON_TRY(layer.shape(query));
    const ValueId width = TENON_TRY(
        layer.cast(TENON_TRY(layer.emit("Gather", {shape, TENON_TRY(layer.int_scalar(-1))})), DataType::f32));
    scale = TENON_TRY(layer.emit("Reciprocal", {TENON_TRY(layer.emit("Sqrt", {width}))}));
  } else {
    scale = TENON_TRY(layer.reshape(scale, {}));
  }
  ValueId scores = TENON_TRY(layer.emit("Mul", {TENON_TRY(layer.emit("MatMul", {query, key})), scale}));
  const ValueId never = TENON_TRY(layer.real_scalar(-std::numeric_limits<double>::infinity()));
  if (TENON_TRY(layer.flag("causal", false))) {
    // Row i sees columns up to i.
    const ValueId shape = TENON_TRY(layer.shape(scores));
    const auto numbers = [&](int64_t axis, int64_t added) -> Result<ValueId> {
      const ValueId count = TENON_TRY(layer.emit("Gather", {shape, TENON_TRY(layer.int_scalar(axis))}));
      const ValueId line = TENON_TRY(
          layer.emit("Range", {TENON_TRY(layer.int_scalar(0)), count, TENON_TRY(layer.int_scalar(1))}));
      return layer.emit("Unsqueeze", {line, TENON_TRY(layer.int_vector({added}))});
    };
    const ValueId later =
        TENON_TRY(layer.emit("Greater", {TENON_TRY(numbers(-1, 0)), TENON_TRY(numbers(-2, 1))}));
    scores = TENON_TRY(layer.emit("Where", {later, never, scores}));
  } else if (layer.has_input(3)) {
    scores = layer.element(3) == DataType::boolean
                 ? TENON_TRY(layer.emit("Where", {layer.input(3), scores, never}))
                 : TENON_TRY(layer.emit("Add", {scores, layer.input(3)}));
  }
  const ValueId weights = TENON_TRY(layer.emit("Softmax", {scores}, {{"axis", int64_t{-1}}}));
  return layer.finish("MatMul", {weights, TENON_TRY(layer.need(2))});
}

namespace {

constexpr LayerImport::Word kResizeModes[] = {{"nearest", "nearest"},        {"linear", "linear"},
                                              {"linear_onnx", "linear"},     {"cubic", "cubic"},
                                              {"bilinear_pillow", "linear"}, {"bicubic_pillow", "cubic"}};
constexpr LayerImport::Word kCoordinates[] = {{"half_pixel", "half_pixel"},
                                              {"pytorch_half_pixel", "pytorch_half_pixel"},
                                              {"asymmetric", "asymmetric"},
                                              {"tf_half_pixel_for_nn", "tf_half_pixel_for_nn"},
                                              {"align_corners", "align_corners"}};
constexpr LayerImport::Word kNearest[] = {{"round_prefer_floor", "round_prefer_floor"},
                                          {"round_prefer_ceil", "round_prefer_ceil"},
                                          {"floor", "floor"},
                                          {"ceil", "ceil"}};

bool any_padding(const std::vector<int64_t>& pads) {
  return std::ranges::any_of(pads, [](int64_t pad) { return pad != 0; });
}

// The operand with the layer's own padding.
Result<ValueId> padded(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0));
  auto pads = TENON_TRY(layer.integers("pads_begin"));
  auto after = TENON_TRY(layer.integers("pads_end"));
  if (!any_padding(pads) && !any_padding(after)) return x;
  const auto rank = static_cast<size_t>(TENON_TRY(layer.need_rank(0)));
  pads.resize(rank, 0);
  after.resize(rank, 0);
  pads.insert(pads.end(), after.begin(), after.end());
  return layer.emit("Pad", {x, TENON_TRY(layer.int_vector(pads))});
}

// Axes of the operand, which ONNX has as an attribute; all of them when the file gives none.
Result<Attributes> resize_axes(LayerImport& layer, size_t input) {
  if (!layer.has_input(input)) return Attributes{};
  return Attributes{{"axes", TENON_TRY(layer.constant_ints(input))}};
}

}  // namespace

namespace {

// nearest_mode: "simple" rounds down where the image grows and up where it shrinks.
Result<std::string> nearest_mode(LayerImport& layer, size_t target, size_t axes_input, bool by_sizes) {
  const std::string_view mode = layer.text("nearest_mode", "round_prefer_floor");
  if (mode != "simple" && mode != "SIMPLE") return layer.word("nearest_mode", "round_prefer_floor", kNearest);
  const auto targets = TENON_TRY(layer.constant_reals(target));
  const auto dims = layer.dims_of(0);
  auto axes =
      layer.has_input(axes_input) ? TENON_TRY(layer.constant_ints(axes_input)) : std::vector<int64_t>();
  for (int64_t i = 0; !layer.has_input(axes_input) && i < static_cast<int64_t>(targets.size()); ++i)
    axes.push_back(i);
  if (targets.size() != axes.size())
    return LayerImport::invalid("{} targets for {} axes", targets.size(), axes.size());
  size_t smaller = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    const int64_t axis = TENON_TRY(LayerImport::positive_axis(axes[i], static_cast<int64_t>(dims.size())));
    const auto extent = static_cast<float>(dims[static_cast<size_t>(axis)]);
    if (by_sizes && extent < 0) return LayerImport::unsupported("nearest_mode 'simple' of an unknown extent");
    smaller += targets[i] < (by_sizes ? extent : 1.0f);
  }
  if (smaller != 0 && smaller != targets.size())
    return LayerImport::unsupported("nearest_mode 'simple' where one axis grows and another shrinks");
  return std::string(smaller == 0 ? "floor" : "ceil");
}

}  // namespace

// data, sizes, scales, axes; from opset 11 on data, sizes or scales, axes.
Result<void> interpolate(LayerImport& layer) {
  const bool newer = layer.opset() >= 11;
  const std::string_view by = layer.text("shape_calculation_mode");
  const bool by_sizes = by == "sizes" || by == "SIZES";
  if (!by_sizes && by != "scales" && by != "SCALES")
    return LayerImport::invalid("shape_calculation_mode '{}'", by);
  Attributes attributes = TENON_TRY(resize_axes(layer, newer ? 2 : 3));
  const std::string mode = TENON_TRY(layer.word("mode", "", kResizeModes));
  attributes.push_back({"mode", mode});
  attributes.push_back({"coordinate_transformation_mode",
                        TENON_TRY(layer.word("coordinate_transformation_mode", "half_pixel", kCoordinates))});
  attributes.push_back(
      {"nearest_mode", TENON_TRY(nearest_mode(layer, by_sizes || newer ? 1 : 2, newer ? 2 : 3, by_sizes))});
  const bool pillow = layer.text("mode").ends_with("_pillow");
  attributes.push_back({"antialias", int64_t{pillow || TENON_TRY(layer.flag("antialias", false))}});
  attributes.push_back({"cubic_coeff_a", pillow ? -0.5f : TENON_TRY(layer.real("cube_coeff", -0.75f))});
  if (pillow) attributes.push_back({"exclude_outside", int64_t{1}});
  std::vector<ValueId> operands{TENON_TRY(padded(layer)), kAbsent, kAbsent, kAbsent};
  const ValueId target = TENON_TRY(layer.need(by_sizes || newer ? 1 : 2));
  operands[by_sizes ? 3 : 2] = by_sizes ? TENON_TRY(layer.as_i64(target)) : target;
  return layer.finish(std::move(operands), std::move(attributes));
}

// Opset 1: sizes along the attribute's axes; positions by scale alone unless the corners are aligned.
Result<void> interpolate_old(LayerImport& layer) {
  Attributes attributes{{"axes", TENON_TRY(layer.integers("axes"))},
                        {"mode", TENON_TRY(layer.word("mode", "", kResizeModes))},
                        {"nearest_mode", std::string("floor")},
                        {"antialias", int64_t{TENON_TRY(layer.flag("antialias", false))}}};
  const bool corners = TENON_TRY(layer.flag("align_corners", false));
  attributes.push_back(
      {"coordinate_transformation_mode", std::string(corners ? "align_corners" : "asymmetric")});
  const ValueId sizes = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1))));
  return layer.finish({TENON_TRY(padded(layer)), kAbsent, kAbsent, sizes}, std::move(attributes));
}

}  // namespace tenon::nn::openvino::rules
