// Shape rule of Resize.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/resize.h"

namespace tenon::kernels {
namespace {

constexpr double kMaxSize = 2147483648.0;  // of one axis

Result<std::vector<double>> numbers(InferContext& c, std::size_t operand) {
  const auto tensor = TENON_TRY(c.contents(operand));
  std::vector<double> out(static_cast<std::size_t>(tensor.count()));
  const bool known = dispatch(NumericTypes{}, tensor.type(), [&]<class T>() {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] =
          static_cast<double>(static_cast<Compute<T>>(In<T>{tensor.data()}[static_cast<std::int64_t>(i)]));
    }
  });
  if (!known) return c.invalid(fmt::format("operand {} must hold numbers", operand));
  return out;
}

// Operands left out are often given as empty tensors.
bool given(const InferContext& c, std::size_t operand) {
  return c.has(operand) && product(c.dims(operand)) > 0;
}

Result<void> from_scales(InferContext& c, const std::vector<double>& scales,
                         const std::vector<std::size_t>& axes, std::vector<ResizedAxis>& out) {
  const bool crop = c.node.text("coordinate_transformation_mode") == "tf_crop_and_resize";
  for (std::size_t i = 0; i < axes.size(); ++i) {
    auto& axis = out[axes[i]];
    axis.scale = scales[i];
    const double share = crop ? axis.roi_end - axis.roi_start : 1;
    const double size = std::floor(static_cast<double>(axis.in) * share * axis.scale);
    if (!(axis.scale > 0) || !(size >= 0) || size >= kMaxSize)
      return c.invalid(fmt::format("scale {}", scales[i]));
    axis.out = static_cast<std::int64_t>(size);
  }
  return {};
}

Result<void> from_sizes(InferContext& c, const std::vector<double>& sizes,
                        const std::vector<std::size_t>& axes, std::vector<ResizedAxis>& out) {
  const auto& policy = c.node.text("keep_aspect_ratio_policy");
  const bool smaller = policy == "not_larger", larger = policy == "not_smaller";
  double common = smaller ? HUGE_VAL : 0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    auto& axis = out[axes[i]];
    if (!(sizes[i] >= 0) || sizes[i] >= kMaxSize || axis.in == 0)
      return c.invalid(fmt::format("size {}", sizes[i]));
    axis.out = static_cast<std::int64_t>(sizes[i]);
    axis.scale = sizes[i] / static_cast<double>(axis.in);
    common = smaller ? std::min(common, axis.scale) : std::max(common, axis.scale);
  }
  if (!smaller && !larger) return {};
  for (const auto at : axes) {
    auto& axis = out[at];
    const double size = std::floor(common * static_cast<double>(axis.in) + 0.5);
    if (size >= kMaxSize) return c.invalid("the result is too large");
    axis.out = static_cast<std::int64_t>(size);
    axis.scale = common;
  }
  return {};
}

}  // namespace

Result<std::vector<ResizedAxis>> resized_axes(InferContext& c) {
  const auto& in = c.dims(0);
  std::vector<ResizedAxis> out(in.size());
  for (std::size_t i = 0; i < in.size(); ++i) out[i].in = out[i].out = in[i];
  std::vector<std::size_t> axes;
  for (const auto axis : c.node.integers("axes")) axes.push_back(TENON_TRY(normalize_axis(axis, in.size())));
  if (axes.empty()) {
    for (std::size_t i = 0; i < in.size(); ++i) axes.push_back(i);
  }
  if (c.node.text("coordinate_transformation_mode") == "tf_crop_and_resize") {
    const auto roi = TENON_TRY(numbers(c, 1));
    if (roi.size() != 2 * axes.size()) return c.invalid(fmt::format("roi of {} values", roi.size()));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      out[axes[i]].roi_start = roi[i];
      out[axes[i]].roi_end = roi[axes.size() + i];
    }
  }
  if (given(c, 3) == given(c, 2)) return c.invalid("either scales or sizes must be given");
  const auto wanted = TENON_TRY(numbers(c, given(c, 3) ? 3 : 2));
  if (wanted.size() != axes.size()) {
    return c.invalid(fmt::format("{} scales or sizes for {} axes", wanted.size(), axes.size()));
  }
  TENON_TRY(given(c, 3) ? from_sizes(c, wanted, axes, out) : from_scales(c, wanted, axes, out));
  for (auto& axis : out) {
    axis.same = axis.in == axis.out && axis.scale == 1 && axis.roi_start == 0 && axis.roi_end == 1;
    if (axis.in == 0 && axis.out != 0) return c.invalid("the operand is empty");
  }
  return out;
}

Result<void> shape::resize(InferContext& c) {
  Dims dims;
  for (const auto& axis : TENON_TRY(resized_axes(c))) dims.push_back(axis.out);
  return c.set(0, dims);
}

}  // namespace tenon::kernels
