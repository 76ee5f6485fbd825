// Evaluates constant expressions (spec: valid/instructions, constant expressions) of an instance under
// construction.
#pragma once
#include "engine/module.h"
#include "engine/runtime/store.h"

namespace tenon {

// Globals below the one being initialised, functions, and the heap must be in place. The stack is the
// store's, so that the collector sees what lies on it. Errors: trap (out of memory), limit.
Result<GlobalCell> eval_const(Instance& instance, const ConstExpr& expr, std::vector<Slot>& stack);

}  // namespace tenon
