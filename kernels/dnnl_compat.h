// What differs between oneDNN 2.x and 3.x, and nothing else: making primitive descriptors and appending
// post-ops.
#pragma once
#include <optional>
#include <vector>

// oneDNN's header is not ours to warn about.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#include <oneapi/dnnl/dnnl.hpp>
#pragma clang diagnostic pop

namespace tenon::kernels::compat {

inline constexpr bool kOneDnn3 = DNNL_VERSION_MAJOR >= 3;

inline void append_eltwise(dnnl::post_ops& ops, dnnl::algorithm algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, alpha, beta);
#else
  ops.append_eltwise(1.0f, algorithm, alpha, beta);
#endif
}

// Descriptors ask for forward inference. `dilates` and `pads` as oneDNN counts them: dilation 0 is dense.
struct ConvolutionShape {
  dnnl::memory::desc src, weights, bias, dst;  // bias of 0 dims: none
  dnnl::memory::dims strides, dilates, pads_begin, pads_end;
};

template <class Primitive>  // convolution_forward or deconvolution_forward
typename Primitive::primitive_desc convolution(const dnnl::engine& engine, dnnl::algorithm algorithm,
                                               const ConvolutionShape& s, const dnnl::primitive_attr& attr) {
  constexpr auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kind,      algorithm, s.src,        s.weights,  s.bias,
          s.dst,  s.strides, s.dilates, s.pads_begin, s.pads_end, attr};
#else
  return {{kind, algorithm, s.src, s.weights, s.bias, s.dst, s.strides, s.dilates, s.pads_begin, s.pads_end},
          attr,
          engine};
#endif
}

struct PoolingShape {
  dnnl::memory::desc src, dst;
  dnnl::memory::dims strides, kernel, dilates, pads_begin, pads_end;
};

#if DNNL_VERSION_MAJOR >= 3
using Pooling = dnnl::pooling_forward;
#else
using Pooling = dnnl::pooling_v2_forward;
#endif

inline Pooling::primitive_desc pooling(const dnnl::engine& engine, dnnl::algorithm algorithm,
                                       const PoolingShape& s, const dnnl::primitive_attr& attr) {
  constexpr auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  return {engine,   kind,      algorithm,    s.src,      s.dst, s.strides,
          s.kernel, s.dilates, s.pads_begin, s.pads_end, attr};
#else
  return {{kind, algorithm, s.src, s.dst, s.strides, s.kernel, s.dilates, s.pads_begin, s.pads_end},
          attr,
          engine};
#endif
}

inline dnnl::matmul::primitive_desc matmul(const dnnl::engine& engine, const dnnl::memory::desc& src,
                                           const dnnl::memory::desc& weights, const dnnl::memory::desc& bias,
                                           const dnnl::memory::desc& dst, const dnnl::primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, src, weights, bias, dst, attr};
#else
  return {{src, weights, bias, dst}, attr, engine};
#endif
}

inline dnnl::eltwise_forward::primitive_desc eltwise(const dnnl::engine& engine, dnnl::algorithm algorithm,
                                                     const dnnl::memory::desc& data, float alpha, float beta,
                                                     const dnnl::primitive_attr& attr) {
  constexpr auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  return {engine, kind, algorithm, data, data, alpha, beta, attr};
#else
  return {{kind, algorithm, data, alpha, beta}, attr, engine};
#endif
}

inline dnnl::binary::primitive_desc binary(const dnnl::engine& engine, dnnl::algorithm algorithm,
                                           const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                                           const dnnl::memory::desc& dst, const dnnl::primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, algorithm, a, b, dst, attr};
#else
  return {{algorithm, a, b, dst}, attr, engine};
#endif
}

inline dnnl::concat::primitive_desc concat(const dnnl::engine& engine, int axis,
                                           const std::vector<dnnl::memory::desc>& sources,
                                           const dnnl::primitive_attr& attr) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine, axis, sources, attr};
#else
  return {axis, sources, engine, attr};
#endif
}

// Quantisation by attributes with constant scales is 2.x's; 3.x takes scales at run time, per operand.
inline constexpr bool kHasConstantScales = DNNL_VERSION_MAJOR < 3;

// `scales` has one element, or one for each element of dimension 1; `zeros` may be DNNL_RUNTIME_S32_VAL.
inline void set_quantization([[maybe_unused]] dnnl::primitive_attr& attr,
                             [[maybe_unused]] const std::vector<float>& scales,
                             [[maybe_unused]] std::int32_t x_zero, [[maybe_unused]] std::int32_t y_zero) {
#if DNNL_VERSION_MAJOR < 3
  if (!scales.empty()) attr.set_output_scales(scales.size() == 1 ? 0 : 1 << 1, scales);
  if (x_zero != 0) attr.set_zero_points(DNNL_ARG_SRC, 0, {x_zero});
  if (y_zero != 0) attr.set_zero_points(DNNL_ARG_DST, 0, {y_zero});
#endif
}

/// Whether 8-bit products accumulate exactly: instructions before VNNI saturate sums of two to 16 bits.
inline bool accumulates_exactly() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx2_vnni:
    case dnnl::cpu_isa::avx512_core_vnni:
    case dnnl::cpu_isa::avx512_core_bf16:
    case dnnl::cpu_isa::avx512_core_amx: return true;
    default: return false;
  }
}

/// The same places with elements of another type; nothing for layouts in blocks.
inline std::optional<dnnl::memory::desc> with_type(const dnnl::memory::desc& desc,
                                                   dnnl::memory::data_type type) {
#if DNNL_VERSION_MAJOR >= 3
  if (desc.get_inner_nblks() != 0) return std::nullopt;
  return dnnl::memory::desc(desc.get_dims(), type, desc.get_strides());
#else
  const auto& data = desc.data;
  if (data.format_kind != dnnl_blocked || data.format_desc.blocking.inner_nblks != 0) return std::nullopt;
  const auto* strides = data.format_desc.blocking.strides;
  return dnnl::memory::desc(desc.dims(), type, dnnl::memory::dims(strides, strides + data.ndims));
#endif
}

/// Whether every stored element is an element of the tensor (no padding to whole blocks).
inline bool is_unpadded(const dnnl::memory::desc& desc, std::size_t element_bytes) {
  std::size_t count = 1;
#if DNNL_VERSION_MAJOR >= 3
  for (const auto dim : desc.get_dims()) count *= static_cast<std::size_t>(dim);
#else
  for (const auto dim : desc.dims()) count *= static_cast<std::size_t>(dim);
#endif
  return desc.get_size() == count * element_bytes;
}

}  // namespace tenon::kernels::compat
