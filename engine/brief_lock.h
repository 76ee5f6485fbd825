// A mutex taken for what lasts some ten nanoseconds: a thread that waits for it looks again for a while before it sleeps, since
// going to sleep and being woken takes longer than what it waits for by far.
#pragma once
#include <mutex>

namespace tenon {

class BriefLock {
 public:
  explicit BriefLock(std::mutex& mutex) : mutex_(mutex) {
    constexpr int kLooks = 200;
    for (int i = 0; i < kLooks; ++i) {
      if (mutex_.try_lock()) return;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    mutex_.lock();
  }
  ~BriefLock() { mutex_.unlock(); }
  BriefLock(const BriefLock&) = delete;
  BriefLock& operator=(const BriefLock&) = delete;

 private:
  std::mutex& mutex_;
};

}  // namespace tenon
