// What tenon-nn.so gives the engine: wasi-nn for guests, and the model tools of `tenon nn`. Knows no tensors.
#pragma once
#include <functional>
#include <memory>
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

// One guest's handles. Outlives the store that calls through it; destroy it after the store.
class NnGuest {
 public:
  virtual ~NnGuest() = default;
  virtual void* data() = 0;  // HostFunc::data for NnEnvironment::functions()
};

// Named models and statistics, shared by any number of guests and threads.
class NnEnvironment {
 public:
  virtual ~NnEnvironment() = default;
  // "NAME=PATH": a model file, or a folder that holds one. Errors: usage, not_found.
  virtual Result<void> add_graph(std::string_view spec) = 0;
  // Guests can write below this folder: models there are read, not mapped, since a mapping of a file that
  // shrinks would end the process. Holds for graphs that are loaded after the call.
  virtual void add_guest_folder(std::string_view path) = 0;
  virtual std::unique_ptr<NnGuest> new_guest() = 0;
  // The host functions of all wasi-nn modules (wasi_ephemeral_nn, …).
  virtual std::span<const HostFuncDesc> functions() const = 0;
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
