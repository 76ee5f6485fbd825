// What tenon-nn.so gives the engine: wasi-nn for guests, and the model tools of `tenon nn`. Knows no tensors.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/error.h"
#include "engine/runtime/host_func.h"

namespace tenon {

struct NnPluginOptions {
  u32 threads = 0;  // that inference may use; 0: as many as processors
};

// Numbers that an environment can be told before guests load.
enum class NnSetting : u8 {
  max_model_bytes,     // of one model that a guest passes
  max_loaded_bytes,    // of all of them together
  max_tensor_bytes,    // of one tensor
  max_context_bytes,   // activations of one context
  max_operators,       // of one model
  max_graphs,          // open handles of one guest
  max_contexts,        // likewise
  max_compute_micros,  // of one inference; 0: no limit
  target_fallback,     // 1: gpu and tpu mean the cpu
  timing,              // 0: calls are counted, not timed
};

// What a module's imports and memory tell about its wasi-nn calls.
struct NnCaller {
  bool memory64 = false;       // pointers and lengths are i64
  bool shared_memory = false;  // other threads may write it during a call
  bool wasmedge = false;       // built for WasmEdge's variant
};

// One guest's handles. Outlives the store that calls through it; destroy it after the store.
class NnGuest {
 public:
  virtual ~NnGuest() = default;
  virtual void* data(const NnCaller& caller) = 0;  // HostFunc::data for NnEnvironment::functions()
};

// A model that an embedder's callback found: a path, or bytes that `owner` keeps alive and unchanged.
struct NnFoundModel {
  std::string path;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

// Element types of tensors that the host itself passes; the first six have wasi-nn's numbers.
enum class NnType : u8 { f16, f32, f64, u8, i32, i64, bf16, i8, i16, u16, u32, u64, boolean };

// What is known of an input or output.
struct NnEdge {
  std::string_view name;  // lives as long as the graph
  NnType type = NnType::f32;
  std::optional<std::vector<i64>> dims;  // -1: only an inference decides it; nothing: any rank
  u64 bytes = 0;                         // 0 while a dimension is open
};

// A tensor in the caller's memory, row-major and dense, at any address.
struct NnTensor {
  u32 index = 0;
  NnType type = NnType::f32;
  std::optional<std::span<const i64>> dims;  // nothing: they follow from the size
  std::span<const std::byte> bytes;
};
struct NnOutput {
  u32 index = 0;
  std::span<std::byte> bytes;
  u64 written = 0;
};

// One inference at a time. Keeps its graph alive, not its environment. Errors of every call: usage (index, type,
// dimensions, sizes), limit, trap (it failed while it computed, also for an input that is not set, or was interrupted).
class NnExecution {
 public:
  virtual ~NnExecution() = default;
  // As if the tensor was copied; a failing call keeps the old value.
  virtual Result<void> set_input(const NnTensor& tensor) = 0;
  virtual Result<void> compute() = 0;
  // Bytes written, or that are needed, in `size`. Error limit when they do not fit: nothing is written then.
  virtual Result<void> get_output(u32 index, std::span<std::byte> out, u64& size) = 0;
  // Sets these inputs, computes and writes these outputs as one call, in place where operators can. The inputs must be
  // given again for the next compute.
  virtual Result<void> run(std::span<const NnTensor> inputs, std::span<NnOutput> outputs) = 0;
  // With the dimensions of the last compute, or of the inputs that are set, where these decide them.
  virtual Result<NnEdge> describe_output(u32 index) const = 0;
  // Ends the inference that runs, or the next one, between two operators, until it is taken back. Any thread, signal handlers.
  virtual void interrupt(bool on) = 0;
};

// A loaded model, for any number of threads.
class NnGraph {
 public:
  virtual ~NnGraph() = default;
  virtual std::span<const NnEdge> inputs() const = 0;
  virtual std::span<const NnEdge> outputs() const = 0;
  // The environment, whose settings count as they are now, outlives it. Error: limit.
  virtual Result<std::unique_ptr<NnExecution>> new_execution() const = 0;
};

// Named models and statistics, shared by any number of guests and threads.
class NnEnvironment {
 public:
  virtual ~NnEnvironment() = default;
  // "NAME=PATH": a model file, or a folder that holds one. Errors: usage, not_found.
  virtual Result<void> add_graph(std::string_view spec) = 0;
  // A model in memory. Errors: usage (the name is taken).
  virtual Result<void> add_graph_bytes(std::string name, std::span<const std::byte> bytes,
                                       std::shared_ptr<const void> owner) = 0;
  // Asked for names that are not registered, from any thread.
  virtual void set_finder(std::function<std::optional<NnFoundModel>(std::string_view name)> finder) = 0;
  virtual void set(NnSetting setting, u64 value) = 0;
  // How guests number things whose imports do not tell: auto, witx, wit, wasmedge, older. Error: usage.
  virtual Result<void> set_abi(std::string_view name) = 0;
  // Keeps named models' weights as kernels want them in this folder (ours alone, mode 0700, made if missing), so that the
  // next process need not pack them. Empty: tenon/nn in the user's cache folder.
  virtual void set_cache(std::string_view folder) = 0;
  // Guests can write below this folder: models there are read, not mapped, since a mapping of a file that
  // shrinks would end the process. Holds for graphs that are loaded after the call.
  virtual void add_guest_folder(std::string_view path) = 0;
  virtual std::unique_ptr<NnGuest> new_guest() = 0;
  // A registered model, a file (or a folder that holds one), or bytes that `owner` keeps alive and unchanged, for the host
  // itself. Graphs need the environment as long as they live. Errors: not_found, invalid, unsupported, limit, io.
  virtual Result<std::unique_ptr<NnGraph>> load_named(std::string_view name) = 0;
  virtual Result<std::unique_ptr<NnGraph>> load_file(std::string_view path) = 0;
  virtual Result<std::unique_ptr<NnGraph>> load_bytes(std::span<const std::byte> bytes,
                                                      std::shared_ptr<const void> owner) = 0;
  // The host functions of all wasi-nn modules (wasi_ephemeral_nn, tenon_nn, wasi_nn).
  virtual std::span<const HostFuncDesc> functions(bool memory64) const = 0;
  // For people: for each graph calls, time, bytes viewed and copied. Empty when nothing was loaded.
  virtual std::string statistics_text() const = 0;
};

// Where a tool writes.
struct NnToolOutput {
  std::function<void(std::string_view)> out, err;
  bool terminal = false;  // out is a terminal: colours are welcome
};

struct NnPlugin {
  Result<std::unique_ptr<NnEnvironment>> (*create_environment)(const NnPluginOptions& options);
  // `tenon nn COMMAND ARGS…`: inspect, run, test. Gives the exit status; errors and usage go to output.err.
  int (*tool)(std::string_view command, std::span<const std::string_view> args, const NnToolOutput& output);
  std::string (*version)();  // e.g. "oneDNN 2.6.3"
};

}  // namespace tenon
