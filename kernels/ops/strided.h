// Copying a strided view of a tensor into a dense one: what transpose, slice, expand and the like have in
// common.
#pragma once
#include "kernels/tensor.h"

namespace tenon::kernels {

struct StridedCopy {
  Dims dims;     // of the output, dense
  Dims strides;  // of the input for each output dimension, in elements; may be 0 or negative
  std::int64_t offset = 0;

  /// Drops dims of 1 and joins dims that are contiguous in the input.
  void merge();
  void run(DataType type, const std::byte* from, std::byte* to, int threads) const;
};

}  // namespace tenon::kernels
