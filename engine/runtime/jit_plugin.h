// What tenon-jit.so gives the engine.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "engine/runtime/store.h"

namespace tenon {

struct JitPluginOptions {
  u8 opt_level = 2;   // 0 to 3
  u32 threads = 0;    // compiling at once; 0: as many as processors
  bool fuel = false;  // count StoreContext::fuel down
  bool epochs = false;
  bool interrupts = false;  // check StoreContext::interrupt
  std::string dump_ir;      // folder for optimised IR; empty: none
  // Told, once for each module, what is left to the interpreter and why; none: printed to stderr.
  std::function<void(const std::string&)> notice;
};

struct JitPlugin {
  // A compiler for this store, to be given to Store::set_compiler. Errors: unsupported (this CPU).
  Result<std::unique_ptr<Compiler>> (*create_compiler)(Store& store, const JitPluginOptions& options);
  std::string (*version)();  // e.g. "LLVM 22.1.0"
};

}  // namespace tenon
