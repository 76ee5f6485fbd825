// How the programs in bench/ measure: CPU time, and the shortest of several runs.
#pragma once
#include <time.h>

#include <algorithm>

namespace tenon::bench {

// CPU time so far, in seconds, of CLOCK_PROCESS_CPUTIME_ID or CLOCK_THREAD_CPUTIME_ID.
inline double cpu_seconds(clockid_t clock = CLOCK_PROCESS_CPUTIME_ID) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// The shortest of some runs, in CPU seconds of the process.
template <class F>
double shortest(unsigned repeat, F run) {
  double best = 1e9;
  for (unsigned i = 0; i < repeat; ++i) {
    const double start = cpu_seconds();
    run();
    best = std::min(best, cpu_seconds() - start);
  }
  return best;
}

}  // namespace tenon::bench
