// From a graph and concrete input shapes to a Plan, in four stages: flatten (shapes, constant folding, views,
// branches that are known), lower (fusion, layouts, kernels), place (early and late operators, one arena),
// all in terms of the types below. A graph whose shapes depend on data has no plan as a whole: the
// interpreter runs it, with plans for its parts (segments.h). Internal to kernels/.
#pragma once
#include <list>
#include <mutex>

#include "kernels/constant_store.h"
#include "kernels/dnnl/primitives.h"
#include "kernels/ops.h"

namespace tenon::kernels {

/// An address that is known when a context runs: a space's base, which contexts fill in, plus an offset.
struct Location {
  std::uint32_t space = 0;
  std::uint64_t offset = 0;
};

/// Spaces of a plan with I inputs: absolute addresses (constants), the arena, then for each input the
/// caller's or copied bytes, then for each input the results of its early operators, then for each output the
/// caller's buffer.
struct Spaces {
  std::uint32_t inputs = 0;
  static constexpr std::uint32_t kAbsolute = 0, kArena = 1;
  std::uint32_t input(std::size_t i) const { return 2 + static_cast<std::uint32_t>(i); }
  std::uint32_t early(std::size_t i) const { return 2 + inputs + static_cast<std::uint32_t>(i); }
  std::uint32_t output(std::size_t o) const { return 2 + 2 * inputs + static_cast<std::uint32_t>(o); }
};

struct Step {
  std::shared_ptr<const Kernel> kernel;
  std::vector<Location> in, out;
  std::vector<bool> in_present, out_present;
  StepInfo::Phase phase = StepInfo::Phase::compute;
  std::string place;  // of the node, for errors
  std::string node, op;
  TensorDesc output;
  std::uint64_t flops = 0;
  std::vector<std::uint32_t> reads;  // steps whose results it reads
};

struct PlanInput {
  TensorDesc desc;
  std::size_t bytes = 0;
  bool early = false;      // its operators run in set_input; otherwise it is copied
  bool read_late = false;  // a late operator reads it or its early results: kept twice
  bool in_place = false;   // all readers could read the caller's bytes, at any address
  std::size_t early_bytes = 0;
  std::vector<std::uint32_t> steps;
};

struct PlanOutput {
  TensorDesc desc;
  std::size_t bytes = 0;
  std::optional<std::uint32_t> late_step;  // writes the caller's buffer; otherwise `from` is copied
  bool in_place = false;                   // a compute step writes the caller's buffer
  Location from;
};

/// Immutable, shared by contexts.
struct Plan {
  int threads = 1;
  bool interpreted = false;  // no static plan: nothing else is set
  Spaces spaces;
  std::vector<PlanInput> inputs;
  std::vector<PlanOutput> outputs;
  std::vector<Step> steps;
  std::vector<std::uint32_t> compute;  // indices into steps, in order
  std::size_t arena_bytes = 0, scratch_bytes = 0;
  std::vector<Tensor> constants;  // keeps what absolute locations point to
};

/// Constants derived from a model's own: folded nodes and weights in oneDNN's layouts. Shared by all plans of
/// the model.
class ConstantCache {
 public:
  explicit ConstantCache(const Graph& graph, StoredConstants stored = ConstantStoreScope::current())
      : graph_(graph), stored_(std::move(stored)) {}
  /// The cached tensor of this key, or what `make` gives. Keys that are made of names are looked for in the store too.
  Result<Tensor> get(const std::string& key, const std::function<Result<Tensor>()>& make);
  /// A name for a constant's bytes or a node, for keys: the same in the next process when it can be.
  std::string name_of(const std::byte* constant) const;
  std::string name_of(const Node& node) const;
  std::uint64_t bytes() const;

 private:
  const Graph& graph_;
  const StoredConstants stored_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Tensor> tensors_;
  std::unordered_map<const std::byte*, std::string> derived_;  // keys of tensors, by where they lie
  std::uint64_t bytes_ = 0;
};

// Stage 1: flatten.

constexpr std::int32_t kNone = -1;

struct FlatNode {
  const Graph* graph = nullptr;
  const Node* node = nullptr;
  std::vector<std::int32_t> in, out;  // indices of FlatValues, kNone: absent
  bool done = false;                  // fused into an earlier node, or dead
};

struct FlatValue {
  Operand operand;
  std::int32_t alias_of = kNone;  // a view of another value: same plain bytes
  std::int32_t producer = kNone;  // index of a FlatNode
  std::int32_t input = kNone;     // index of a graph input
  std::vector<std::int32_t> users;
  bool has_alias = false;
  bool is_output = false;
  bool of_model = false;  // a constant that depends on the model alone, not on input shapes
};

struct FlatGraph {
  std::vector<FlatValue> values;
  std::vector<FlatNode> nodes;
  std::vector<std::int32_t> inputs, outputs;
};

struct Flattened {
  std::optional<FlatGraph> graph;  // nothing: shapes or branches depend on data
  // Then: the node of `graph` that stopped it; whether it asked for the contents of an operand; and the inputs
  // that decide these contents, unless larger computations do.
  std::size_t stopped_at = 0;
  bool wants_contents = false;
  std::optional<std::vector<std::size_t>> deciding_inputs;
};

/// `inputs`: type and dims of each graph input, and the contents of those that are known.
Result<Flattened> flatten(const Graph& graph, std::span<const Operand> inputs, const CompileOptions& options,
                          ConstantCache& cache);

// Stage 2: lower.

struct Storage {
  enum class Kind : std::uint8_t { constant, input, step };
  Kind kind = Kind::step;
  std::size_t bytes = 0;
  Tensor constant;
  std::int32_t input = kNone;
  std::int32_t producer = kNone;  // index of a LoweredStep
  std::vector<std::int32_t> readers;
};

struct LoweredStep {
  std::shared_ptr<const Kernel> kernel;
  std::vector<std::int32_t> in, out;  // indices of Storages, kNone: absent
  const Graph* graph = nullptr;
  const Node* node = nullptr;
  TensorDesc output;
  std::uint64_t flops = 0;
};

struct LoweredGraph {
  std::vector<Storage> storages;
  std::vector<LoweredStep> steps;
  std::vector<std::int32_t> outputs;  // plain storage of each graph output
  std::vector<std::int32_t> inputs;   // storage of each graph input
};

Result<LoweredGraph> lower(FlatGraph& flat, const CompileOptions& options, ConstantCache& cache);

// Stage 3: place.

/// `may_be_early[i]`: setting other inputs cannot change the plan after input i was set. Empty: the plan is part of
/// another run, nothing is early or late, and where possible outputs are written in place.
Result<Plan> place(const FlatGraph& flat, LoweredGraph& lowered, std::span<const bool> may_be_early,
                   const CompileOptions& options);

/// All stages.
Result<std::shared_ptr<const Plan>> make_plan(const Graph& graph, std::span<const Dims> input_dims,
                                              std::span<const bool> may_be_early,
                                              const CompileOptions& options, ConstantCache& cache);

/// Runs one step of a plan: `bases` are the addresses of its spaces. Errors carry the node's place.
Result<void> run_step(const Step& step, std::span<std::byte* const> bases, std::byte* scratch,
                      KernelState* state);
/// Counts a run of a step that began at `start`, and tells the thread's observer.
void count_run(StepInfo& info, std::chrono::steady_clock::time_point start);
/// What is known of a plan's steps before they run.
std::vector<StepInfo> step_infos(const Plan& plan);

/// Runs a kernel once on tensors, with scratch and state of its own; for folding.
Result<std::vector<Tensor>> run_once(const Kernel& kernel, std::span<const Operand> inputs,
                                     std::span<const TensorDesc> outputs, const Limits& limits);

}  // namespace tenon::kernels
