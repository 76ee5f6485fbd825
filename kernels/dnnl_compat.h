// What differs between oneDNN 2.x and 3.x, and nothing else: making primitive descriptors and appending
// post-ops.
#pragma once
#include <optional>
#include <string>
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

#if DNNL_VERSION_MAJOR >= 3
inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) { return desc.get_dims(); }
inline dnnl::memory::data_type type_of(const dnnl::memory::desc& desc) { return desc.get_data_type(); }
#else
inline dnnl::memory::dims dims_of(const dnnl::memory::desc& desc) { return desc.dims(); }
inline dnnl::memory::data_type type_of(const dnnl::memory::desc& desc) { return desc.data_type(); }
#endif

/// Whether every stored element is an element of the tensor (no padding to whole blocks).
inline bool is_unpadded(const dnnl::memory::desc& desc, std::size_t element_bytes) {
  std::size_t count = 1;
  for (const auto dim : dims_of(desc)) count *= static_cast<std::size_t>(dim);
  return desc.get_size() == count * element_bytes;
}

/// Elements from one index to the next along each axis; nothing for layouts in blocks, which no such number describes.
inline std::optional<dnnl::memory::dims> strides_of(const dnnl::memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  if (desc.get_format_kind() != dnnl::memory::format_kind::blocked || desc.get_inner_nblks() != 0)
    return std::nullopt;
  return desc.get_strides();
#else
  const auto& data = desc.data;
  if (data.format_kind != dnnl_blocked || data.format_desc.blocking.inner_nblks != 0) return std::nullopt;
  const auto* strides = data.format_desc.blocking.strides;
  return dnnl::memory::dims(strides, strides + data.ndims);
#endif
}

/// Bytes that tell layouts apart, within a process. (A copy: oneDNN 3 asks a descriptor that may change.)
inline std::string bytes_of(dnnl::memory::desc desc) {
#if DNNL_VERSION_MAJOR >= 3
  const auto blob = desc.get_blob();
  return {blob.begin(), blob.end()};
#else
  return {reinterpret_cast<const char*>(&desc.data), sizeof(desc.data)};
#endif
}

}  // namespace tenon::kernels::compat
