// How a value lies in memory: plain row-major, or a oneDNN layout that a primitive chose. Internal to
// kernels/.
#pragma once
#include <optional>

#include "kernels/dnnl_compat.h"

namespace tenon::kernels {

/// nullopt: plain, dense, row-major.
using Layout = std::optional<dnnl::memory::desc>;

}  // namespace tenon::kernels
