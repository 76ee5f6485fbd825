// The part of Kick that every call of a host runs, for what makes these calls (store_impl.h).
#pragma once
#include "engine/runtime/kick.h"
#include "engine/runtime/this_thread.h"

namespace tenon {

// Whether request() can make all threads of the process pass a barrier: enter(), which every call of a host makes, then
// needs none. Before it is initialised both sides do with the processor's own order.
extern const bool kick_can_order_others;

// In sequence with the caller's look at the interrupt flag: either it sees the flag, or request() sees the
// thread. The caller knows the thread.
inline void Kick::enter() {
  const pid_t thread = ThisThread::known().id;
  if (!kick_can_order_others) [[unlikely]]
    return thread_.store(thread);
  thread_.store(thread, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

inline void Kick::leave() {
  thread_.store(0, std::memory_order_release);
  if (timer_.load(std::memory_order_relaxed) != kNone) [[unlikely]]
    stop();
}

}  // namespace tenon
