// Images cut into the pixels below a moving window, for importers of formats that have an operator for it; ops.def has none.
#pragma once

#include <vector>

#include "wasi-nn/formats/emitter.h"

namespace tenon::nn {

// Height and width of each.
struct PatchWindow {
  enum class Padding { valid, same_upper, same_lower };
  std::vector<int64_t> sizes, strides, dilations;
  Padding padding = Padding::valid;
};

// `x` is [N, C, H, W] with H and W known. One value [N, C, H', W'] for each pixel of the window, row by row.
// unsupported_operation when H or W is not known; invalid_encoding for a window that cannot be; too_large for one of more
// than 4096 pixels.
Result<std::vector<ValueId>> patches(Emitter& emitter, ValueId x, const PatchWindow& window);

}  // namespace tenon::nn
