// Blocks, branches, calls and exceptions, legacy ones included (spec: valid/instructions, Control
// Instructions).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_set>

#include "engine/validate/func_validator.h"

namespace tenon {
namespace {

constexpr ValType kSingles[] = {kI32, kI64, kF32, kF64, kV128};

}  // namespace

// ---- Frames

void FuncValidator::push_control(Op op, Types start, Types end) {
  if (controls_.size() > limits_.nesting)
    return fail_limit("nested blocks", controls_.size(), limits_.nesting);
  controls_.push_back({op, start, end, operands_.size(), false, static_cast<u32>(inits_.size())});
  floor_ = operands_.size();
  push(start);
}

ControlFrame FuncValidator::pop_control() {
  const ControlFrame frame = controls_.back();
  if (operands_.size() - frame.height > frame.end_types.size()) [[unlikely]]
    mismatch(frame.end_types, "block");
  else
    pop(frame.end_types);
  while (inits_.size() > frame.inits) {
    initialised_[inits_.back()] = false;
    inits_.pop_back();
  }
  controls_.pop_back();
  floor_ = controls_.empty() ? 0 : controls_.back().height;
  return frame;
}

void FuncValidator::set_unreachable() {
  ControlFrame& frame = controls_.back();
  operands_.truncate(floor_);
  frame.unreachable = true;
}

const ControlFrame* FuncValidator::label(u32 index) {
  if (index < controls_.size()) return &control(index);
  fail_index(Err::unknown_label, index);
  return nullptr;
}

bool FuncValidator::matches(Types actual, Types expected) const {
  return std::ranges::equal(actual, expected,
                            [this](ValType a, ValType b) { return types_.is_subtype(a, b); });
}

FuncValidator::BlockSignature FuncValidator::block_signature(const BlockType& type) {
  switch (type.kind) {
    case BlockType::Kind::empty: return {};
    case BlockType::Kind::value:
      if (!type.value.is_ref()) return {{}, Types(&kSingles[static_cast<size_t>(type.value.kind())], 1)};
      block_results_.push_back(type.value);
      return {{}, Types(&block_results_.back(), 1)};
    case BlockType::Kind::type:
      if (const FuncType* f = func_type(type.type.value)) return {f->params, f->results};
      return {};
  }
  return {};
}

// ---- Blocks

void FuncValidator::block(const Instr& instr) {
  const BlockSignature sig = block_signature(instr.block);
  if (instr.op == Op::if_) pop(kI32);
  pop(sig.params);
  push_control(instr.op, sig.params, sig.results);
}

void FuncValidator::else_(const Instr&) {
  if (controls_.back().op != Op::if_) return fail(Err::else_without_if);
  const ControlFrame frame = pop_control();
  push_control(Op::else_, frame.start_types, frame.end_types);
}

void FuncValidator::end(const Instr&) {
  const ControlFrame frame = pop_control();
  // Without else, the parameters fall through as results.
  if (frame.op == Op::if_ && !matches(frame.start_types, frame.end_types))
    return fail(Err::type_mismatch, "if without else must give its parameters as results");
  if (!controls_.empty()) push(frame.end_types);
}

void FuncValidator::unreachable_(const Instr&) { set_unreachable(); }

// ---- Branches

void FuncValidator::br(const Instr& instr) {
  const ControlFrame* target = label(instr.index);
  if (!target) return;
  pop(target->label_types());
  set_unreachable();
}

void FuncValidator::br_if(const Instr& instr) {
  pop(kI32);
  const ControlFrame* target = label(instr.index);
  if (!target) return;
  pop(target->label_types());
  push(target->label_types());
}

// All labels have the arity of the default; each is checked against the operands, which stay as they are.
void FuncValidator::br_table(const Instr& instr) {
  if (instr.targets.size() > limits_.br_table_targets)
    return fail_limit("targets of br_table", instr.targets.size(), limits_.br_table_targets);
  pop(kI32);
  const ControlFrame* last = label(instr.targets.back());
  if (!last) return;
  const size_t arity = last->label_types().size();
  // Types seen already: tables name few labels many times.
  std::array<const ValType*, 8> checked{};
  std::unordered_set<const ValType*> checked_before;
  size_t next = 0;
  for (u32 index : instr.targets) {
    const ControlFrame* target = label(index);
    if (!target) return;
    const Types types = target->label_types();
    if (types.size() != arity) return fail(Err::type_mismatch, "labels of br_table differ in arity");
    if (types.empty() || std::ranges::find(checked, types.data()) != checked.end()) continue;
    if (next >= checked.size() && !checked_before.insert(types.data()).second) continue;
    const u32 before = operands_.size();
    pop(types);
    if (error_) return;
    operands_.restore(before);
    checked[next++ % checked.size()] = types.data();
  }
  set_unreachable();
}

void FuncValidator::return_(const Instr&) {
  pop(results_);
  set_unreachable();
}

// ---- Calls

void FuncValidator::apply_call(const FuncType& type) {
  pop(Types(type.params));
  push(Types(type.results));
}

void FuncValidator::apply_tail_call(const FuncType& type) {
  if (!matches(type.results, results_)) {
    FuncType wanted;
    wanted.results.assign(results_.begin(), results_.end());
    return fail(Err::type_mismatch,
                fmt::format("tail call of {} from a function of {}", to_string(type), to_string(wanted)));
  }
  pop(Types(type.params));
  set_unreachable();
}

void FuncValidator::call(const Instr& instr) {
  if (instr.index >= module_.functions.size()) return fail_index(Err::unknown_function, instr.index);
  apply_call(module_.func_type(FuncIdx{instr.index}));
}

void FuncValidator::return_call(const Instr& instr) {
  if (instr.index >= module_.functions.size()) return fail_index(Err::unknown_function, instr.index);
  apply_tail_call(module_.func_type(FuncIdx{instr.index}));
}

// Checks the table and takes the element index.
const FuncType* FuncValidator::indirect_callee(const Instr& instr) {
  const TableType* t = table(instr.index2);
  if (!t) return nullptr;
  if (!types_.is_subtype(t->element, kFuncRef)) {
    fail(Err::type_mismatch, fmt::format("indirect call through a table of {}", to_string(t->element)));
    return nullptr;
  }
  const FuncType* type = func_type(instr.index);
  if (type) pop(t->is64 ? kI64 : kI32);
  return type;
}

void FuncValidator::call_indirect(const Instr& instr) {
  if (const FuncType* type = indirect_callee(instr)) apply_call(*type);
}
void FuncValidator::return_call_indirect(const Instr& instr) {
  if (const FuncType* type = indirect_callee(instr)) apply_tail_call(*type);
}

void FuncValidator::call_ref(const Instr& instr) {
  const FuncType* type = func_type(instr.index);
  if (!type) return;
  pop(ref_to(instr.index, true));
  apply_call(*type);
}
void FuncValidator::return_call_ref(const Instr& instr) {
  const FuncType* type = func_type(instr.index);
  if (!type) return;
  pop(ref_to(instr.index, true));
  apply_tail_call(*type);
}

// ---- Exceptions

void FuncValidator::throw_(const Instr& instr) {
  const FuncType* type = tag(instr.index);
  if (!type) return;
  pop(Types(type->params));
  set_unreachable();
}

void FuncValidator::throw_ref(const Instr&) {
  pop(kExnRef);
  set_unreachable();
}

// Handlers branch to labels outside the block, with the tag's values and, for _ref, the exception.
void FuncValidator::try_table(const Instr& instr) {
  for (const CatchClause& c : instr.catches) {
    const bool tagged = c.kind == CatchKind::catch_ || c.kind == CatchKind::catch_ref;
    const bool with_ref = c.kind == CatchKind::catch_ref || c.kind == CatchKind::catch_all_ref;
    const FuncType* type = tagged ? tag(c.tag.value) : nullptr;
    if (tagged && !type) return;
    const ControlFrame* target = label(c.label);
    if (!target) return;
    std::vector<ValType> values;
    if (type) values = type->params;
    if (with_ref) values.push_back(ValType::ref(AbstractHeap::exn, false));
    if (!matches(values, target->label_types()))
      return fail(Err::type_mismatch, fmt::format("catch clause for label {}", c.label));
  }
  block(instr);
}

// ---- Legacy exceptions (exception handling proposal, legacy text)

void FuncValidator::catch_(const Instr& instr) {
  const Op op = controls_.back().op;
  if (op != Op::try_ && op != Op::catch_) return fail(Err::catch_without_try);
  Types values;
  if (instr.op == Op::catch_) {
    const FuncType* type = tag(instr.index);
    if (!type) return;
    values = type->params;
  }
  const ControlFrame frame = pop_control();
  push_control(instr.op, values, frame.end_types);
}

// Ends a try without handlers of its own; the label counts from outside it.
void FuncValidator::delegate(const Instr& instr) {
  if (controls_.back().op != Op::try_) return fail(Err::delegate_without_try);
  const ControlFrame frame = pop_control();
  if (!label(instr.index)) return;
  push(frame.end_types);
}

void FuncValidator::rethrow(const Instr& instr) {
  const ControlFrame* target = label(instr.index);
  if (!target) return;
  if (target->op != Op::catch_ && target->op != Op::catch_all)
    return fail_index(Err::invalid_rethrow_label, instr.index);
  set_unreachable();
}

}  // namespace tenon
