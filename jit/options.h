// What can be chosen about compiled code, beyond what embedders see (engine/runtime/jit_plugin.h).
#pragma once
#include "engine/runtime/jit_plugin.h"

namespace tenon::jit {

struct JitOptions : JitPluginOptions {
  bool verify_ir = false;  // run LLVM's verifier before and after optimisation (tests)
  // Budget, in instructions and operands that cross calls and branches: LLVM's time and memory grow faster
  // than a function's size. What is beyond stays in the interpreter.
  u64 max_function_weight = 100'000;
  u64 max_module_weight = 30'000'000;
};

}  // namespace tenon::jit
