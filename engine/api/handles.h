// What the C API's opaque types hold. Internal to engine/api.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/aot/cache.h"
#include "engine/debug_lines.h"
#include "engine/native/profiler.h"
#include "engine/once.h"
#include "engine/runtime/linker.h"
#include "engine/runtime/nn_plugin.h"
#include "engine/runtime/store.h"
#include "tenon.h"
#include "wasi/threads.h"
#include "wasi/wasi.h"

struct tenon_config {
  tenon::EngineOptions options;
  tenon::StoreLimits limits;
  bool interruptible = false;  // checks in compiled code
  bool cancellable = false;    // WASI calls
  tenon::u8 opt_level = 2;
  tenon::CpuFeatures cpu = tenon::host_cpu_features();  // for code that is compiled
  bool cache = false;
};

struct tenon_engine {
  std::shared_ptr<tenon::Engine> engine;
  tenon_config config;
  std::shared_ptr<tenon::CodeCache> cache = {};  // null: none
  tenon::CodeCache::Key cache_key() const {
    return {config.cpu, config.opt_level, config.options.decode.features};
  }
};

namespace tenon::api {

// What inspection computes once.
struct Inspection {
  struct Section {
    u8 id;
    std::string_view name;
    u64 offset, size, items;
  };
  std::vector<std::string> import_types, export_types, types;
  std::vector<Section> sections;
  std::vector<std::string_view> features;
};
Inspection inspect(const Module& module);
ExternType export_type(const Module& module, const Export& e);  // stands with what the export names

// wasi-nn for any number of stores.
struct NnState {
  std::unique_ptr<NnEnvironment> environment;
};

inline std::span<const std::byte> byte_span(const void* bytes, size_t size) {
  return {static_cast<const std::byte*>(bytes), size};
}
// Calls `release` when the last copy dies.
inline std::shared_ptr<const void> owner_of(void (*release)(void*), void* env) {
  if (!release) return nullptr;
  return {env, [release](const void* p) { release(const_cast<void*>(p)); }};
}

// Defines the functions that `module` would call as `guest`; the guest outlives the linker's stores.
void define_nn(Linker& linker, const NnEnvironment& environment, NnGuest& guest, const Module& module);

tenon_error_t* make_error(Error error);
// With the trap record of a store, where the error is a trap, an exit or an exception.
tenon_error_t* make_error(Error error, const TrapRecord& trap);
tenon_error_t* usage_error(std::string message);
// What functions of the C API give for an exception of the library's own, of which none leaves them: there was no memory.
tenon_error_t* caught() noexcept;
tenon_error_t* no_such_target(std::string_view name);

inline tenon_name_t name_of(std::string_view s) { return {s.data(), s.size()}; }
tenon_string_t new_string(std::string_view s);

// Gives a new store what the configuration asks for: fuel at 0, the compiler of its tier.
Result<void> prepare_store(const tenon_engine& engine, Store& store);
// An artefact of the module: with the code that it has, else (unless the engine only interprets) all of it compiled now.
Result<std::vector<u8>> artefact_of(const tenon_config& config, const Module& module);
// The module of an artefact with its code. Errors: the artefact's own; those of load_module; unsupported (compiled with other
// options than `config` has, which says which).
Result<std::shared_ptr<const Module>> module_of_artefact(Engine& engine, const tenon_config& config,
                                                         Result<std::shared_ptr<const Artefact>> artefact);
// Decodes and validates; with code from the cache, where the engine has one and knows the module.
Result<std::shared_ptr<const Module>> new_module(const tenon_engine& engine, std::span<const u8> bytes,
                                                 std::shared_ptr<const void> owner);

}  // namespace tenon::api

struct tenon_error {
  tenon::Error error;
  tenon::TrapCode trap = tenon::TrapCode::none;
  int exit_status = 0;
  struct Frame {
    std::string function;
    tenon::u32 index;
    tenon::u64 offset;
    std::optional<tenon::SourceLine> source;
  };
  std::vector<Frame> frames = {};
};

struct tenon_module {
  std::shared_ptr<const tenon::Module> module;
  mutable tenon::Once inspected;
  mutable tenon::api::Inspection inspection;
  const tenon::api::Inspection& inspect() const {
    inspected.call([this] { inspection = tenon::api::inspect(*module); });
    return inspection;
  }
};

struct tenon_instance {
  tenon_store* store;
  tenon::Instance* instance;
};

struct tenon_store {
  // Differs from that of every other store, those that ended included. 0 is none's.
  const tenon::u64 id = [] {
    static std::atomic<tenon::u64> last = 0;
    return ++last;
  }();
  std::atomic<tenon::wasi::WasiContext*> wasi = nullptr;  // whose blocking calls an interrupt ends
  std::vector<std::shared_ptr<const void>> keep;  // what host functions refer to: dies after the store
  std::map<const void*, std::unique_ptr<tenon::NnGuest>> nn_guests;
  std::unique_ptr<tenon::Store> store;
  std::vector<std::unique_ptr<tenon_instance>> instances;
  std::unique_ptr<tenon::Profiler> profiler;

  tenon_instance* add(tenon::Instance* instance) {
    return instances.emplace_back(new tenon_instance{this, instance}).get();
  }
};

struct tenon_linker {
  std::shared_ptr<tenon::Engine> engine;
  tenon::Linker linker;
  std::vector<std::shared_ptr<const void>> keep;
  std::vector<std::shared_ptr<tenon::api::NnState>> nn;
  bool cancellable = false;
  tenon::wasi::WasiContext* wasi = nullptr;  // the last one defined, if it can be cancelled
  tenon::u64 only_store = 0;                 // the id of the one that definitions live in
};

struct tenon_caller {
  tenon::HostFunc* host;
  tenon_store* store;
};

struct tenon_wasi {
  tenon::wasi::WasiConfig config;
  std::mutex mutex;                             // of what follows
  tenon::wasi::ThreadGroup* running = nullptr;  // that has it; null: none
  bool interrupted = false;
  void set_running(tenon::wasi::ThreadGroup* group) {
    const std::lock_guard lock(mutex);
    running = group;
    if (running && interrupted) running->interrupt();
  }
};

struct tenon_nn {
  std::shared_ptr<tenon::api::NnState> state;
};

struct tenon_nn_graph {
  std::shared_ptr<tenon::api::NnState> state;  // first: the graph needs it to its end
  std::shared_ptr<const tenon::NnGraph> graph;
};

struct tenon_nn_context {
  std::shared_ptr<const tenon::NnGraph> graph;
  std::unique_ptr<tenon::NnExecution> execution;
};
