// What Resize does to each axis; shared by its shape rule and its kernel. Internal to kernels/.
#pragma once
#include <vector>

#include "kernels/ops.h"

namespace tenon::kernels {

struct ResizedAxis {
  std::int64_t in = 1, out = 1;
  double scale = 1;
  double roi_start = 0, roi_end = 1;  // as a share of the axis; tf_crop_and_resize only
  bool same = true;                   // neither size nor coordinates change
};

/// One for each axis of operand 0, from the attributes and the contents of roi, scales and sizes.
Result<std::vector<ResizedAxis>> resized_axes(InferContext& context);

}  // namespace tenon::kernels
