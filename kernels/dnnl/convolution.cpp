// Convolutions, transposed convolutions, matrix products and pools as oneDNN primitives with post-ops.
#include "kernels/dnnl/internal.h"
#include "kernels/infer.h"

namespace tenon::kernels {
namespace {

using onednn::any_desc;
using onednn::cpu_engine;
using onednn::dense_desc;
using onednn::guarded;
using onednn::is_reference;
using onednn::PrimitiveKernel;
using onednn::to_dims;
constexpr auto kF32 = dnnl::memory::data_type::f32;

bool all_f32(const LayoutRequest& r) {
  return std::all_of(r.inputs.begin(), r.inputs.end(),
                     [](const Operand& o) { return !o.present || o.type == DataType::f32; });
}

bool has(const LayoutRequest& r, std::size_t i) { return i < r.inputs.size() && r.inputs[i].present; }

// oneDNN's jit kernels read plain NCHW at full speed only with this few channels.
constexpr std::int64_t kFewChannels = 3;

// oneDNN's own choice, except that depthwise convolutions run in its generated loops rather than as products of blocks:
// at the sizes of YOLOX and MobileNet these take 20 to 40 % longer.
template <class Primitive>
typename Primitive::primitive_desc convolution_desc(dnnl::algorithm algorithm,
                                                    const compat::ConvolutionShape& shape,
                                                    const dnnl::primitive_attr& attributes) {
  const auto make = [&] {
    return compat::convolution<Primitive>(cpu_engine(), algorithm, shape, attributes);
  };
  auto first = make();
  if (!std::string_view(first.impl_info_str()).starts_with("brdgmm")) return first;
  auto other = make();
  while (other.next_impl()) {
    if (std::string_view(other.impl_info_str()).starts_with("jit_dw")) return other;
  }
  return first;
}

// Fills in what follows the primitive's own arguments: binary post-op operands.
void add_post_operands(const LayoutRequest& r, const dnnl::memory::desc& dst,
                       std::vector<PrimitiveKernel::Argument>& in, LayoutKernel& out) {
  for (std::size_t i = 0; i < r.post_ops.size(); ++i) {
    const auto& op = r.post_ops[i];
    if (!op.is_binary) continue;
    const auto& operand = r.inputs[op.operand];
    const auto plain = *plain_desc(operand.type, operand.dims);
    const auto desc = operand.dims == r.outputs[0].dims ? dst : plain;
    in[op.operand] = {DNNL_ARG_ATTR_MULTIPLE_POST_OP(static_cast<int>(i)) | DNNL_ARG_SRC_1, desc};
    out.in_desc[op.operand] = desc;
    out.in_plain[op.operand] = plain;
  }
}

template <class Primitive, class Desc>
LayoutKernel finish(const LayoutRequest& r, const Desc& pd, const dnnl::memory::desc& weights_plain,
                    bool bias) {
  LayoutKernel out;
  out.in_desc.resize(r.inputs.size());
  out.in_plain.resize(r.inputs.size());
  std::vector<PrimitiveKernel::Argument> in(r.inputs.size());
  in[0] = {DNNL_ARG_SRC, pd.src_desc()};
  in[1] = {DNNL_ARG_WEIGHTS, pd.weights_desc()};
  out.in_desc[0] = pd.src_desc();
  out.in_desc[1] = pd.weights_desc();
  out.in_plain[1] = weights_plain;
  if (bias) {
    in[2] = {DNNL_ARG_BIAS, pd.bias_desc()};
    out.in_desc[2] = pd.bias_desc();
    out.in_plain[2] = pd.bias_desc();
  }
  add_post_operands(r, pd.dst_desc(), in, out);
  out.kernel = std::make_unique<PrimitiveKernel>(
      Primitive(pd), std::move(in), std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_DST, pd.dst_desc()}},
      pd.scratchpad_desc(), pd.impl_info_str());
  out.out_layout.emplace_back(pd.dst_desc());
  return out;
}

// Tries source layouts in order of preference. Post-ops with operands take their layout from a first
// descriptor without them.
template <class Primitive>
LayoutResult try_convolution(const LayoutRequest& r, dnnl::algorithm algorithm,
                             compat::ConvolutionShape shape, const dnnl::memory::desc& weights_plain,
                             bool bias) {
  const auto& src = r.inputs[0];
  const auto src_dims = to_dims(src.dims);
  // Convolutions that oneDNN 2.6 computes as products read such terms at the wrong places.
  const bool has_elements = std::ranges::any_of(r.post_ops, [&](const PostOp& op) {
    return op.is_binary && r.inputs[op.operand].dims == r.outputs[0].dims;
  });
  std::vector<dnnl::memory::desc> choices;
  if (src.layout) choices.push_back(*src.layout);
  const bool few = src.dims[1] <= kFewChannels && !src.layout;
  if (few) choices.push_back(dense_desc(kF32, src_dims));
  choices.push_back(any_desc(kF32, src_dims));
  choices.push_back(dense_desc(kF32, src_dims));
  const bool binary =
      std::any_of(r.post_ops.begin(), r.post_ops.end(), [](const PostOp& op) { return op.is_binary; });
  for (const auto& choice : choices) {
    shape.src = choice;
    auto made = guarded(r.threads, [&]() -> LayoutResult {
      std::optional<dnnl::memory::desc> dst;
      if (binary) {
        LayoutRequest bare{r.node, r.inputs, r.outputs, {}, r.threads};
        dst = convolution_desc<Primitive>(algorithm, shape, onednn::attributes(bare, nullptr)).dst_desc();
      }
      auto fixed = shape;
      if (dst) fixed.dst = *dst;
      const auto pd =
          convolution_desc<Primitive>(algorithm, fixed, onednn::attributes(r, dst ? &*dst : nullptr));
      const std::string_view name = pd.impl_info_str();
      if (is_reference(name) || (has_elements && name.find("gemm") != std::string_view::npos))
        return std::nullopt;
      return finish<Primitive>(r, pd, weights_plain, bias);
    });
    if (made) return made;
  }
  return std::nullopt;
}

}  // namespace

std::optional<onednn::ConvolutionGeometry> onednn::convolution_geometry(
    const Node& node, const Dims& in, const Dims& weights, const Dims& out,
    dnnl::memory::data_type weights_type) {
  const bool transposed = node.op == Op::ConvTranspose;
  const std::vector<std::int64_t> kernel(weights.begin() + 2, weights.end());
  const auto window = transposed ? transposed_window(node, in, kernel) : sliding_window(node, in, kernel);
  if (!window) return std::nullopt;
  const auto group = node.integer("group");
  const auto spatial = kernel.size();

  // oneDNN wants weights as [g,] o, i, k…; ours are o, i/g, k… and for transposed ones i, o/g, k….
  dnnl::memory::dims wdims, wstrides;
  const auto own = strides_of(weights);
  const auto out_channels = transposed ? weights[1] : weights[0] / group;
  const auto in_channels = transposed ? weights[0] / group : weights[1];
  if (group > 1) {
    wdims.push_back(group);
    wstrides.push_back(own[0] * weights[0] / group);
  }
  wdims.insert(wdims.end(), {out_channels, in_channels});
  wstrides.insert(wstrides.end(), {transposed ? own[1] : own[0], transposed ? own[0] : own[1]});
  for (std::size_t i = 0; i < spatial; ++i) {
    wdims.push_back(weights[i + 2]);
    wstrides.push_back(own[i + 2]);
  }
  ConvolutionGeometry g;
  g.weights_plain = {wdims, weights_type, wstrides};
  g.shape.weights = any_desc(weights_type, wdims);
  g.shape.strides = window->strides;
  g.shape.pads_begin = window->pads_begin;
  g.shape.pads_end = window->pads_end;
  for (std::size_t i = 0; i < spatial; ++i) {
    g.shape.dilates.push_back(window->dilations[i] - 1);
    const auto extent = window->dilations[i] * (kernel[i] - 1) + 1;
    // The end's padding as the output size implies it (output_padding, auto_pad).
    g.shape.pads_end[i] =
        transposed ? (in[i + 2] - 1) * window->strides[i] + extent - out[i + 2] - window->pads_begin[i]
                   : (out[i + 2] - 1) * window->strides[i] + extent - in[i + 2] - window->pads_begin[i];
  }
  return g;
}

LayoutResult lower_convolution(const LayoutRequest& r) {
  const auto& in = r.inputs[0].dims;
  if (!all_f32(r) || in.size() < 3 || in.size() > 5 || product(r.outputs[0].dims) == 0 || product(in) == 0)
    return std::nullopt;
  auto g = onednn::convolution_geometry(r.node, in, r.inputs[1].dims, r.outputs[0].dims, kF32);
  if (!g) return std::nullopt;
  const bool bias = has(r, 2);
  if (bias) g->shape.bias = dense_desc(kF32, {r.outputs[0].dims[1]});
  g->shape.dst = any_desc(kF32, to_dims(r.outputs[0].dims));
  if (r.node.op == Op::ConvTranspose) {
    return try_convolution<dnnl::deconvolution_forward>(r, dnnl::algorithm::deconvolution_direct, g->shape,
                                                        g->weights_plain, bias);
  }
  return try_convolution<dnnl::convolution_forward>(r, dnnl::algorithm::convolution_direct, g->shape,
                                                    g->weights_plain, bias);
}

LayoutResult lower_matmul(const LayoutRequest& r) {
  if (!all_f32(r) || product(r.outputs[0].dims) == 0 || product(r.inputs[0].dims) == 0) return std::nullopt;
  Dims a = r.inputs[0].dims, b = r.inputs[1].dims;
  const bool gemm = r.node.op == Op::Gemm;
  if (!gemm && (a.size() < 2 || b.size() < 2)) return std::nullopt;
  const bool ta = gemm && r.node.integer("transA") != 0, tb = gemm && r.node.integer("transB") != 0;
  auto out_dims = r.outputs[0].dims;
  // A matrix on the right: all rows of the left are one matrix.
  if (!gemm && b.size() == 2 && a.size() > 2) {
    a = {product(a, 0, a.size() - 1), a.back()};
    out_dims = {a[0], b[1]};
  }
  while (a.size() < out_dims.size()) a.insert(0, 1);
  while (b.size() < out_dims.size()) b.insert(0, 1);
  const auto rank = a.size();
  const auto desc = [&](Dims dims, bool transpose) {
    auto strides = strides_of(dims);
    if (transpose) {
      std::swap(dims[rank - 1], dims[rank - 2]);
      std::swap(strides[rank - 1], strides[rank - 2]);
    }
    return dnnl::memory::desc(to_dims(dims), kF32, to_dims(strides));
  };
  const auto src = desc(a, ta), weights_plain = desc(b, tb);
  const auto dst = dense_desc(kF32, to_dims(out_dims));
  const bool bias = has(r, 2);
  dnnl::memory::desc bias_desc;
  if (bias) {
    // A row vector, or a whole matrix, at the rank of the product.
    auto dims = r.inputs[2].dims;
    if (dims.size() > rank) return std::nullopt;
    while (dims.size() < rank) dims.insert(0, 1);
    if (product(dims) != dims.back()) return std::nullopt;
    if (dims.back() != out_dims.back()) return std::nullopt;
    bias_desc = dense_desc(kF32, to_dims(dims));
  }
  LayoutRequest shaped{r.node, r.inputs, r.outputs, r.post_ops, r.threads};
  shaped.outputs[0].dims = out_dims;
  for (const auto& op : r.post_ops) {
    if (op.is_binary) {
      if (!(r.inputs[op.operand].dims == r.outputs[0].dims)) return std::nullopt;
      shaped.inputs[op.operand].dims = out_dims;
    }
  }
  return guarded(r.threads, [&]() -> LayoutResult {
    const bool constant = r.inputs[1].constant.defined();
    const auto weights = constant ? any_desc(kF32, compat::dims_of(weights_plain)) : weights_plain;
    const auto pd =
        compat::matmul(cpu_engine(), src, weights, bias_desc, dst, onednn::attributes(shaped, &dst));
    if (is_reference(pd.impl_info_str())) return std::nullopt;
    auto out = finish<dnnl::matmul>(shaped, pd, weights_plain, bias);
    out.in_plain[0] = src;
    out.out_layout[0] = std::nullopt;  // dense
    return out;
  });
}

LayoutResult lower_scaling(const LayoutRequest& r) {
  const auto& src = r.inputs[0];
  if (!all_f32(r) || product(src.dims) == 0) return std::nullopt;
  return guarded(r.threads, [&]() -> LayoutResult {
    const auto desc = src.layout ? *src.layout : dense_desc(kF32, to_dims(src.dims));
    const auto scale = dense_desc(kF32, to_dims(r.inputs[1].dims));
    const auto pd = compat::binary(cpu_engine(), dnnl::algorithm::binary_mul, desc, scale, desc,
                                   onednn::attributes(r, &desc));
    if (is_reference(pd.impl_info_str())) return std::nullopt;
    LayoutKernel out;
    out.in_desc.resize(r.inputs.size());
    out.in_plain.resize(r.inputs.size());
    std::vector<PrimitiveKernel::Argument> in(r.inputs.size());
    in[0] = {DNNL_ARG_SRC_0, desc};
    in[1] = {DNNL_ARG_SRC_1, scale};
    out.in_desc[0] = desc;
    out.in_desc[1] = out.in_plain[1] = scale;
    add_post_operands(r, desc, in, out);
    out.kernel = std::make_unique<PrimitiveKernel>(
        dnnl::binary(pd), std::move(in), std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_DST, desc}},
        pd.scratchpad_desc(), pd.impl_info_str());
    out.out_layout.emplace_back(desc);
    return out;
  });
}

LayoutResult lower_pool(const LayoutRequest& r) {
  const auto& src = r.inputs[0];
  const auto& in = src.dims;
  const auto type = onednn::data_type(src.type);
  if (!type || src.type == DataType::i32 || in.size() < 3 || in.size() > 5 || r.outputs.size() != 1)
    return std::nullopt;
  if (product(in) == 0 || product(r.outputs[0].dims) == 0) return std::nullopt;
  const auto spatial = in.size() - 2;
  const bool global = r.node.op == Op::GlobalAveragePool || r.node.op == Op::GlobalMaxPool;
  const bool average = r.node.op == Op::AveragePool || r.node.op == Op::GlobalAveragePool;
  if (!average && r.node.op != Op::MaxPool && r.node.op != Op::GlobalMaxPool) return std::nullopt;
  if (average && src.type != DataType::f32) return std::nullopt;
  compat::PoolingShape shape;
  bool includes_padding = false;
  if (global) {
    shape.kernel.assign(in.begin() + 2, in.end());
    shape.strides.assign(spatial, 1);
    shape.dilates.assign(spatial, 0);
    shape.pads_begin.assign(spatial, 0);
    shape.pads_end.assign(spatial, 0);
  } else {
    const auto window = sliding_window(r.node, in, r.node.integers("kernel_shape"));
    if (!window) return std::nullopt;
    includes_padding = average && r.node.integer("count_include_pad") != 0;
    shape.kernel = window->kernel;
    shape.strides = window->strides;
    shape.pads_begin = window->pads_begin;
    for (std::size_t i = 0; i < spatial; ++i) {
      const auto extent = window->dilations[i] * (window->kernel[i] - 1) + 1;
      const auto end =
          (window->output[i] - 1) * window->strides[i] + extent - in[i + 2] - window->pads_begin[i];
      // Windows past the given padding (ceil_mode) count differently; windows wholly in padding have no
      // value.
      if (end > window->pads_end[i] && includes_padding) return std::nullopt;
      if (end >= extent || window->pads_begin[i] >= extent) return std::nullopt;
      if (average && window->dilations[i] != 1) return std::nullopt;
      shape.pads_end.push_back(end);
      shape.dilates.push_back(window->dilations[i] - 1);
    }
  }
  const auto algorithm = !average           ? dnnl::algorithm::pooling_max
                         : includes_padding ? dnnl::algorithm::pooling_avg_include_padding
                                            : dnnl::algorithm::pooling_avg_exclude_padding;
  const auto dims = to_dims(in);
  shape.src = src.layout ? *src.layout : dense_desc(*type, dims);
  shape.dst = any_desc(*type, to_dims(r.outputs[0].dims));
  return guarded(r.threads, [&]() -> LayoutResult {
    const auto pd = compat::pooling(cpu_engine(), algorithm, shape, onednn::attributes(r, nullptr));
    if (is_reference(pd.impl_info_str())) return std::nullopt;
    LayoutKernel out;
    out.in_desc.emplace_back(pd.src_desc());
    out.in_plain.emplace_back(std::nullopt);
    out.kernel = std::make_unique<PrimitiveKernel>(
        compat::Pooling(pd), std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_SRC, pd.src_desc()}},
        std::vector<PrimitiveKernel::Argument>{{DNNL_ARG_DST, pd.dst_desc()}}, pd.scratchpad_desc(),
        pd.impl_info_str());
    if (!average && src.type == DataType::f32) {
      out.kernel = onednn::exact_maxima(std::move(out.kernel), desc_bytes(pd.src_desc()),
                                        desc_bytes(pd.dst_desc()), r.threads);
    }
    out.out_layout.emplace_back(pd.dst_desc());
    return out;
  });
}

}  // namespace tenon::kernels
