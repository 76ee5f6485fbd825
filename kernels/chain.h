// Element-wise nodes that follow each other, run as one step in blocks that stay in the cache. Internal to kernels/.
#pragma once
#include "kernels/ops.h"

namespace tenon::kernels {

struct ChainOperand {
  enum class Kind : std::uint8_t {
    absent,
    previous,  // the result of the node before
    element,   // one element for each of the result's
    row,       // one for each position in a row
    single     // one for all
  };
  Kind kind = Kind::absent;
  std::size_t input = 0;  // of the kernel; not for previous
  Operand operand;        // type, and contents when constant
};

struct ChainNode {
  const Node* node;
  std::vector<ChainOperand> operands;
  DataType result;
};

/// A kernel for the whole chain on `count` elements in rows of `row` (count is a multiple of it; 1: no operand is a
/// row). Null when a node has no kernel for it, or only one that may fail.
std::unique_ptr<Kernel> make_chain(std::span<const ChainNode> nodes, std::int64_t count, std::int64_t row,
                                   int threads, const Limits& limits);

}  // namespace tenon::kernels
