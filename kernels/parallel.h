// Running a loop on the process's libgomp team, the one that oneDNN uses: a second pool would fight its
// spinning threads.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace tenon::kernels {

namespace internal {
using ParallelBody = void (*)(void* data, int part, int parts);
void run_parallel(int threads, ParallelBody body, void* data);
}  // namespace internal

/// Calls f(part, parts) once for each part, on at most `threads` threads; f must not throw.
template <class F>
void parallel(int threads, F&& f) {
  if (threads <= 1) return f(0, 1);
  internal::run_parallel(
      threads,
      [](void* data, int part, int parts) { (*static_cast<std::remove_reference_t<F>*>(data))(part, parts); },
      &f);
}

/// Splits [0, count) into ranges of whole `grain`s and calls f(begin, end) for each; on the caller alone when
/// small.
template <class F>
void parallel_for(int threads, std::int64_t count, std::int64_t grain, F&& f) {
  if (grain < 1) grain = 1;
  const std::int64_t grains = (count + grain - 1) / grain;
  if (threads <= 1 || grains <= 1) {
    if (count > 0) f(std::int64_t{0}, count);
    return;
  }
  parallel(threads, [&](int part, int parts) {
    const auto begin = grains * part / parts * grain;
    const auto end = part + 1 == parts ? count : grains * (part + 1) / parts * grain;
    if (begin < end) f(begin, end);
  });
}

/// Threads that the inferences of this process may use together. Each compute leases some, waiting until there is
/// one; so ten guests on two processors take turns instead of fighting over them.
class ThreadTokens {
 public:
  static ThreadTokens& process();
  /// Raises the number of tokens to `total` if there are fewer; they start with none. Thread-safe.
  void provide(int total);
  int free() const { return free_.load(std::memory_order_relaxed); }
  /// Up to `wanted` tokens. Waits while there are none; 0 when `give_up` says so meanwhile.
  int take(int wanted, const std::function<bool()>& give_up);
  void give_back(int count);

 private:
  int try_take(int wanted);

  std::atomic<int> free_ = 0, waiting_ = 0;
  int total_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// Team size that libgomp and oneDNN use for the calling thread while this lives.
class ThreadCountScope {
 public:
  explicit ThreadCountScope(int threads);
  ~ThreadCountScope();
  ThreadCountScope(const ThreadCountScope&) = delete;
  ThreadCountScope& operator=(const ThreadCountScope&) = delete;

 private:
  int before_;
};

}  // namespace tenon::kernels
