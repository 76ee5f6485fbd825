// poll_oneoff: clocks, files, pipes, sockets and streams in one wait.
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory_resource>
#include <span>
#include <vector>

#include "wasi/errno.h"
#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

constexpr u64 kForever = ~u64{0};
constexpr u32 kMaxSubscriptions = 1 << 20;  // poll(2) itself allows fewer descriptors
// The longest single wait: an absolute time on the real-time clock is looked at again, since that clock can
// be set.
constexpr u64 kLongestWait = 10'000'000'000;

u64 now(clockid_t clock) {
  timespec t;
  ::clock_gettime(clock, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

// A clock subscription: when it is over, on which clock.
struct Timer {
  u32 subscription;
  clockid_t clock;
  u64 deadline;
  u64 remaining() const {
    const u64 t = now(clock);
    return t >= deadline ? 0 : deadline - t;
  }
};
// A descriptor subscription; its pollfd is at the same index, and one more for cancel_wasi() is last.
struct Watch {
  u32 subscription;
  EntryRef entry;
};

class OneOff {
 public:
  // `count` of them lie, unaligned, at `subscriptions`.
  OneOff(const WasiContext& context, const u8* subscriptions, u32 count)
      : context_(context), subscriptions_(count, &arena_) {
    std::memcpy(subscriptions_.data(), subscriptions, count * sizeof(Subscription));
  }

  // Blocks until at least one event is there. Errors: intr, canceled.
  Expect<void> wait() {
    for (u32 i = 0; i < subscriptions_.size(); i++) subscribe(i);
    pollfds_.push_back({context_.cancel_fd(), POLLIN, 0});  // poll(2) ignores -1
    while (true) {
      const u64 timeout = events_.empty() ? next_timer() : 0;
      TRY(poll_once(std::min(timeout, kLongestWait)));
      for (size_t i = 0; i < watches_.size(); i++)
        if (pollfds_[i].revents) descriptor_event(watches_[i], pollfds_[i].revents);
      for (const Timer& timer : timers_)
        if (timer.remaining() == 0) add(timer.subscription, Errno::success);
      if (!events_.empty()) return {};
    }
  }

  std::span<const Event> events() const { return events_; }

 private:
  u64 next_timer() const {
    u64 next = kForever;
    for (const Timer& timer : timers_) next = std::min(next, timer.remaining());
    return next;
  }

  Event& add(u32 subscription, Errno error) {
    const Subscription& s = subscriptions_[subscription];
    Event event{};
    event.userdata = s.userdata;
    event.error = error;
    event.type = s.type;
    return events_.emplace_back(event);
  }

  void subscribe(u32 i) {
    switch (subscriptions_[i].type) {
      case Eventtype::clock: return subscribe_clock(i);
      case Eventtype::fd_read:
      case Eventtype::fd_write: return subscribe_descriptor(i);
    }
    add(i, Errno::inval);
  }

  void subscribe_clock(u32 i) {
    const Subscription& s = subscriptions_[i];
    const auto id = static_cast<Clockid>(s.id);
    if (!guest_valid(id) || !guest_valid(s.flags)) {
      add(i, Errno::inval);
      return;
    }
    if (id != Clockid::realtime && id != Clockid::monotonic) {
      add(i, Errno::notsup);
      return;
    }
    if (s.flags.has(Subclockflag::abstime)) {
      timers_.push_back({i, id == Clockid::realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, s.timeout});
      return;
    }
    // A duration is the same on both clocks, and only one of them can't be set.
    const u64 start = now(CLOCK_MONOTONIC);
    timers_.push_back({i, CLOCK_MONOTONIC, s.timeout > kForever - start ? kForever : start + s.timeout});
  }

  void subscribe_descriptor(u32 i) {
    const Subscription& s = subscriptions_[i];
    const bool reads = s.type == Eventtype::fd_read;
    auto entry = context_.any(static_cast<Fd>(s.id), Right::poll_fd_readwrite);
    if (entry && !(*entry)->is_directory())
      if (auto ok = (*entry)->require(reads ? Right::fd_read : Right::fd_write); !ok)
        entry = std::unexpected(ok.error());
    if (!entry) {
      add(i, entry.error());
      return;
    }
    if ((*entry)->is_stream()) {  // the embedder's functions are taken to be ready
      add(i, Errno::success).nbytes = 1;
      return;
    }
    pollfds_.push_back({(*entry)->host.get(), static_cast<short>(reads ? POLLIN : POLLOUT), 0});
    watches_.push_back({i, std::move(*entry)});
  }

  Expect<void> poll_once(u64 nanoseconds) {
    if (nanoseconds == 0 && watches_.empty() && pollfds_.back().fd < 0) return {};  // nothing to ask the host
    const timespec t{static_cast<time_t>(nanoseconds / 1'000'000'000),
                     static_cast<long>(nanoseconds % 1'000'000'000)};
    for (pollfd& p : pollfds_) p.revents = 0;
    if (::ppoll(pollfds_.data(), pollfds_.size(), &t, nullptr) < 0) return host_error();
    if (pollfds_.back().revents) return std::unexpected(Errno::canceled);
    return {};
  }

  void descriptor_event(const Watch& watch, short revents) {
    if (revents & POLLNVAL) {
      add(watch.subscription, Errno::badf);
      return;
    }
    Event& event = add(watch.subscription, Errno::success);
    if (revents & (POLLHUP | POLLERR)) event.flags = Eventrwflag::hangup;
    event.nbytes = event.type == Eventtype::fd_read ? readable(*watch.entry) : kPipeAtomic;
  }

  // Bytes that a read would give now, as far as the host can say.
  static u64 readable(const FdEntry& entry) {
    const int fd = entry.host.get();
    struct stat st;
    if (entry.type == Filetype::regular_file && ::fstat(fd, &st) == 0) {
      const off_t at = ::lseek(fd, 0, SEEK_CUR);
      return at >= 0 && at < st.st_size ? static_cast<u64>(st.st_size - at) : 0;
    }
    int n = 0;
    return ::ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? static_cast<u64>(n) : 0;
  }

  static constexpr u64 kPipeAtomic = 4096;  // what a writable pipe takes at least (PIPE_BUF)
  const WasiContext& context_;
  // A few subscriptions need no heap.
  alignas(8) std::array<std::byte, 1024> buffer_;
  std::pmr::monotonic_buffer_resource arena_{buffer_.data(), buffer_.size()};
  std::pmr::vector<Subscription> subscriptions_;
  std::pmr::vector<Timer> timers_{&arena_};
  std::pmr::vector<Watch> watches_{&arena_};
  std::pmr::vector<pollfd> pollfds_{&arena_};
  std::pmr::vector<Event> events_{&arena_};
};

}  // namespace

Expect<Size> poll_oneoff(WasiContext& context, GuestMemory memory, GuestAddr in, GuestAddr out, Size count) {
  if (count == 0 || count > kMaxSubscriptions) return std::unexpected(Errno::inval);
  const u8* from = memory.at(static_cast<u32>(in), u64{count} * sizeof(Subscription));
  u8* to = memory.at(static_cast<u32>(out), u64{count} * sizeof(Event));
  if (!from || !to) return std::unexpected(Errno::fault);
  OneOff one_off(context, from, count);
  TRY(one_off.wait());
  // Each subscription makes at most one event, so they fit.
  std::memcpy(to, one_off.events().data(), one_off.events().size() * sizeof(Event));
  return static_cast<Size>(one_off.events().size());
}

}  // namespace tenon::wasi
