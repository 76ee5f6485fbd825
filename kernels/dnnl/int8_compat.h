// What differs between oneDNN 2.x and 3.x for 8-bit primitives; the rest is dnnl_compat.h. Internal to kernels/.
#pragma once
#include <optional>
#include <vector>

#include "kernels/dnnl_compat.h"

namespace tenon::kernels::compat {

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
  const auto strides = strides_of(desc);
  if (!strides) return std::nullopt;
  return dnnl::memory::desc(dims_of(desc), type, *strides);
}

}  // namespace tenon::kernels::compat
