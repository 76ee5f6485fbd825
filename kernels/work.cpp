// See work.h.
#include "kernels/work.h"

namespace tenon::kernels {
namespace {

std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? ~std::uint64_t{0} : product;
}

std::uint64_t count(const Dims& dims, std::size_t begin = 0) {
  return static_cast<std::uint64_t>(product(dims, begin, dims.size()));
}

}  // namespace

std::uint64_t operations_of(const Node& node, std::span<const Operand> inputs,
                            std::span<const TensorDesc> outputs) {
  const auto results = outputs.empty() ? 0 : count(outputs[0].dims);
  switch (node.op) {
    case Op::MatMul:
    case Op::MatMulInteger:
    case Op::QLinearMatMul:
    case Op::Gemm: {
      const auto& a = inputs[0].dims;
      const bool transposed = node.op == Op::Gemm && node.integer("transA") != 0;
      return times(2 * static_cast<std::uint64_t>(transposed ? a[0] : a.back()), results);
    }
    // Every weight of a group meets each output (or, transposed, each input) position once.
    case Op::Conv:
    case Op::ConvInteger: return times(2 * results, count(inputs[1].dims, 1));
    case Op::QLinearConv: return times(2 * results, count(inputs[3].dims, 1));
    case Op::ConvTranspose: return times(2 * count(inputs[0].dims), count(inputs[1].dims, 1));
    // Weights and recurrence of each direction, at each step of each sequence.
    case Op::LSTM:
    case Op::GRU:
    case Op::RNN: {
      const auto steps =
          times(static_cast<std::uint64_t>(inputs[0].dims[0]), static_cast<std::uint64_t>(inputs[0].dims[1]));
      return times(2 * steps, count(inputs[1].dims) + count(inputs[2].dims));
    }
    default: return results;
  }
}

Result<void> check_operations(const Node& node, std::span<const Operand> inputs,
                              std::span<const TensorDesc> outputs, const Limits& limits) {
  const auto operations = operations_of(node, inputs, outputs);
  if (operations <= limits.max_node_operations) return {};
  return fail(ErrorCode::too_large, "{} arithmetic operations; the limit of one operator is {}", operations,
              limits.max_node_operations);
}

}  // namespace tenon::kernels
