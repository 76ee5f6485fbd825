// parallel() over libgomp's own entry points. Not through -fopenmp, which would bring clang's libomp as a
// second pool.
#include "kernels/parallel.h"

#include <algorithm>
#include <chrono>

extern "C" {
void GOMP_parallel(void (*fn)(void*), void* data, unsigned num_threads, unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);
}

namespace tenon::kernels {

void internal::run_parallel(int threads, ParallelBody body, void* data) {
  struct Region {
    ParallelBody body;
    void* data;
  } region{body, data};
  GOMP_parallel(
      [](void* p) {
        const auto* r = static_cast<Region*>(p);
        r->body(r->data, omp_get_thread_num(), omp_get_num_threads());
      },
      &region, static_cast<unsigned>(threads), 0);
}

ThreadTokens& ThreadTokens::process() {
  static ThreadTokens tokens;
  return tokens;
}

void ThreadTokens::provide(int total) {
  const std::lock_guard lock(mutex_);
  if (total <= total_) return;
  free_.fetch_add(total - total_);
  total_ = total;
  changed_.notify_all();
}

int ThreadTokens::try_take(int wanted) {
  int free = free_.load(std::memory_order_relaxed);
  while (free > 0) {
    const int taken = std::min(wanted, free);
    if (free_.compare_exchange_weak(free, free - taken, std::memory_order_acquire)) return taken;
  }
  return 0;
}

int ThreadTokens::take(int wanted, const std::function<bool()>& give_up) {
  if (const int taken = try_take(wanted)) return taken;
  constexpr std::chrono::milliseconds kPoll(10);  // how late a stop request may be seen
  std::unique_lock lock(mutex_);
  waiting_.fetch_add(1);
  int taken = 0;
  while ((taken = try_take(wanted)) == 0 && !give_up()) changed_.wait_for(lock, kPoll);
  waiting_.fetch_sub(1);
  return taken;
}

void ThreadTokens::give_back(int count) {
  free_.fetch_add(count);
  if (waiting_.load() == 0) return;
  const std::lock_guard lock(mutex_);  // a waiter is either before its check or asleep
  changed_.notify_one();
}

ThreadCountScope::ThreadCountScope(int threads) : before_(omp_get_max_threads()) {
  if (threads != before_) omp_set_num_threads(threads);
}
ThreadCountScope::~ThreadCountScope() {
  if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
}

}  // namespace tenon::kernels
