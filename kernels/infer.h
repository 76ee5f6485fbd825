// Shape rules, one function for each name in ops.def's column, and geometry shared with kernels. Internal to
// kernels/.
#pragma once
#include "kernels/ops.h"

namespace tenon::kernels {

namespace shape {
using Rule = Result<void> (*)(InferContext&);
// Each rule is declared by expanding the table, so a row cannot name a rule that does not exist.
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, types, result, rule, ...) \
  Result<void> rule(InferContext&);
#include "kernels/ops.def"
#undef NN_OP
}  // namespace shape

/// Numpy broadcasting of two shapes.
Result<Dims> broadcast_dims(const Dims& a, const Dims& b);

/// Sliding windows of convolutions and pools over the spatial dims, everything checked and bounded by 2^31.
struct Window {
  std::vector<std::int64_t> kernel, strides, dilations, pads_begin, pads_end, output;
};
Result<Window> sliding_window(const Node& node, const Dims& input, std::span<const std::int64_t> kernel);
/// For ConvTranspose; output holds the output's spatial dims.
Result<Window> transposed_window(const Node& node, const Dims& input, std::span<const std::int64_t> kernel);

/// Bounds of a Slice, normalised: for each axis of the operand a start, a step and a count.
struct SliceBounds {
  Dims start, step, count;  // start and step are meaningful also when negative (step), so not dims proper
};
Result<SliceBounds> slice_bounds(const Dims& dims, std::span<const std::int64_t> starts,
                                 std::span<const std::int64_t> ends, std::span<const std::int64_t> axes,
                                 std::span<const std::int64_t> steps);

/// Amounts of a Pad for each axis; may be negative.
struct PadAmounts {
  Dims begin, end;
};
Result<PadAmounts> pad_amounts(InferContext& context);

/// Axes of a reduction: from operand 1 or none; sorted flags per axis. Empty and noop: no axis.
Result<std::vector<bool>> reduced_axes(InferContext& context);

}  // namespace tenon::kernels
