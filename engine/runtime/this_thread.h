// What the engine asks of the thread that calls it, found once for each: its id, and where its stack ends.
#pragma once
#include <sys/types.h>

#include "engine/base.h"

namespace tenon {

struct ThisThread {
  pid_t id = 0;  // 0: not asked yet. Children of fork() have their own
  u8* stack_low = nullptr;

  static const ThisThread& get() {
    if (current.id == 0) [[unlikely]]
      current.find();
    return current;
  }

 private:
  friend struct ForkHandler;
  void find();
  static constinit thread_local ThisThread current;
};

}  // namespace tenon
