// Kernels that are oneDNN primitives. Each maker gives nothing when oneDNN has no implementation of its own
// for the case (its `ref` ones are never taken) and the caller falls back to a kernel of ours. Internal to
// kernels/.
#pragma once
#include "kernels/axis_order.h"
#include "kernels/ops.h"

namespace tenon::kernels {

/// An operation on the result of a convolution or matrix product before it is stored.
struct PostOp {
  bool is_binary = false;
  dnnl::algorithm algorithm = dnnl::algorithm::undef;
  float alpha = 0, beta = 0;  // element-wise
  std::size_t operand = 0;    // binary: index into the request's inputs, already with the rank of the output
};

/// A node with layouts open: what a maker needs to choose them.
struct LayoutRequest {
  const Node& node;
  std::vector<Operand> inputs;  // the node's operands, then those of binary post-ops
  std::vector<TensorDesc> outputs;
  std::vector<PostOp> post_ops;
  int threads = 1;
};

/// A kernel with the layouts it wants. `in_desc` is what the primitive reads: where it differs from the
/// operand's present layout, the plan reorders, seeing a plain operand as `in_plain`.
struct LayoutKernel {
  std::unique_ptr<Kernel> kernel;
  std::vector<std::optional<dnnl::memory::desc>> in_desc;  // nullopt: plain
  std::vector<std::optional<dnnl::memory::desc>>
      in_plain;  // how plain bytes are seen; nullopt: by the operand's dims
  std::vector<Layout> out_layout;
};

using LayoutResult = std::optional<LayoutKernel>;

/// Plain f32 and the like, any rank; used by the unary family. Null when oneDNN does not have the function.
std::unique_ptr<Kernel> dnnl_eltwise(const LowerContext& context);

/// The element-wise functions of a node as post-ops: empty when oneDNN lacks them.
std::vector<PostOp> eltwise_post_ops(const Node& node, std::span<const Operand> inputs);

LayoutResult lower_convolution(const LayoutRequest& request);  // Conv, ConvTranspose
LayoutResult lower_matmul(const LayoutRequest& request);       // MatMul, Gemm
/// Operand 0 times operand 1, which has one element for each channel, with post-ops: batch normalisation with
/// known statistics.
LayoutResult lower_scaling(const LayoutRequest& request);
LayoutResult lower_pool(
    const LayoutRequest& request);  // MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool
/// Element-wise and concat nodes on operands that lie in oneDNN layouts.
LayoutResult lower_eltwise(const LayoutRequest& request);
LayoutResult lower_binary(const LayoutRequest& request);
LayoutResult lower_concat(const LayoutRequest& request);

/// A quantised convolution or product with its parameters taken apart. Sums are
/// Σ (x − x_zero) · (w − w_zero) + bias; the result is the sums (i32), or round(sum · scale) after `post_ops`,
/// plus y_zero, saturated.
struct QuantizedRequest {
  const Node& node;
  Operand x;                 // u8 or i8
  Operand x_zero;            // a scalar of x's type; may be computed at run time
  Tensor weights;            // i8: what is left of w when `w_shift` is taken from it
  std::int32_t w_shift = 0;  // products only: w = weights + w_shift
  Operand w_zero;            // products only: absent, one, or one for each column, of w's type
  Tensor bias;  // i32, or f32 where the result is; one for each channel; undefined: none (convolutions only)
  std::vector<float> scales;  // one, or one for each output channel or column; empty: sums are the result
  std::int32_t y_zero = 0;
  TensorDesc output;
  std::vector<PostOp> post_ops;  // element-wise, on sum · scale; convolutions only
  int threads = 1;
  bool channels_last = false;  // where the result lies, for convolutions; else the primitive's choice
};
/// Operands of the kernels: x, weights, bias, x's zero point; of products: x, weights, column sums of the weights,
/// x's zero point, w's zero points. Nothing where this processor's instructions would saturate between.
LayoutResult lower_quantized_convolution(const QuantizedRequest& request);
LayoutResult lower_quantized_product(const QuantizedRequest& request);

struct Requantize;
/// A convolution whose weights need a ninth bit: those of the request and `rest` (i8), which is the kernel's last operand.
/// Sums become the result as `how` says.
LayoutResult lower_split_convolution(const QuantizedRequest& request, const Tensor& rest,
                                     const Requantize& how);

/// A layout of elements of another type in the same places; nothing where oneDNN cannot say so.
Layout layout_of_type(const dnnl::memory::desc& desc, DataType type);

/// The same kernels with plain operands and results, reordering inside; null when oneDNN has none. For the
/// interpreter, folding, and single nodes.
std::unique_ptr<Kernel> dnnl_plain(const LowerContext& context, LayoutResult (*lower)(const LayoutRequest&));

/// Moves a value between layouts; null when only `ref` could.
std::unique_ptr<Kernel> make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                                     int threads);

/// The row-major descriptor of a tensor; nullopt when oneDNN has no such type.
std::optional<dnnl::memory::desc> plain_desc(DataType type, const Dims& dims);
std::size_t desc_bytes(const dnnl::memory::desc& desc);
/// True when the layout is row-major dense, so that own kernels can read it.
bool is_plain(const dnnl::memory::desc& desc, DataType type, const Dims& dims);

/// Whether both put each element at the same place; strides of axes with one index do not matter.
bool same_places(const dnnl::memory::desc& a, const dnnl::memory::desc& b);

/// How Transpose(value, order) lies in the bytes of a value that lies as `stored`.
std::optional<dnnl::memory::desc> transposed_desc(const dnnl::memory::desc& stored, const AxisOrder& order);
/// The order through which a row-major tensor is seen as this layout; nothing for other layouts.
std::optional<AxisOrder> order_of(const dnnl::memory::desc& layout);
/// The layout of a tensor with dims `seen` that lies row-major when it is stored in that order.
std::optional<dnnl::memory::desc> ordered_desc(DataType type, const Dims& seen, const AxisOrder& order);

}  // namespace tenon::kernels
