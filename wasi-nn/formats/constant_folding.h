// Arithmetic on shapes while a file is imported: rules need axes, permutations and sizes as numbers, which files often
// compute from constants. Knows no file format; folding of weights is the kernels' (kernels/flatten.cpp).
#pragma once

#include <optional>
#include <span>

#include "kernels/graph.h"

namespace tenon::nn {

// Computes nodes whose operands are few known integers. Each costs a small plan, so that their number is limited: files with
// more of them are imported as they are.
class ConstantFolding {
 public:
  // The only result of such a node; nothing for any other node, and for one that fails: emitted, it says why.
  std::optional<kernels::Tensor> result(const kernels::GraphBuilder& builder, kernels::Op op,
                                        std::span<const kernels::ValueId> inputs,
                                        const kernels::Attributes& attributes);

 private:
  int left_ = 1 << 13;
};

}  // namespace tenon::nn
