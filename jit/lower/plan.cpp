// Decisions before lowering: one pass over imports, memories and code.
#include "jit/lower/plan.h"

#include <fmt/format.h>

#include "engine/reader.h"
#include "jit/codegen/target.h"
#include "jit/lower/func_lowering.h"

namespace tenon::jit {
namespace {

// True when every instruction has a lowering.
Result<bool> can_compile(const Module& module, const Function& f) {
  CodeReader reader(module, f.body, f.offset);
  std::vector<LocalRun> runs;
  Instr instr;
  bool all = true;
  if (reader.read_locals(runs))
    while (all && reader.next(instr)) all = lowering_of(instr.op) != nullptr;
  if (reader.error()) return std::unexpected(*reader.error());
  return all;
}

Error over_budget(std::string what, u64 size, u64 limit) {
  return {ErrorCategory::limit,
          fmt::format("{} has {} bytes of code; the compiler's budget is {}", what, size, limit),
          {}};
}

MemoryPlan plan_memory(Memory& memory) {
  const MemoryType& type = memory.type();
  return {type.is64, !type.is64 && type.page_shift == 16 && memory.desc().reserved >= kGuardedReservation,
          memory.never_moves()};
}

}  // namespace

ModulePlan::ModulePlan(const Module& m, const JitOptions& o)
    : module(&m), layout(m), options(o), host_has_fma(jit::host_has_fma()) {}

std::string symbol_name(FuncIdx f) { return fmt::format("f{}", f.value); }

Result<ModulePlan> make_plan(Instance& instance, const JitOptions& options) {
  const Module& module = instance.module();
  ModulePlan plan(module, options);
  for (u32 m = 0; m < module.memories.size(); ++m)
    plan.memories.push_back(plan_memory(*instance.memory(MemoryIdx{m})));
  plan.compiled.resize(module.functions.size());
  plan.native_import.resize(module.imported_functions);
  for (u32 f = 0; f < module.imported_functions; ++f) {
    const FuncRef* ref = instance.func(FuncIdx{f});
    if (!ref->vmctx) plan.native_import[f] = static_cast<const HostFunc*>(ref->code)->desc->native != nullptr;
  }
  u64 total = 0;
  for (u32 f = module.imported_functions; f < module.functions.size(); ++f) {
    const Function& function = module.functions[f];
    const u64 size = function.body.size();
    if (size > options.max_function_bytes)
      return std::unexpected(over_budget(fmt::format("function {}", module.function_name(FuncIdx{f})), size,
                                         options.max_function_bytes));
    total += size;
    TRY_ASSIGN(bool all, can_compile(module, function));
    plan.compiled[f] = all;
  }
  if (total > options.max_module_bytes)
    return std::unexpected(over_budget("the module", total, options.max_module_bytes));
  return plan;
}

}  // namespace tenon::jit
