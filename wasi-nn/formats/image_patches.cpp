// A padding, then a strided slice for each pixel of the window; see image_patches.h.
#include "wasi-nn/formats/image_patches.h"

#include <algorithm>
#include <array>

namespace tenon::nn {
namespace {

// One axis: which positions the first pixel of the window takes.
struct Axis {
  int64_t before = 0, after = 0, count = 0;  // padding, positions
};

Result<Axis> axis_of(int64_t extent, const PatchWindow& window, size_t i) {
  constexpr int64_t kMost = 1 << 24;
  const int64_t size = window.sizes[i], stride = window.strides[i], dilation = window.dilations[i];
  for (const int64_t number : {extent, size, stride, dilation}) {
    if (number < 1 || number > kMost)
      return Emitter::invalid("a window of {} at a stride of {} over {}", size, stride, extent);
  }
  const int64_t reach = (size - 1) * dilation + 1;
  if (window.padding == PatchWindow::Padding::valid) {
    return Axis{0, 0, extent < reach ? 0 : (extent - reach) / stride + 1};
  }
  const int64_t count = (extent + stride - 1) / stride;
  const int64_t pads = std::max<int64_t>((count - 1) * stride + reach - extent, 0);
  const int64_t less = pads / 2, more = pads - less;
  return window.padding == PatchWindow::Padding::same_upper ? Axis{less, more, count}
                                                            : Axis{more, less, count};
}

}  // namespace

Result<std::vector<ValueId>> patches(Emitter& emitter, ValueId x, const PatchWindow& window) {
  const auto dims = emitter.known_dims(x);
  if (!dims) return Emitter::unsupported("patches of an image whose size is not known");
  for (const auto* list : {&window.sizes, &window.strides, &window.dilations}) {
    if (dims->size() != 4 || list->size() != 2)
      return Emitter::invalid("patches of {} numbers from rank {}", list->size(), dims->size());
  }
  const Axis y = TENON_TRY(axis_of((*dims)[2], window, 0)),
             across = TENON_TRY(axis_of((*dims)[3], window, 1));
  if (y.count == 0 || across.count == 0) return Emitter::invalid("a window larger than the image");
  if (window.sizes[0] > 4096 / window.sizes[1])
    return kernels::fail(kernels::ErrorCode::too_large, "patches of {} x {}", window.sizes[0],
                         window.sizes[1]);
  const ValueId pads =
      TENON_TRY(emitter.int_vector({0, 0, y.before, across.before, 0, 0, y.after, across.after}));
  const ValueId padded = TENON_TRY(emitter.emit("Pad", {x, pads}));
  const ValueId axes = TENON_TRY(emitter.int_vector({2, 3}));
  const ValueId steps = TENON_TRY(emitter.int_vector(window.strides));
  std::vector<ValueId> parts;
  for (int64_t row = 0; row < window.sizes[0]; ++row) {
    for (int64_t column = 0; column < window.sizes[1]; ++column) {
      const std::array first{row * window.dilations[0], column * window.dilations[1]};
      const ValueId starts = TENON_TRY(emitter.int_vector({first[0], first[1]}));
      const ValueId ends =
          TENON_TRY(emitter.int_vector({first[0] + (y.count - 1) * window.strides[0] + 1,
                                        first[1] + (across.count - 1) * window.strides[1] + 1}));
      parts.push_back(TENON_TRY(emitter.emit("Slice", {padded, starts, ends, axes, steps})));
    }
  }
  return parts;
}

}  // namespace tenon::nn
