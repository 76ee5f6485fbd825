// Candidates for inlining and their copies.
#include "jit/lower/inlining.h"

#include <fmt/format.h>

#include "engine/reader.h"
#include "engine/validate/func_validator.h"
#include "jit/lower/func_lowering.h"
#include "jit/passes/inline_small.h"

namespace tenon::jit {
namespace {

// Guests come from optimising compilers, which have inlined what they thought worth it. What pays here are bodies
// hardly larger than a call.
constexpr u32 kMostInstructions = 40, kMostCalls = 1, kMostLocals = 16;

// No loops: the call is not what they cost. No handlers, which belong to a frame, no tail calls, which end one.
bool keeps_out(Op op) {
  switch (op) {
    case Op::loop:
    case Op::br_table:
    case Op::try_:
    case Op::try_table:
    case Op::return_call:
    case Op::return_call_indirect:
    case Op::return_call_ref: return true;
    default: return false;
  }
}

bool is_small(const Module& module, FuncIdx f) {
  const Function& function = module.functions[f.value];
  if (function.body.size() > kMaxInlinedBytes) return false;
  CodeReader reader(module, function.body, function.offset);
  std::vector<LocalRun> runs;
  if (!reader.read_locals(runs)) return false;
  u64 locals = 0;
  for (const LocalRun& r : runs) locals += r.count;
  Instr instr;
  u32 instructions = 0, calls = 0;
  while (reader.next(instr)) {
    if (keeps_out(instr.op)) return false;
    calls += instr.op == Op::call || instr.op == Op::call_indirect || instr.op == Op::call_ref;
    if (++instructions > kMostInstructions || calls > kMostCalls) return false;
  }
  return !reader.error() && locals <= kMostLocals;
}

// Bodies are validated here where nobody has done it before: only whole modules are planned as a whole.
bool is_candidate(const ModulePlan& plan, FuncIdx f) {
  const Module& module = *plan.module;
  if (module.is_imported(f) || !is_small(module, f)) return false;
  return plan.compiled[f.value] || !plan.decode.lazy_bodies ||
         validate_function(module, f, plan.decode.limits).has_value();
}

}  // namespace

llvm::Function* inline_copy(Unit& unit, const ModulePlan& plan, FuncIdx caller, FuncIdx callee) {
  constexpr u8 kFirstLevel = 2;
  if (plan.options.opt_level < kFirstLevel || caller == callee) return nullptr;
  auto [known, first] = unit.inline_copies().try_emplace(callee.value, nullptr);
  if (!first || !is_candidate(plan, callee)) return known->second;
  const NativeSignature signature(unit.context(), plan.module->func_type(callee));
  llvm::Function* fn = unit.function(fmt::format("i{}", callee.value),
                                     plan.wide[callee.value] ? signature.wide_type : signature.type,
                                     kNativeConvention, llvm::GlobalValue::InternalLinkage);
  mark_inline_copy(*fn, plan.compiled[callee.value] ? symbol_name(callee) : "");
  return known->second = fn;
}

Result<void> lower_inline_copies(Unit& unit, const ModulePlan& plan) {
  for (bool more = true; more;) {
    more = false;
    // Lowering one may ask for others.
    const auto copies = unit.inline_copies();
    for (const auto& [f, fn] : copies) {
      if (!fn || !fn->empty()) continue;
      TRY(FuncLowering(unit, plan, FuncIdx{f}, *fn).run());
      more = true;
    }
  }
  return {};
}

}  // namespace tenon::jit
