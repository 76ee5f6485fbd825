// Interrupting a thread that runs compiled code, which has no checks: while a request is open, the thread gets
// a signal every other millisecond. What the signal does is engine/native's business (raise.cpp): compiled code
// traps where it is; anything else goes on, and is asked again.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <csignal>

#include "engine/base.h"

namespace tenon {

// Ignored by default, so that a late one does no harm.
inline constexpr int kKickSignal = SIGURG;

class Kick {
 public:
  // The store's outermost call begins and ends, on the thread that runs it.
  void enter();
  void leave();
  ~Kick() { stop(); }
  // From any thread or a signal handler.
  void request();

 private:
  void stop();
  static constexpr int kNone = -1;
  std::atomic<pid_t> thread_{0};  // that runs the store; 0: none
  std::atomic<int> timer_{kNone};
};

}  // namespace tenon
