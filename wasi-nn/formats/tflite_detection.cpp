// The rule for TFLite_Detection_PostProcess, a custom operator that most detectors end with.
#include <cmath>

#include "wasi-nn/formats/flexbuffer.h"
#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite::rules {

namespace {

// Options of a custom operator.
class Options {
 public:
  explicit Options(flexbuffer::Map map) : map_(map) {}

  Result<float> real(std::string_view name) const {
    const auto value = map_.number(name);
    if (!value || !std::isfinite(*value)) return Node::invalid("option {} is missing", name);
    return static_cast<float>(*value);
  }
  Result<int64_t> integer(std::string_view name, std::optional<int64_t> fallback = std::nullopt) const {
    const auto value = map_.number(name);
    if (!value && fallback) return *fallback;
    if (!value || !(std::abs(*value) <= std::numeric_limits<int32_t>::max()))
      return Node::invalid("option {} is missing", name);
    return static_cast<int64_t>(*value);
  }

 private:
  flexbuffer::Map map_;
};

}  // namespace

// Operands: boxes, scores, anchors; results: boxes, classes, scores, how many.
Result<void> detection_post_process(Node& n) {
  TENON_TRY(n.needs(3));
  const Options options(TENON_TRY(flexbuffer::Map::root(n.info().custom_options)));
  std::vector<float> scales;
  for (const char* name : {"y_scale", "x_scale", "h_scale", "w_scale"})
    scales.push_back(TENON_TRY(options.real(name)));
  kernels::Attributes attributes{
      {"classes", TENON_TRY(options.integer("num_classes"))},
      {"detections", TENON_TRY(options.integer("max_detections"))},
      {"classes_per_detection", TENON_TRY(options.integer("max_classes_per_detection"))},
      {"detections_per_class", TENON_TRY(options.integer("detections_per_class", 100))},
      {"regular", TENON_TRY(options.integer("use_regular_nms", 0))},
      {"score_threshold", TENON_TRY(options.real("nms_score_threshold"))},
      {"iou_threshold", TENON_TRY(options.real("nms_iou_threshold"))},
      {"scales", std::move(scales)}};
  std::vector<ValueId> operands;
  for (size_t i = 0; i < 3; ++i) operands.push_back(TENON_TRY(n.real(i)));
  const auto results = n.new_values(std::min<size_t>(n.output_count(), 4));
  TENON_TRY(n.emit_to(results, "DetectionPostProcess", operands, std::move(attributes)));
  for (size_t i = 0; i < results.size(); ++i) TENON_TRY(n.define(i, results[i]));
  return {};
}

}  // namespace tenon::nn::tflite::rules
