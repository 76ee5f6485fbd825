// The `tenon nn` tools as functions: inspect, run and test models without Wasm, on the same code path as
// wasi-nn. Results are text, so that the command line needs neither kernels/ nor oneDNN to call them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::nn {

struct ToolResult {
  bool ok = false;
  std::string text;   // for standard output
  std::string error;  // one line for standard error when not ok
};

struct InspectOptions {
  bool steps = false;  // also the steps of the plan and the implementation of each
};

// Inputs, outputs, operators with counts, parameters, and cost where the input shapes are known.
ToolResult inspect_model(const std::string& path, const InspectOptions& options);

struct NamedFile {
  std::string name;  // of the model's input; empty: its only one
  std::string file;  // .npy .pb .png .jpg .bin
};

struct RunOptions {
  int threads = 1;
  int runs = 1;               // the last one's outputs are shown
  std::string output_folder;  // non-empty: each output goes to <folder>/<index>.npy too
  bool statistics = false;
  bool profile = false;  // time of each step
};

// Sets the inputs, computes, and prints each output's type, shape and first or best values.
ToolResult run_model(const std::string& path, std::span<const NamedFile> inputs, const RunOptions& options);

struct BenchOptions {
  int threads = 1;
  int64_t batch = 1;  // for inputs whose first dimension is dynamic
  int runs = 100;
  int warmup_ms = 200;
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;  // of inputs by name; empty: of all
  bool as_json = false;
  std::string trace_file;   // non-empty: time of each step of ten runs, for Perfetto
  std::string dump_folder;  // non-empty: the graph before and after planning, as text and for Graphviz
};

using LineSink = std::function<void(std::string_view)>;

// Times a model on made-up inputs: load, first inference, median and high percentiles of `runs` more, peak
// memory, and a table of operators with the implementation chosen. `progress` gets a line for each stage.
ToolResult bench_model(const std::string& path, const BenchOptions& options, const LineSink& progress);

struct TestOptions {
  int threads = 1;
  std::optional<double> rtol, atol;  // instead of the suite's own rule
  bool reference = false;            // plain-loop kernels
  bool verbose = false;              // a line for each passing case too
  std::string filter;                // only cases whose path contains it
};

struct TestTotals {
  uint64_t passed = 0, failed = 0, skipped = 0;
};

// Runs every case below `paths`: folders in the ONNX backend layout (model.onnx,
// test_data_set_N/{input,output}_K.pb), with golden/golden.json, or of light models (X.onnx, X_output_0.pb),
// and folders of such folders. A model that needs an operator or type Tenon lacks is skipped, with the
// reason; anything else that goes wrong fails. One line for each failure and skip goes to `line`, and at last
// "N passed, N failed, N skipped".
TestTotals test_models(std::span<const std::string> paths, const TestOptions& options, const LineSink& line);

}  // namespace tenon::nn
