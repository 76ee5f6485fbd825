// What an operator becomes when its operands are seen through another order of axes: the knowledge that the pass over
// transposes and the choice of layouts share. Knows no graph and no memory. Internal to kernels/.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "kernels/graph.h"

namespace tenon::kernels {

/// Axis i of what is seen is axis order[i] of what is stored: seen = Transpose(stored, perm = order). Empty: the same.
using AxisOrder = std::vector<std::int64_t>;

/// Whether `perm` names each of its axes once.
bool is_permutation(std::span<const std::int64_t> perm);
/// The order without effect is the empty one.
AxisOrder simplified(AxisOrder order);
/// What Transpose(perm) of something seen through `order` is seen through; both of one rank, or `order` empty.
AxisOrder composed(const AxisOrder& order, std::span<const std::int64_t> perm);
AxisOrder inverse(const AxisOrder& order);
Dims reordered(const Dims& dims, const AxisOrder& order);
/// Transpose(tensor, order).
Result<Tensor> reordered(const Tensor& tensor, const AxisOrder& order);

/// One operand of a node, as far as the question goes.
struct SeenOperand {
  bool in_order = false;             // seen through the order, so the stored value can be read instead
  const Tensor* constant = nullptr;  // as seen
  bool single = false;               // of rank 0, whatever its contents
};

/// A node that does on stored values what another does on seen ones.
struct StoredForm {
  std::vector<std::optional<Tensor>> constants;  // new contents of operands, by position; may add operands
  Attributes attributes;
  std::vector<AxisOrder> outputs;  // through which the results are seen
};

/// Nothing when the operator depends on the order of axes, or on an operand that is neither in order nor constant.
std::optional<StoredForm> on_stored(const Node& node, std::span<const SeenOperand> operands,
                                    const AxisOrder& order);

}  // namespace tenon::kernels
