// Inlines the copies of small functions that calls of one LLVM module go to (jit/lower/inlining.h). What is inlined keeps
// its place in backtraces through debug locations. Decides by size alone.
#pragma once
#include <llvm/IR/Module.h>

#include <functional>
#include <string>

namespace tenon::jit {

// `symbol`: of the function itself, if it is compiled with this image: calls that are not inlined go there. Empty: the copy
// stays and is called.
void mark_inline_copy(llvm::Function& copy, const std::string& symbol);
// `simplify` is run on each copy before its size is looked at.
void inline_small_functions(llvm::Module& module, const std::function<void(llvm::Function&)>& simplify);

}  // namespace tenon::jit
