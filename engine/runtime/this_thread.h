// What the engine asks of the thread that calls it, found once for each: its id, and where its stack ends.
#pragma once
#include <sys/types.h>

#include "engine/base.h"

namespace tenon {

struct ThisThread {
  pid_t id = 0;                  // 0: not asked yet. Children of fork() have their own
  bool alternate_stack = false;  // there is a stack for handlers of signals
  u8* stack_end = nullptr;  // the lowest address that guests may use: what is below is for host functions

  static const ThisThread& get() {
    if (current.id == 0) [[unlikely]]
      current.find();
    return current;
  }
  static const ThisThread& known() { return current; }  // after get()
  static void has_alternate_stack() { current.alternate_stack = true; }

 private:
  friend struct ForkHandler;
  void find();
  static constinit thread_local ThisThread current;
};

}  // namespace tenon
