// The operand stack, look-ups, constant expressions, and the rules for globals, select, tables and memories
// (spec: valid/instructions). Which rule is whose, and fixed signatures, are in dispatch.cpp; control is in
// control_rules.cpp, references and aggregates in reference_rules.cpp.
#include "engine/validate/func_validator.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon {
namespace {

std::string list_of(std::span<const ValType> types) {
  std::string s;
  for (ValType t : types) s += (s.empty() ? "" : " ") + to_string(t);
  return s;
}

}  // namespace

FuncValidator::FuncValidator(const Module& module, const ModuleLimits& limits)
    : module_(module), types_(module.type_registry()), limits_(limits) {}

FuncValidator::FuncValidator(const Module& module, FuncIdx func, const ModuleLimits& limits)
    : FuncValidator(module, limits) {
  begin_function(func);
}

void FuncValidator::begin_function(FuncIdx func) {
  func_ = func;
  constant_ = false;
  const FuncType& type = module_.func_type(func);
  near_locals_.assign(type.params.begin(), type.params.end());
  far_locals_.clear();
  local_count_ = static_cast<u32>(near_locals_.size());
  operands_.clear();
  controls_.clear();
  inits_.clear();
  initialised_.clear();
  block_results_.clear();
  track_inits_ = false;
  error_.reset();
  results_ = type.results;
  push_control(Op::block, {}, results_);
}

void FuncValidator::begin_constant(ValType result, u32 known_globals) {
  constant_ = true;
  known_globals_ = known_globals;
  operands_.clear();
  controls_.clear();
  block_results_.assign(1, result);
  error_.reset();
  results_ = Types(&block_results_.front(), 1);
  push_control(Op::block, {}, results_);
}

bool FuncValidator::locals(std::span<const LocalRun> runs) {
  u64 total = local_count_;
  for (const LocalRun& run : runs) total += run.count;
  if (total > limits_.locals) {
    fail_limit("locals", total, limits_.locals);
    return false;
  }
  track_inits_ = std::ranges::any_of(
      runs, [](const LocalRun& run) { return run.count > 0 && !run.type.is_defaultable(); });
  if (track_inits_) initialised_.assign(local_count_, true);
  for (const LocalRun& run : runs) {
    const size_t room = kNearLocals - std::min<size_t>(near_locals_.size(), kNearLocals);
    local_count_ += run.count;
    near_locals_.insert(near_locals_.end(), std::min<size_t>(run.count, room), run.type);
    if (run.count > room) far_locals_.push_back({local_count_, run.type});
    if (track_inits_) initialised_.resize(local_count_, run.type.is_defaultable());
  }
  return true;
}

ValType FuncValidator::far_local(u32 local) const {
  return std::ranges::upper_bound(far_locals_, local, {}, &FarRun::end)->type;
}

// ---- Errors

void FuncValidator::fail(Err e) {
  if (!error_) error_ = make_error(e, offset_);
}
void FuncValidator::fail(Err e, std::string_view detail) {
  if (!error_) error_ = make_error(e, offset_, detail);
}
void FuncValidator::fail_index(Err e, u64 index) {
  if (!error_) error_ = make_index_error(e, offset_, index);
}
void FuncValidator::fail_limit(std::string_view what, u64 value, u64 limit) {
  if (!error_) error_ = make_limit_error(offset_, what, value, limit);
}

// In the words of the reference interpreter, which some tests expect.
void FuncValidator::mismatch(Types expected, std::string_view who) {
  Types have = operands_.from(controls_.empty() ? 0 : floor_);
  if (who == "instruction" && have.size() > expected.size()) have = have.last(expected.size());
  constexpr size_t kShown = 20;  // enough to see what is wrong
  fail(Err::type_mismatch, fmt::format("{} requires [{}] but stack has [{}]", who,
                                       list_of(expected.last(std::min(expected.size(), kShown))),
                                       list_of(have.last(std::min(have.size(), kShown)))));
}

// ---- Operands

ValType FuncValidator::pop() {
  if (operands_.size() > floor_) {
    const ValType t = operands_.back();
    operands_.pop();
    return t;
  }
  if (!controls_.back().unreachable)
    fail(Err::type_mismatch, "instruction requires a value but stack has []");
  return kBottom;
}

// Not equal to what is expected: a subtype, a polymorphic stack, or an error.
ValType FuncValidator::pop_slow(ValType expected) {
  if (operands_.size() > floor_) {
    const ValType t = operands_.back();
    if (!types_.is_subtype(t, expected))
      mismatch({&expected, 1});
    else
      operands_.pop();
    return t;
  }
  if (!controls_.back().unreachable) mismatch({&expected, 1});
  return kBottom;
}

void FuncValidator::pop(Types expected) {
  const u32 n = std::min(operands_.size() - floor_, static_cast<u32>(expected.size()));
  if (n < expected.size() && !controls_.back().unreachable) [[unlikely]]
    return mismatch(expected);
  const ValType* have = operands_.end() - n;
  const ValType* want = expected.data() + expected.size() - n;
  for (u32 i = 0; i < n; ++i)
    if (have[i] != want[i] && !types_.is_subtype(have[i], want[i])) [[unlikely]]
      return mismatch(expected);
  operands_.pop(n);
}

void FuncValidator::push(Types types) {
  if (operands_.size() + types.size() > limits_.operands) [[unlikely]]
    return fail_limit("operands on the stack", operands_.size() + types.size(), limits_.operands);
  operands_.push(types);
}

ValType FuncValidator::pop_ref() {
  const ValType t = pop();
  if (t.is_ref()) return t;
  if (!t.is_bottom())
    fail(Err::type_mismatch,
         fmt::format("instruction requires a reference but stack has [{}]", to_string(t)));
  return ValType::ref(AbstractHeap::bottom, false);
}

// ---- Look-ups

const MemoryType* FuncValidator::memory(u32 index) {
  if (index < module_.memories.size()) return &module_.memories[index];
  fail_index(Err::unknown_memory, index);
  return nullptr;
}
const TableType* FuncValidator::table(u32 index) {
  if (index < module_.tables.size()) return &module_.tables[index].type;
  fail_index(Err::unknown_table, index);
  return nullptr;
}
const ElementSegment* FuncValidator::element(u32 index) {
  if (index < module_.elements.size()) return &module_.elements[index];
  fail_index(Err::unknown_elem, index);
  return nullptr;
}
const GlobalType* FuncValidator::global(u32 index) {
  if (index < (constant_ ? known_globals_ : module_.globals.size())) return &module_.globals[index].type;
  fail_index(Err::unknown_global, index);
  return nullptr;
}
const FuncType* FuncValidator::tag(u32 index) {
  if (index < module_.tags.size()) return types_.get(module_.tags[index].type).func();
  fail_index(Err::unknown_tag, index);
  return nullptr;
}
bool FuncValidator::check_type(u32 type_index) {
  if (type_index < module_.types.size()) return true;
  fail_index(Err::unknown_type, type_index);
  return false;
}
const FuncType* FuncValidator::func_type(u32 type_index) {
  if (!check_type(type_index)) return nullptr;
  const FuncType* f = types_.get(module_.types[type_index]).func();
  if (!f) fail_index(Err::non_function_type, type_index);
  return f;
}
bool FuncValidator::check_data(u32 index) {
  if (index < module_.data.size()) return true;
  fail_index(Err::unknown_data, index);
  return false;
}
// ---- Constant expressions

bool FuncValidator::check_constant(const Instr& instr) {
  const OpInfo& info = op_info(instr.op);
  bool constant = info.constant;
  // Arithmetic came with extended constants.
  if (constant && info.imm == Imm::none && info.feature == Feature::mvp && instr.op != Op::end)
    constant = module_.features().has(Feature::extended_const);
  if (!constant) fail(Err::constant_required, info.text);
  return constant;
}

// ---- Parametric and variable instructions

void FuncValidator::select(const Instr&) {
  pop(kI32);
  const ValType b = pop(), a = pop();
  if (a.is_ref() || b.is_ref()) return fail(Err::type_mismatch, "select of references needs its type");
  if (a != b && !a.is_bottom() && !b.is_bottom())
    return fail(Err::type_mismatch, fmt::format("select of {} and {}", to_string(a), to_string(b)));
  push(a.is_bottom() ? b : a);
}

void FuncValidator::select_t(const Instr& instr) {
  if (instr.types.size() != 1) return fail(Err::invalid_result_arity);
  const ValType t = instr.types[0];
  pop({t, t, kI32});
  push(t);
}

void FuncValidator::mark_initialised(u32 index) {
  if (!track_inits_ || initialised_[index]) return;
  initialised_[index] = true;
  inits_.push_back(index);
}

void FuncValidator::global_get(const Instr& instr) {
  const GlobalType* g = global(instr.index);
  if (!g) return;
  if (constant_ && g->mutable_) return fail(Err::constant_required, "the global is mutable");
  push(g->type);
}

void FuncValidator::global_set(const Instr& instr) {
  const GlobalType* g = global(instr.index);
  if (!g) return;
  if (!g->mutable_) return fail_index(Err::immutable_global, instr.index);
  pop(g->type);
}

// ---- Tables and memories

void FuncValidator::table_get(const Instr& instr) {
  const TableType* t = table(instr.index);
  if (!t) return;
  pop(t->is64 ? kI64 : kI32);
  push(t->element);
}

void FuncValidator::table_set(const Instr& instr) {
  const TableType* t = table(instr.index);
  if (t) pop({t->is64 ? kI64 : kI32, t->element});
}

void FuncValidator::table_grow(const Instr& instr) {
  const TableType* t = table(instr.index);
  if (!t) return;
  const ValType address = t->is64 ? kI64 : kI32;
  pop({t->element, address});
  push(address);
}

void FuncValidator::table_fill(const Instr& instr) {
  const TableType* t = table(instr.index);
  if (!t) return;
  const ValType address = t->is64 ? kI64 : kI32;
  pop({address, t->element, address});
}

void FuncValidator::table_init(const Instr& instr) {
  const TableType* t = table(instr.index2);
  const ElementSegment* e = t ? element(instr.index) : nullptr;
  if (!e) return;
  if (!types_.is_subtype(e->type, t->element))
    return fail(Err::type_mismatch, fmt::format("element segment of {} for a table of {}", to_string(e->type),
                                                to_string(t->element)));
  pop({t->is64 ? kI64 : kI32, kI32, kI32});
}

void FuncValidator::table_copy(const Instr& instr) {
  const TableType* dst = table(instr.index);
  const TableType* src = dst ? table(instr.index2) : nullptr;
  if (!src) return;
  if (!types_.is_subtype(src->element, dst->element))
    return fail(Err::type_mismatch, fmt::format("table of {} into a table of {}", to_string(src->element),
                                                to_string(dst->element)));
  const ValType d = dst->is64 ? kI64 : kI32, s = src->is64 ? kI64 : kI32;
  pop({d, s, dst->is64 && src->is64 ? kI64 : kI32});
}

void FuncValidator::memory_copy(const Instr& instr) {
  const MemoryType* dst = memory(instr.index);
  const MemoryType* src = dst ? memory(instr.index2) : nullptr;
  if (!src) return;
  const ValType d = dst->is64 ? kI64 : kI32, s = src->is64 ? kI64 : kI32;
  pop({d, s, dst->is64 && src->is64 ? kI64 : kI32});
}

}  // namespace tenon
