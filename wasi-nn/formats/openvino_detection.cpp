// Rules of detection: choosing boxes, decoding them from anchors, and the anchors themselves.
#include <cmath>

#include "wasi-nn/formats/openvino_rules.h"
#include "wasi-nn/golden.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::DataType;
using kernels::Dims;
using kernels::kAbsent;
using kernels::Tensor;

namespace {

Result<ValueId> sliced(LayerImport& layer, ValueId x, int64_t axis, int64_t from, int64_t to) {
  return layer.emit("Slice", {x, TENON_TRY(layer.int_vector({from})), TENON_TRY(layer.int_vector({to})),
                              TENON_TRY(layer.int_vector({axis}))});
}

Result<ValueId> joined(LayerImport& layer, std::vector<ValueId> parts, int64_t axis) {
  return layer.emit("Concat", std::move(parts), {{"axis", axis}});
}

// How many rows a matrix has, as a vector of one number.
Result<ValueId> row_count(LayerImport& layer, ValueId matrix) {
  return sliced(layer, TENON_TRY(layer.shape(matrix)), 0, 0, 1);
}

// The rows of the matrices that have the best scores [rows, 1], `most` of them: best first, or in the order they had.
Result<std::vector<ValueId>> best_rows(LayerImport& layer, ValueId scores, std::vector<ValueId> matrices,
                                       std::optional<int64_t> most, bool best_first) {
  ValueId count = TENON_TRY(row_count(layer, scores));
  if (most) count = TENON_TRY(layer.emit("Min", {count, TENON_TRY(layer.int_vector({*most}))}));
  const ValueId values = layer.new_value();
  ValueId order = layer.new_value();
  const ValueId line = TENON_TRY(layer.reshape(scores, {-1}));
  TENON_TRY(layer.emit_to({values, order}, "TopK", {line, count}, {{"axis", int64_t{0}}}));
  if (!best_first)
    order = TENON_TRY(layer.emit("TopK", {order, count}, {{"axis", int64_t{0}}, {"largest", int64_t{0}}}));
  for (ValueId& matrix : matrices)
    matrix = TENON_TRY(layer.emit("Gather", {matrix, order}, {{"axis", int64_t{0}}}));
  return matrices;
}

// The first `rows` rows of a matrix with rows of `fill` behind it.
Result<ValueId> filled_up(LayerImport& layer, ValueId matrix, ValueId fill, int64_t rows) {
  const ValueId whole = TENON_TRY(layer.emit("Expand", {fill, TENON_TRY(layer.int_vector({rows, 1}))}));
  return sliced(layer, TENON_TRY(joined(layer, {matrix, whole}, 0)), 0, 0, rows);
}

// A scalar operand, or the fallback when it is left out.
Result<ValueId> optional_scalar(LayerImport& layer, size_t i, ValueId fallback) {
  return layer.has_input(i) ? layer.reshape(layer.input(i), {}) : Result<ValueId>(fallback);
}

}  // namespace

// boxes [batch, n, 4], scores [batch, classes, n], then at most how many of each class, overlap and score that decide. Gives
// [selected, 3] of batch, class, box; from opset 5 on also the scores, and how many there are. Before, the result is filled
// up with -1.
Result<void> non_max_suppression(LayerImport& layer) {
  static constexpr LayerImport::Word kEncodings[] = {{"corner", "0"}, {"center", "1"}};
  const ValueId boxes = TENON_TRY(layer.need(0)), scores = TENON_TRY(layer.need(1));
  const auto sigma = layer.has_input(5) ? TENON_TRY(layer.constant_reals(5)) : std::vector<float>();
  const std::string encoding = TENON_TRY(layer.word("box_encoding", "corner", kEncodings));
  const ValueId most = TENON_TRY(optional_scalar(layer, 2, TENON_TRY(layer.int_scalar(0))));
  const ValueId overlap = TENON_TRY(optional_scalar(layer, 3, TENON_TRY(layer.real_scalar(0))));
  const ValueId least = TENON_TRY(optional_scalar(layer, 4, TENON_TRY(layer.real_scalar(0))));
  ValueId selected = layer.new_value();
  const ValueId kept = layer.new_value();
  TENON_TRY(layer.emit_to(
      {selected, kept}, "NonMaxSuppression", {boxes, scores, TENON_TRY(layer.as_i64(most)), overlap, least},
      {{"center_point_box", int64_t{encoding == "1"}}, {"soft_sigma", sigma.empty() ? 0.0f : sigma[0]}}));
  ValueId values = TENON_TRY(layer.reshape(kept, {-1, 1}));
  if (TENON_TRY(layer.flag("sort_result_descending", true))) {
    const auto sorted = TENON_TRY(best_rows(layer, values, {selected, values}, std::nullopt, true));
    selected = sorted[0];
    values = sorted[1];
  }
  const DataType type = TENON_TRY(layer.type("output_type", "i64"));
  if (layer.opset() < 5) {
    const auto& dims = layer.layer().outputs.empty() ? std::vector<int64_t>() : layer.layer().outputs[0].dims;
    if (dims.size() != 2 || dims[0] < 0)
      return LayerImport::unsupported("a result whose dimensions are not declared");
    const ValueId none = TENON_TRY(layer.reshape(TENON_TRY(layer.int_vector({-1, -1, -1})), {1, 3}));
    selected = TENON_TRY(filled_up(layer, selected, none, dims[0]));
  }
  TENON_TRY(layer.finish("Cast", {selected}, {{"to", kernels::onnx_number(type)}}));
  if (layer.output(1) != kAbsent) {
    const ValueId places = TENON_TRY(layer.cast(TENON_TRY(sliced(layer, selected, 1, 0, 2)), DataType::f32));
    TENON_TRY(layer.emit_to({layer.output(1)}, "Concat", {places, values}, {{"axis", int64_t{1}}}));
  }
  if (layer.output(2) == kAbsent) return {};
  return layer.emit_to({layer.output(2)}, "Cast", {TENON_TRY(row_count(layer, selected))},
                       {{"to", kernels::onnx_number(type)}});
}

// boxes [batch, n, 4], scores [batch, classes, n]. Gives rows [selected, 6] of class, score, box; the place of each box among
// all; how many rows are each image's.
Result<void> class_suppression(LayerImport& layer) {
  static constexpr LayerImport::Word kSorts[] = {
      {"none", "none"}, {"score", "score"}, {"classid", "classid"}};
  static constexpr LayerImport::Word kDecays[] = {{"linear", "linear"}, {"gaussian", "gaussian"}};
  if (layer.has_input(2)) return LayerImport::unsupported("boxes of each class (roisnum)");
  Attributes attributes{
      {"sort", TENON_TRY(layer.word("sort_result_type", "none", kSorts))},
      {"sort_across_batch", int64_t{TENON_TRY(layer.flag("sort_result_across_batch", false))}},
      {"normalized", int64_t{TENON_TRY(layer.flag("normalized", true))}},
      {"score_threshold", TENON_TRY(layer.real("score_threshold", 0.0f))}};
  for (const char* key : {"nms_top_k", "keep_top_k", "background_class"})
    attributes.push_back({key, TENON_TRY(layer.integer(key, -1))});
  if (layer.op() == "MatrixNms") {
    attributes.push_back({"decay_function", TENON_TRY(layer.word("decay_function", "linear", kDecays))});
    attributes.push_back({"gaussian_sigma", TENON_TRY(layer.real("gaussian_sigma", 2.0f))});
    attributes.push_back({"post_threshold", TENON_TRY(layer.real("post_threshold", 0.0f))});
  } else {
    attributes.push_back({"iou_threshold", TENON_TRY(layer.real("iou_threshold", 0.0f))});
    attributes.push_back({"eta", TENON_TRY(layer.real("nms_eta", 1.0f))});
  }
  const DataType type = TENON_TRY(layer.type("output_type", "i64"));
  const ValueId places = layer.new_value(), counts = layer.new_value();
  TENON_TRY(layer.emit_to({layer.output(0), places, counts}, layer.op(),
                          {TENON_TRY(layer.need(0)), TENON_TRY(layer.need(1))}, std::move(attributes)));
  for (const auto& [i, value] : {std::pair{size_t{1}, places}, {size_t{2}, counts}}) {
    if (layer.output(i) == kAbsent) continue;
    TENON_TRY(layer.emit_to({layer.output(i)}, "Cast", {value}, {{"to", kernels::onnx_number(type)}}));
  }
  return {};
}

namespace {

// Boxes [n, 4] (corners) from what the network says of them and the anchors, both [n, 4].
Result<ValueId> decoded(LayerImport& layer, ValueId told, ValueId anchors) {
  static constexpr LayerImport::Word kCodes[] = {{"caffe.PriorBoxParameter.CORNER", "corner"},
                                                 {"caffe.PriorBoxParameter.CENTER_SIZE", "center"}};
  const std::string code = TENON_TRY(layer.word("code_type", "caffe.PriorBoxParameter.CORNER", kCodes));
  if (code == "corner") return layer.emit("Add", {anchors, told});
  const ValueId low = TENON_TRY(sliced(layer, anchors, 1, 0, 2)),
                high = TENON_TRY(sliced(layer, anchors, 1, 2, 4));
  const ValueId size = TENON_TRY(layer.emit("Sub", {high, low})), half = TENON_TRY(layer.real_scalar(0.5));
  const ValueId middle = TENON_TRY(layer.emit("Mul", {TENON_TRY(layer.emit("Add", {low, high})), half}));
  const ValueId moved = TENON_TRY(layer.emit("Mul", {TENON_TRY(sliced(layer, told, 1, 0, 2)), size}));
  const ValueId center = TENON_TRY(layer.emit("Add", {moved, middle}));
  const ValueId growth = TENON_TRY(layer.emit("Exp", {TENON_TRY(sliced(layer, told, 1, 2, 4))}));
  const ValueId reach = TENON_TRY(layer.emit("Mul", {TENON_TRY(layer.emit("Mul", {growth, size})), half}));
  return joined(
      layer, {TENON_TRY(layer.emit("Sub", {center, reach})), TENON_TRY(layer.emit("Add", {center, reach}))},
      1);
}

Result<ValueId> within_picture(LayerImport& layer, ValueId boxes) {
  return layer.emit("Clip", {boxes, TENON_TRY(layer.real_scalar(0)), TENON_TRY(layer.real_scalar(1))});
}

// Anchors [1, 1 or 2, n * 4]: corners, then what the network's numbers are multiplied by.
struct Anchors {
  int64_t count;
  ValueId corners, variances;  // [n, 4]; variances may be kAbsent
};
Result<Anchors> anchors_of(LayerImport& layer) {
  const auto dims = layer.dims_of(2);
  const bool normalized = TENON_TRY(layer.flag("normalized", false));
  const int64_t width = normalized ? 4 : 5;
  const bool encoded = TENON_TRY(layer.flag("variance_encoded_in_target", false));
  if (dims.size() != 3 || dims[0] != 1 || dims[1] != (encoded ? 1 : 2) || dims[2] < 0 || dims[2] % width != 0)
    return LayerImport::unsupported("anchors of this shape");
  Anchors out{dims[2] / width, kAbsent, kAbsent};
  const auto part = [&](int64_t i, bool cut) -> Result<ValueId> {
    const ValueId row = TENON_TRY(sliced(layer, layer.input(2), 1, i, i + 1));
    const ValueId matrix = TENON_TRY(layer.reshape(row, {out.count, width}));
    return cut ? sliced(layer, matrix, 1, 1, 5) : Result<ValueId>(matrix);
  };
  out.corners = TENON_TRY(part(0, !normalized));
  if (!normalized) {  // in pixels of a picture of this size, behind a number that means nothing here
    const auto w = TENON_TRY(layer.real("input_width", 1.0f)),
               h = TENON_TRY(layer.real("input_height", 1.0f));
    const float size[] = {w, h, w, h};
    const ValueId sizes = TENON_TRY(layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, {4}, size))));
    out.corners = TENON_TRY(layer.emit("Div", {out.corners, sizes}));
  }
  if (!encoded) {
    if (!normalized) return LayerImport::unsupported("variances beside anchors in pixels");
    out.variances = TENON_TRY(part(1, false));
  }
  return out;
}

// Which classes are looked for, as indices; the background is none of them.
std::vector<int64_t> classes_without(int64_t background, int64_t count) {
  std::vector<int64_t> classes;
  for (int64_t c = 0; c < count; ++c) {
    if (c != background) classes.push_back(c);
  }
  return classes;
}

}  // namespace

// What an SSD ends with: boxes decoded from anchors, the best of each class that do not overlap, and of all these the best.
// Rows are image, label, score and corners; a row of image -1 ends them when there are fewer than room for.
Result<void> detection_output(LayerImport& layer) {
  const auto dims = layer.dims_of(1);
  const auto result = layer.layer().outputs.empty() ? std::vector<int64_t>() : layer.layer().outputs[0].dims;
  if (layer.input_count() != 3) return LayerImport::unsupported("refined anchors (inputs 3 and 4)");
  if (!TENON_TRY(layer.flag("share_location", true))) return LayerImport::unsupported("boxes for each class");
  if (dims.size() != 2 || dims[0] != 1 || dims[1] < 0 || result.size() != 4 || result[2] < 1)
    return LayerImport::unsupported("more than one picture, or dimensions that are not declared");
  const Anchors anchors = TENON_TRY(anchors_of(layer));
  if (anchors.count < 1 || dims[1] % anchors.count != 0)
    return LayerImport::invalid("scores and anchors disagree");
  ValueId told = TENON_TRY(layer.reshape(TENON_TRY(layer.need(0)), {anchors.count, 4}));
  if (anchors.variances != kAbsent) told = TENON_TRY(layer.emit("Mul", {told, anchors.variances}));
  ValueId boxes = TENON_TRY(decoded(layer, told, anchors.corners));
  if (TENON_TRY(layer.flag("clip_before_nms", false))) boxes = TENON_TRY(within_picture(layer, boxes));
  const int64_t class_count = dims[1] / anchors.count;
  const auto classes = classes_without(TENON_TRY(layer.integer("background_label_id", 0)), class_count);
  if (classes.empty()) return LayerImport::invalid("no class but the background");
  // Scores by class, the best of each first.
  ValueId scores = TENON_TRY(layer.reshape(layer.input(1), {anchors.count, class_count}));
  scores = TENON_TRY(layer.emit(
      "Gather", {TENON_TRY(layer.emit("Transpose", {scores}, {{"perm", std::vector<int64_t>{1, 0}}})),
                 TENON_TRY(layer.int_vector(classes))}));
  const int64_t limit = TENON_TRY(layer.integer("top_k", -1));
  const int64_t taken = limit > 0 ? std::min(limit, anchors.count) : anchors.count;
  const ValueId sorted = layer.new_value(), order = layer.new_value();
  TENON_TRY(layer.emit_to({sorted, order}, "TopK", {scores, TENON_TRY(layer.int_vector({taken}))},
                          {{"axis", int64_t{1}}}));
  const ValueId candidates = TENON_TRY(layer.emit("Gather", {boxes, order}));  // [classes, taken, 4]
  const ValueId grouped = TENON_TRY(layer.emit("Unsqueeze", {sorted, TENON_TRY(layer.int_vector({1}))}));
  const ValueId selected = TENON_TRY(
      layer.emit("NonMaxSuppression",
                 {candidates, grouped, TENON_TRY(layer.int_scalar(taken)),
                  TENON_TRY(layer.real_scalar(TENON_TRY(layer.real("nms_threshold")))),
                  TENON_TRY(layer.real_scalar(TENON_TRY(layer.real("confidence_threshold", 0.0f))))}));
  const ValueId values =
      TENON_TRY(layer.reshape(TENON_TRY(layer.emit("GatherND", {grouped, selected})), {-1, 1}));
  const ValueId places = TENON_TRY(
      layer.emit("Gather", {selected, TENON_TRY(layer.int_vector({0, 2}))}, {{"axis", int64_t{1}}}));
  ValueId corners = TENON_TRY(layer.emit("GatherND", {candidates, places}));
  if (TENON_TRY(layer.flag("clip_after_nms", false))) corners = TENON_TRY(within_picture(layer, corners));
  const bool decrease = TENON_TRY(layer.flag("decrease_label_id", false));
  std::vector<float> names;
  for (const int64_t c : classes) names.push_back(static_cast<float>(decrease ? c - 1 : c));
  const Dims count{static_cast<int64_t>(names.size())};
  const ValueId labels = TENON_TRY(layer.emit(
      "Gather",
      {TENON_TRY(layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, count, std::span(names))))),
       TENON_TRY(sliced(layer, selected, 1, 0, 1))}));
  const ValueId image = TENON_TRY(layer.emit("Sub", {values, values}));
  ValueId rows = TENON_TRY(joined(layer, {image, labels, values, corners}, 1));
  const auto keep = TENON_TRY(layer.integers("keep_top_k"));
  if (!keep.empty() && keep[0] > 0) rows = TENON_TRY(best_rows(layer, values, {rows}, keep[0], false))[0];
  const float end[] = {-1, 0, 0, 0, 0, 0, 0}, nothing[7] = {};
  const auto row = [&](std::span<const float> of) -> Result<ValueId> {
    return layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, {1, 7}, of)));
  };
  rows = TENON_TRY(joined(layer, {rows, TENON_TRY(row(end))}, 0));
  const ValueId table = TENON_TRY(filled_up(layer, rows, TENON_TRY(row(nothing)), result[2]));
  return layer.finish("Reshape", {table, TENON_TRY(layer.int_vector({1, 1, result[2], 7}))});
}

namespace {

// What a Proposal's attributes say of its anchors: corners in pixels, around the top left position.
Result<std::vector<float>> proposal_anchors(const LayerImport& layer) {
  const auto base = static_cast<float>(TENON_TRY(layer.integer("base_size")));
  const auto ratios = TENON_TRY(layer.reals("ratio")), scales = TENON_TRY(layer.reals("scale"));
  if (ratios.empty() || scales.empty() || ratios.size() * scales.size() > 4096)
    return LayerImport::invalid("{} ratios and {} scales", ratios.size(), scales.size());
  std::vector<float> corners;
  const float center = 0.5f * (base - 1);
  for (const float ratio : ratios) {
    if (!(ratio > 0)) return LayerImport::invalid("ratio {}", ratio);
    const float width = std::round(std::sqrt(base * base / ratio)), height = std::round(width * ratio);
    for (const float scale : scales) {
      const float x = 0.5f * (width * scale - 1), y = 0.5f * (height * scale - 1);
      corners.insert(corners.end(), {center - x, center - y, center + x, center + y});
    }
  }
  return corners;
}

// The anchors of all positions, [height * width * anchors, 4]. At most 2^20 of them.
Result<ValueId> anchors_everywhere(LayerImport& layer, int64_t height, int64_t width) {
  const auto anchors = TENON_TRY(proposal_anchors(layer));
  const auto stride = static_cast<float>(TENON_TRY(layer.integer("feat_stride")));
  const auto of_position = static_cast<int64_t>(anchors.size()) / 4;
  if (height < 1 || width < 1 || height > (1 << 20) / width / of_position)
    return LayerImport::unsupported("{} x {} positions with {} anchors each", height, width, of_position);
  std::vector<float> all;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (size_t i = 0; i < anchors.size(); ++i)
        all.push_back(anchors[i] + static_cast<float>(i % 2 == 0 ? x : y) * stride);
    }
  }
  const Dims dims{height * width * of_position, 4};
  return layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, dims, std::span(all))));
}

// Boxes between 0 and `edges` [4].
Result<ValueId> within_edges(LayerImport& layer, ValueId boxes, ValueId edges) {
  const ValueId above = TENON_TRY(layer.emit("Max", {boxes, TENON_TRY(layer.real_scalar(0))}));
  return layer.emit("Min", {above, edges});
}

}  // namespace

// Scores [1, 2 * anchors, h, w], deltas [1, 4 * anchors, h, w] and the picture's height, width and scale → boxes of what
// may be an object, [most, 5] (image and corners), and their scores. A row of image -1 ends them when there are fewer.
Result<void> proposal(LayerImport& layer) {
  const auto dims = layer.dims_of(1), of_scores = layer.dims_of(0), of_size = layer.dims_of(2);
  if (!layer.text("framework").empty())
    return LayerImport::unsupported("attribute 'framework': '{}' is not supported", layer.text("framework"));
  if (dims.size() != 4 || dims[0] != 1 || of_scores.size() != 4 || of_size.size() != 1)
    return LayerImport::unsupported("more than one picture, or dimensions that are not declared");
  const ValueId anchors = TENON_TRY(anchors_everywhere(layer, dims[2], dims[3]));
  const int64_t count = layer.constant(anchors)->dims()[0], each = count / (dims[2] * dims[3]);
  if (dims[1] != 4 * each || of_scores[1] != 2 * each || (of_size[0] != 3 && of_size[0] != 4))
    return LayerImport::invalid("{} scores and {} deltas for {} anchors", of_scores[1], dims[1], each);
  const int64_t before = TENON_TRY(layer.integer("pre_nms_topn")),
                after = TENON_TRY(layer.integer("post_nms_topn"));
  if (before < 1 || after < 1 || after > (1 << 20))
    return LayerImport::invalid("{} of {} boxes", after, before);
  // [1, groups * width, h, w] as [positions * groups, width]
  const auto rows = [&](ValueId id, int64_t groups, int64_t width) -> Result<ValueId> {
    const ValueId open = TENON_TRY(layer.reshape(id, {groups, width, -1}));
    return layer.reshape(
        TENON_TRY(layer.emit("Transpose", {open}, {{"perm", std::vector<int64_t>{2, 0, 1}}})), {-1, width});
  };
  const ValueId one = TENON_TRY(layer.real_scalar(1)), half = TENON_TRY(layer.real_scalar(0.5));
  const auto last_score = TENON_TRY(sliced(layer, TENON_TRY(layer.need(0)), 1, each, 2 * each));
  ValueId scores = TENON_TRY(rows(last_score, each, 1));
  const ValueId deltas = TENON_TRY(rows(TENON_TRY(layer.need(1)), each, 4));
  // Corners around the moved centre.
  const ValueId low = TENON_TRY(sliced(layer, anchors, 1, 0, 2)),
                high = TENON_TRY(sliced(layer, anchors, 1, 2, 4));
  const ValueId size = TENON_TRY(layer.emit("Add", {TENON_TRY(layer.emit("Sub", {high, low})), one}));
  const auto scaled = [&](int64_t from, const char* key) -> Result<ValueId> {
    const float by = TENON_TRY(layer.real(key, 1.0f));
    return layer.emit(
        "Div", {TENON_TRY(sliced(layer, deltas, 1, from, from + 2)), TENON_TRY(layer.real_scalar(by))});
  };
  const ValueId moved = TENON_TRY(layer.emit("Mul", {TENON_TRY(scaled(0, "box_coordinate_scale")), size}));
  const ValueId middle = TENON_TRY(layer.emit("Add", {low, TENON_TRY(layer.emit("Mul", {size, half}))}));
  const ValueId center = TENON_TRY(layer.emit("Add", {moved, middle}));
  const ValueId growth = TENON_TRY(layer.emit("Exp", {TENON_TRY(scaled(2, "box_size_scale"))}));
  const ValueId reach = TENON_TRY(layer.emit("Mul", {TENON_TRY(layer.emit("Mul", {growth, size})), half}));
  ValueId boxes = TENON_TRY(joined(
      layer, {TENON_TRY(layer.emit("Sub", {center, reach})), TENON_TRY(layer.emit("Add", {center, reach}))},
      1));
  // The picture as width, height, width, height, and its last pixel; the scale of height and of width.
  const ValueId picture =
      TENON_TRY(layer.emit("Gather", {TENON_TRY(layer.need(2)), TENON_TRY(layer.int_vector({1, 0, 1, 0}))}));
  const ValueId edges = TENON_TRY(layer.emit("Sub", {picture, one}));
  if (TENON_TRY(layer.flag("clip_before_nms", true))) boxes = TENON_TRY(within_edges(layer, boxes, edges));
  // Boxes below the smallest size have a score of 0.
  const ValueId scales =
      TENON_TRY(layer.emit("Gather", {layer.input(2), TENON_TRY(layer.int_vector({of_size[0] - 1, 2}))}));
  const ValueId least = TENON_TRY(layer.emit(
      "Mul",
      {scales, TENON_TRY(layer.real_scalar(static_cast<double>(TENON_TRY(layer.integer("min_size")))))}));
  const ValueId extent =
      TENON_TRY(layer.emit("Add", {TENON_TRY(layer.emit("Sub", {TENON_TRY(sliced(layer, boxes, 1, 2, 4)),
                                                                TENON_TRY(sliced(layer, boxes, 1, 0, 2))})),
                                   one}));
  const ValueId large =
      TENON_TRY(layer.cast(TENON_TRY(layer.emit("GreaterOrEqual", {extent, least})), DataType::f32));
  const ValueId both = TENON_TRY(layer.emit("ReduceMin", {large, TENON_TRY(layer.int_vector({1}))}));
  scores = TENON_TRY(layer.emit("Mul", {scores, both}));
  const auto best = TENON_TRY(best_rows(layer, scores, {boxes, scores}, before, true));
  // A box of pixels a to b is b - a + 1 wide.
  const float beyond[] = {0, 0, 1, 1};
  const ValueId closed = TENON_TRY(layer.emit(
      "Add", {best[0], TENON_TRY(layer.constant(TENON_TRY(Tensor::of<float>(DataType::f32, {4}, beyond))))}));
  const ValueId selected = TENON_TRY(layer.emit(
      "NonMaxSuppression", {TENON_TRY(layer.emit("Unsqueeze", {closed, TENON_TRY(layer.int_vector({0}))})),
                            TENON_TRY(layer.reshape(best[1], {1, 1, -1})), TENON_TRY(layer.int_scalar(after)),
                            TENON_TRY(layer.real_scalar(TENON_TRY(layer.real("nms_thresh"))))}));
  const ValueId places = TENON_TRY(layer.reshape(TENON_TRY(sliced(layer, selected, 1, 2, 3)), {-1}));
  ValueId corners = TENON_TRY(layer.emit("Gather", {best[0], places}));
  const ValueId kept = TENON_TRY(layer.emit("Gather", {best[1], places}));
  if (TENON_TRY(layer.flag("clip_after_nms", false)))
    corners = TENON_TRY(within_edges(layer, corners, picture));
  if (TENON_TRY(layer.flag("normalize", false))) corners = TENON_TRY(layer.emit("Div", {corners, picture}));
  const ValueId image = TENON_TRY(layer.emit("Sub", {kept, kept}));
  const float end[] = {-1, 0, 0, 0, 0}, nothing[6] = {};
  const auto row = [&](std::span<const float> of) -> Result<ValueId> {
    return layer.constant(
        TENON_TRY(Tensor::of<float>(DataType::f32, {1, static_cast<int64_t>(of.size())}, of)));
  };
  const ValueId table =
      TENON_TRY(joined(layer, {TENON_TRY(joined(layer, {image, corners}, 1)), TENON_TRY(row(end))}, 0));
  TENON_TRY(
      layer.alias(0, TENON_TRY(filled_up(layer, table, TENON_TRY(row(std::span(nothing).first(5))), after))));
  if (layer.output(1) == kAbsent) return {};
  const ValueId list = TENON_TRY(filled_up(layer, kept, TENON_TRY(row(std::span(nothing).first(1))), after));
  return layer.emit_to({layer.output(1)}, "Reshape", {list, TENON_TRY(layer.int_vector({-1}))});
}

namespace {

// Height and width that an operand holds: a constant, or a part of a shape that the file declares.
Result<std::array<int64_t, 2>> known_size(LayerImport& layer, size_t input) {
  const auto pair = [](const std::vector<int64_t>& values) -> Result<std::array<int64_t, 2>> {
    constexpr int64_t kMost = 1 << 16;
    if (values.size() != 2 || values[0] < 1 || values[1] < 1 || values[0] > kMost || values[1] > kMost)
      return LayerImport::unsupported("a size that the file does not tell");
    return std::array{values[0], values[1]};
  };
  if (layer.constant(TENON_TRY(layer.need(input)))) return pair(TENON_TRY(layer.constant_ints(input)));
  const auto behind = [&](const Layer* from, size_t i) {
    const Layer* of = layer.host().producer(*from, i);
    return of && of->type == "Convert" ? layer.host().producer(*of, 0) : of;
  };
  const Layer* part = behind(&layer.layer(), input);
  if (!part || part->type != "StridedSlice") return pair({});
  const Layer* shape = behind(part, 0);
  const auto bound = [&](size_t i) -> int64_t {
    const Tensor* tensor = layer.constant(layer.host().operand(*part, i));
    if (!tensor || tensor->count() != 1) return -1;
    const auto values = to_doubles(*tensor);
    return values[0] >= 0 && values[0] < 100 ? static_cast<int64_t>(values[0]) : -1;
  };
  const int64_t begin = bound(1), end = bound(2);
  if (!shape || shape->type != "ShapeOf" || shape->inputs.empty()) return pair({});
  const auto& dims = shape->inputs[0].dims;
  if (begin < 0 || end != begin + 2 || end > static_cast<int64_t>(dims.size())) return pair({});
  return pair({dims[static_cast<size_t>(begin)], dims[static_cast<size_t>(begin) + 1]});
}

struct BoxSize {
  double width, height;
};

struct Grid {
  std::array<int64_t, 2> positions, picture;  // height, width
  std::array<double, 2> step, offset;
};

// [2, positions * boxes * 4]: corners around each position as parts of the picture, and the variances for each box.
Result<void> define_anchors(LayerImport& layer, const Grid& grid, const std::vector<BoxSize>& boxes) {
  const auto variance = TENON_TRY(layer.reals("variance"));
  if (variance.size() > 1 && variance.size() != 4)
    return LayerImport::invalid("{} variances", variance.size());
  const bool clip = TENON_TRY(layer.flag("clip", false));
  if (boxes.size() > 4096) return LayerImport::invalid("{} boxes at each position", boxes.size());
  const auto count = grid.positions[0] * grid.positions[1] * static_cast<int64_t>(boxes.size()) * 4;
  if (count > (int64_t{1} << 26)) return LayerImport::unsupported("{} corners", count);
  std::vector<float> values;
  values.reserve(static_cast<size_t>(count) * 2);
  for (int64_t y = 0; y < grid.positions[0]; ++y) {
    for (int64_t x = 0; x < grid.positions[1]; ++x) {
      const double cy = (static_cast<double>(y) + grid.offset[0]) * grid.step[0];
      const double cx = (static_cast<double>(x) + grid.offset[1]) * grid.step[1];
      const auto h = static_cast<double>(grid.picture[0]), w = static_cast<double>(grid.picture[1]);
      for (const BoxSize& box : boxes) {
        for (const double corner : {(cx - box.width / 2) / w, (cy - box.height / 2) / h,
                                    (cx + box.width / 2) / w, (cy + box.height / 2) / h})
          values.push_back(static_cast<float>(clip ? std::clamp(corner, 0.0, 1.0) : corner));
      }
    }
  }
  for (int64_t i = 0; i < count; ++i)
    values.push_back(variance.empty() ? 0.1f
                                      : variance[variance.size() == 1 ? 0 : static_cast<size_t>(i % 4)]);
  return layer.define(0, TENON_TRY(Tensor::of<float>(DataType::f32, {2, count}, std::span(values))));
}

Result<Grid> grid_of(LayerImport& layer, double step_height, double step_width, bool centred_without_step) {
  Grid grid{TENON_TRY(known_size(layer, 0)), TENON_TRY(known_size(layer, 1)), {step_height, step_width}, {}};
  grid.offset.fill(TENON_TRY(layer.real("offset", 0.5f)));
  for (size_t i = 0; i < 2; ++i) {
    if (grid.step[i] != 0) continue;
    grid.step[i] = static_cast<double>(grid.picture[i]) / static_cast<double>(grid.positions[i]);
    if (centred_without_step) grid.offset[i] = 0.5;
  }
  return grid;
}

}  // namespace

// Boxes of given widths and heights.
Result<void> prior_box_clustered(LayerImport& layer) {
  const auto widths = TENON_TRY(layer.reals("width")), heights = TENON_TRY(layer.reals("height"));
  if (widths.empty() || widths.size() != heights.size())
    return LayerImport::invalid("widths and heights disagree");
  const float step = TENON_TRY(layer.real("step", 0.0f));
  const Grid grid = TENON_TRY(
      grid_of(layer, TENON_TRY(layer.real("step_h", step)), TENON_TRY(layer.real("step_w", step)), false));
  std::vector<BoxSize> boxes;
  for (size_t i = 0; i < widths.size(); ++i) boxes.push_back({widths[i], heights[i]});
  return define_anchors(layer, grid, boxes);
}

// Squares of the smallest size, between this and the largest, and rectangles of the given ratios.
Result<void> prior_box(LayerImport& layer) {
  for (const char* key : {"fixed_size", "fixed_ratio", "density"}) {
    if (!layer.text(key).empty()) return LayerImport::unsupported("attribute '{}'", key);
  }
  if (!TENON_TRY(layer.flag("scale_all_sizes", true)))
    return LayerImport::unsupported("scale_all_sizes is false");
  const auto least = TENON_TRY(layer.reals("min_size")), most = TENON_TRY(layer.reals("max_size"));
  if (!most.empty() && most.size() != least.size())
    return LayerImport::invalid("min_size and max_size differ in length");
  const bool flip = TENON_TRY(layer.flag("flip", false));
  std::vector<double> ratios{1};
  const auto add_ratio = [&](double ratio) {
    if (std::ranges::none_of(ratios, [&](double other) { return std::abs(other - ratio) < 1e-6; }))
      ratios.push_back(ratio);
  };
  for (const float ratio : TENON_TRY(layer.reals("aspect_ratio"))) {
    if (!(ratio > 0)) return LayerImport::invalid("aspect_ratio {}", ratio);
    add_ratio(ratio);
    if (flip) add_ratio(1.0 / ratio);
  }
  const bool largest_second = TENON_TRY(layer.flag("min_max_aspect_ratios_order", true));
  const float step = TENON_TRY(layer.real("step", 0.0f));
  const Grid grid = TENON_TRY(grid_of(layer, step, step, true));
  std::vector<BoxSize> boxes;
  for (size_t i = 0; i < least.size(); ++i) {
    const double size = least[i];
    const auto add_largest = [&] {
      if (most.empty()) return;
      const double between = std::sqrt(size * most[i]);
      boxes.push_back({between, between});
    };
    boxes.push_back({size, size});
    if (largest_second) add_largest();
    for (size_t k = 1; k < ratios.size(); ++k)
      boxes.push_back({size * std::sqrt(ratios[k]), size / std::sqrt(ratios[k])});
    if (!largest_second) add_largest();
  }
  return define_anchors(layer, grid, boxes);
}

// Each region: x and y, width and height, whether there is something, classes. All but the sizes go through a logistic
// function; classes through a softmax if so asked.
Result<void> region_yolo(LayerImport& layer) {
  const auto dims = layer.dims_of(0);
  if (dims.size() != 4 || dims[1] < 1 || dims[1] > std::numeric_limits<int32_t>::max())
    return LayerImport::unsupported("an operand whose channels are not declared");
  const int64_t coords = TENON_TRY(layer.integer("coords")), classes = TENON_TRY(layer.integer("classes"));
  const bool softmax = TENON_TRY(layer.flag("do_softmax", true));
  if (coords < 2 || coords > 64 || classes < 1 || classes > (1 << 20))
    return LayerImport::invalid("coords or classes");
  const auto mask = TENON_TRY(layer.integers("mask"));
  const int64_t regions =
      softmax || mask.empty() ? TENON_TRY(layer.integer("num")) : static_cast<int64_t>(mask.size());
  const int64_t size = coords + 1 + classes;
  if (regions < 1 || regions > dims[1] || regions * size != dims[1])
    return LayerImport::invalid("{} channels are not {} regions of {}", dims[1], regions, size);
  const ValueId shape = TENON_TRY(layer.shape(TENON_TRY(layer.need(0))));
  const ValueId parts = TENON_TRY(layer.reshape(layer.input(0), {0, regions, size, -1}));
  const auto part = [&](int64_t from, int64_t to) { return sliced(layer, parts, 2, from, to); };
  const auto logistic = [&](ValueId x) { return layer.emit("Sigmoid", {x}); };
  const ValueId place = TENON_TRY(logistic(TENON_TRY(part(0, 2)))), extent = TENON_TRY(part(2, coords));
  const ValueId there = TENON_TRY(logistic(TENON_TRY(part(coords, coords + 1))));
  const ValueId scores = TENON_TRY(part(coords + 1, size));
  const ValueId known = softmax ? TENON_TRY(layer.emit("Softmax", {scores}, {{"axis", int64_t{2}}}))
                                : TENON_TRY(logistic(scores));
  const ValueId all = TENON_TRY(joined(layer, {place, extent, there, known}, 2));
  if (!softmax) return layer.finish("Reshape", {all, shape});
  if (TENON_TRY(layer.integer("axis", 1)) != 1 || TENON_TRY(layer.integer("end_axis", 3)) != 3)
    return LayerImport::unsupported("results that are not flattened from axis 1 to 3");
  return layer.finish("Reshape", {all, TENON_TRY(layer.int_vector({0, -1}))});
}

}  // namespace tenon::nn::openvino::rules
