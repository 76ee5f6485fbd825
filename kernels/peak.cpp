// A loop of multiply-adds that touches no memory, in the widest vectors that the processor has.
#include "kernels/peak.h"

#include <chrono>
#include <map>
#include <mutex>

#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr int kChains = 12;  // enough to hide the latency of a multiply-add on two ports
constexpr std::int64_t kRounds = 400'000;

// Twelve independent chains of `Vector`s; the compiler's vector extensions need no intrinsics.
#define TENON_PEAK_LOOP(name, attributes, width)                                                      \
  attributes float name() {                                                                           \
    using Vector = float __attribute__((vector_size(4 * width)));                                     \
    Vector sums[kChains];                                                                             \
    for (int c = 0; c < kChains; ++c) sums[c] = Vector{} + static_cast<float>(c);                     \
    const Vector a = Vector{} + 0.999f, b = Vector{} + 0.001f;                                        \
    for (std::int64_t i = 0; i < kRounds; ++i) {                                                      \
      _Pragma("clang fp contract(fast)") for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * a + b; \
    }                                                                                                 \
    float total = 0;                                                                                  \
    for (const auto& sum : sums) total += sum[0] + sum[width - 1];                                    \
    return total;                                                                                     \
  }
TENON_PEAK_LOOP(peak_512, __attribute__((target("avx512f"))), 16)
TENON_PEAK_LOOP(peak_256, __attribute__((target("avx2,fma"))), 8)
TENON_PEAK_LOOP(peak_128, , 4)
#undef TENON_PEAK_LOOP

double measure(int threads) {
  const bool wide = __builtin_cpu_supports("avx512f") != 0,
             middle = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const auto loop = wide ? peak_512 : middle ? peak_256 : peak_128;
  const double width = wide ? 16 : middle ? 8 : 4;
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto start = std::chrono::steady_clock::now();
    parallel(threads, [&](int, int) {
      volatile float sink = loop();
      static_cast<void>(sink);
    });
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2 * width * kChains * static_cast<double>(kRounds) * threads / seconds / 1e9);
  }
  return best;
}

}  // namespace

double peak_gflops(int threads) {
  static std::mutex mutex;
  static std::map<int, double> known;
  const std::lock_guard lock(mutex);
  const auto [it, added] = known.emplace(threads, 0.0);
  if (added) it->second = measure(threads);
  return it->second;
}

}  // namespace tenon::kernels
