// Measures compiled code against the same kernels compiled by clang -O3: CPU time of the calls alone, without
// compilation, the shortest of some runs. The interpreter and other engines are measured by engine_bench.
// jit_bench [--json] [--repeat N] [--level 0…3] [--memory64] [--dump-ir DIR] [KERNEL…]
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "../cpu_time.h"
#include "engine/native/native_tier.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/plugin.h"
#include "engine/runtime/store.h"

extern "C" {
#define KERNEL(name, n, set) tenon::u32 native_##name(tenon::u32);
#include "kernels.def"
}

namespace tenon {
namespace {

using bench::cpu_seconds;
using bench::shortest;

struct Kernel {
  const char* name;
  u32 n;
  u32 (*native)(u32);
};
constexpr Kernel kKernels[] = {
#define KERNEL(name, n, set) {#name, n, native_##name},
#include "kernels.def"
};

struct Options {
  u32 repeat = 3;
  bool json = false, memory64 = false;
  NativeOptions compiler;
  std::vector<std::string> kernels;
};

std::string guest_path(const Kernel& k, const Options& options) {
  return fmt::format("{}/{}{}.wasm", TENON_KERNELS, k.name, options.memory64 ? ".memory64" : "");
}

Result<std::unique_ptr<Store>> new_store(std::shared_ptr<Engine> engine, const Options& options) {
  static const auto kPlugin = load_plugin(TENON_JIT_PLUGIN, "jit");
  if (!kPlugin) return std::unexpected(kPlugin.error());
  auto store = std::make_unique<Store>(std::move(engine));
  NativeOptions native = options.compiler;
  native.compile = static_cast<const JitPlugin*>(*kPlugin)->compile;
  store->set_compiler(std::make_unique<NativeTier>(*store, std::move(native)));
  return store;
}

// The shortest call in CPU seconds. A fresh instance each time: kernels keep state. Errors: the guest's trap, a
// wrong result, no compiler.
Result<double> guest(const Kernel& k, const Options& options, u32 expected) {
  std::ifstream in(guest_path(k, options), std::ios::binary);
  const std::vector<u8> bytes((std::istreambuf_iterator<char>(in)), {});
  auto engine = std::make_shared<Engine>();
  TRY_ASSIGN(auto module, engine->compile(bytes));
  double best = 1e9;
  for (u32 i = 0; i < options.repeat; ++i) {
    TRY_ASSIGN(auto store, new_store(engine, options));
    TRY_ASSIGN(Instance * instance, store->instantiate(module, {}));
    Slot slots[4]{};
    slots[0].u32_ = k.n;
    FuncRef* run = std::get<FuncRef*>(*instance->find_export("run"));
    const double start = cpu_seconds();
    const Status status = store->call(run, slots);
    best = std::min(best, cpu_seconds() - start);
    if (status != Status::ok) return std::unexpected(store->trap_error(status));
    if (slots[0].u32_ != expected)
      return std::unexpected(Error{ErrorCategory::unsupported, "wrong result", {}});
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

int run(const Options& options) {
  Mean mean;
  bool ok = true;
  if (!options.json) fmt::print("{:<14}{:>10}{:>10}{:>10}\n", "kernel", "native ms", "jit ms", "x native");
  for (const Kernel& k : kKernels) {
    if (!options.kernels.empty() && std::ranges::find(options.kernels, k.name) == options.kernels.end())
      continue;
    // Kernels keep state between runs in one process: the first result is the one to compare with.
    const u32 expected = k.native(k.n);
    const double native = shortest(options.repeat, [&] { k.native(k.n); });
    const auto seconds = guest(k, options, expected);
    if (!seconds) {
      fmt::print(stderr, "{}: {}\n", k.name, seconds.error().message);
      ok = false;
      continue;
    }
    mean.add(*seconds / native);
    if (options.json)
      fmt::print("{{\"kernel\":\"{}\",\"native_ms\":{:.3f},\"jit_x\":{:.3f}}}\n", k.name, native * 1e3,
                 *seconds / native);
    else
      fmt::print("{:<14}{:>10.1f}{:>10.1f}{:>10.2f}\n", k.name, native * 1e3, *seconds * 1e3,
                 *seconds / native);
  }
  if (!options.json) fmt::print("geometric mean: {:.2f}\n", mean.value());
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  tenon::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (arg == "--json") {
      options.json = true;
      continue;
    }
    if (arg == "--memory64") {
      options.memory64 = true;
      continue;
    }
    if (!arg.starts_with("--")) {
      options.kernels.emplace_back(arg);
      continue;
    }
    if (arg == "--repeat") options.repeat = static_cast<tenon::u32>(std::max(1, std::atoi(value)));
    if (arg == "--level") options.compiler.opt_level = static_cast<tenon::u8>(std::atoi(value));
    if (arg == "--dump-ir") options.compiler.dump_ir = value;
    ++i;
  }
  return tenon::run(options);
}
