// Iterating over an output whose operands broadcast: dims that are contiguous in all operands are merged, the
// last dimension is the row that kernels loop over. Internal to kernels/.
#pragma once
#include "kernels/ops.h"
#include "kernels/parallel.h"

namespace tenon::kernels {

struct Broadcast {
  Dims dims;                  // merged output dims, at least one
  std::vector<Dims> strides;  // for each operand, in elements; 0 where it broadcasts
  std::int64_t rows = 0, row = 0;

  static Broadcast make(const Dims& out, std::span<const Operand> operands);

  /// Calls f(output offset, operand offsets, length) for ranges of rows, split over threads.
  template <class F>
  void for_each_row(int threads, F&& f) const {
    if (rows == 0 || row == 0) return;
    constexpr std::int64_t kGrain = 16384;
    if (rows == 1) {
      parallel_for(threads, row, kGrain, [&](std::int64_t begin, std::int64_t end) {
        std::array<std::int64_t, kMaxOperands> at{};
        for (std::size_t i = 0; i < strides.size(); ++i) at[i] = begin * strides[i].back();
        f(begin, at.data(), end - begin);
      });
      return;
    }
    parallel_for(threads, rows, std::max<std::int64_t>(1, kGrain / row),
                 [&](std::int64_t begin, std::int64_t end) {
                   const auto outer = dims.size() - 1;
                   std::array<std::int64_t, Dims::kMaxRank> index{};
                   std::array<std::int64_t, kMaxOperands> at{};
                   auto rest = begin;
                   for (std::size_t d = outer; d-- > 0;) {
                     index[d] = rest % dims[d];
                     rest /= dims[d];
                     for (std::size_t i = 0; i < strides.size(); ++i) at[i] += index[d] * strides[i][d];
                   }
                   for (auto r = begin; r < end; ++r) {
                     f(r * row, at.data(), row);
                     for (std::size_t d = outer; d-- > 0;) {
                       for (std::size_t i = 0; i < strides.size(); ++i) at[i] += strides[i][d];
                       if (++index[d] < dims[d]) break;
                       for (std::size_t i = 0; i < strides.size(); ++i) at[i] -= strides[i][d] * dims[d];
                       index[d] = 0;
                     }
                   }
                 });
  }

  static constexpr std::size_t kMaxOperands = 4;
};

}  // namespace tenon::kernels
