// parallel() over libgomp's own entry points. Not through -fopenmp, which would bring clang's libomp as a
// second pool.
#include "kernels/parallel.h"

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

ThreadCountScope::ThreadCountScope(int threads) : before_(omp_get_max_threads()) {
  if (threads != before_) omp_set_num_threads(threads);
}
ThreadCountScope::~ThreadCountScope() {
  if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
}

}  // namespace tenon::kernels
