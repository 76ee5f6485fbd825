// How much arithmetic a node is, before it runs. An operator that has begun runs to its end, so this bounds how late a time limit or
// an interrupt is seen. Internal to kernels/.
#pragma once
#include "kernels/ops.h"

namespace tenon::kernels {

/// Multiplications and additions of convolutions, products and recurrent operators; elements of the first result for all
/// others. Saturates at 2^64 - 1. Operands and outputs are those of a node whose shape rule holds.
std::uint64_t operations_of(const Node& node, std::span<const Operand> inputs,
                            std::span<const TensorDesc> outputs);

/// too_large: more operations than Limits::max_node_operations.
Result<void> check_operations(const Node& node, std::span<const Operand> inputs,
                              std::span<const TensorDesc> outputs, const Limits& limits);

}  // namespace tenon::kernels
