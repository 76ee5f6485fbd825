// Joining and cutting whole tensors, for sequences and loops. Internal to kernels/.
#pragma once
#include "kernels/limits.h"
#include "kernels/tensor.h"

namespace tenon::kernels {

/// Concatenates on `axis` (checked against the rank), or stacks on a new axis. runtime_error when types or
/// shapes differ.
Result<Tensor> stack_tensors(std::span<const Tensor> tensors, std::size_t axis, bool new_axis,
                             const Limits& limits);
/// Elements [begin, begin + count) of `axis`, which must lie inside; without keep_axis (count 1) the axis
/// goes away.
Result<Tensor> slice_tensor(const Tensor& tensor, std::size_t axis, std::int64_t begin, std::int64_t count,
                            bool keep_axis, const Limits& limits);

}  // namespace tenon::kernels
