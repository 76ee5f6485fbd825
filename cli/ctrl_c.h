// Ctrl-C while a guest runs: it ends with a backtrace.
#pragma once
#include <atomic>
#include <functional>
#include <thread>

#include "tenon.hpp"

namespace tenon::cli {

// Until it is destroyed, the first SIGINT interrupts the store's guest. One that does not end soon, because
// it waits in a host call, ends with the program, and so does the second SIGINT. One at a time.
class CtrlC {
 public:
  explicit CtrlC(Store& store);
  // The same for what takes more than a signal handler may do: `interrupt` is called on a thread of its own.
  explicit CtrlC(std::function<void()> interrupt);
  ~CtrlC();
  CtrlC(const CtrlC&) = delete;
  CtrlC& operator=(const CtrlC&) = delete;
  bool pressed() const;

 private:
  std::atomic<bool> done_{false};
  std::thread waiter_;
};

}  // namespace tenon::cli
