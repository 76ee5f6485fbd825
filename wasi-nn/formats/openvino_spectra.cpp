// Rules of Fourier transforms. Complex numbers are pairs along a last axis, as in the kernels' DFT.
#include "wasi-nn/formats/openvino_rules.h"

namespace tenon::nn::openvino::rules {

using kernels::Attributes;
using kernels::kAbsent;

namespace {

// One axis of a transform and how many values it takes: -1 all.
struct SpectrumAxis {
  int64_t axis, size;
};

// Axes (input 1) and sizes (input 2) of data with `rank` axes beside the one of pairs.
Result<std::vector<SpectrumAxis>> spectrum_axes(LayerImport& layer, int64_t rank) {
  const auto axes = TENON_TRY(layer.constant_ints(1));
  auto sizes = layer.has_input(2) ? TENON_TRY(layer.constant_ints(2)) : std::vector<int64_t>();
  if (sizes.empty()) sizes.resize(axes.size(), -1);
  if (axes.empty() || sizes.size() != axes.size())
    return LayerImport::invalid("{} sizes for {} axes", sizes.size(), axes.size());
  std::vector<SpectrumAxis> list;
  for (size_t i = 0; i < axes.size(); ++i) {
    constexpr int64_t kMost = 1 << 28;
    if (sizes[i] < -1 || sizes[i] == 0 || sizes[i] > kMost)
      return LayerImport::invalid("a signal of {} values", sizes[i]);
    list.push_back({TENON_TRY(LayerImport::positive_axis(axes[i], rank)), sizes[i]});
  }
  return list;
}

Result<ValueId> transformed(LayerImport& layer, ValueId id, const SpectrumAxis& axis, bool inverse,
                            bool onesided) {
  const ValueId length = axis.size < 0 ? kAbsent : TENON_TRY(layer.int_scalar(axis.size));
  return layer.emit("DFT", {id, length, TENON_TRY(layer.int_scalar(axis.axis))},
                    {{"inverse", int64_t{inverse}}, {"onesided", int64_t{onesided}}});
}

Result<void> complex_transform(LayerImport& layer, bool inverse) {
  ValueId id = TENON_TRY(layer.need(0));
  for (const auto& axis : TENON_TRY(spectrum_axes(layer, TENON_TRY(layer.need_rank(0)) - 1)))
    id = TENON_TRY(transformed(layer, id, axis, inverse, false));
  return layer.alias(0, id);
}

// Positions [from, to) of an axis, backwards with a step of -1.
Result<ValueId> part(LayerImport& layer, ValueId id, int64_t axis, int64_t from, int64_t to,
                     int64_t step = 1) {
  return layer.emit("Slice", {id, TENON_TRY(layer.int_vector({from})), TENON_TRY(layer.int_vector({to})),
                              TENON_TRY(layer.int_vector({axis})), TENON_TRY(layer.int_vector({step}))});
}

}  // namespace

Result<void> dft(LayerImport& layer) { return complex_transform(layer, false); }
Result<void> idft(LayerImport& layer) { return complex_transform(layer, true); }

// Real numbers: half of the last axis of the list says all, then the others.
Result<void> rdft(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  auto axes = TENON_TRY(spectrum_axes(layer, rank));
  ValueId id = TENON_TRY(layer.emit("Unsqueeze", {layer.input(0), TENON_TRY(layer.int_vector({rank}))}));
  id = TENON_TRY(transformed(layer, id, axes.back(), false, true));
  axes.pop_back();
  for (const auto& axis : axes) id = TENON_TRY(transformed(layer, id, axis, false, false));
  return layer.alias(0, id);
}

// The way back: the last axis is completed by what is conjugate to its first half, and the result is real.
Result<void> irdft(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0)) - 1;
  auto axes = TENON_TRY(spectrum_axes(layer, rank));
  SpectrumAxis last = axes.back();
  axes.pop_back();
  const auto dims = layer.dims_of(0);
  const int64_t given = dims[static_cast<size_t>(last.axis)];
  if (given < 1) return LayerImport::unsupported("a spectrum whose dimensions are not declared");
  if (last.size < 0) last.size = 2 * (given - 1);
  const int64_t half = last.size / 2 + 1;
  if (last.size < 1 || half > given)
    return LayerImport::unsupported("{} values from a spectrum of {}", last.size, given);
  ValueId id = layer.input(0);
  for (const auto& axis : axes) id = TENON_TRY(transformed(layer, id, axis, true, false));
  ValueId whole = TENON_TRY(part(layer, id, last.axis, 0, half));
  if (const int64_t missing = last.size - half; missing > 0) {
    const ValueId mirror = TENON_TRY(part(layer, id, last.axis, missing, 0, -1));
    const float signs[] = {1, -1};
    const ValueId conjugate = TENON_TRY(layer.constant(
        TENON_TRY(kernels::Tensor::of<float>(kernels::DataType::f32, {2}, std::span<const float>(signs)))));
    whole = TENON_TRY(layer.emit("Concat", {whole, TENON_TRY(layer.emit("Mul", {mirror, conjugate}))},
                                 {{"axis", last.axis}}));
  }
  const ValueId complex = TENON_TRY(transformed(layer, whole, last, true, false));
  const ValueId real = TENON_TRY(part(layer, complex, rank, 0, 1));
  return layer.finish("Squeeze", {real, TENON_TRY(layer.int_vector({rank}))});
}

// signal [batch, n] or [n], window, frame size, step → [batch, frames, bins, 2], or bins before frames. A shorter window
// lies in the middle of its frame.
Result<void> stft(LayerImport& layer) {
  const int64_t rank = TENON_TRY(layer.need_rank(0));
  if (rank != 1 && rank != 2) return LayerImport::invalid("a signal of rank {}", rank);
  const auto size = TENON_TRY(layer.constant_ints(2)), step = TENON_TRY(layer.constant_ints(3));
  const auto window = layer.dims_of(1);
  if (size.size() != 1 || step.size() != 1) return LayerImport::invalid("frame size or step is no number");
  if (window.size() != 1 || window[0] < 1)
    return LayerImport::unsupported("a window whose size is not declared");
  if (size[0] < window[0] || size[0] > (1 << 24)) return LayerImport::invalid("frames of {}", size[0]);
  const int64_t missing = size[0] - window[0], front = missing / 2;
  const ValueId padded =
      TENON_TRY(layer.emit("Pad", {layer.input(1), TENON_TRY(layer.int_vector({front, missing - front}))}));
  ValueId signal = layer.input(0);
  if (rank == 1) signal = TENON_TRY(layer.reshape(signal, {1, -1}));
  signal = TENON_TRY(layer.emit("Unsqueeze", {signal, TENON_TRY(layer.int_vector({2}))}));
  ValueId frames = TENON_TRY(layer.emit(
      "STFT", {signal, TENON_TRY(layer.int_scalar(step[0])), padded, TENON_TRY(layer.int_scalar(size[0]))}));
  if (TENON_TRY(layer.flag("transpose_frames", false)))
    frames = TENON_TRY(layer.emit("Transpose", {frames}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}}));
  if (rank == 2) return layer.alias(0, frames);
  return layer.finish("Squeeze", {frames, TENON_TRY(layer.int_vector({0}))});
}

}  // namespace tenon::nn::openvino::rules
