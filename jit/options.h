// What can be chosen about compiled code, beyond what embedders see (engine/runtime/jit_plugin.h).
#pragma once
#include "engine/runtime/jit_plugin.h"

namespace tenon::jit {

struct JitOptions : JitPluginOptions {
  bool verify_ir = false;  // run LLVM's verifier before and after optimisation (tests)
  // Budget: LLVM's time and memory grow faster than a function's size. What is beyond stays in the
  // interpreter.
  u64 max_function_bytes = 512 * 1024;
  u64 max_module_bytes = 64 << 20;
};

}  // namespace tenon::jit
