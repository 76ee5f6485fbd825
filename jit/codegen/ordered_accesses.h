// Before code generation: accesses that may trap become volatile, and the barriers that kept them in order until
// here (docs/design/0001-abi.md, "Load order in compiled code") go.
#pragma once
#include <llvm/IR/Function.h>

namespace tenon::jit {

// Optimisation is over: what barriers cost from here on (inline assembly is slow to select, and forces each loaded
// value into a register) volatile does not, and what volatile forbids has been done.
void order_by_volatile(llvm::Function& f);

}  // namespace tenon::jit
