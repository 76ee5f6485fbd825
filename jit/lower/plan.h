// What is decided about a Wasm module before any of it is lowered: which functions are compiled, how its
// memories are accessed, which imports are called directly. The same for every unit.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/runtime/store.h"
#include "jit/options.h"

namespace tenon::jit {

struct MemoryPlan {
  bool is64 = false;
  bool guarded = false;     // accesses past the end fault: no checks in code
  bool fixed_base = false;  // the base never changes
};

struct ModulePlan {
  const Module* module;
  VMLayout layout;
  JitOptions options;
  bool host_has_fma;
  std::vector<MemoryPlan> memories;
  std::vector<bool> compiled;       // by function index; the others stay in the interpreter
  std::string notice;               // what the budget left out; empty: nothing
  std::vector<bool> native_import;  // by imported function: HostFuncDesc::native is called directly

  ModulePlan(const Module& m, const JitOptions& o);
};

// Reads the instance's imports and all code. Functions with instructions that have no lowering are left out,
// and what is beyond the options' budget. Errors: malformed or invalid code, where bodies were not validated
// before.
Result<ModulePlan> make_plan(Instance& instance, const JitOptions& options);

// The symbol of a function in compiled code.
std::string symbol_name(FuncIdx f);

}  // namespace tenon::jit
