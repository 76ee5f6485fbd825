// See progress.h.
#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "text.h"

namespace tenon::cli {

Timer::Timer(double seconds, std::function<bool()> expired) {
  if (seconds <= 0) return;
  thread_ = std::thread([this, seconds, expired = std::move(expired)] {
    const auto time = std::chrono::duration<double>(seconds);
    std::unique_lock lock(mutex_);
    do {
      if (wake_.wait_for(lock, time, [this] { return done_; })) return;
    } while (expired());
  });
}

void Timer::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Progress::Progress(std::string what)
    : what_(std::move(what)), timer_(isatty(STDERR_FILENO) ? 1.0 : 0.0, [this] {
        fmt::print(stderr, "\r\x1b[K{} {} ({} s)", paint(Colour::dim, "tenon:", STDERR_FILENO), what_,
                   ++seconds_);
        std::fflush(stderr);
        return true;
      }) {}

Progress::~Progress() {
  timer_.stop();
  if (seconds_ != 0) std::fputs("\r\x1b[K", stderr);
}

}  // namespace tenon::cli
