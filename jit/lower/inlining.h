// Which calls are inlined: a call to a small function goes to a copy that belongs to the calling unit alone, so that it can
// be inlined wherever the function itself is compiled. The inlining is done by jit/passes/inline_small.h.
#pragma once
#include "jit/lower/unit.h"

namespace tenon::jit {

struct ModulePlan;

// The unit's copy of a function that is small enough, declared; null: the call is an ordinary one.
llvm::Function* inline_copy(Unit& unit, const ModulePlan& plan, FuncIdx caller, FuncIdx callee);
// Defines the copies that calls have asked for since, and those that they ask for in turn. Errors as those of
// FuncLowering.
Result<void> lower_inline_copies(Unit& unit, const ModulePlan& plan);

}  // namespace tenon::jit
