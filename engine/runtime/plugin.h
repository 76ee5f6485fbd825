// Plugins: tenon-jit.so and tenon-nn.so, loaded when first needed, so that a process that only interprets
// pays for neither LLVM nor oneDNN. Says what a plugin exports and finds it; what its functions do is in
// jit_plugin.h and nn_plugin.h.
#pragma once
#include <string>
#include <string_view>

#include "engine/base.h"
#include "engine/error.h"

namespace tenon {

struct JitPlugin;  // engine/runtime/jit_plugin.h
struct NnPlugin;   // engine/runtime/nn_plugin.h

// Identifies the engine's headers, the compiler and its options: host and plugin exchange C++ objects, so
// theirs must be the same. Made at build time (cmake/BuildId.cmake).
const char* build_id();

// What a plugin's one exported function gives. Plugins link their own copy of tenon_engine, hidden.
struct PluginTable {
  const char* build_id;
  const char* kind;       // "jit" or "nn"
  const void* functions;  // JitPlugin or NnPlugin, valid for the life of the process
};
using PluginExchange = const PluginTable* (*)();
inline constexpr const char* kPluginExchange = "tenon_plugin_exchange";

// Loads `path` and checks it. Errors: not_found (no such file), io (the dynamic linker's message),
// unsupported (another build or kind). What was loaded stays loaded.
Result<const void*> load_plugin(const std::string& path, std::string_view kind);

// Loads the plugin from its fixed place beside libtenon or the program, once; thread-safe. `plugin_path` says
// where that is: the folder of this code, its lib/tenon or ../lib/tenon.
Result<const JitPlugin*> jit_plugin();
Result<const NnPlugin*> nn_plugin();
std::string plugin_path(std::string_view file);
// The `tenon` program of this installation: beside this code, or in the bin folder of its prefix. Empty: there is none.
std::string program_path();

}  // namespace tenon

// In a plugin: TENON_PLUGIN("jit", table) with `const JitPlugin table`.
#define TENON_PLUGIN(kind, functions)                                                 \
  extern "C" __attribute__((visibility("default"), used)) const ::tenon::PluginTable* \
  tenon_plugin_exchange() {                                                           \
    static const ::tenon::PluginTable table{::tenon::build_id(), kind, &(functions)}; \
    return &table;                                                                    \
  }
