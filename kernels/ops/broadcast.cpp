// Merging broadcast dimensions.
#include "kernels/ops/broadcast.h"

namespace tenon::kernels {

Broadcast Broadcast::make(const Dims& out, std::span<const Operand> operands) {
  std::vector<Dims> full;
  for (const auto& operand : operands) {
    Dims strides(out.size(), 0);
    const auto own = strides_of(operand.dims);
    const auto lead = out.size() - operand.dims.size();
    for (std::size_t i = 0; i < operand.dims.size(); ++i)
      strides[lead + i] = operand.dims[i] == 1 ? 0 : own[i];
    full.push_back(strides);
  }
  Broadcast b;
  b.strides.resize(full.size());
  for (std::size_t d = 0; d < out.size(); ++d) {
    if (out[d] == 1) continue;
    bool merges = !b.dims.empty();
    for (std::size_t i = 0; merges && i < full.size(); ++i)
      merges = b.strides[i].back() == full[i][d] * out[d];
    if (merges) {
      b.dims.back() *= out[d];
      for (std::size_t i = 0; i < full.size(); ++i) b.strides[i].back() = full[i][d];
    } else {
      b.dims.push_back(out[d]);
      for (std::size_t i = 0; i < full.size(); ++i) b.strides[i].push_back(full[i][d]);
    }
  }
  if (b.dims.empty()) {
    b.dims.push_back(1);
    for (auto& strides : b.strides) strides.push_back(0);
  }
  b.row = b.dims.back();
  b.rows = product(b.dims, 0, b.dims.size() - 1);
  return b;
}

}  // namespace tenon::kernels
