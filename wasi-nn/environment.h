// What guests of one process share: options, named models, loaded graphs and their statistics. Knows no
// handles.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/plan.h"
#include "wasi-nn/formats/detect.h"

namespace tenon::nn {

// Settings of an environment; the defaults suit a command line.
struct NnOptions {
  int threads = 1;                               // that computes of this process may use together
  bool timing = true;                            // measure the time of calls
  DialectId dialect = DialectId::automatic;      // of guests whose imports do not tell
  bool target_fallback = false;                  // gpu and tpu run on the cpu instead of being refused
  uint64_t max_model_bytes = uint64_t{1} << 31;  // that a guest may pass to load
  uint64_t max_tensor_bytes = uint64_t{1} << 31;
  uint64_t max_context_bytes = uint64_t{1} << 32;
  uint64_t max_loaded_bytes = uint64_t{1} << 32;  // of all models that guests have passed and not released
  uint64_t max_operators = 1u << 20;              // of one model
  uint32_t max_graphs = 1024;                     // live handles of one guest
  uint32_t max_contexts = 4096;
  std::chrono::nanoseconds max_compute_time{0};  // of one inference, checked between operators; 0: no limit
  std::vector<std::string> writable_folders;     // files below these are read, not mapped
  std::string cache_folder;                      // of packed weights of named models; empty: none are kept
};

struct GraphStatistics {
  std::string name;
  uint64_t loads = 0;
  uint64_t load_nanoseconds = 0;
  uint64_t contexts = 0;
  kernels::CallStatistics set_input, compute, get_output;  // over all contexts
};

// Counters of one graph. They outlive it, and its contexts report here so that totals survive them.
class GraphCounters {
 public:
  explicit GraphCounters(std::string name) : name_(std::move(name)) {}

  void add_load(uint64_t nanoseconds);
  void add_context(const kernels::Context* context);
  void remove_context(const kernels::Context* context);
  // Sum over all contexts, live and gone. No live one may be in a call meanwhile.
  GraphStatistics sum() const;

 private:
  std::string name_;
  mutable std::mutex mutex_;
  std::set<const kernels::Context*> live_;
  GraphStatistics total_;  // loads, and the contexts that are gone
};

// A model ready to run. Shared by all who loaded it.
struct LoadedGraph {
  std::shared_ptr<const kernels::Model> model;
  std::shared_ptr<GraphCounters> counters;
  std::shared_ptr<const void> quota;  // gives back its part of max_loaded_bytes
};

// A model that the embedder's callback found for a name: a path, or bytes that `owner` keeps alive.
struct FoundModel {
  std::string path;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};
// Gives nothing when it knows no such model. Any thread may call it.
using FindModel = std::function<std::optional<FoundModel>(std::string_view name)>;

class Environment {
 public:
  explicit Environment(NnOptions options);

  const NnOptions& options() const { return options_; }
  kernels::CompileOptions compile_options() const;

  // Registers a model: "NAME=PATH" (a file, or a folder with a model file in it), or Wasmtime's
  // "ENCODING::DIR" (the name is the folder's). Nothing is read yet beyond checking that the file is there.
  // Errors: invalid_argument (form, name taken), not_found.
  Result<void> add_graph(std::string_view spec);

  // Registers a model whose bytes `owner` keeps alive and unchanged. Errors: invalid_argument (name taken).
  Result<void> add_graph_bytes(std::string name, std::span<const std::byte> bytes,
                               std::shared_ptr<const void> owner);
  // Asked once for each name that is not registered; what it finds is registered.
  void set_finder(FindModel finder);
  // Before the first graph is loaded.
  NnOptions& mutable_options() { return options_; }

  // Files below this folder are read, not mapped, from now on (as NnOptions::writable_folders).
  void add_writable_folder(const std::string& folder);

  // The model registered under exactly this name; names are never paths. Loaded at first use, then shared.
  Result<std::shared_ptr<LoadedGraph>> load_named(std::string_view name);
  // Models of the host itself, registered under no name: a file (or a folder that holds one), mapped; bytes that `owner`
  // keeps alive and unchanged.
  Result<std::shared_ptr<LoadedGraph>> load_file(const std::string& path);
  Result<std::shared_ptr<LoadedGraph>> load_owned(std::span<const std::byte> bytes,
                                                  std::shared_ptr<const void> owner);
  // A model that a guest passes as bytes: they are copied once, since the guest may change them.
  Result<std::shared_ptr<LoadedGraph>> load_bytes(std::span<const std::span<const std::byte>> builders,
                                                  uint32_t encoding,
                                                  const Dialect& spoken = dialect(DialectId::automatic));

  // Of any guest's last call that failed; part of the statistics.
  void remember_error(const std::string& message);

  std::vector<GraphStatistics> statistics() const;
  // A table for people, one block for each graph, then the last error; empty when nothing happened.
  std::string statistics_text() const;

 private:
  struct NamedGraph {
    std::string path;  // empty: `bytes`
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;  // of bytes
    std::optional<Format> format;       // nothing: detect
    std::mutex mutex;                   // held while loading, so that it happens once
    std::shared_ptr<LoadedGraph> loaded;
  };

  Result<void> add_named(std::string name, const std::string& path, std::optional<Format> format);
  Result<NamedGraph*> find_named(std::string_view name);
  Result<std::shared_ptr<const void>> take_quota(uint64_t bytes);
  FileAccess access_for(const std::string& path) const;
  Result<std::shared_ptr<LoadedGraph>> load_mapped(const std::string& name, const std::string& path,
                                                   std::optional<Format> format);
  Result<std::shared_ptr<LoadedGraph>> load_memory(const std::string& name, std::span<const std::byte> bytes,
                                                   std::shared_ptr<const void> owner);
  std::string number_name(std::string_view prefix);
  // `cached`: the model is this file, as it is on disk, and nobody but us and its owner writes it.
  Result<std::shared_ptr<LoadedGraph>> load(const std::string& name, Format format, const ModelSource& source,
                                            bool cached = false);
  std::shared_ptr<GraphCounters> counters_for(const std::string& name);

  NnOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, NamedGraph, std::less<>> named_;
  FindModel finder_;
  std::shared_ptr<std::atomic<uint64_t>> loaded_bytes_ = std::make_shared<std::atomic<uint64_t>>(0);
  std::vector<std::shared_ptr<GraphCounters>> counters_;
  uint64_t bytes_loads_ = 0;
  std::string last_error_;
};

// Reads and compiles a model file outside any environment (tools).
Result<std::shared_ptr<const kernels::Model>> load_model_file(const std::string& path,
                                                              const kernels::CompileOptions& options,
                                                              ModelSummary* summary = nullptr);

}  // namespace tenon::nn
