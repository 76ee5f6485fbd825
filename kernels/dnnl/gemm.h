// oneDNN's single-precision matrix product on plain memory. Internal to kernels/.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tenon::kernels {

/// out[m, n] += a[m, k] · b[n, k]ᵀ, rows of `out` being `out_pitch` floats apart; on as many threads as the calling
/// thread's team has. Addresses need no alignment. False: oneDNN refused.
bool add_product(std::int64_t m, std::int64_t n, std::int64_t k, const std::byte* a, const std::byte* b,
                 float* out, std::int64_t out_pitch);

}  // namespace tenon::kernels
