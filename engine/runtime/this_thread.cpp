// ThisThread: without a look into /proc where that can be avoided.
#include "engine/runtime/this_thread.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tenon {

constinit thread_local ThisThread ThisThread::current;

struct ForkHandler {
  static void in_child() {
    if (ThisThread::current.id != 0) ThisThread::current.id = gettid();
  }
  const int registered = pthread_atfork(nullptr, nullptr, &in_child);
};

namespace {

const ForkHandler fork_handler;

constexpr u64 kReserve = 64 << 10;  // for host functions below the last frame of a guest

// The process's first stack, at whose top the program's name is, ends where its limit says. Not by comparing ids: in a child
// of fork() every thread's stack can be that of the first thread.
u8* lowest_of_stack() {
  auto* const here = static_cast<u8*>(__builtin_frame_address(0));
  constexpr u64 kUsual = u64{8} << 20, kPage = 4096;
  rlimit limit{};
  const bool limited = getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  const u64 size = limited ? u64{limit.rlim_cur} : kUsual;
  const u64 top = (u64{getauxval(AT_EXECFN)} + kPage) & ~(kPage - 1), at = reinterpret_cast<u64>(here);
  if (at < top && top - at < size) return here - (size - (top - at));
  pthread_attr_t attr;
  void* base = nullptr;
  size_t bytes = 0;
  if (pthread_getattr_np(pthread_self(), &attr) == 0) {
    pthread_attr_getstack(&attr, &base, &bytes);
    pthread_attr_destroy(&attr);
  }
  return static_cast<u8*>(base);
}

}  // namespace

void ThisThread::find() {
  id = gettid();
  stack_end = lowest_of_stack() + kReserve;
}

}  // namespace tenon
