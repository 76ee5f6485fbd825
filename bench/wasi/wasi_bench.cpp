// Measures what a WASI call costs over the system call that it makes, and file throughput in 64 KiB blocks.
// Calls go through the native entries, as compiled code makes them; no engine runs. wasi_bench [--json]
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../cpu_time.h"
#include "wasi/types.h"
#include "wasi/wasi.h"

namespace tenon::wasi {
namespace {

constexpr u32 kMemory = 1 << 20, kIovec = 64, kOut = 128, kName = 256, kSubscription = 512, kBlock = 4096;
constexpr u32 kBlockSize = 64 << 10, kBlocks = 512;

// CPU time, so that what else runs on the machine counts less.
double seconds() { return tenon::bench::cpu_seconds(CLOCK_THREAD_CPUTIME_ID); }

// Nanoseconds of one call: the best of some runs of many, the two sides by turns.
template <class A, class B>
std::pair<double, double> best_of(u32 calls, A a, B b) {
  std::pair best{1e18, 1e18};
  const auto run = [&](auto& f, double& out) {
    const double start = seconds();
    for (u32 i = 0; i < calls; i++) f();
    out = std::min(out, (seconds() - start) * 1e9 / calls);
  };
  for (int i = 0; i < 15; i++) {
    run(a, best.first);
    run(b, best.second);
  }
  return best;
}

class Bench {
 public:
  explicit Bench(bool json) : json_(json), memory_(kMemory) {
    std::string dir = "/tmp/tenon-wasi-bench-XXXXXX";
    if (!::mkdtemp(dir.data())) throw std::runtime_error("mkdtemp failed");
    dir_ = dir;
    null_ = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    file_ = ::open((dir_ + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    dirfd_ = ::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto context = make_wasi_context({.preopens = {{dir_, "d"}},
                                      .stdin_ = StdioNull{},
                                      .stdout_ = StdioFd{null_},
                                      .stderr_ = StdioNull{}});
    if (!context) throw std::runtime_error(context.error().message);
    context_ = *context;
    memory_desc_ = {memory_.data(), memory_.size(), memory_.size()};
    put(kIovec, Iovec{kBlock, 8});
    std::memcpy(&memory_[kName], "file", 4);
    Subscription now{};
    now.type = Eventtype::clock;
    put(kSubscription, now);
  }
  ~Bench() {
    ::unlink((dir_ + "/file").c_str());
    ::rmdir(dir_.c_str());
  }

  void run() {
    if (!json_) fmt::print("{:34} {:>10} {:>10} {:>10}\n", "", "host", "WASI", "more");
    calls();
    throughput();
  }

 private:
  // A function as compiled code calls it; failing calls would measure nothing.
  template <class Signature>
  auto entry(std::string_view name) {
    for (const HostFuncDesc& d : wasi_functions()) {
      if (d.name != name) continue;
      hosts_.push_back(
          std::make_unique<HostFunc>(HostFunc{nullptr, nullptr, &memory_desc_, context_.get(), &d, {}}));
      return [f = reinterpret_cast<Signature*>(d.native), h = hosts_.back().get()](auto... args) {
        if (f(h, static_cast<decltype(args)>(args)...) != 0) throw std::runtime_error("a call failed");
      };
    }
    throw std::runtime_error("no such function");
  }
  void calls() {
    iovec v{&memory_[kBlock], 8};
    auto write = entry<u32(HostFunc*, u32, u32, u32, u32)>("fd_write");
    call(
        "fd_write, 8 bytes", 20'000, [&] { check(::writev(null_, &v, 1)); },
        [&] { write(1, kIovec, 1, kOut); });
    timespec t;
    auto clock = entry<u32(HostFunc*, u32, u64, u32)>("clock_time_get");
    call("clock_time_get", 200'000, [&] { clock_gettime(CLOCK_MONOTONIC, &t); }, [&] { clock(1, 0, kOut); });
    auto random = entry<u32(HostFunc*, u32, u32)>("random_get");
    call(
        "random_get, 16 bytes", 20'000, [&] { check(::getrandom(&memory_[kBlock], 16, 0)); },
        [&] { random(kBlock, 16); });
    struct stat st;
    auto stat = entry<u32(HostFunc*, u32, u32, u32, u32, u32)>("path_filestat_get");
    call(
        "path_filestat_get", 20'000, [&] { check(::fstatat(dirfd_, "file", &st, AT_SYMLINK_NOFOLLOW)); },
        [&] { stat(3, 1, kName, 4, kOut); });
    auto open = entry<u32(HostFunc*, u32, u32, u32, u32, u32, u64, u64, u32, u32)>("path_open");
    auto close = entry<u32(HostFunc*, u32)>("fd_close");
    // The host's side makes the same system calls: what counts is the work around them.
    call(
        "path_open and fd_close", 20'000,
        [&] {
          const int fd = open_beneath();
          check(::fstat(fd, &st));
          ::close(fd);
        },
        [&] {
          open(3, 1, kName, 4, 0, kAllRights, 0, 0, kOut);
          close(4);
        });
    auto poll = entry<u32(HostFunc*, u32, u32, u32, u32)>("poll_oneoff");
    const timespec none{};
    call(
        "poll_oneoff, a timer that is over", 20'000, [&] { ::ppoll(nullptr, 0, &none, nullptr); },
        [&] { poll(kSubscription, kOut, 1, kOut + 64); });
  }

  int open_beneath() const {
    open_how how{};
    how.flags = O_RDWR | O_CLOEXEC | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return static_cast<int>(::syscall(SYS_openat2, dirfd_, "file", &how, sizeof how));
  }

  void throughput() {
    put(kIovec, Iovec{kBlock, kBlockSize});
    auto pwrite = entry<u32(HostFunc*, u32, u32, u32, u64, u32)>("fd_pwrite");
    auto pread = entry<u32(HostFunc*, u32, u32, u32, u64, u32)>("fd_pread");
    entry<u32(HostFunc*, u32, u32, u32, u32, u32, u64, u64, u32, u32)>("path_open")(3, 1, kName, 4, 0,
                                                                                    kAllRights, 0, 0, kOut);
    u64 at = 0;
    const auto next = [&] { return static_cast<off_t>(at++ % kBlocks * kBlockSize); };
    u8* block = &memory_[kBlock];
    call(
        "fd_pwrite, 64 KiB", 2 * kBlocks, [&] { check(::pwrite(file_, block, kBlockSize, next())); },
        [&] { pwrite(4, kIovec, 1, static_cast<u64>(next()), kOut); });
    call(
        "fd_pread, 64 KiB", 2 * kBlocks, [&] { check(::pread(file_, block, kBlockSize, next())); },
        [&] { pread(4, kIovec, 1, static_cast<u64>(next()), kOut); });
  }

  template <class Host, class Wasi>
  void call(std::string_view name, u32 calls, Host host, Wasi wasi) {
    const auto [raw, ours] = best_of(calls, host, wasi);
    if (json_)
      fmt::print("{{\"name\": \"wasi/{}\", \"host_ns\": {:.1f}, \"wasi_ns\": {:.1f}}}\n", name, raw, ours);
    else
      fmt::print("{:34} {:>8.1f}ns {:>8.1f}ns {:>8.1f}ns {:>6.1f} %\n", name, raw, ours, ours - raw,
                 (ours / raw - 1) * 100);
  }

  static void check(ssize_t n) {
    if (n < 0) throw std::runtime_error("a system call failed");
  }
  template <class T>
  void put(u32 at, const T& v) {
    std::memcpy(&memory_[at], &v, sizeof v);
  }

  bool json_;
  std::string dir_;
  int null_ = -1, file_ = -1, dirfd_ = -1;
  std::vector<u8> memory_;
  MemoryDesc memory_desc_{};
  std::shared_ptr<WasiContext> context_;
  std::vector<std::unique_ptr<HostFunc>> hosts_;
};

}  // namespace
}  // namespace tenon::wasi

int main(int argc, char** argv) {
  try {
    tenon::wasi::Bench(argc > 1 && std::string_view(argv[1]) == "--json").run();
  } catch (const std::exception& e) {
    fmt::print(stderr, "wasi_bench: {}\n", e.what());
    return 1;
  }
  return 0;
}
