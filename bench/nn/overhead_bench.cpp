// What wasi-nn costs around the operators: a guest's loops over its calls, in compiled code and in the interpreter, against
// one memcpy of the tensor or the operators alone. CPU time of this thread, best of several runs: nn_bench [--json]. And
// what it takes to load a model by name to the end of its first inference, with packed weights in the user's cache folder:
// nn_bench --load MODEL FLOATS_OF_ITS_INPUT, twice.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "../cpu_time.h"
#include "tenon.hpp"
#include "tests/nn/onnx_writer.h"

namespace {

using tenon::nn::test::Bytes;
using tenon::nn::test::value;

double seconds() { return tenon::bench::cpu_seconds(CLOCK_THREAD_CPUTIME_ID); }

// Nanoseconds of one of `n` that f(n) does.
template <class F>
double best(int n, F f) {
  double best = 1e18;
  f(std::max(n / 10, 1));
  for (int i = 0; i < 15; ++i) {
    const double start = seconds();
    f(n);
    best = std::min(best, (seconds() - start) * 1e9 / n);
  }
  return best;
}

Bytes model(int count, std::vector<std::string> ops) {
  const std::vector<std::string> dims{std::to_string(count)};
  tenon::nn::test::GraphText graph{.inputs = {value("x0", 1, dims)},
                                   .outputs = {value(fmt::format("x{}", ops.size()), 1, dims)},
                                   .nodes = {}};
  for (size_t i = 0; i < ops.size(); ++i)
    graph.nodes.push_back({ops[i], {fmt::format("x{}", i)}, {fmt::format("x{}", i + 1)}});
  return tenon::nn::test::model(graph);
}

class Guest {
 public:
  Guest(tenon_tier_t tier, const Bytes& bytes, int count) : bytes_(bytes) {
    tenon::Nn nn = make_nn();
    (void)nn.add_graph_bytes("m", bytes_);
    start(tier, nn);
    ok_ = call("open", count) == 0;
  }
  // The model is in a file; nothing is loaded yet.
  Guest(tenon_tier_t tier, const std::string& path) {
    tenon::Nn nn = make_nn();
    nn.cache();
    ok_ = nn.add_graph("m=" + path).has_value();
    start(tier, nn);
  }

 private:
  static tenon::Nn make_nn() {
    tenon::Nn nn = std::move(tenon::Nn::make(1).value());
    nn.set(TENON_NN_TIMING, 0);
    return nn;
  }
  void start(tenon_tier_t tier, const tenon::Nn& nn) {
    tenon::Config config;
    config.tier(tier);
    engine_.emplace(config);
    tenon::Linker linker(*engine_);
    (void)linker.nn(nn);
    module_.emplace(
        std::move(tenon::Module::from_file(*engine_, TENON_SOURCE_DIR "/bench/nn/overhead.wat").value()));
    store_.emplace(std::move(tenon::Store::make(*engine_).value()));
    instance_.emplace(linker.instantiate(*store_, *module_).value());
  }

  Bytes bytes_;
  std::optional<tenon::Engine> engine_;
  std::optional<tenon::Module> module_;
  std::optional<tenon::Store> store_;
  std::optional<tenon::Instance> instance_;
  bool ok_ = false;

 public:
  int call(const char* name, int n) { return (*instance_->get<int32_t(int32_t)>(name))(n).value(); }
  bool bind() { return (*instance_->get<int32_t()>("bind"))().value() == 0; }
  void copy(int n) { (void)(*instance_->get<void(int32_t)>("copy"))(n); }
  bool ok() const { return ok_; }
};

struct Row {
  std::string name;
  double nanoseconds, limit;  // limit: what the project wants at most, 0: nothing
};

std::vector<Row> measure(tenon_tier_t tier, const std::string& tier_name) {
  constexpr int kFloats = 150528;  // 602 kB
  std::vector<Row> rows;
  const auto run = [&](const std::string& name, const Bytes& bytes, int count, int n, auto limits) {
    Guest guest(tier, bytes, count);
    if (!guest.ok()) {
      fmt::print(stderr, "{}: the model does not load\n", name);
      return;
    }
    const double copy = best(n, [&](int k) { guest.copy(k); });
    rows.push_back({tier_name + " " + name + ": memory.copy of the tensor", copy, 0});
    const double plain = best(n, [&](int k) { guest.call("plain", k); });
    rows.push_back({tier_name + " " + name + ": set_input, compute, get_output", plain, limits(copy, false)});
    const double bound = guest.bind() ? best(n, [&](int k) { guest.call("bound", k); }) : 0;
    rows.push_back({tier_name + " " + name + ": compute of bound tensors", bound, limits(copy, true)});
  };
  run("identity 602 kB", model(kFloats, {"Identity"}), kFloats, 200,
      [](double copy, bool bound) { return bound ? copy + 1000 : 2 * copy + 1000; });
  run("one element-wise 602 kB", model(kFloats, {"Neg"}), kFloats, 200, [](double, bool) { return 0.0; });
  const double one =
      rows.empty() ? 0 : rows.back().nanoseconds;  // bound: the operator runs from range to range
  run("two element-wise 602 kB", model(kFloats, {"Neg", "Abs"}), kFloats, 200,
      [&](double, bool) { return 2 * one + 1000; });
  run("identity 4 bytes", model(1, {"Identity"}), 1, 100000, [](double, bool) { return 300.0; });
  run("two element-wise 4 bytes", model(1, {"Neg", "Abs"}), 1, 100000, [](double, bool) { return 300.0; });
  return rows;
}

// Of this process: what others take from the machine does not count.
double cpu_milliseconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

int measure_load(const std::string& path, int floats) {
  Guest guest(TENON_TIER_INTERP, path);
  const double start = cpu_milliseconds();
  const bool ok = guest.ok() && guest.call("open", floats) == 0;
  const double loaded = cpu_milliseconds();
  if (!ok || !guest.bind() || guest.call("bound", 1) != 0) {
    fmt::print(stderr, "{} does not load or run\n", path);
    return 1;
  }
  const double first = cpu_milliseconds();
  double warm = 1e9;
  for (int i = 0; i < 10; ++i) {
    const double begin = cpu_milliseconds();
    guest.call("bound", 1);
    warm = std::min(warm, cpu_milliseconds() - begin);
  }
  fmt::print(
      "load {:.1f} ms, first inference {:.1f} ms, warm {:.1f} ms of CPU time: load to the end of the first "
      "is "
      "{:.1f} ms more\n",
      loaded - start, first - loaded, warm, first - start - warm);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--load") == 0) return measure_load(argv[2], std::atoi(argv[3]));
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  std::vector<Row> rows = measure(TENON_TIER_JIT, "jit");
  for (Row& row : measure(TENON_TIER_INTERP, "interp")) rows.push_back(std::move(row));
  if (json) fmt::print("[");
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    if (json) {
      fmt::print("{}\n  {{\"name\": \"{}\", \"ns\": {:.1f}, \"limit\": {:.1f}}}", i ? "," : "", row.name,
                 row.nanoseconds, row.limit);
    } else {
      fmt::print("{:<66} {:>12.1f} ns{}\n", row.name, row.nanoseconds,
                 row.limit > 0 ? fmt::format("   (at most {:.1f})", row.limit) : "");
    }
  }
  if (json) fmt::print("\n]\n");
  return 0;
}
