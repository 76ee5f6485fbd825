// What oneDNN's maxima lack: they start from the lowest finite number, so the maximum of nothing but -inf, or of nothing
// but NaN, is -FLT_MAX. A NaN beside numbers loses to them, as in ONNX's own evaluator.
#include <cmath>
#include <limits>

#include "kernels/buffer.h"
#include "kernels/dnnl/internal.h"
#include "kernels/element.h"

namespace tenon::kernels::onednn {
namespace {

constexpr float kInfinite = std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t kGrain = 16384;

// Floats without order: layouts do not matter here.
bool has_lowest(const std::byte* data, std::int64_t count, int threads) {
  std::atomic<bool> found = false;
  parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    const In<float> in{data};
    unsigned any = 0;
    for (auto i = begin; i < end; ++i) any |= in[i] == kLowest ? 1 : 0;
    if (any != 0) found.store(true, std::memory_order_relaxed);
  });
  return found;
}

class ExactMaxima final : public Kernel {
 public:
  ExactMaxima(std::unique_ptr<Kernel> pool, std::size_t src_bytes, std::size_t dst_bytes, int threads)
      : pool_(std::move(pool)),
        src_bytes_(src_bytes),
        src_(static_cast<std::int64_t>(src_bytes / sizeof(float))),
        dst_(static_cast<std::int64_t>(dst_bytes / sizeof(float))),
        threads_(threads) {
    implementation = pool_->implementation;
    scratch_bytes = pool_->scratch_bytes;
  }

  std::unique_ptr<KernelState> make_state() const override { return pool_->make_state(); }

  Result<void> run(const KernelCall& call) const override {
    TENON_TRY(pool_->run(call));
    if (!has_lowest(call.out[0], dst_, threads_)) return {};
    // What lies in such a window is -inf, the lowest number or NaN. With the two next larger numbers in the place of the
    // first two the pool tells which.
    const float second = std::nextafter(kLowest, 0.0f), third = std::nextafter(second, 0.0f);
    const auto marked = TENON_TRY(allocate(src_bytes_));
    const auto maxima = TENON_TRY(allocate(static_cast<std::size_t>(dst_) * sizeof(float)));
    for (std::int64_t i = 0; i < src_; ++i) {
      const float x = In<float>{call.in[0]}[i];
      Out<float>{marked.get()}.set(i, x == -kInfinite ? second : x == kLowest ? third : x);
    }
    const std::byte* in = marked.get();
    std::byte* to = maxima.get();
    TENON_TRY(pool_->run({{&in, 1}, {&to, 1}, call.scratch, call.state}));
    const Out<float> out{call.out[0]};
    for (std::int64_t i = 0; i < dst_; ++i) {
      if (out[i] != kLowest) continue;
      const float mark = In<float>{to}[i];
      out.set(i, mark == third ? kLowest : mark == second ? -kInfinite : kNan);
    }
    return {};
  }

 private:
  std::unique_ptr<Kernel> pool_;
  std::size_t src_bytes_;
  std::int64_t src_, dst_;
  int threads_;
};

}  // namespace

std::unique_ptr<Kernel> exact_maxima(std::unique_ptr<Kernel> pool, std::size_t src_bytes,
                                     std::size_t dst_bytes, int threads) {
  return std::make_unique<ExactMaxima>(std::move(pool), src_bytes, dst_bytes, threads);
}

}  // namespace tenon::kernels::onednn
