// Kick: a POSIX timer that is directed at one thread. By system calls, since glibc's wrappers are not meant for
// signal handlers.
#include "engine/runtime/kick.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "engine/keep_errno.h"
#include "engine/runtime/kick_entry.h"

namespace tenon {
namespace {

constexpr long kFirst = 1, kPeriod = 2'000'000;  // nanoseconds

int start_timer(pid_t thread) {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kKickSignal;
  event._sigev_un._tid = thread;
  int timer = 0;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) != 0) return -1;
  const itimerspec times{{0, kPeriod}, {0, kFirst}};
  syscall(SYS_timer_settime, timer, 0, &times, nullptr);
  return timer;
}

void delete_timer(int timer) { syscall(SYS_timer_delete, timer); }

}  // namespace

const bool kick_can_order_others =
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;

void Kick::stop() {
  if (const int timer = timer_.exchange(kNone); timer != kNone) delete_timer(timer);
}

void Kick::request() {
  const KeepErrno keep;
  if (kick_can_order_others) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
  const pid_t thread = thread_.load();
  if (thread == 0 || timer_.load() != kNone) return;
  int timer = start_timer(thread);
  // In a child that was forked during the call the thread has the process's id, as its first one.
  if (timer == kNone) timer = start_timer(getpid());
  int none = kNone;
  if (timer == kNone) return;
  if (!timer_.compare_exchange_strong(none, timer)) return delete_timer(timer);
  if (thread_.load() == 0) stop();  // it left meanwhile and may not have seen the timer
}

}  // namespace tenon
