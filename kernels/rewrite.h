// Rewriting of graphs before they are planned.
#pragma once
#include "kernels/graph.h"

namespace tenon::kernels {

/// Operators between DequantizeLinear and QuantizeLinear become operators on integers: Conv and Gemm become
/// QLinearConv, MatMul becomes QLinearMatMul, and what only moves elements moves bytes. A Relu or Clip before the
/// QuantizeLinear goes when saturation does the same. Results may differ from the float form by a rounding of
/// exact halves. Nodes of subgraphs stay as they are.
Result<Graph> fold_quantization(const Graph& graph, const Limits& limits);

/// Transposes move behind the operators that work under any order of axes (element-wise ones, concat, pad, slice,
/// reductions, quantisation, resize …) until they meet their inverse and vanish, a reader that depends on the order, or
/// an output. So graphs of formats with channels last, imported with a pair of transposes around each spatial operator,
/// have none between operators. Nodes of subgraphs stay as they are.
Result<Graph> sink_transposes(const Graph& graph, const Limits& limits);

/// Convolutions of quantised operands whose result stays real (no QuantizeLinear follows) become ConvInteger, a conversion
/// and a scale, in the graph that fold_quantization leaves. Nodes of subgraphs stay as they are.
Result<Graph> fold_into_integer_sums(const Graph& graph, const Limits& limits);

/// Whether this oneDNN and processor compute 8-bit products exactly; otherwise plain loops would.
bool has_integer_primitives();

/// The same graph without the shapes that its file declares for inputs, for files that declare wrong ones.
Result<Graph> without_input_shapes(const Graph& graph, const Limits& limits);

}  // namespace tenon::kernels
