// Memory aligned for vector instructions. Internal to kernels/.
#pragma once
#include <cstddef>
#include <memory>
#include <new>

#include "kernels/error.h"

namespace tenon::kernels {

struct AlignedDelete {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using Buffer = std::unique_ptr<std::byte[], AlignedDelete>;

/// At least `bytes` bytes, aligned to 64, not initialised. too_large: there is not so much.
inline Result<Buffer> allocate(std::size_t bytes) {
  auto* p = static_cast<std::byte*>(
      ::operator new[](std::max<std::size_t>(bytes, 64), std::align_val_t{64}, std::nothrow));
  if (p == nullptr) return fail(ErrorCode::too_large, "out of memory for {} bytes", bytes);
  return Buffer(p);
}

}  // namespace tenon::kernels
