// Rules of layers that read images at places which data name, or that lay pixels out anew.
#include "wasi-nn/formats/image_patches.h"
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::kAbsent;

namespace {

Result<ValueId> columns(LayerImport& layer, ValueId matrix, const std::vector<int64_t>& which) {
  return layer.emit("Gather", {matrix, TENON_TRY(layer.int_vector(which))}, {{"axis", int64_t{1}}});
}

Result<std::vector<int64_t>> pair(const LayerImport& layer, const char* key) {
  auto values = TENON_TRY(layer.integers(key));
  if (values.size() == 2) return values;
  return LayerImport::invalid("attribute '{}' has {} numbers", key, values.size());
}

}  // namespace

// data, boxes [n, 4], the image of each. Where a pixel's centre lies differs between the opsets' modes.
Result<void> roi_align(LayerImport& layer) {
  ValueId boxes = TENON_TRY(layer.need(1));
  const std::string_view aligned = layer.text("aligned_mode", "asymmetric");
  if (aligned == "half_pixel") {
    boxes = TENON_TRY(layer.emit("Add", {boxes, TENON_TRY(layer.scalar_like(boxes, 0.5))}));
  } else if (aligned != "asymmetric" && aligned != "half_pixel_for_nn") {
    return LayerImport::unsupported("attribute 'aligned_mode': '{}' is not supported", aligned);
  }
  const std::string_view mode = layer.text("mode", "avg");
  if (mode != "avg" && mode != "max")
    return LayerImport::unsupported("attribute 'mode': '{}' is not supported", mode);
  const ValueId x = TENON_TRY(layer.need(0)), image = TENON_TRY(layer.as_i64(TENON_TRY(layer.need(2))));
  const int64_t height = TENON_TRY(layer.integer("pooled_h")), width = TENON_TRY(layer.integer("pooled_w"));
  const int64_t samples = TENON_TRY(layer.integer("sampling_ratio", 0));
  const auto attributes = [&](int64_t parts, int64_t ratio) -> Result<Attributes> {
    return Attributes{{"output_height", height * parts},
                      {"output_width", width * parts},
                      {"sampling_ratio", ratio},
                      {"spatial_scale", TENON_TRY(layer.real("spatial_scale"))},
                      {"coordinate_transformation_mode",
                       std::string(aligned == "asymmetric" ? "output_half_pixel" : "half_pixel")}};
  };
  if (mode == "avg") return layer.finish({x, boxes, image}, TENON_TRY(attributes(1, samples)));
  // The largest of the interpolated samples, and 0: ONNX's maximum is of the pixels around them.
  constexpr int64_t kMost = 1 << 12;
  if (samples == 0) return LayerImport::unsupported("maxima of as many samples as the boxes' sizes say");
  if (samples < 0 || samples > kMost || height < 1 || width < 1 || height > kMost || width > kMost)
    return LayerImport::invalid("{} x {} results of {} samples", height, width, samples);
  const ValueId all = TENON_TRY(layer.emit("RoiAlign", {x, boxes, image}, TENON_TRY(attributes(samples, 1))));
  const std::vector<int64_t> window{samples, samples};
  const ValueId largest =
      TENON_TRY(layer.emit("MaxPool", {all}, {{"kernel_shape", window}, {"strides", window}}));
  return layer.finish("Max", {largest, TENON_TRY(layer.real_scalar(0))});
}

// data, boxes [n, 5] of image, x, y, x, y: in pixels for maxima, as parts of the image for interpolation.
Result<void> roi_pooling(LayerImport& layer) {
  const ValueId x = TENON_TRY(layer.need(0)), boxes = TENON_TRY(layer.need(1));
  std::vector<int64_t> size = TENON_TRY(layer.integers("output_size"));
  if (size.empty()) size = {TENON_TRY(layer.integer("pooled_h")), TENON_TRY(layer.integer("pooled_w"))};
  if (size.size() != 2) return LayerImport::invalid("a result of {} dimensions", size.size());
  const std::string_view method = layer.text("method", "max");
  if (method == "max")
    return layer.finish("MaxRoiPool", {x, boxes},
                        {{"pooled_shape", size}, {"spatial_scale", TENON_TRY(layer.real("spatial_scale"))}});
  if (method != "bilinear")
    return LayerImport::unsupported("attribute 'method': '{}' is not supported", method);
  const ValueId corners = TENON_TRY(columns(layer, boxes, {2, 1, 4, 3}));
  const ValueId image = TENON_TRY(layer.cast(TENON_TRY(columns(layer, boxes, {0})), DataType::i64));
  return layer.finish("CropAndResize",
                      {x, corners, TENON_TRY(layer.reshape(image, {-1})), TENON_TRY(layer.int_vector(size))});
}

Result<void> grid_sample(LayerImport& layer) {
  static constexpr LayerImport::Word kModes[] = {{"bilinear", "linear"}, {"BILINEAR", "linear"},
                                                 {"nearest", "nearest"}, {"NEAREST", "nearest"},
                                                 {"bicubic", "cubic"},   {"BICUBIC", "cubic"}};
  static constexpr LayerImport::Word kPaddings[] = {
      {"zeros", "zeros"},   {"ZEROS", "zeros"},           {"border", "border"},
      {"BORDER", "border"}, {"reflection", "reflection"}, {"REFLECTION", "reflection"}};
  const std::string mode = TENON_TRY(layer.word("mode", "bilinear", kModes));
  const std::string padding = TENON_TRY(layer.word("padding_mode", "zeros", kPaddings));
  if (mode == "cubic" && padding == "border")
    return LayerImport::unsupported("cubic interpolation beyond the border");
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(layer.need(1))},
                      {{"align_corners", int64_t{TENON_TRY(layer.flag("align_corners", false))}},
                       {"mode", mode},
                       {"padding_mode", padding}});
}

// data, offsets, filters, a factor for each tap.
Result<void> deformable_convolution(LayerImport& layer) {
  if (const std::string_view padding = layer.text("auto_pad", "explicit");
      padding != "explicit" && padding != "EXPLICIT" && padding != "valid" && padding != "VALID")
    return LayerImport::unsupported("attribute 'auto_pad': '{}' is not supported", padding);
  auto pads = TENON_TRY(pair(layer, "pads_begin"));
  const auto after = TENON_TRY(pair(layer, "pads_end"));
  pads.insert(pads.end(), after.begin(), after.end());
  if (!TENON_TRY(layer.flag("bilinear_interpolation_pad", false)))
    return LayerImport::unsupported("taps that are dropped at the image's edge (bilinear_interpolation_pad)");
  return layer.finish(
      {TENON_TRY(layer.need(0)), TENON_TRY(layer.need(2)), TENON_TRY(layer.need(1)), kAbsent, layer.input(3)},
      {{"strides", TENON_TRY(pair(layer, "strides"))},
       {"dilations", TENON_TRY(pair(layer, "dilations"))},
       {"pads", std::move(pads)},
       {"group", TENON_TRY(layer.integer("group", 1))},
       {"offset_group", TENON_TRY(layer.integer("deformable_group", 1))}});
}

// data [batch, channels * window, positions], size of the image, size of the window
Result<void> col2im(LayerImport& layer) {
  auto pads = TENON_TRY(layer.integers("pads_begin"));
  const auto after = TENON_TRY(layer.integers("pads_end"));
  pads.insert(pads.end(), after.begin(), after.end());
  Attributes attributes;
  if (!pads.empty()) attributes.push_back({"pads", std::move(pads)});
  for (const char* key : {"strides", "dilations"}) {
    auto values = TENON_TRY(layer.integers(key));
    if (!values.empty()) attributes.push_back({key, std::move(values)});
  }
  return layer.finish({TENON_TRY(layer.need(0)), TENON_TRY(layer.as_i64(TENON_TRY(layer.need(1)))),
                       TENON_TRY(layer.as_i64(TENON_TRY(layer.need(2))))},
                      std::move(attributes));
}

Result<void> extract_patches(LayerImport& layer) {
  static constexpr LayerImport::Word kPaddings[] = {
      {"valid", "valid"},           {"VALID", "valid"},           {"same_upper", "same_upper"},
      {"SAME_UPPER", "same_upper"}, {"same_lower", "same_lower"}, {"SAME_LOWER", "same_lower"}};
  const std::string padding = TENON_TRY(layer.word("auto_pad", "valid", kPaddings));
  const PatchWindow window{TENON_TRY(pair(layer, "sizes")), TENON_TRY(pair(layer, "strides")),
                           TENON_TRY(pair(layer, "rates")),
                           padding == "valid"        ? PatchWindow::Padding::valid
                           : padding == "same_upper" ? PatchWindow::Padding::same_upper
                                                     : PatchWindow::Padding::same_lower};
  const ValueId x = TENON_TRY(layer.need(0));
  return layer.finish("Concat", TENON_TRY(patches(layer, x, window)), {{"axis", int64_t{1}}});
}

// [N, C, H, W] read as [N, C / s², H, s, W, s]: each of the s² places in a block becomes C / s² channels.
Result<void> reorg_yolo(LayerImport& layer) {
  const int64_t stride = TENON_TRY(layer.integer("stride"));
  const auto dims = layer.dims_of(0);
  if (dims.size() != 4 || dims[1] < 0 || dims[2] < 0 || dims[3] < 0)
    return LayerImport::unsupported("an operand whose dimensions are not declared");
  if (stride < 1 || stride > 4096 || dims[1] % (stride * stride) != 0 || dims[2] % stride != 0 ||
      dims[3] % stride != 0)
    return LayerImport::invalid("{} channels of {} x {} at a stride of {}", dims[1], dims[2], dims[3],
                                stride);
  const int64_t depth = dims[1] / (stride * stride);
  const ValueId open =
      TENON_TRY(layer.reshape(TENON_TRY(layer.need(0)), {0, depth, dims[2], stride, dims[3], stride}));
  const ValueId moved =
      TENON_TRY(layer.emit("Transpose", {open}, {{"perm", std::vector<int64_t>{0, 3, 5, 1, 2, 4}}}));
  return layer.finish("Reshape", {moved, TENON_TRY(layer.int_vector({0, dims[1] * stride * stride,
                                                                     dims[2] / stride, dims[3] / stride}))});
}

}  // namespace tenon::nn::openvino::rules
