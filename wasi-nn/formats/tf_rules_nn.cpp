// Rules of TensorFlow's convolutions, pools and what else belongs to images. The kernels have channels first: data with
// channels last are transposed before and back after, which the layout pass takes out again.
#include <algorithm>
#include <cmath>

#include "wasi-nn/formats/image_patches.h"
#include "wasi-nn/formats/tf_rules.h"

namespace tenon::nn::tf::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::kAbsent;

namespace {

// Where the dimensions of an image lie.
struct ImageFormat {
  bool channels_last;
  size_t rank;

  std::vector<int64_t> to_first() const {
    std::vector<int64_t> perm{0, static_cast<int64_t>(rank) - 1};
    for (size_t i = 1; i + 1 < rank; ++i) perm.push_back(static_cast<int64_t>(i));
    return perm;
  }
  std::vector<int64_t> to_last() const {
    std::vector<int64_t> perm{0};
    for (size_t i = 2; i < rank; ++i) perm.push_back(static_cast<int64_t>(i));
    perm.push_back(1);
    return perm;
  }
  // Of a list with an entry for each dimension, those of height, width and depth.
  Result<std::vector<int64_t>> spatial(const std::vector<int64_t>& list, std::string_view what) const {
    if (list.size() != rank)
      return NodeImport::invalid("{} of {} numbers, expected {}", what, list.size(), rank);
    const auto begin = list.begin() + (channels_last ? 1 : 2);
    const int64_t channels = list[channels_last ? rank - 1 : 1];
    if (list[0] != 1 || channels != 1) return NodeImport::unsupported("{} over batch or channels", what);
    return std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(rank - 2));
  }
};

// Operators with 3D in their names have five dimensions, others four.
Result<ImageFormat> image_format(const NodeImport& node) {
  const auto name = TENON_TRY(node.string_attr("data_format", "NHWC"));
  const size_t rank = node.def().op.find("3D") != std::string_view::npos ? 5 : 4;
  if (name == "NHWC" || name == "NDHWC") return ImageFormat{true, rank};
  if (name == "NCHW" || name == "NCDHW") return ImageFormat{false, rank};
  return NodeImport::unsupported("data_format {}", name);
}

Result<ValueId> channels_first(NodeImport& node, ValueId id, const ImageFormat& format) {
  return format.channels_last ? node.transpose(id, format.to_first()) : Result<ValueId>(id);
}
Result<ValueId> channels_back(NodeImport& node, Result<ValueId> id, const ImageFormat& format) {
  const ValueId first = TENON_TRY(std::move(id));
  return format.channels_last ? node.transpose(first, format.to_last()) : Result<ValueId>(first);
}

// Attribute `padding` as auto_pad, or as pads.
Result<void> add_padding(const NodeImport& node, const ImageFormat& format, Attributes& attributes) {
  const auto padding = TENON_TRY(node.string_attr("padding", "VALID"));
  if (padding == "SAME" || padding == "VALID") {
    attributes.push_back({"auto_pad", std::string(padding == "SAME" ? "SAME_UPPER" : "VALID")});
    return {};
  }
  if (padding != "EXPLICIT") return NodeImport::invalid("padding {}", padding);
  const auto pairs = TENON_TRY(node.ints_attr("explicit_paddings"));
  if (pairs.size() != 2 * format.rank) return NodeImport::invalid("{} explicit paddings", pairs.size());
  const size_t begin = format.channels_last ? 1 : 2;
  std::vector<int64_t> pads;
  for (size_t side = 0; side < 2; ++side) {
    for (size_t i = 0; i + 2 < format.rank; ++i) pads.push_back(pairs[2 * (begin + i) + side]);
  }
  attributes.push_back({"pads", std::move(pads)});
  return {};
}

Result<Attributes> conv_attributes(const NodeImport& node, const ImageFormat& format) {
  Attributes attributes{
      {"strides", TENON_TRY(format.spatial(TENON_TRY(node.ints_attr("strides")), "strides"))}};
  const auto dilations = TENON_TRY(node.ints_attr("dilations"));
  if (!dilations.empty())
    attributes.push_back({"dilations", TENON_TRY(format.spatial(dilations, "dilations"))});
  TENON_TRY(add_padding(node, format, attributes));
  return attributes;
}

// [height, width, in, out] → [out, in, height, width]; for transposed convolutions the last two change places before.
std::vector<int64_t> filter_perm(size_t rank) {
  const auto last = static_cast<int64_t>(rank) - 1;
  std::vector<int64_t> perm{last, last - 1};
  for (int64_t i = 0; i + 2 < static_cast<int64_t>(rank); ++i) perm.push_back(i);
  return perm;
}

}  // namespace

Result<void> conv(NodeImport& node) {
  const ImageFormat format = TENON_TRY(image_format(node));
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  const ValueId filter = TENON_TRY(node.transpose(node.input(1), filter_perm(format.rank)));
  return node.result(
      channels_back(node, node.emit("Conv", {x, filter}, TENON_TRY(conv_attributes(node, format))), format));
}

// [height, width, channels, multiplier]: a group for each channel.
Result<void> depthwise_conv(NodeImport& node) {
  const ImageFormat format = TENON_TRY(image_format(node));
  const auto* given = node.constant(node.input(1));
  if (!given) return NodeImport::unsupported("the filter must be constant");
  const kernels::Dims& dims = given->dims();
  if (dims.size() != 4) return NodeImport::invalid("a filter of shape {}", to_string(dims));
  const int64_t channels = dims[2];
  int64_t filters = 0;
  if (__builtin_mul_overflow(channels, dims[3], &filters))
    return NodeImport::invalid("a filter of shape {}", to_string(dims));
  const ValueId moved = TENON_TRY(node.transpose(node.input(1), {2, 3, 0, 1}));
  const ValueId filter = TENON_TRY(node.reshape(moved, {filters, 1, dims[0], dims[1]}));
  Attributes attributes = TENON_TRY(conv_attributes(node, format));
  attributes.push_back({"group", channels});
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  return node.result(channels_back(node, node.emit("Conv", {x, filter}, std::move(attributes)), format));
}

// Operands are the shape of the result, the filter, the data. A shape that is not constant is what Keras computes: the
// data's times the stride, enlarged by the filter if nothing is padded.
Result<void> conv_transpose(NodeImport& node) {
  const ImageFormat format = TENON_TRY(image_format(node));
  const auto strides = TENON_TRY(format.spatial(TENON_TRY(node.ints_attr("strides")), "strides"));
  for (const int64_t dilation : TENON_TRY(node.ints_attr("dilations"))) {
    if (dilation != 1) return NodeImport::unsupported("dilation {}", dilation);
  }
  const auto* filter = node.constant(node.input(1));
  if (!filter || filter->dims().size() != format.rank)
    return NodeImport::unsupported("a filter that is not constant");
  const auto padding = TENON_TRY(node.string_attr("padding", "SAME"));
  if (padding != "SAME" && padding != "VALID") return NodeImport::unsupported("padding {}", padding);
  std::vector<int64_t> sizes;
  if (const auto shape = node.constant_ints(0)) {
    if (shape->size() != format.rank) return NodeImport::invalid("a shape of {} numbers", shape->size());
    const auto begin = shape->begin() + (format.channels_last ? 1 : 2);
    sizes.assign(begin, begin + static_cast<std::ptrdiff_t>(format.rank - 2));
  }
  Attributes attributes{{"strides", strides}};
  if (padding == "SAME") {
    attributes.push_back({"auto_pad", std::string("SAME_UPPER")});
    if (!sizes.empty()) attributes.push_back({"output_shape", sizes});
  } else {
    std::vector<int64_t> extra;  // rows that the forward convolution would leave over
    for (size_t i = 0; i < strides.size(); ++i) {
      const int64_t width = filter->dims()[i], stride = strides[i];
      if (stride < 1) return NodeImport::invalid("stride {}", stride);
      if (!sizes.empty() && sizes[i] < width) {
        return NodeImport::invalid("a result of {} rows, the filter has {}", sizes[i], width);
      }
      const int64_t left = sizes.empty() ? std::max<int64_t>(stride - width, 0) : (sizes[i] - width) % stride;
      extra.push_back(left);
    }
    attributes.push_back({"output_padding", extra});
  }
  const ValueId x = TENON_TRY(channels_first(node, node.input(2), format));
  const ValueId weights = TENON_TRY(node.transpose(node.input(1), filter_perm(format.rank)));
  const ValueId result =
      TENON_TRY(channels_back(node, node.emit("ConvTranspose", {x, weights}, std::move(attributes)), format));
  // Whatever the shape says must be so.
  return node.result(
      node.emit("Reshape", {result, TENON_TRY(node.integers(0))}, {{"allowzero", int64_t{1}}}));
}

// Sizes and strides are attributes, or operands of MaxPoolV2.
Result<void> pool(NodeImport& node) {
  const ImageFormat format = TENON_TRY(image_format(node));
  auto kernel = TENON_TRY(node.ints_attr("ksize")), strides = TENON_TRY(node.ints_attr("strides"));
  if (node.input_count() > 2) {
    const auto sizes = node.constant_ints(1), steps = node.constant_ints(2);
    if (!sizes || !steps) return NodeImport::unsupported("sizes must be constant");
    kernel = *sizes;
    strides = *steps;
  }
  Attributes attributes{{"kernel_shape", TENON_TRY(format.spatial(kernel, "ksize"))},
                        {"strides", TENON_TRY(format.spatial(strides, "strides"))}};
  TENON_TRY(add_padding(node, format, attributes));
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  return node.result(channels_back(node, node.emit(node.target(), {x}, std::move(attributes)), format));
}

// In training mode the statistics are the batch's own.
Result<void> batch_norm(NodeImport& node) {
  const ImageFormat format = TENON_TRY(image_format(node));
  const float epsilon = TENON_TRY(node.float_attr("epsilon", 1e-4f));
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  ValueId mean = node.input(3), variance = node.input(4);
  if (TENON_TRY(node.bool_attr("is_training", true))) {
    std::vector<int64_t> axes{0};
    for (size_t i = 2; i < format.rank; ++i) axes.push_back(static_cast<int64_t>(i));
    const ValueId over = TENON_TRY(node.int_vector(axes));
    const ValueId centre = TENON_TRY(node.emit("ReduceMean", {x, over}));
    const ValueId off = TENON_TRY(node.emit("Sub", {x, centre}));
    const ValueId squares = TENON_TRY(node.emit("Mul", {off, off}));
    mean = TENON_TRY(node.reshape(centre, {-1}));
    variance = TENON_TRY(node.reshape(TENON_TRY(node.emit("ReduceMean", {squares, over})), {-1}));
  }
  const auto y = node.emit("BatchNormalization", {x, node.input(1), node.input(2), mean, variance},
                           {{"epsilon", epsilon}});
  TENON_TRY(node.result(channels_back(node, y, format)));
  TENON_TRY(node.result(mean));
  return node.result(variance);
}

Result<void> lrn(NodeImport& node) {
  const ImageFormat format{true, 4};
  const int64_t radius = TENON_TRY(node.int_attr("depth_radius", 5));
  if (radius < 0 || radius > 1 << 20) return NodeImport::invalid("depth_radius {}", radius);
  const int64_t size = 2 * radius + 1;
  const float alpha = TENON_TRY(node.float_attr("alpha", 1)) * static_cast<float>(size);
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  const auto y = node.emit("LRN", {x},
                           {{"alpha", alpha},
                            {"beta", TENON_TRY(node.float_attr("beta", 0.5f))},
                            {"bias", TENON_TRY(node.float_attr("bias", 1))},
                            {"size", size}});
  return node.result(channels_back(node, y, format));
}

static Result<void> blocks(NodeImport& node) {
  const ImageFormat format = TENON_TRY(image_format(node));
  const int64_t size = TENON_TRY(node.int_attr("block_size", 0));
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  return node.result(channels_back(node, node.emit(node.target(), {x}, {{"blocksize", size}}), format));
}
Result<void> depth_to_space(NodeImport& node) { return blocks(node); }
Result<void> space_to_depth(NodeImport& node) { return blocks(node); }

namespace {

// TensorFlow's cubic interpolation along one axis as a matrix [out, in]: it rounds positions between pixels to 1/1024.
struct CubicAxis {
  int64_t in, out;
  bool corners, centres;

  Result<kernels::Tensor> matrix() const {
    std::vector<float> values(static_cast<size_t>(in * out), 0.0f);
    const float scale = corners && out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1)
                                           : static_cast<float>(in) / static_cast<float>(out);
    for (int64_t row = 0; row < out; ++row) {
      const auto at = static_cast<float>(row);
      const float place = centres ? (at + 0.5f) * scale - 0.5f : at * scale;
      const float low = std::floor(place);
      const float part = std::nearbyint((place - low) * 1024) / 1024;
      const float weights[] = {far(part), near(part), near(1 - part), far(1 - part)};
      float sum = 0;
      for (int64_t k = 0; k < 4; ++k) sum += is_inside(low, k) ? weights[k] : 0.0f;
      for (int64_t k = 0; k < 4; ++k) {
        // With centres on centres pixels outside of the image count nothing, else they are the edge's.
        if (centres && !is_inside(low, k)) continue;
        const int64_t column = std::clamp(static_cast<int64_t>(low) - 1 + k, int64_t{0}, in - 1);
        values[static_cast<size_t>(row * in + column)] += centres ? weights[k] / sum : weights[k];
      }
    }
    return kernels::Tensor::of<float>(DataType::f32, {out, in}, std::span(values));
  }

 private:
  bool is_inside(float low, int64_t k) const {
    const int64_t column = static_cast<int64_t>(low) - 1 + k;
    return column >= 0 && column < in;
  }
  float a() const { return centres ? -0.5f : -0.75f; }
  // Weight of a pixel less than one away, and of one between one and two away (`x` + 1).
  float near(float x) const { return ((a() + 2) * x - (a() + 3)) * x * x + 1; }
  float far(float x) const {
    const float y = x + 1;
    return ((a() * y - 5 * a()) * y + 8 * a()) * y - 4 * a();
  }
};

// Both axes by their matrices.
Result<void> resize_cubic(NodeImport& node, bool corners, bool centres) {
  const ImageFormat format{true, 4};
  constexpr int64_t kMost = 1 << 14;
  const auto dims = node.known_dims(node.input(0));
  const auto sizes = node.constant_ints(1);
  if (!dims || !sizes) return NodeImport::unsupported("cubic interpolation between sizes that are not known");
  if (dims->size() != 4 || sizes->size() != 2)
    return NodeImport::invalid("an image of rank {}", dims->size());
  ValueId x = TENON_TRY(channels_first(node, TENON_TRY(node.cast(node.input(0), DataType::f32)), format));
  for (const size_t i : {1u, 0u}) {  // width first
    const CubicAxis axis{(*dims)[i + 1], (*sizes)[i], corners, centres};
    if (axis.in < 1 || axis.out < 1 || axis.in > kMost || axis.out > kMost)
      return NodeImport::invalid("{} rows from {}", axis.out, axis.in);
    const ValueId matrix = TENON_TRY(node.constant(TENON_TRY(axis.matrix())));
    x = i == 0 ? TENON_TRY(node.emit("MatMul", {matrix, x}))
               : TENON_TRY(node.emit("MatMul", {x, TENON_TRY(node.transpose(matrix, {1, 0}))}));
  }
  return node.result(channels_back(node, x, format));
}

}  // namespace

// Where a pixel of the result lies in the image: corners on corners, centres on centres, or neither.
Result<void> resize(NodeImport& node) {
  const ImageFormat format{true, 4};
  const bool corners = TENON_TRY(node.bool_attr("align_corners", false));
  const bool centres = TENON_TRY(node.bool_attr("half_pixel_centers", false));
  if (node.def().op == "ResizeBicubic") return resize_cubic(node, corners, centres);
  const bool nearest = node.def().op == "ResizeNearestNeighbor";
  Attributes attributes{{"axes", std::vector<int64_t>{2, 3}},
                        {"coordinate_transformation_mode", std::string(corners   ? "align_corners"
                                                                       : centres ? "half_pixel"
                                                                                 : "asymmetric")},
                        {"mode", std::string(nearest ? "nearest" : "linear")}};
  if (nearest)
    attributes.push_back({"nearest_mode", std::string(corners || centres ? "round_prefer_ceil" : "floor")});
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  const auto y =
      node.emit("Resize", {x, kAbsent, kAbsent, TENON_TRY(node.integers(1))}, std::move(attributes));
  const ValueId back = TENON_TRY(channels_back(node, y, format));
  // Interpolation gives floats, whatever the image is made of.
  return node.result(nearest ? Result<ValueId>(back) : node.cast(back, DataType::f32));
}

Result<void> crop_and_resize(NodeImport& node) {
  const ImageFormat format{true, 4};
  const std::string method(TENON_TRY(node.string_attr("method", "bilinear")));
  if (method != "bilinear" && method != "nearest") return NodeImport::invalid("method {}", method);
  const ValueId image = TENON_TRY(node.cast(node.input(0), DataType::f32));
  const ValueId x = TENON_TRY(channels_first(node, image, format));
  const auto y = node.emit(
      "CropAndResize", {x, node.input(1), TENON_TRY(node.to_i64(node.input(2))), TENON_TRY(node.integers(3))},
      {{"extrapolation_value", TENON_TRY(node.float_attr("extrapolation_value", 0))}, {"mode", method}});
  return node.result(channels_back(node, y, format));
}

// Operands: boxes [n, 4], scores [n], number of results, then thresholds, which the first form has as an attribute; the last
// can lower scores instead of dropping boxes, and two can fill up with zeros.
Result<void> non_max_suppression(NodeImport& node) {
  const ValueId boxes = TENON_TRY(node.unsqueeze(node.input(0), {0}));
  const ValueId scores = TENON_TRY(node.unsqueeze(node.input(1), {0, 1}));
  const ValueId most = TENON_TRY(node.integers(2));
  ValueId overlap = node.input(3);
  if (overlap == kAbsent) {
    const float threshold = TENON_TRY(node.float_attr("iou_threshold", 0.5f));
    overlap = TENON_TRY(
        node.constant(TENON_TRY(kernels::Tensor::of<float>(DataType::f32, {}, std::span(&threshold, 1)))));
  }
  const bool has_scores = node.def().op == "NonMaxSuppressionV5";
  const auto sigma = has_scores ? node.constant_number(5) : std::optional(0.0);
  if (!sigma) return NodeImport::unsupported("soft_nms_sigma that depends on data");
  std::vector<ValueId> operands{boxes, scores, most, TENON_TRY(node.cast(overlap, DataType::f32))};
  if (node.input(4) != kAbsent) operands.push_back(TENON_TRY(node.cast(node.input(4), DataType::f32)));
  const auto found = TENON_TRY(node.emit_many("NonMaxSuppression", std::move(operands), 2,
                                              {{"soft_sigma", static_cast<float>(*sigma)}}));
  node.declare(found[1], kernels::ValueType::unranked(DataType::f32));
  const ValueId column =
      TENON_TRY(node.emit("Gather", {found[0], TENON_TRY(node.int_scalar(2))}, {{"axis", int64_t{1}}}));
  const ValueId count = TENON_TRY(node.emit("Size", {column}));
  const bool fills = TENON_TRY(node.bool_attr("pad_to_max_output_size", false));
  const auto result = [&](ValueId list) -> Result<void> {
    if (!fills) return node.result(list);
    const ValueId missing = TENON_TRY(
        node.emit("Sub", {TENON_TRY(node.reshape(most, {1})), TENON_TRY(node.reshape(count, {1}))}));
    const ValueId pads = TENON_TRY(node.concat({TENON_TRY(node.int_vector({0})), missing}, 0));
    return node.result(node.emit("Pad", {list, pads}));
  };
  TENON_TRY(result(TENON_TRY(node.cast(column, DataType::i32))));
  if (has_scores) TENON_TRY(result(found[1]));
  return node.result(node.cast(count, DataType::i32));
}

// [N, H, W, C] → [N, H', W', kh * kw * C]: the pixels below a window that moves.
Result<void> extract_image_patches(NodeImport& node) {
  const ImageFormat format{true, 4};
  const auto list = [&](std::string_view name) -> Result<std::vector<int64_t>> {
    return format.spatial(TENON_TRY(node.ints_attr(name)), name);
  };
  PatchWindow window{TENON_TRY(list("ksizes")), TENON_TRY(list("strides")), TENON_TRY(list("rates")),
                     TENON_TRY(node.string_attr("padding", "VALID")) == "SAME"
                         ? PatchWindow::Padding::same_upper
                         : PatchWindow::Padding::valid};
  const ValueId x = TENON_TRY(channels_first(node, node.input(0), format));
  return node.result(channels_back(node, node.concat(TENON_TRY(patches(node, x, window)), 1), format));
}

}  // namespace tenon::nn::tf::rules
