// See gemm.h.
#include "kernels/dnnl/gemm.h"

#include "kernels/dnnl_compat.h"

namespace tenon::kernels {

bool add_product(std::int64_t m, std::int64_t n, std::int64_t k, const std::byte* a, const std::byte* b,
                 float* out, std::int64_t out_pitch) {
  if (m == 0 || n == 0 || k == 0) return true;
  return dnnl_sgemm('N', 'T', m, n, k, 1.0f, reinterpret_cast<const float*>(a), k,
                    reinterpret_cast<const float*>(b), k, 1.0f, out, out_pitch) == dnnl_success;
}

}  // namespace tenon::kernels
