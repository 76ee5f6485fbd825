// What is done once, by whoever comes first. Not std::call_once: that keeps its callable in a variable of each thread in
// libstdc++, which initial-exec code (ours) cannot reach where libstdc++ came into the process late, with another plugin
// or with a program that loaded libtenon.so by dlopen: such a library is refused for want of static TLS.
#pragma once
#include <atomic>
#include <mutex>

namespace tenon {

class Once {
 public:
  // Returns when `f` has been run, by this thread or another. `f` does not call the same Once.
  template <class F>
  void call(F f) {
    if (done_.load(std::memory_order_acquire)) return;
    const std::lock_guard lock(mutex_);
    if (done_.load(std::memory_order_relaxed)) return;
    f();
    done_.store(true, std::memory_order_release);
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> done_ = false;
};

}  // namespace tenon
