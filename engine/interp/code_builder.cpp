// Operand placement and code writing for the translator.
#include "engine/interp/code_builder.h"

namespace tenon::interp {

using Where = Operand::Where;

u32 CodeBuilder::emit(Handler handler, u32 size, Fields f) {
  const u32 at = position();
  starts_.push_back(at);
  code_.resize(code_.size() + size / sizeof(u64));
  put(at, handler);
  put(at + kFieldA, static_cast<u16>(f.a));
  put(at + kFieldD, static_cast<u16>(f.d));
  put(at + kFieldB, static_cast<u16>(f.b));
  put(at + kFieldC, static_cast<u16>(f.c));
  last_ = at;
  last_move_ = kNone;
  return at;
}

void CodeBuilder::join_instructions(std::span<const u32> barriers) {
  auto barrier = barriers.begin();
  for (size_t i = 0; i + 1 < starts_.size(); ++i) {
    const u32 second = starts_[i + 1];
    while (barrier != barriers.end() && *barrier < second) ++barrier;
    if (barrier != barriers.end() && *barrier == second) continue;
    const Handler both = super_handler(get<Handler>(starts_[i]), get<Handler>(second));
    if (!both) continue;
    put(starts_[i], both);
    ++i;
  }
}

void CodeBuilder::label() {
  forget_accumulators();
  last_ = last_move_ = kNone;
}

Operand CodeBuilder::pop() {
  const Operand o = operands_.back();
  operands_.pop_back();
  next_slot_ = o.slot;
  if (o.where == Where::accumulator) accumulator(o.kind).owner = -1;
  if (o.where == Where::other_slot) --aliases_[o.other];
  flushed_ = std::min(flushed_, height());
  return o;
}

void CodeBuilder::push(Where where, ValKind kind, u32 other, u64 bits) {
  operands_.push_back({where, kind, next_slot_, other, bits});
  next_slot_ += operands_.back().slots();
  max_slot_ = std::max(max_slot_, next_slot_);
}

void CodeBuilder::push_local(ValKind kind, u32 slot) {
  if (slot >= aliases_.size()) aliases_.resize(slot + 1);
  ++aliases_[slot];
  push(Where::other_slot, kind, slot);
}

void CodeBuilder::truncate(u32 height) {
  while (operands_.size() > height) pop();
}

Source CodeBuilder::source(const Operand& o) const {
  const Accumulator& acc = accumulator(o.kind);
  switch (o.where) {
    case Where::accumulator: return {Src::reg, 0, 0};
    case Where::constant: return {Src::imm, 0, o.bits};
    case Where::own_slot:
    case Where::other_slot: break;
  }
  const u32 slot = o.where == Where::own_slot ? o.slot : o.other;
  const bool mirrored = acc.mirror == static_cast<i32>(slot) && acc.mirror_wide == o.wide();
  return {mirrored ? Src::reg : Src::slot, slot, 0};
}

u32 CodeBuilder::in_slot(Operand& o) {
  if (o.where == Where::own_slot) return o.slot;
  if (o.where == Where::other_slot) return o.other;
  if (o.where == Where::constant) {
    emit_constant(o.kind, o.bits, o.slot);
  } else {
    store_producer(accumulator(o.kind), o.slot, o.wide());
  }
  o.where = Where::own_slot;
  max_slot_ = std::max(max_slot_, o.slot + o.slots());
  return o.slot;
}

// The accumulator's value was only kept there; its producer writes `slot` too from now on.
void CodeBuilder::store_producer(Accumulator& acc, u32 slot, bool wide) {
  put(acc.producer, acc.stored);
  put(acc.producer + kFieldD, static_cast<u16>(slot));
  wrote(slot, wide ? 2 : 1);
  acc.owner = -1;
  acc.mirror = static_cast<i32>(slot);
  acc.mirror_wide = wide;
}

void CodeBuilder::spill(Accumulator& acc) {
  if (acc.owner >= 0) in_slot(operands_[static_cast<u32>(acc.owner)]);
}
void CodeBuilder::spill_accumulators() {
  for (Accumulator& acc : accumulators_) spill(acc);
}

void CodeBuilder::flush(Operand& o) {
  if (o.where == Where::own_slot) return;
  if (o.where == Where::other_slot) {
    emit_move(o.other, o.slot, o.wide());
    --aliases_[o.other];
    o.where = Where::own_slot;
  } else {
    in_slot(o);
  }
}

void CodeBuilder::flush_top(u32 count) {
  const u32 from = std::max(height() - count, flushed_);
  for (u32 i = from; i < height(); ++i) flush(operands_[i]);
  if (height() - count <= flushed_) flushed_ = height();
}

void CodeBuilder::move_to(Operand& o, u32 to) {
  if (o.where == Where::own_slot && o.slot == to) return;
  switch (o.where) {
    case Where::own_slot: return emit_move(o.slot, to, o.wide());
    case Where::other_slot: return emit_move(o.other, to, o.wide());
    case Where::constant: return emit_constant(o.kind, o.bits, to);
    case Where::accumulator: return emit_accumulator_store(o.kind, to);
  }
}

void CodeBuilder::move_top(u32 count, u32 to) {
  if (count > kMovedOneByOne) {
    flush_top(count);
    const u32 from = operand(count - 1).slot, slots = next_slot_ - from;
    if (from == to) return;
    wrote(to, slots);
    emit(&ctl::move_many, 16, {.a = from, .d = to, .b = slots});
    return;
  }
  for (u32 i = height() - count; i < height(); ++i) {
    move_to(operands_[i], to);
    to += operands_[i].slots();
  }
}

void CodeBuilder::emit_move(u32 from, u32 to, bool wide) {
  wrote(to, wide ? 2 : 1);
  if (wide) {
    emit(&ctl::move128, 16, {.a = from, .d = to});
  } else if (last_move_ != kNone && last_move_ == last_) {
    put(last_move_, ctl::move_two);
    put(last_move_ + kFieldB, static_cast<u16>(from));
    put(last_move_ + kFieldC, static_cast<u16>(to));
    last_move_ = kNone;
  } else {
    last_move_ = emit(ctl::move, 16, {.a = from, .d = to});
  }
}

void CodeBuilder::emit_constant(ValKind kind, u64 bits, u32 to) {
  wrote(to, 1);
  const bool narrow = kind == ValKind::i32 || kind == ValKind::f32 || bits >> 32 == 0;
  // const32 has its value where B and C would be.
  const u32 at = emit(narrow ? ctl::const32 : Handler{&ctl::const64}, narrow ? 16 : 24, {.d = to});
  if (narrow)
    put(at + kFieldImm, static_cast<u32>(bits));
  else
    put(at + kFieldExt, bits);
}

void CodeBuilder::emit_accumulator_store(ValKind kind, u32 to) {
  wrote(to, kind == ValKind::v128 ? 2 : 1);
  const Class cls = kind == ValKind::v128 ? Class::x128 : in_x(kind) ? Class::x64 : Class::r0;
  emit(ctl::store_accumulator_handler(cls), 16, {.d = to});
}

void CodeBuilder::emit_result(Handler plain, Handler stored, u32 size, Fields fields, ValKind kind) {
  Accumulator& acc = accumulator(kind);
  spill(acc);
  const u32 at = emit(plain, size, fields);
  acc = {static_cast<i32>(height()), at, stored, -1, false};
  push(Where::accumulator, kind);
}

void CodeBuilder::push_result_slot(ValKind kind, bool mirrored) {
  push_own(kind);
  const Operand& o = operands_.back();
  wrote(o.slot, o.slots());
  if (!mirrored) return;
  accumulator(kind).mirror = static_cast<i32>(o.slot);
  accumulator(kind).mirror_wide = o.wide();
}

void CodeBuilder::push_v128(const std::array<u8, 16>& bytes) {
  spill(accumulator(ValKind::v128));
  const u32 at = emit(&ctl::const128, 32, {.d = next_slot_});
  for (u32 i = 0; i < 16; ++i) put(at + kFieldExt + i, bytes[i]);
  push_result_slot(ValKind::v128, true);
}

void CodeBuilder::wrote(u32 slot, u32 slots) {
  for (Accumulator& acc : accumulators_) {
    if (acc.mirror < 0) continue;
    const u32 first = static_cast<u32>(acc.mirror), size = acc.mirror_wide ? 2 : 1;
    if (first < slot + slots && slot < first + size) acc.mirror = -1;
  }
}

void CodeBuilder::forget_accumulators() {
  for (Accumulator& acc : accumulators_) acc.mirror = -1;
}

// Operands that stand for the local's old value get it into their own slots. The last instruction, whose
// result is about to become the new value, is put after the moves.
void CodeBuilder::save_aliases(u32 local) {
  if (local >= aliases_.size() || aliases_[local] == 0) return;
  std::vector<u64> held;
  const u32 held_from = last_;
  std::optional<Accumulator*> held_by;
  if (held_from != kNone)
    for (Accumulator& acc : accumulators_)
      if (acc.owner >= 0 && acc.producer == held_from) held_by = &acc;
  if (held_by) {
    held.assign(code_.begin() + held_from / sizeof(u64), code_.end());
    erase_from(held_from);
  }
  for (u32 i = height(); i > 0 && aliases_[local] != 0; --i) {
    Operand& o = operands_[i - 1];
    if (o.where == Where::other_slot && o.other == local) flush(o);
  }
  if (held_by) {
    const u32 at = position();
    starts_.push_back(at);
    code_.insert(code_.end(), held.begin(), held.end());
    last_ = (*held_by)->producer = at;
    last_move_ = kNone;
    if (!marks_.empty() && marks_.back().code == held_from) marks_.back().code = at;
  }
}

void CodeBuilder::set_local(u32 local, ValKind kind, bool tee) {
  Operand o = operands_.back();
  if (o.where == Where::other_slot && o.other == local) {
    if (!tee) pop();
    return;
  }
  save_aliases(local);
  o = operands_.back();
  const u32 slots = kind == ValKind::v128 ? 2 : 1;
  if (is_last_result(o)) {
    Accumulator& acc = accumulator(kind);
    pop();
    store_producer(acc, local, slots == 2);
    if (tee) push_local(kind, local);
    return;
  }
  move_to(operands_.back(), local);
  if (o.where == Where::accumulator) {
    Accumulator& acc = accumulator(kind);
    pop();
    acc.mirror = static_cast<i32>(local);
    acc.mirror_wide = slots == 2;
    if (tee) push_local(kind, local);
  } else if (!tee) {
    pop();
  }
}

}  // namespace tenon::interp
