// Running graphs: compile a Graph into a shared immutable Model, make Contexts of it, set inputs, compute,
// get outputs. Inputs behave as if copied when set and outputs as if copied when computed, yet where the
// graph allows it the operators that read an input run inside set_input on the caller's bytes, and the last
// operator of an output runs inside get_output into the caller's bytes (docs/design/0002-nn.md). Statistics
// count what was viewed in place and what had to be copied.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/graph.h"

namespace tenon::kernels {

struct CompileOptions {
  int threads = 1;             // team size of every kernel in a plan, >= 1
  bool lease_threads = false;  // computes share ThreadTokens: one-thread plans run when others compute
  std::size_t max_plans = 8;   // plans kept, one for each set of input shapes
  bool reference = false;      // plain-loop kernels only, no fusion: the oracle
  bool fuse = true;
  Limits limits;
};

struct TensorInfo {
  std::string name;
  ValueType type;  // dynamic dims are symbols or unknown
};

/// Counters of one kind of call.
struct CallStatistics {
  std::uint64_t calls = 0;
  std::uint64_t nanoseconds = 0;
  std::uint64_t bytes_viewed = 0;  // caller's bytes that operators read or wrote where they lie
  std::uint64_t bytes_copied = 0;  // caller's bytes moved with type and layout unchanged
};
struct Statistics {
  CallStatistics set_input, compute, get_output;
  std::uint64_t plans_made = 0;
  std::uint64_t plan_nanoseconds = 0;
  std::uint64_t activation_bytes = 0;  // memory this context holds for its current plan
};

/// One step of the current plan, for inspection and profiling.
struct StepInfo {
  enum class Phase : std::uint8_t { early, compute, late };
  std::string node, op, implementation;  // implementation: "dnnl jit:avx512_core", "tenon unary", "reference"
  Phase phase = Phase::compute;
  TensorView output = {};  // type and dims of the first result; no bytes
  std::uint64_t flops =
      0;  // 2 for each multiply-add of convolutions and products, else one for each output element
  std::uint64_t runs = 0, nanoseconds = 0;  // filled when profiling is on
};

/// What computes, for `--version`: "oneDNN 2.6.3".
std::string backend_version();

class Context;
namespace internal {
class ModelImpl;
class ContextImpl;
}  // namespace internal

/// A compiled graph with its constants: immutable to callers, shared by contexts and threads.
class Model : public std::enable_shared_from_this<Model> {
 public:
  ~Model();
  const std::string& name() const;  // the file of the graph
  const std::vector<TensorInfo>& inputs() const;
  const std::vector<TensorInfo>& outputs() const;
  const Graph& graph() const;
  std::uint64_t constant_bytes() const;
  /// too_large when the context's memory would exceed the limits.
  Result<std::unique_ptr<Context>> create_context() const;

 private:
  friend Result<std::shared_ptr<const Model>> compile(Graph graph, CompileOptions options);
  friend class Context;
  explicit Model(std::unique_ptr<internal::ModelImpl> impl);
  std::unique_ptr<internal::ModelImpl> impl_;
};

/// Checks operators and types, and plans at once when all input shapes are constant.
/// unsupported_operation and invalid_encoding name file, node, operator and opset.
Result<std::shared_ptr<const Model>> compile(Graph graph, CompileOptions options = {});

/// What one compute may use; checked between operators.
struct ComputeOptions {
  const std::atomic<bool>* stop = nullptr;            // set by another thread: interrupted
  const volatile std::uint32_t* interrupt = nullptr;  // as `stop`, for a word that is not ours
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

/// An input for one Context::run.
struct RunInput {
  std::size_t index = 0;
  TensorView tensor;
};
/// Where Context::run writes an output.
struct RunOutput {
  std::size_t index = 0;
  std::span<std::byte> out;
  std::size_t written = 0;  // bytes, set by run
};

/// One inference at a time; calls from two threads at once give `busy`. Keeps its Model alive.
class Context {
 public:
  ~Context();
  /// Reads `tensor` before it returns; the caller may reuse its bytes. A failing call keeps the old value.
  /// invalid_argument: index, type, rank, dims or byte length wrong for this input.
  Result<void> set_input(std::size_t index, const TensorView& tensor, const ComputeOptions& options = {});
  /// As set_input for any value, strings, sequences and optionals included.
  Result<void> set_input_value(std::size_t index, Value value);
  /// Needs all inputs set; runs what is neither early nor late.
  Result<void> compute(const ComputeOptions& options = {});
  /// Writes output `index` into `out` and returns the bytes written. too_large (with needed_bytes) when it
  /// does not fit: then nothing is written. Needs a compute before; may be called any number of times.
  Result<std::size_t> get_output(std::size_t index, std::span<std::byte> out,
                                 const ComputeOptions& options = {});
  /// Sets these inputs, computes, and writes these outputs, as one call. `stable`: nobody else writes the
  /// inputs' bytes meanwhile, so that those which set_input would copy are read in place where operators can.
  /// Outputs may overlap inputs. Afterwards inputs that were read in place count as not set, and outputs that
  /// depend on them directly are gone. Errors: as those of the three calls; with too_large nothing is written.
  Result<void> run(std::span<const RunInput> inputs, std::span<RunOutput> outputs, bool stable,
                   const ComputeOptions& options = {});
  /// A copy of the output as a value.
  Result<Value> get_output_value(std::size_t index, const ComputeOptions& options = {});
  /// Type and concrete dims of an output of the last compute (or of the plan, when shapes are known before).
  Result<TensorView> describe_output(std::size_t index) const;  // its bytes are empty
  Result<std::size_t> output_bytes(std::size_t index) const;

  const Model& model() const;
  /// May be called while another thread uses the context.
  Statistics statistics() const;
  void reset_statistics();
  void set_timing(bool on);  // whether `nanoseconds` are measured; on by default
  void set_profiling(bool on);
  std::vector<StepInfo> steps() const;

 private:
  friend class Model;
  explicit Context(std::unique_ptr<internal::ContextImpl> impl);
  std::unique_ptr<internal::ContextImpl> impl_;
};

}  // namespace tenon::kernels
