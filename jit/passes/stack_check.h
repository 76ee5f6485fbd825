// The stack limit check: one compare against the limit, which lies far enough above the end of the stack for
// ordinary frames. Made after inlining and optimisation, when it is known what calls and how large frames are:
// functions that call nothing have none, and paths that call nothing skip it.
#pragma once
#include <llvm/IR/PassManager.h>

#include "engine/base.h"

namespace tenon::jit {

// Of the module: void (ptr vm, i64 site), raises a trap and does not return (Unit::raise_function).
inline constexpr const char* kRaiseFunction = "tenon.raise";

// Marks a function that needs the check; its trap says `wasm_offset`. Its module must have the function above.
void request_stack_check(llvm::Function& f, u64 wasm_offset);

class StackCheckPass : public llvm::PassInfoMixin<StackCheckPass> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& f, llvm::FunctionAnalysisManager& analyses);
  static bool isRequired() { return true; }
};

}  // namespace tenon::jit
