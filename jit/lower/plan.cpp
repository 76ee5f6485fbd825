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

MemoryPlan plan_memory(Memory& memory) {
  const MemoryType& type = memory.type();
  return {type.is64, !type.is64 && type.page_shift == 16 && memory.desc().reserved >= kGuardedReservation,
          memory.never_moves()};
}

// Decides what is compiled, within the budget.
Result<void> plan_functions(ModulePlan& plan) {
  const Module& module = *plan.module;
  const JitOptions& options = plan.options;
  u64 total = 0;
  for (u32 f = module.imported_functions; f < module.functions.size(); ++f) {
    const Function& function = module.functions[f];
    const u64 size = function.body.size();
    if (size > options.max_function_bytes) {
      if (plan.notice.empty())
        plan.notice = fmt::format("{} has {} bytes of code, the compiler's budget is {}: interpreted",
                                  module.function_name(FuncIdx{f}), size, options.max_function_bytes);
      continue;
    }
    total += size;
    TRY_ASSIGN(plan.compiled[f], can_compile(module, function));
  }
  if (total > options.max_module_bytes) {
    plan.notice = fmt::format("the module has {} bytes of code, the compiler's budget is {}: interpreted",
                              total, options.max_module_bytes);
    plan.compiled.assign(plan.compiled.size(), false);
  }
  return {};
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
  TRY(plan_functions(plan));
  return plan;
}

}  // namespace tenon::jit
