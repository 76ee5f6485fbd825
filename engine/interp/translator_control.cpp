// Translation of blocks, branches, calls and exceptions.
//
// At every place that code can reach from elsewhere all operands below lie in their own slots: blocks flush
// them on entry, and branches move what a label takes to the slots at its height.
#include "engine/interp/translator_impl.h"

namespace tenon::interp {

using Where = Operand::Where;

void Translator::control(const Instr& i) {
  switch (i.op) {
    case Op::unreachable:
      mark();
      code_.emit(&ctl::unreachable, 16);
      return go_dead();
    case Op::block:
    case Op::loop:
    case Op::try_: return open_block(i);
    case Op::if_: return open_if(i);
    case Op::try_table: return try_table(i);
    case Op::else_: return else_();
    case Op::end: return end();
    case Op::br: branch(i.index); return go_dead();
    case Op::br_if: {
      const Condition c = take_condition();
      return branch_if(c, i.index);
    }
    case Op::br_table: br_table(i); return go_dead();
    case Op::return_: return_(); return go_dead();
    case Op::call:
    case Op::call_indirect:
    case Op::call_ref: return call(i);
    case Op::return_call:
    case Op::return_call_indirect:
    case Op::return_call_ref: tail_call(i); return go_dead();
    case Op::catch_:
    case Op::catch_all: return legacy_catch(i);
    case Op::delegate: return delegate(i);
    case Op::rethrow: rethrow(i); return go_dead();
    default:  // throw, throw_ref
      throw_(i);
      return go_dead();
  }
}

// After what never goes on. The operand stack stays as it is until the block ends.
void Translator::go_dead() {
  dead_ = true;
  dead_depth_ = 0;
}

void Translator::visit_dead(const Instr& i) {
  switch (i.op) {
    case Op::block:
    case Op::loop:
    case Op::if_:
    case Op::try_:
    case Op::try_table: ++dead_depth_; return;
    case Op::end:
      if (dead_depth_ == 0) return end();
      --dead_depth_;
      return;
    case Op::delegate:
      if (dead_depth_ == 0) return delegate(i);
      --dead_depth_;
      return;
    case Op::else_:
      if (dead_depth_ == 0) else_();
      return;
    case Op::catch_:
    case Op::catch_all:
      if (dead_depth_ == 0) legacy_catch(i);
      return;
    default: return;
  }
}

// Called after the validator has opened its frame, so that the types are those of control(0).
void Translator::open_block(const Instr& i) {
  code_.flush_all();
  Label& label = labels_.emplace_back();
  const ControlFrame& frame = validator_.control(0);
  label.op = i.op;
  u32 param_slots = 0;
  for (ValType t : frame.start_types) {
    label.params.push_back(t.kind());
    param_slots += t.slots();
  }
  for (ValType t : frame.end_types) label.results.push_back(t.kind());
  label.height = code_.height() - static_cast<u32>(label.params.size());
  label.base_slot = code_.next_slot() - param_slots;
  // Results may need more room than what the block itself uses.
  u32 result_slots = 0;
  for (ValType t : frame.end_types) result_slots += t.slots();
  code_.reserve_slots(label.base_slot + result_slots);
  if (i.op == Op::loop) {
    code_.label();
    label.loop_start = code_.position();
    loop_starts_.push_back(label.loop_start);
    f_.loops.push_back({label.loop_start, static_cast<u32>(instr_offset_ - body_.offset)});
    if (counts_) check_interruption();
  }
  if (i.op == Op::try_ || i.op == Op::try_table) {
    code_.label();
    label.region = static_cast<u32>(regions_.size());
    label.region_open = true;
    regions_.push_back({code_.position(), 0, static_cast<u32>(labels_.size() - 1), {}});
  }
}

void Translator::check_interruption() {
  mark();
  code_.emit(&ctl::check_interruption, 16);
  code_.label();
}

void Translator::open_if(const Instr& i) {
  const Condition c = take_condition();
  code_.flush_all();
  const u32 at = emit_branch(c, true, false);
  open_block(i);
  labels_.back().to_else = Fixup{at + kFieldTarget, at};
}

void Translator::push_params(const Label& label) {
  for (ValKind k : label.params) code_.push_own(k);
}

void Translator::else_() {
  Label& label = labels_.back();
  if (!dead_) jump_to(label);
  dead_ = false;
  code_.label();
  if (label.to_else)
    code_.put(label.to_else->field, static_cast<i32>(code_.position() - label.to_else->from));
  label.to_else.reset();
  label.op = Op::else_;
  code_.truncate(label.height);
  push_params(label);
}

// Moves the results to where the label's users expect them, and jumps there.
void Translator::jump_to(Label& label) {
  code_.move_top(static_cast<u32>(label.branch_types().size()), label.base_slot);
  const bool back = label.op == Op::loop;
  if (back) mark();
  aim(code_.emit(back ? &ctl::jump_back : &ctl::jump, 16), label);
}

// Lets the instruction at `at` go to the label.
void Translator::aim(u32 at, Label& label) {
  if (label.op == Op::loop) {
    code_.put(at + kFieldTarget, static_cast<i32>(label.loop_start) - static_cast<i32>(at));
  } else {
    label.fixups.push_back({at + kFieldTarget, at});
  }
}

void Translator::end() {
  Label& label = labels_.back();
  if (label.region_open) end_try_body(label);
  close_label(label);
  if (labels_.size() == 1) {
    // The function's own block: what fell through and what branched here returns.
    if (!dead_) return_();
    labels_.clear();
    return;
  }
  labels_.pop_back();
}

// Joins falling through, branches and the missing else of an if.
void Translator::close_label(Label& label) {
  const bool joined = !label.fixups.empty() || !label.catch_fixups.empty() || label.to_else;
  const bool implicit = label.op == Op::block || label.op == Op::loop;
  if (!joined && implicit && !dead_) return;  // the operands go on as they are
  const u32 results = static_cast<u32>(label.results.size());
  if (!dead_) code_.move_top(results, label.base_slot);
  const bool reachable = !dead_ || joined;
  bind(label);
  code_.truncate(label.height);
  for (ValKind k : label.results) code_.push_own(k);
  dead_ = !reachable;
}

void Translator::bind(Label& label) {
  code_.label();
  const u32 here = code_.position();
  for (const Fixup& f : label.fixups) code_.put(f.field, static_cast<i32>(here - f.from));
  if (label.to_else) code_.put(label.to_else->field, static_cast<i32>(here - label.to_else->from));
  for (const CatchFixup& f : label.catch_fixups) regions_[f.region].catches[f.clause].code = here;
}

Translator::Condition Translator::on(Op op, Operand& o, bool sense) {
  Source s = code_.source(o);
  if (s.src == Src::imm) s = {Src::slot, code_.in_slot(o), 0};
  return {Condition::Kind::compare, op, s.src, Src::slot, s.slot, 0, 0, sense};
}

// Pops an i32. A comparison that was just written is taken back: the branch does it.
Translator::Condition Translator::take_condition() {
  const bool fusible = code_.is_last_result(code_.operand(0)) && last_numeric_.at == code_.last();
  Operand o = code_.pop();
  if (!fusible) return on(Op::i32_eqz, o, false);
  Numeric n = last_numeric_;
  bool sense = true;
  // i32.eqz of a comparison that has no opposite.
  if (n.op == Op::i32_eqz && n.lhs.src == Src::reg && before_that_.at + before_that_.size == n.at &&
      code_.get<Handler>(before_that_.at) ==
          num_handler(before_that_.op, before_that_.lhs.src, before_that_.rhs.src, false) &&
      branch_handler(before_that_.op, before_that_.lhs.src, before_that_.rhs.src, false, false)) {
    n = before_that_;
    sense = false;
  }
  if (!branch_handler(n.op, n.lhs.src, n.rhs.src, sense, false)) return on(Op::i32_eqz, o, false);
  code_.erase_from(n.at);
  last_numeric_ = before_that_ = {};
  return {Condition::Kind::compare, n.op, n.lhs.src, n.rhs.src, n.lhs.slot, n.rhs.slot, n.rhs.bits, sense};
}

// Writes the branch; the caller sets its target. `invert`: it is taken when the condition does not hold.
u32 Translator::emit_branch(const Condition& c, bool invert, bool back) {
  if (back) mark();
  const bool sense = c.sense != invert;
  if (c.kind == Condition::Kind::cast) {
    const u32 at = code_.emit(&ctl::branch_cast, 24, {.a = c.a, .d = c.d});
    code_.put(at + kFieldExt, static_cast<u32>(c.bits));
    code_.put(at + kFieldExt + 4, static_cast<u32>(sense));
    return at;
  }
  Handler h = branch_handler(c.op, c.lhs, c.rhs, sense, back);
  if (!h) h = branch_handler(*inverse_comparison(c.op), c.lhs, c.rhs, !sense, back);
  const bool imm = c.rhs == Src::imm;
  const u32 at = code_.emit(h, imm ? 24 : 16, {.a = c.a, .d = c.d});
  if (imm) code_.put(at + kFieldExt, c.bits);
  return at;
}

void Translator::branch(u32 depth) {
  if (depth == labels_.size() - 1) return return_();
  jump_to(label_at(depth));
}

// The values that the label takes are on top, the condition is popped already.
void Translator::branch_if(const Condition& c, u32 depth) {
  Label& label = label_at(depth);
  const u32 count = static_cast<u32>(label.branch_types().size());
  const bool in_place = count == 0 || code_.operand(count - 1).slot == label.base_slot;
  if (in_place) {
    code_.flush_top(count);
    return aim(emit_branch(c, false, label.op == Op::loop), label);
  }
  // What jump_to() flushes must be flushed on both ways.
  if (count > CodeBuilder::kMovedOneByOne) code_.flush_top(count);
  const u32 skip = emit_branch(c, true, false);
  jump_to(label);
  code_.put(skip + kFieldTarget, static_cast<i32>(code_.position() - skip));
  // Accumulators came through unchanged, but what follows must not be joined to what the branch jumped over.
  code_.forget_last();
}

void Translator::br_table(const Instr& i) {
  Operand o = code_.pop();
  Source index = code_.source(o);
  if (index.src == Src::imm) index = {Src::slot, code_.in_slot(o), 0};
  const u32 values = static_cast<u32>(label_at(i.targets.back()).branch_types().size());
  code_.flush_top(values);
  const u32 n = static_cast<u32>(i.targets.size());
  const u32 at = code_.emit(index.src == Src::reg ? &ctl::br_table_r0 : &ctl::br_table_slot,
                            kFieldExt + (n * 4 + 7) / 8 * 8, {.a = index.slot});
  code_.put(at + kFieldImm, n - 1);
  // Labels that need their values moved, and loops, which look at the interrupt flag, get a piece of code
  // behind the table.
  std::unordered_map<u32, u32> pieces;
  for (u32 k = 0; k < n; ++k) {
    const u32 depth = i.targets[k], field = at + kFieldExt + 4 * k;
    Label& label = label_at(depth);
    const bool in_place = values == 0 || code_.operand(values - 1).slot == label.base_slot;
    if (in_place && label.op != Op::loop) {
      label.fixups.push_back({field, at});
      continue;
    }
    auto [piece, is_new] = pieces.try_emplace(depth, code_.position());
    code_.put(field, static_cast<i32>(piece->second - at));
    if (!is_new) continue;
    code_.label();
    jump_to(label);
  }
}

void Translator::return_() {
  const std::vector<ValKind>& types = labels_.front().results;
  const u32 n = static_cast<u32>(types.size());
  if (n == 0) {
    code_.emit(&ctl::return_none, 16, {.d = f_.link});
    return;
  }
  if (n > 1) {
    code_.flush_top(n);
    const u32 first = code_.operand(n - 1).slot;
    code_.emit(&ctl::return_many, 16, {.a = first, .d = f_.link, .b = f_.result_slots});
    return;
  }
  Operand& o = code_.operand(0);
  Source s = code_.source(o);
  if (s.src == Src::imm) {
    code_.flush_top(1);
    s = code_.source(code_.operand(0));
  }
  const bool reg = s.src == Src::reg;
  const bool x = o.kind == ValKind::f32 || o.kind == ValKind::f64;
  const Handler h = o.wide() ? (reg ? &ctl::return_x128 : &ctl::return_slot128)
                    : !reg   ? &ctl::return_slot
                    : x      ? &ctl::return_x64
                             : &ctl::return_r0;
  code_.emit(h, 16, {.a = s.slot, .d = f_.link});
}

void Translator::call_fields(const Instr& i, u32 at) {
  switch (i.op) {
    case Op::call:
    case Op::return_call: return code_.put(at + kFieldExt, instance_.func(FuncIdx{i.index}));
    case Op::call_indirect:
    case Op::return_call_indirect:
      code_.put(at + kFieldExt, table_desc(i.index2));
      return code_.put(at + kFieldExt + 8, canonical_type(i.index));
    default: return;
  }
}

namespace {

const FuncType& callee_type(const Module& module, const Instr& i) {
  if (i.op == Op::call || i.op == Op::return_call) return module.func_type(FuncIdx{i.index});
  return *module.type_registry().get(module.types[i.index]).func();
}
u32 call_size(Op op) {
  if (op == Op::call || op == Op::return_call) return 24;
  return op == Op::call_indirect || op == Op::return_call_indirect ? 32 : 16;
}

}  // namespace

void Translator::call(const Instr& i) {
  const FuncType& type = callee_type(module_, i);
  Fields fields;
  if (i.op != Op::call) fields.b = pop_slot();
  if (i.op == Op::call_indirect) fields.c = module_.tables[i.index2].type.is64;
  const u32 n = static_cast<u32>(type.params.size());
  code_.flush_top(n);
  code_.spill_accumulators();
  const u32 first = code_.next_slot() - type.param_slots;
  const u32 top = first + std::max(type.param_slots, type.result_slots);
  code_.reserve_slots(std::max(top, fields.b + 1));
  fields.a = first;
  fields.d = std::max(top, code_.next_slot());
  const Handler h = i.op == Op::call            ? &ctl::call
                    : i.op == Op::call_indirect ? &ctl::call_indirect
                                                : &ctl::call_ref;
  mark();
  call_fields(i, code_.emit(h, call_size(i.op), fields));
  code_.truncate(code_.height() - n);
  code_.label();
  const bool one = type.results.size() == 1;
  for (ValType t : type.results) code_.push_result_slot(t.kind(), one);
}

void Translator::tail_call(const Instr& i) {
  const FuncType& type = callee_type(module_, i);
  Fields fields;
  if (i.op != Op::return_call) fields.b = pop_slot();
  if (i.op == Op::return_call_indirect) fields.c = module_.tables[i.index2].type.is64;
  code_.flush_top(static_cast<u32>(type.params.size()));
  fields.a = code_.next_slot() - type.param_slots;
  fields.d = f_.link;
  const Handler h = i.op == Op::return_call            ? &ctl::return_call
                    : i.op == Op::return_call_indirect ? &ctl::return_call_indirect
                                                       : &ctl::return_call_ref;
  mark();
  call_fields(i, code_.emit(h, call_size(i.op), fields));
}

// Exceptions. Labels of the clauses count from outside the try_table.
void Translator::try_table(const Instr& i) {
  open_block(i);
  const u32 region = *labels_.back().region;
  for (const CatchClause& clause : i.catches) {
    Label& label = label_at(clause.label + 1);
    const bool all = clause.kind == CatchKind::catch_all || clause.kind == CatchKind::catch_all_ref;
    const bool ref = clause.kind == CatchKind::catch_ref || clause.kind == CatchKind::catch_all_ref;
    CatchTarget target{};
    target.kind = all ? CatchTarget::Kind::all : CatchTarget::Kind::tag;
    target.with_ref = ref;
    target.tag = all ? nullptr : instance_.tag(clause.tag);
    target.slot = static_cast<u16>(label.base_slot);
    target.code = label.loop_start;
    if (label.op != Op::loop)
      label.catch_fixups.push_back({region, static_cast<u32>(regions_[region].catches.size())});
    regions_[region].catches.push_back(target);
    u32 slots = ref;
    if (!all) slots += module_.type_registry().get(module_.tags[clause.tag.value].type).func()->param_slots;
    code_.reserve_slots(label.base_slot + slots);
  }
}

void Translator::end_try_body(Label& label) {
  regions_[*label.region].end = code_.position();
  closed_regions_.push_back(*label.region);
  label.region_open = false;
}

void Translator::throw_(const Instr& i) {
  mark();
  if (i.op == Op::throw_ref) {
    const u32 a = pop_slot();
    mark();
    code_.emit(&ctl::throw_ref, 16, {.a = a});
    return;
  }
  const FuncType& type = *module_.type_registry().get(module_.tags[i.index].type).func();
  code_.flush_top(static_cast<u32>(type.params.size()));
  mark();
  const u32 at = code_.emit(&ctl::throw_tag, 32, {.a = code_.next_slot() - type.param_slots});
  code_.put(at + kFieldExt, instance_.tag(TagIdx{i.index}));
  code_.put(at + kFieldExt + 8, static_cast<u16>(code_.next_slot()));
}

// Legacy: the exception's reference lies below the arguments, at the block's height, for rethrow.
void Translator::legacy_catch(const Instr& i) {
  Label& label = labels_.back();
  if (!dead_) jump_to(label);
  dead_ = false;
  code_.label();
  if (label.region_open) end_try_body(label);
  label.op = i.op;
  CatchTarget target{};
  const bool all = i.op == Op::catch_all;
  target.kind = all ? CatchTarget::Kind::all : CatchTarget::Kind::tag;
  target.ref_first = true;
  target.tag = all ? nullptr : instance_.tag(TagIdx{i.index});
  target.slot = static_cast<u16>(label.base_slot);
  target.code = code_.position();
  regions_[*label.region].catches.push_back(target);
  code_.truncate(label.height);
  code_.push_own(ValKind::ref);
  if (all) return;
  for (ValType t : module_.type_registry().get(module_.tags[i.index].type).func()->params)
    code_.push_own(t.kind());
}

// Ends a try whose exceptions go to the handlers around an outer label.
void Translator::delegate(const Instr& i) {
  Label& label = labels_.back();
  CatchTarget target{};
  target.kind = CatchTarget::Kind::delegate;
  target.code = static_cast<u32>(labels_.size() - 2 - i.index);  // the outer label's index
  regions_[*label.region].catches.push_back(target);
  end();
}

void Translator::rethrow(const Instr& i) {
  mark();
  code_.emit(&ctl::throw_ref, 16, {.a = label_at(i.index).base_slot});
}

}  // namespace tenon::interp
