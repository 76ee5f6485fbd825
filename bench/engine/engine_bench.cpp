// Measures the interpreter against the same kernels compiled by clang -O3, and against other engines that are
// on PATH. engine_bench [--json] [--repeat N] [--no-peers] [KERNEL…]
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

#include "../cpu_time.h"
#include "engine/runtime/store.h"

extern "C" {
#define KERNEL(name, n, set) tenon::u32 native_##name(tenon::u32);
#include "kernels.def"
}

namespace tenon {
namespace {

using bench::cpu_seconds;
using bench::shortest;

enum class Set : u8 { nine, simd, more };  // kernels.def
struct Kernel {
  const char* name;
  u32 n;
  Set set;
  u32 (*native)(u32);
};
constexpr Kernel kKernels[] = {
#define KERNEL(name, n, set) {#name, n, Set::set, native_##name},
#include "kernels.def"
};

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

// Another engine as a command line: {file}, {n}, and {js} for the script that node runs. What it takes for
// n = 1 is its start, which does not count.
struct Peer {
  const char* name;
  const char* command;
};
constexpr Peer kPeers[] = {
    {"wasm3", "wasm3 --func run {file} {n}"},
    {"wasm-interp", "wasm-interp --run-all-exports {file}"},  // of wabt; takes no arguments
    {"iwasm", "iwasm --interp -f run {file} {n}"},
    {"wasmedge", "wasmedge --force-interpreter --reactor {file} run {n}"},
    {"wasmtime", "wasmtime run --invoke run {file} {n}"},
    {"liftoff", "node --liftoff --no-wasm-tier-up {js} {file} {n}"},
    {"turbofan", "node --no-liftoff {js} {file} {n}"},
};

std::optional<double> run_peer(const Peer& peer, const Kernel& k, u32 n) {
  std::vector<std::string> args;
  std::istringstream words(peer.command);
  for (std::string word; words >> word;) {
    if (word == "{file}") word = guest_path(k);
    if (word == "{n}") word = std::to_string(n);
    if (word == "{js}") word = TENON_BENCH_SOURCES "/run.js";
    args.push_back(word);
  }
  return child(args);
}

// CPU seconds; nothing when it is not there or cannot run this.
std::optional<double> measure_peer(const Peer& peer, const Kernel& k, u32 repeat) {
  constexpr double kLong = 2;  // once is enough
  const bool takes_n = std::string_view(peer.command).contains("{n}");
  const auto start = takes_n ? run_peer(peer, k, 1) : std::optional(0.0);
  if (!start) return std::nullopt;
  std::optional<double> best;
  for (u32 i = 0; i < repeat && (!best || *best < kLong); ++i) {
    const auto t = run_peer(peer, k, k.n);
    if (!t) return std::nullopt;
    best = std::min(best.value_or(*t), *t);
  }
  return std::max(0.0, *best - *start);
}

struct Mean {
  double log_sum = 0;
  u32 count = 0;
  void add(double x) {
    log_sum += std::log(x);
    ++count;
  }
  double value() const { return count ? std::exp(log_sum / count) : NAN; }
};

struct Options {
  u32 repeat = 3;
  bool json = false, peers = true;
  std::vector<std::string> only;
};

struct Row {
  double native = 0;
  std::optional<double> interp;
  std::vector<std::optional<double>> peers;  // all as multiples of native
};

Row measure(const Kernel& k, const Options& o) {
  Row row;
  // Kernels keep state between runs in one process: the first result is the one to compare with.
  const u32 expected = k.native(k.n);
  row.native = shortest(o.repeat, [&] { k.native(k.n); });
  const auto times = [&](std::optional<double> seconds) {
    return seconds ? std::optional(*seconds / row.native) : std::nullopt;
  };
  row.interp = times(interpreted(k, o.repeat, expected));
  if (o.peers)
    for (const Peer& peer : kPeers) row.peers.push_back(times(measure_peer(peer, k, o.repeat)));
  return row;
}

void print_json(const Kernel& k, const Row& row) {
  fmt::print("{{\"kernel\":\"{}\",\"native_ms\":{:.3f}", k.name, row.native * 1e3);
  if (row.interp) fmt::print(",\"interp_x\":{:.3f}", *row.interp);
  for (size_t i = 0; i < row.peers.size(); ++i)
    if (row.peers[i]) fmt::print(",\"{}_x\":{:.3f}", kPeers[i].name, *row.peers[i]);
  fmt::print("}}\n");
}

int run(const Options& o) {
  std::array<Mean, 3> ours;                                                    // by set
  std::vector<Mean> theirs(std::size(kPeers)), ours_there(std::size(kPeers));  // of the nine
  bool ok = true;
  if (!o.json) {
    fmt::print("CPU time as a multiple of clang -O3\n{:<14}{:>10}{:>9}", "kernel", "native ms", "interp");
    for (const Peer& p : kPeers)
      if (o.peers) fmt::print("{:>12}", p.name);
    fmt::print("\n");
  }
  for (const Kernel& k : kKernels) {
    if (!o.only.empty() && std::ranges::find(o.only, k.name) == o.only.end()) continue;
    const Row row = measure(k, o);
    ok = ok && row.interp;
    if (row.interp) ours[static_cast<size_t>(k.set)].add(*row.interp);
    for (size_t i = 0; i < row.peers.size(); ++i) {
      if (!row.peers[i] || !row.interp || k.set != Set::nine) continue;
      theirs[i].add(*row.peers[i]);
      ours_there[i].add(*row.interp);
    }
    if (o.json) {
      print_json(k, row);
      continue;
    }
    fmt::print("{:<14}{:>10.1f}{:>9.2f}", k.name, row.native * 1e3, row.interp.value_or(NAN));
    for (const auto& p : row.peers) fmt::print("{:>12}", p ? fmt::format("{:.2f}", *p) : "-");
    fmt::print("\n");
    std::fflush(stdout);  // a row may take minutes
  }
  if (o.json) return ok ? 0 : 1;
  fmt::print("geometric mean of the nine {:.2f}, simd {:.2f}, more {:.2f}\n", ours[0].value(),
             ours[1].value(), ours[2].value());
  for (size_t i = 0; i < std::size(kPeers); ++i)
    if (theirs[i].count != 0)
      fmt::print("  {} {:.2f}: {:.2f} times ours, on {} of the nine\n", kPeers[i].name, theirs[i].value(),
                 theirs[i].value() / ours_there[i].value(), theirs[i].count);
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  tenon::Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--json")
      o.json = true;
    else if (arg == "--no-peers")
      o.peers = false;
    else if (arg == "--repeat" && i + 1 < argc)
      o.repeat = static_cast<tenon::u32>(std::max(1, std::atoi(argv[++i])));
    else
      o.only.emplace_back(arg);
  }
  return tenon::run(o);
}
