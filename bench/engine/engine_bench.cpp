// Measures the interpreter against the same kernels compiled by clang -O3, and against wasm3 when it is on
// PATH. engine_bench [--json] [--repeat N] [KERNEL…]
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/runtime/store.h"

extern "C" {
#define KERNEL(name, n) tenon::u32 native_##name(tenon::u32);
#include "kernels.def"
}

namespace tenon {
namespace {

struct Kernel {
  const char* name;
  u32 n;
  u32 (*native)(u32);
};
constexpr Kernel kKernels[] = {
#define KERNEL(name, n) {#name, n, native_##name},
#include "kernels.def"
};

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// The shortest of some runs, in CPU seconds.
template <class F>
double shortest(u32 repeat, F run) {
  double best = 1e9;
  for (u32 i = 0; i < repeat; ++i) {
    const double start = cpu_seconds();
    run();
    best = std::min(best, cpu_seconds() - start);
  }
  return best;
}

std::string guest_path(const Kernel& k) { return fmt::format("{}/{}.wasm", TENON_KERNELS, k.name); }

// Seconds, or nothing with a message when the guest fails. A fresh instance each time: kernels keep state.
std::optional<double> interpreted(const Kernel& k, u32 repeat, u32 expected) {
  std::ifstream in(guest_path(k), std::ios::binary);
  const std::vector<u8> bytes((std::istreambuf_iterator<char>(in)), {});
  auto engine = std::make_shared<Engine>();
  auto module = engine->compile(bytes);
  if (!module) {
    fmt::print(stderr, "{}: {}\n", k.name, module.error().message);
    return std::nullopt;
  }
  bool ok = true;
  const double seconds = shortest(repeat, [&] {
    Store store(engine);
    auto instance = store.instantiate(*module, {});
    Slot slots[4]{};
    slots[0].u32_ = k.n;
    FuncRef* run = std::get<FuncRef*>(*(*instance)->find_export("run"));
    const Status status = store.call(run, slots);
    if (status != Status::ok) fmt::print(stderr, "{}: {}\n", k.name, store.trap_error(status).message);
    ok = ok && status == Status::ok && slots[0].u32_ == expected;
  });
  if (!ok) fmt::print(stderr, "{}: wrong result\n", k.name);
  return ok ? std::optional(seconds) : std::nullopt;
}

// CPU seconds of a child process; nothing when it cannot run or fails.
std::optional<double> child(std::vector<std::string> args) {
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
  pid_t pid;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::nullopt;
  int status = 0;
  rusage usage{};
  wait4(pid, &status, 0, &usage);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

std::optional<double> wasm3(const Kernel& k, u32 repeat) {
  std::optional<double> best;
  for (u32 i = 0; i < repeat; ++i) {
    const auto t = child({"wasm3", "--func", "run", guest_path(k), std::to_string(k.n)});
    if (t && (!best || *t < *best)) best = t;
  }
  return best;
}

struct Mean {
  double log_sum = 0;
  u32 count = 0;
  void add(double x) {
    log_sum += std::log(x);
    ++count;
  }
  double value() const { return count ? std::exp(log_sum / count) : 0; }
};

int run(u32 repeat, bool json, const std::vector<std::string>& only) {
  Mean ours, theirs, scalar;
  bool ok = true;
  if (!json)
    fmt::print("{:<14}{:>10}{:>12}{:>10}{:>10}\n", "kernel", "native ms", "interp ms", "x native", "wasm3 x");
  for (const Kernel& k : kKernels) {
    if (!only.empty() && std::find(only.begin(), only.end(), k.name) == only.end()) continue;
    // Kernels keep state between runs in one process: the first result is the one to compare with.
    const u32 expected = k.native(k.n);
    const double native = shortest(repeat, [&] { k.native(k.n); });
    const auto interp = interpreted(k, repeat, expected);
    const auto peer = wasm3(k, repeat);
    ok = ok && interp;
    const double x = interp ? *interp / native : NAN, y = peer ? *peer / native : NAN;
    if (interp) ours.add(x);
    if (interp && std::strcmp(k.name, "simd") != 0) scalar.add(x);
    if (peer) theirs.add(y);
    if (json)
      fmt::print("{{\"kernel\":\"{}\",\"native_ms\":{:.3f},\"interp_x\":{:.3f},\"wasm3_x\":{:.3f}}}\n",
                 k.name, native * 1e3, x, peer ? y : 0.0);
    else
      fmt::print("{:<14}{:>10.1f}{:>12.1f}{:>10.2f}{:>10.2f}\n", k.name, native * 1e3,
                 interp ? *interp * 1e3 : NAN, x, y);
  }
  if (!json)
    fmt::print("geometric mean: {:.2f} (without simd {:.2f}), wasm3 {:.2f}\n", ours.value(), scalar.value(),
               theirs.value());
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  tenon::u32 repeat = 3;
  bool json = false;
  std::vector<std::string> only;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0)
      json = true;
    else if (std::strcmp(argv[i], "--repeat") == 0 && i + 1 < argc)
      repeat = static_cast<tenon::u32>(std::max(1, std::atoi(argv[++i])));
    else
      only.push_back(argv[i]);
  }
  return tenon::run(repeat, json, only);
}
