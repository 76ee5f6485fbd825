// What is decided about a Wasm module before any of it is lowered: which functions are compiled, how its
// memories are accessed, which imports are called directly. The same for every unit.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/error.h"
#include "engine/native/code_image.h"
#include "engine/runtime/vm.h"
#include "jit/lower/dispatch.h"

namespace tenon::jit {

struct PlanOptions : CompileOptions, CodeChecks {};

struct ModulePlan {
  const Module* module;
  VMLayout layout;
  PlanOptions options;
  DecodeOptions decode;
  bool has_fma;
  std::vector<MemoryPlan> memories;
  bool faults;                 // some memory is guarded: accesses trap where LLVM sees no branch
  std::vector<bool> compiled;  // by function index: in this image; the others are called through their
                               // FuncRef
  std::vector<bool> wide;      // makes tail calls or is the target of one: NativeSignature::wide_type
  std::vector<OsrLoop> loops;  // entered there too
  std::vector<std::optional<TableContent>> known_tables;  // by table; of whole modules only
  std::vector<u32>
      weights;  // by function index: about how many LLVM instructions it becomes; 0: not compiled
  std::vector<FuncIdx> left_out;            // beyond the budget; sorted
  std::string notice;                       // what the budget left out; empty: nothing
  std::vector<bool> native_import;          // by imported function: HostFuncDesc::native is called directly
  std::unordered_map<u32, u32> type_index;  // of a canonical TypeId: where a type section has it first

  explicit ModulePlan(const CompileRequest& request);
};

// Reads the code of the functions wanted. What is beyond the options' budget is left out. Errors: malformed or
// invalid code, where bodies were not validated before.
Result<ModulePlan> make_plan(const CompileRequest& request);

// The symbol of a function in compiled code.
std::string symbol_name(FuncIdx f);

}  // namespace tenon::jit
