// `tenon nn bench`: times a model on made-up inputs; see tools.h. Says nothing about results.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "kernels/observe.h"
#include "kernels/peak.h"
#include "wasi-nn/environment.h"
#include "wasi-nn/graph_dump.h"
#include "wasi-nn/tools.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Result;
using kernels::StepInfo;
using kernels::Tensor;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The dims of an input: declared ones, the batch for a dynamic first one, what --shape says for others.
Result<Dims> dims_of(const kernels::TensorInfo& info, const BenchOptions& options) {
  for (const auto& [name, dims] : options.shapes) {
    if (name == info.name || name.empty()) return Dims::from(dims);
  }
  if (info.type.kind != kernels::ValueType::Kind::tensor || !info.type.shape) {
    return fail(ErrorCode::invalid_argument, "input '{}' ({}) has no shape: --shape {}=1x3x224x224",
                info.name, to_string(info.type), info.name);
  }
  std::vector<int64_t> dims;
  for (const kernels::Dim& dim : *info.type.shape) {
    if (!dim.is_constant() && !dims.empty()) {
      return fail(ErrorCode::invalid_argument, "input '{}' ({}) has dynamic dims: --shape {}=1x3x224x224",
                  info.name, to_string(info.type), info.name);
    }
    dims.push_back(dim.is_constant() ? dim.value : options.batch);
  }
  return Dims::from(dims);
}

// Numbers in [0, 1) for floats, zeros else, which are indices in range.
Result<Tensor> made_up(const kernels::TensorInfo& info, const BenchOptions& options) {
  const Dims dims = TENON_TRY(dims_of(info, options));
  if (info.type.element == DataType::string) {
    return fail(ErrorCode::unsupported_operation, "input '{}' holds strings", info.name);
  }
  Tensor tensor = TENON_TRY(Tensor::allocate(info.type.element, dims, kernels::Limits{}.max_tensor_bytes));
  if (info.type.element != DataType::f32) return tensor;
  std::minstd_rand random(1);
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const float value = static_cast<float>(random() % 4096) / 4096;
    std::memcpy(tensor.mutable_data() + i * 4, &value, sizeof value);
  }
  return tensor;
}

struct Measured {
  double load_ms = 0, first_ms = 0;
  std::vector<double> runs;  // sorted
  double at(double share) const {
    return runs[std::min(runs.size() - 1, static_cast<size_t>(share * static_cast<double>(runs.size())))];
  }
  double median() const { return runs[runs.size() / 2]; }
};

// Steps as events for Perfetto.
struct Trace final : kernels::StepObserver {
  json events = json::array();
  void ran(const StepInfo& step, uint64_t start, uint64_t nanoseconds) override {
    events.push_back({{"name", step.op},
                      {"cat", step.implementation},
                      {"ph", "X"},
                      {"ts", static_cast<double>(start) / 1e3},
                      {"dur", static_cast<double>(nanoseconds) / 1e3},
                      {"pid", 1},
                      {"tid", 1},
                      {"args", {{"node", step.node}, {"output", to_string(step.output.dims)}}}});
  }
};

class Bench {
 public:
  Bench(const std::string& path, const BenchOptions& options, const LineSink& progress)
      : path_(path), options_(options), progress_(progress) {}

  Result<std::string> run() {
    TENON_TRY(load());
    measured_.first_ms = TENON_TRY(once());
    progress_(fmt::format("load {:.1f} ms, first inference {:.2f} ms; warming up", measured_.load_ms,
                          measured_.first_ms));
    const auto warm_until = Clock::now() + std::chrono::milliseconds(options_.warmup_ms);
    do TENON_TRY(once());
    while (Clock::now() < warm_until);
    progress_(fmt::format("{} runs on {} threads", options_.runs, options_.threads));
    for (int i = 0; i < options_.runs; ++i) measured_.runs.push_back(TENON_TRY(once()));
    std::ranges::sort(measured_.runs);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    peak_rss_mb_ = static_cast<double>(usage.ru_maxrss) / 1024;
    TENON_TRY(profile());
    if (!options_.dump_folder.empty()) TENON_TRY(dump());
    return options_.as_json ? as_json().dump(2) + "\n" : as_text();
  }

 private:
  Result<void> load() {
    progress_(fmt::format("loading {}", path_));
    kernels::CompileOptions compile;
    compile.threads = options_.threads;
    const auto start = Clock::now();
    model_ = TENON_TRY(load_model_file(path_, compile));
    context_ = TENON_TRY(model_->create_context());
    measured_.load_ms = milliseconds_since(start);
    for (const auto& info : model_->inputs()) inputs_.push_back(TENON_TRY(made_up(info, options_)));
    outputs_.resize(model_->outputs().size());
    return {};
  }

  // One inference as a guest does it: inputs, compute, outputs into the caller's buffers.
  Result<double> once() {
    const auto start = Clock::now();
    for (size_t i = 0; i < inputs_.size(); ++i) TENON_TRY(context_->set_input(i, inputs_[i].view()));
    TENON_TRY(context_->compute());
    for (size_t i = 0; i < outputs_.size(); ++i) {
      outputs_[i].resize(TENON_TRY(context_->output_bytes(i)));
      TENON_TRY(context_->get_output(i, outputs_[i]));
    }
    return milliseconds_since(start);
  }

  // A few more runs with a clock around each step: their times do not count.
  Result<void> profile() {
    constexpr int kRuns = 10;
    Trace trace;
    context_->set_profiling(true);
    if (!options_.trace_file.empty()) kernels::observe_steps(&trace);
    Result<double> ran = 0.0;
    for (int i = 0; i < kRuns && ran; ++i) ran = once();
    kernels::observe_steps(nullptr);
    TENON_TRY(std::move(ran));
    steps_ = context_->steps();
    if (options_.trace_file.empty()) return {};
    std::ofstream out(options_.trace_file);
    out << json{{"traceEvents", std::move(trace.events)}, {"displayTimeUnit", "ns"}}.dump() << "\n";
    if (!out.flush()) return fail(ErrorCode::not_found, "{}: cannot be written", options_.trace_file);
    return {};
  }

  Result<void> dump() const {
    std::vector<Dims> dims;
    for (const Tensor& input : inputs_) dims.push_back(input.dims());
    kernels::CompileOptions compile;
    compile.threads = options_.threads;
    return dump_graph(*model_, *context_, dims, compile, options_.dump_folder);
  }

  struct Row {
    std::string op, implementation;
    uint64_t steps = 0, flops = 0;
    double ms = 0;  // of one inference
    double gflops() const { return ms > 0 ? static_cast<double>(flops) / ms / 1e6 : 0; }
  };

  // Steps by operator and implementation, slowest first.
  std::vector<Row> rows() const {
    std::map<std::pair<std::string, std::string>, Row> by_kind;
    for (const StepInfo& step : steps_) {
      Row& row = by_kind[{step.op, step.implementation}];
      row.op = step.op;
      row.implementation = step.implementation;
      ++row.steps;
      row.flops += step.flops;
      if (step.runs > 0)
        row.ms += static_cast<double>(step.nanoseconds) / static_cast<double>(step.runs) / 1e6;
    }
    std::vector<Row> rows;
    for (auto& [key, row] : by_kind) rows.push_back(std::move(row));
    std::ranges::sort(rows, std::greater<>(), &Row::ms);
    return rows;
  }

  double throughput() const { return options_.batch / measured_.median() * 1e3; }

  json as_json() const {
    json table = json::array();
    const double peak = kernels::peak_gflops(options_.threads);
    for (const Row& row : rows()) {
      table.push_back({{"op", row.op},
                       {"implementation", row.implementation},
                       {"steps", row.steps},
                       {"ms", row.ms},
                       {"gflops", row.gflops()},
                       {"share_of_peak", row.gflops() / peak}});
    }
    return {{"model", path_},
            {"threads", options_.threads},
            {"batch", options_.batch},
            {"runs", options_.runs},
            {"load_ms", measured_.load_ms},
            {"first_ms", measured_.first_ms},
            {"median_ms", measured_.median()},
            {"p95_ms", measured_.at(0.95)},
            {"p99_ms", measured_.at(0.99)},
            {"min_ms", measured_.runs.front()},
            {"throughput", throughput()},
            {"peak_rss_mb", peak_rss_mb_},
            {"peak_gflops", peak},
            {"operators", std::move(table)}};
  }

  std::string as_text() const {
    const Measured& m = measured_;
    const double peak = kernels::peak_gflops(options_.threads);
    std::string text = fmt::format(
        "{}\n{} threads, batch {}, {} runs\n"
        "load {:.2f} ms, first inference {:.3f} ms\n"
        "median {:.3f} ms, p95 {:.3f}, p99 {:.3f}, best {:.3f}; {:.1f} inferences/s\n"
        "peak memory {:.1f} MiB; peak of this machine {:.0f} GFLOP/s (f32)\n\n",
        path_, options_.threads, options_.batch, options_.runs, m.load_ms, m.first_ms, m.median(), m.at(0.95),
        m.at(0.99), m.runs.front(), throughput(), peak_rss_mb_, peak);
    text += fmt::format("{:<24} {:<32} {:>5} {:>9} {:>7} {:>9} {:>7}\n", "operator", "implementation",
                        "steps", "ms", "share", "GFLOP/s", "of peak");
    double total = 0;
    for (const Row& row : rows()) total += row.ms;
    for (const Row& row : rows()) {
      text += fmt::format("{:<24} {:<32} {:>5} {:>9.4f} {:>6.1f}% {:>9.1f} {:>6.1f}%\n", row.op,
                          row.implementation, row.steps, row.ms, total > 0 ? 100 * row.ms / total : 0,
                          row.gflops(), 100 * row.gflops() / peak);
    }
    return text;
  }

  const std::string& path_;
  const BenchOptions& options_;
  const LineSink& progress_;
  std::shared_ptr<const kernels::Model> model_;
  std::unique_ptr<kernels::Context> context_;
  std::vector<Tensor> inputs_;
  std::vector<std::vector<std::byte>> outputs_;
  Measured measured_;
  std::vector<StepInfo> steps_;
  double peak_rss_mb_ = 0;
};

}  // namespace

ToolResult bench_model(const std::string& path, const BenchOptions& options, const LineSink& progress) {
  if (options.threads < 1 || options.runs < 1 || options.batch < 1 || options.warmup_ms < 0) {
    return {false, {}, "threads, runs and batch must be at least 1"};
  }
  auto text = Bench(path, options, progress).run();
  if (text) return {true, *std::move(text), {}};
  return {false, {}, text.error().message};
}

}  // namespace tenon::nn
