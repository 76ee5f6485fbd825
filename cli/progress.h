// What the program does beside its main thread: time-outs, and saying on a terminal what takes more than a second.
#pragma once
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace tenon::cli {

// Calls `expired` after so many seconds, again and again when it gives true, unless it is destroyed before. Nothing at
// all for zero seconds.
class Timer {
 public:
  Timer(double seconds, std::function<bool()> expired);
  ~Timer() { stop(); }
  // Waits for a call that runs; there is none afterwards.
  void stop();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool done_ = false;
  std::thread thread_;
};

// While it lives, and for longer than a second: a line on standard error with what goes on and for how long, where that is
// a terminal. The line goes with it.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  std::string what_;
  unsigned seconds_ = 0;
  Timer timer_;
};

}  // namespace tenon::cli
