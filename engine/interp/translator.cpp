// Translation of numeric, memory, variable and bulk instructions, and of a function as a whole.
#include "engine/interp/translator_impl.h"

#include <fmt/format.h>

namespace tenon::interp {

Result<void> translate(State& state, Function& f) { return Translator(state, f).run(); }

Translator::Translator(State& state, Function& f)
    : state_(state),
      f_(f),
      vm_(f.ref->vmctx),
      instance_(*vm_->instance),
      module_(*vm_->module),
      body_(module_.functions[f.ref->index]),
      validator_(module_, FuncIdx{f.ref->index}) {
  const EngineOptions& options = instance_.store().engine().options();
  counts_ = options.fuel || options.epochs;
  deterministic_nans_ = options.deterministic_nans;
  deterministic_simd_ = options.deterministic_simd;
}

MemoryDesc* Translator::memory_desc(u32 index) const {
  return vm_at<MemoryDesc*>(vm_, instance_.layout().memories)[index];
}
TableDesc* Translator::table_desc(u32 index) const {
  return vm_at<TableDesc*>(vm_, instance_.layout().tables)[index];
}
GlobalCell* Translator::global_cell(u32 index) const { return instance_.global(GlobalIdx{index})->cell; }

Result<void> Translator::run() {
  CodeReader reader(module_, body_.body, body_.offset);
  std::vector<LocalRun> runs;
  if (!reader.read_locals(runs)) return std::unexpected(*reader.error());
  if (!validator_.locals(runs)) return std::unexpected(*validator_.error());
  TRY(setup());
  Instr instr;
  while (!validator_.done()) {
    if (!reader.next(instr)) {
      if (reader.error()) return std::unexpected(*reader.error());
      return std::unexpected(Error{ErrorCategory::malformed, "END opcode expected", reader.offset()});
    }
    if (!validator_.step(instr)) return std::unexpected(*validator_.error());
    instr_offset_ = instr.offset;
    if (dead_)
      visit_dead(instr);
    else
      visit(instr);
    if (code_.position() > kMaxCodeBytes)
      return std::unexpected(
          Error{ErrorCategory::limit,
                fmt::format("more than {} bytes of code; the interpreter allows no more", kMaxCodeBytes),
                instr.offset});
  }
  finish();
  if (f_.frame_slots > kMaxFrameSlots)
    return std::unexpected(
        Error{ErrorCategory::limit,
              fmt::format("a frame of {} slots; the interpreter allows {}", f_.frame_slots, kMaxFrameSlots),
              body_.offset});
  return {};
}

// Lays out the frame: parameters and locals, Link, operands.
Result<void> Translator::setup() {
  const FuncType& type = module_.func_type(FuncIdx{f_.ref->index});
  u32 slot = 0;
  for (u32 i = 0; i < validator_.local_count(); ++i) {
    local_slots_.push_back(slot);
    slot += validator_.local_type(i).slots();
  }
  // Results must not reach the Link.
  f_.link = std::max(slot, type.result_slots);
  code_.set_operand_base(f_.link + kLinkSlots);
  if (slot > type.param_slots)
    code_.emit(&ctl::zero_locals, 16, {.a = type.param_slots, .b = slot - type.param_slots});
  code_.label();
  if (counts_) check_interruption();
  Label& body = labels_.emplace_back();
  body.op = Op::block;
  body.height = 0;
  body.base_slot = f_.link + kLinkSlots;
  for (ValType t : type.results) body.results.push_back(t.kind());
  return {};
}

void Translator::finish() {
  f_.frame_slots = code_.max_slot() + 2;  // reading a result as 128 bits may touch one slot more
  f_.marks = std::move(code_.marks());
  for (u32 i : closed_regions_) f_.tries.push_back(std::move(regions_[i]));
  code_.join_instructions(loop_starts_);
  f_.code = code_.take_code();
  f_.entry = reinterpret_cast<const u8*>(f_.code.data());
  f_.translated = true;
}

void Translator::mark() {
  code_.marks().push_back({code_.position(), static_cast<u32>(instr_offset_ - body_.offset)});
}

void Translator::visit(const Instr& i) {
  const OpInfo& info = op_info(i.op);
  if (deterministic_simd_ && deterministic_form(i.op) != i.op) {
    Instr form = i;
    form.op = deterministic_form(i.op);
    return visit(form);
  }
  if (info.width != 0) return memory_access(i);
  switch (info.imm) {
    case Imm::i32: return code_.push_constant(ValKind::i32, static_cast<u32>(i.bits));
    case Imm::i64: return code_.push_constant(ValKind::i64, i.bits);
    case Imm::f32: return code_.push_constant(ValKind::f32, static_cast<u32>(i.bits));
    case Imm::f64: return code_.push_constant(ValKind::f64, i.bits);
    case Imm::v128: return code_.push_v128(i.v128);
    case Imm::local:
    case Imm::global: return local_or_global(i);
    case Imm::lanes16: return shuffle(i);
    case Imm::lane: return numeric(i);
    case Imm::fence: code_.emit(&ctl::atomic_fence, 16); return;
    case Imm::table:
    case Imm::table_table:
    case Imm::elem_table:
    case Imm::elem:
    case Imm::mem:
    case Imm::mem_mem:
    case Imm::data_mem:
    case Imm::data: return bulk(i);
    default: break;
  }
  if (i.op == Op::nop) return;
  if (info.imm == Imm::none && !info.signature.by_hand) {
    numeric(i);
    if (deterministic_nans_) canonical_nan(nan_result(i.op));
    return;
  }
  if (info.prefix == 0xfb || (info.prefix == 0 && info.code >= op_info(Op::ref_null).code))
    return reference(i);
  if (i.op == Op::drop) {
    code_.pop();
    return;
  }
  if (i.op == Op::select || i.op == Op::select_t) return select();
  control(i);
}

namespace {

ValKind kind_of_letter(char c) {
  switch (c) {
    case 'i': return ValKind::i32;
    case 'l': return ValKind::i64;
    case 'f': return ValKind::f32;
    case 'd': return ValKind::f64;
    default: return ValKind::v128;
  }
}

bool fits_32(ValKind k) { return k == ValKind::i32 || k == ValKind::f32; }

}  // namespace

std::optional<Op> inverse_comparison(Op op) {
  switch (op) {
#define TENON_INVERSE(a, b)             \
  case Op::i32_##a: return Op::i32_##b; \
  case Op::i32_##b: return Op::i32_##a; \
  case Op::i64_##a: return Op::i64_##b; \
  case Op::i64_##b: return Op::i64_##a;
    TENON_INVERSE(eq, ne)
    TENON_INVERSE(lt_s, ge_s)
    TENON_INVERSE(lt_u, ge_u)
    TENON_INVERSE(gt_s, le_s)
    TENON_INVERSE(gt_u, le_u)
#undef TENON_INVERSE
    case Op::f32_eq: return Op::f32_ne;
    case Op::f32_ne: return Op::f32_eq;
    case Op::f64_eq: return Op::f64_ne;
    case Op::f64_ne: return Op::f64_eq;
    default: return std::nullopt;
  }
}

// i32.eqz of a comparison that was just written turns it round.
bool Translator::fold_not(const Instr& i) {
  if (i.op != Op::i32_eqz || !code_.is_last_result(code_.operand(0)) || last_numeric_.at != code_.last())
    return false;
  const std::optional<Op> opposite = inverse_comparison(last_numeric_.op);
  if (!opposite) return false;
  const Numeric n = last_numeric_;
  code_.pop();
  // The same instruction again, with another handler: only its storing form has to follow.
  last_numeric_.op = *opposite;
  const u32 size = n.size;
  std::vector<u64> rest;
  for (u32 w = 8; w < size; w += 8) rest.push_back(code_.get<u64>(n.at + w));
  code_.erase_from(n.at);
  code_.emit_result(num_handler(*opposite, n.lhs.src, n.rhs.src, false),
                    num_handler(*opposite, n.lhs.src, n.rhs.src, true), size, {}, ValKind::i32);
  for (u32 w = 8; w < size; w += 8) code_.put(n.at + w, rest[w / 8 - 1]);
  return true;
}

void Translator::numeric(const Instr& i) {
  const OpSignature& sig = op_info(i.op).signature;
  if (sig.result_count == 2) return wide_arithmetic(i);
  if (sig.param_count == 3) return ternary(i);
  if (fold_not(i)) return;
  const bool unary = sig.param_count == 1;
  Operand r{}, l{};
  if (!unary) r = code_.pop();
  l = code_.pop();
  Source ls = code_.source(l), rs = unary ? Source{} : code_.source(r);
  // The best form that exists: operands that it cannot take as they are go to a slot first.
  if (!num_handler(i.op, ls.src, rs.src, false)) {
    if (ls.src == Src::imm) ls = {Src::slot, code_.in_slot(l), 0};
    if (!num_handler(i.op, ls.src, rs.src, false) && !unary) {
      if (rs.src == Src::imm || !num_handler(i.op, Src::slot, rs.src, false))
        rs = {Src::slot, code_.in_slot(r), 0};
      if (!num_handler(i.op, ls.src, rs.src, false)) ls = {Src::slot, code_.in_slot(l), 0};
    }
  }
  const Handler plain = num_handler(i.op, ls.src, rs.src, false),
                stored = num_handler(i.op, ls.src, rs.src, true);
  Fields fields;
  fields.a = ls.src == Src::imm ? rs.slot : ls.slot;
  fields.b = rs.slot;
  fields.c = i.lane;
  const bool has_imm = ls.src == Src::imm || rs.src == Src::imm;
  const ValKind imm_kind = ls.src == Src::imm ? l.kind : r.kind;
  const u32 size = has_imm && !fits_32(imm_kind) ? 24 : 16;
  mark();
  code_.emit_result(plain, stored, size, fields, kind_of_letter(sig.results[0]));
  const u32 at = code_.last();
  if (has_imm) {
    const u64 bits = ls.src == Src::imm ? ls.bits : rs.bits;
    if (fits_32(imm_kind))
      code_.put(at + kFieldImm, static_cast<u32>(bits));
    else
      code_.put(at + kFieldExt, bits);
  }
  before_that_ = last_numeric_;
  last_numeric_ = {at, size, i.op, ls, rs};
}

void Translator::canonical_nan(NanResult shape) {
  if (shape == NanResult::none) return;
  const ValKind kind = shape == NanResult::f32   ? ValKind::f32
                       : shape == NanResult::f64 ? ValKind::f64
                                                 : ValKind::v128;
  const u32 a = pop_slot();
  code_.emit(&ctl::canonical_nan, 16, {.a = a, .d = code_.next_slot(), .c = static_cast<u32>(shape)});
  code_.push_result_slot(kind);
}

namespace {

// Of relaxed_madd and relaxed_nmadd in the deterministic profile: each step rounds.
struct Steps {
  Op multiply, add;
  std::optional<Op> negate;
};
std::optional<Steps> steps_of(Op op) {
  switch (op) {
    case Op::f32x4_relaxed_madd: return Steps{Op::f32x4_mul, Op::f32x4_add, std::nullopt};
    case Op::f64x2_relaxed_madd: return Steps{Op::f64x2_mul, Op::f64x2_add, std::nullopt};
    case Op::f32x4_relaxed_nmadd: return Steps{Op::f32x4_mul, Op::f32x4_add, Op::f32x4_neg};
    case Op::f64x2_relaxed_nmadd: return Steps{Op::f64x2_mul, Op::f64x2_add, Op::f64x2_neg};
    default: return std::nullopt;
  }
}

}  // namespace

void Translator::ternary(const Instr& i) {
  const u32 c = pop_slot(), b = pop_slot(), a = pop_slot();
  if (const auto steps = steps_of(i.op); steps && deterministic_simd_) {
    code_.spill_accumulators();
    const u32 product = code_.next_slot();
    code_.reserve_slots(product + 2);
    u32 factor = a;
    if (steps->negate) {
      code_.emit(num_handler(*steps->negate, Src::slot, Src::slot, true), 16, {.a = a, .d = product});
      factor = product;
    }
    code_.emit(num_handler(steps->multiply, Src::slot, Src::slot, true), 16,
               {.a = factor, .d = product, .b = b});
    code_.emit_result(num_handler(steps->add, Src::slot, Src::slot, false),
                      num_handler(steps->add, Src::slot, Src::slot, true), 16, {.a = product, .b = c},
                      ValKind::v128);
    return;
  }
  code_.emit_result(num_handler(i.op, Src::slot, Src::slot, false),
                    num_handler(i.op, Src::slot, Src::slot, true), 16, {.a = a, .b = b, .c = c},
                    ValKind::v128);
}

void Translator::wide_arithmetic(const Instr& i) {
  const bool four = op_info(i.op).signature.param_count == 4;
  u32 fourth = 0, third = 0;
  if (four) {
    fourth = pop_slot();
    third = pop_slot();
  }
  const u32 b = pop_slot(), a = pop_slot();
  const u32 at = code_.emit(num_handler(i.op, Src::slot, Src::slot, true), 24,
                            {.a = a, .d = code_.next_slot(), .b = b, .c = third});
  code_.put(at + kFieldExt, static_cast<u16>(fourth));
  code_.push_result_slot(ValKind::i64);
  code_.push_result_slot(ValKind::i64);
}

void Translator::shuffle(const Instr& i) {
  Operand r = code_.pop(), l = code_.pop();
  Source ls = code_.source(l), rs = code_.source(r);
  if (!num_handler(i.op, ls.src, rs.src, false)) rs = {Src::slot, code_.in_slot(r), 0};
  if (!num_handler(i.op, ls.src, rs.src, false)) ls = {Src::slot, code_.in_slot(l), 0};
  code_.emit_result(num_handler(i.op, ls.src, rs.src, false), num_handler(i.op, ls.src, rs.src, true), 32,
                    {.a = ls.slot, .b = rs.slot}, ValKind::v128);
  for (u32 lane = 0; lane < 16; ++lane) code_.put(code_.last() + kFieldExt + lane, i.v128[lane]);
}

void Translator::memory_access(const Instr& i) {
  switch (i.op) {
    case Op::memory_atomic_notify:
    case Op::memory_atomic_wait32:
    case Op::memory_atomic_wait64: return atomic_wait(i);
    default: break;
  }
  const OpInfo& info = op_info(i.op);
  const bool fast = i.mem.memory.value == 0 && !module_.memories[0].is64 && info.imm == Imm::memarg &&
                    info.prefix != 0xfe && i.mem.offset + info.width <= 0xffff'ffff;
  if (fast && info.signature.result_count != 0 && fast_load(i, kind_of_letter(info.signature.results[0])))
    return;
  if (fast && info.signature.result_count == 0 && fast_store(i)) return;
  slow_access(i);
}

bool Translator::fast_load(const Instr& i, ValKind kind) {
  const Source address = code_.source(code_.operand(0));
  u64 end = i.mem.offset + op_info(i.op).width;
  if (address.src == Src::imm) end += static_cast<u32>(address.bits);
  if (end > 0xffff'ffff) return false;
  code_.pop();
  mark();
  code_.emit_result(load_handler(i.op, address.src, false), load_handler(i.op, address.src, true), 16,
                    {.a = address.slot}, kind);
  code_.put(code_.last() + kFieldImm, static_cast<u32>(end));
  return true;
}

bool Translator::fast_store(const Instr& i) {
  u64 end = i.mem.offset + op_info(i.op).width;
  const Operand& a = code_.operand(1);
  if (a.where == Operand::Where::constant) end += static_cast<u32>(a.bits);
  if (end > 0xffff'ffff) return false;
  Operand value = code_.pop(), address = code_.pop();
  Source vs = code_.source(value), as = code_.source(address);
  if (!store_handler(i.op, as.src, vs.src)) {
    // Both in one accumulator, or a vector constant: one of them has a slot or gets one.
    if (value.where == Operand::Where::accumulator && address.where != Operand::Where::accumulator)
      as = {Src::slot, code_.in_slot(address), 0};
    else
      vs = {Src::slot, code_.in_slot(value), 0};
  }
  mark();
  const u32 at = code_.emit(store_handler(i.op, as.src, vs.src), vs.src == Src::imm ? 24 : 16,
                            {.a = as.slot, .d = vs.slot});
  code_.put(at + kFieldImm, static_cast<u32>(end));
  if (vs.src == Src::imm) code_.put(at + kFieldExt, vs.bits);
  return true;
}

// Any memory, any offset; also what has this form only.
void Translator::slow_access(const Instr& i) {
  const OpInfo& info = op_info(i.op);
  const u32 n = info.signature.param_count;
  const u32 c = n > 2 ? pop_slot() : 0, b = n > 1 ? pop_slot() : 0, a = pop_slot();
  const bool result = info.signature.result_count != 0;
  if (result) code_.spill_accumulators();
  mark();
  const u32 at =
      code_.emit(memory_handler(i.op), 40, {.a = a, .d = result ? code_.next_slot() : 0, .b = b, .c = c});
  code_.put(at + 16, i.mem.offset);
  code_.put(at + 24, memory_desc(i.mem.memory.value));
  code_.put(at + 32, i.lane);
  code_.put(at + 33, static_cast<u8>(module_.memories[i.mem.memory.value].is64));
  if (result) code_.push_result_slot(kind_of_letter(info.signature.results[0]), true);
}

void Translator::atomic_wait(const Instr& i) {
  const bool notify = i.op == Op::memory_atomic_notify;
  const u32 c = notify ? 0 : pop_slot(), b = pop_slot(), a = pop_slot();
  const Handler h = notify                             ? &ctl::atomic_notify
                    : i.op == Op::memory_atomic_wait32 ? &ctl::atomic_wait32
                                                       : &ctl::atomic_wait64;
  mark();
  const u32 at = code_.emit(h, 32, {.a = a, .d = code_.next_slot(), .b = b, .c = c});
  code_.put(at + 16, i.mem.offset);
  code_.put(at + 24, i.mem.memory.value);
  code_.put(at + 28, module_.memories[i.mem.memory.value].is64 ? ctl::kWideA : 0u);
  code_.push_result_slot(ValKind::i32);
}

void Translator::bulk(const Instr& i) {
  const u32 first = i.index, second = i.index2;
  auto table64 = [&](u32 t) { return module_.tables[t].type.is64; };
  auto memory64 = [&](u32 m) { return module_.memories[m].is64; };
  // Emits an instruction with 32-bit words in its extensions.
  auto emit = [&](Handler h, Fields fields, std::initializer_list<u32> words) {
    mark();
    const u32 at = code_.emit(h, words.size() > 2 ? 32 : 24, fields);
    u32 n = 0;
    for (u32 w : words) code_.put(at + kFieldExt + 4 * n++, w);
  };
  auto three = [&](Handler h, std::initializer_list<u32> words) {
    const u32 c = pop_slot(), b = pop_slot(), a = pop_slot();
    emit(h, {.a = a, .b = b, .c = c}, words);
  };
  auto with_pointer = [&](Handler h, Fields fields, const void* p) {
    mark();
    code_.put(code_.emit(h, 24, fields) + kFieldExt, p);
  };
  switch (i.op) {
    case Op::memory_size:
      with_pointer(&ctl::memory_size, {.d = code_.next_slot(), .c = module_.memories[first].page_shift},
                   memory_desc(first));
      return code_.push_result_slot(address_kind(memory64(first)));
    case Op::memory_grow: {
      const u32 a = pop_slot();
      emit(&ctl::memory_grow, {.a = a, .d = code_.next_slot(), .c = memory64(first)}, {first});
      return code_.push_result_slot(address_kind(memory64(first)));
    }
    case Op::memory_fill:
      return three(&ctl::memory_fill, {first, memory64(first) ? ctl::kWideA | ctl::kWideC : 0});
    case Op::memory_copy: {
      const bool to = memory64(first), from = memory64(second);
      return three(&ctl::memory_copy,
                   {first, second,
                    (to ? ctl::kWideA : 0) | (from ? ctl::kWideB : 0) | (to && from ? ctl::kWideC : 0)});
    }
    case Op::memory_init:
      return three(&ctl::memory_init, {second, memory64(second) ? ctl::kWideA : 0, first});
    case Op::data_drop: return emit(&ctl::data_drop, {}, {first});
    case Op::table_get: {
      const u32 a = pop_slot();
      with_pointer(&ctl::table_get, {.a = a, .d = code_.next_slot(), .c = table64(first)}, table_desc(first));
      return code_.push_result_slot(ValKind::ref);
    }
    case Op::table_set: {
      const u32 b = pop_slot(), a = pop_slot();
      return with_pointer(&ctl::table_set, {.a = a, .b = b, .c = table64(first)}, table_desc(first));
    }
    case Op::table_size:
      with_pointer(&ctl::table_size, {.d = code_.next_slot()}, table_desc(first));
      return code_.push_result_slot(address_kind(table64(first)));
    case Op::table_grow: {
      const u32 b = pop_slot(), a = pop_slot();
      emit(&ctl::table_grow, {.a = a, .d = code_.next_slot(), .b = b, .c = table64(first)}, {first});
      return code_.push_result_slot(address_kind(table64(first)));
    }
    case Op::table_fill:
      return three(&ctl::table_fill, {first, table64(first) ? ctl::kWideA | ctl::kWideC : 0});
    case Op::table_copy: {
      const bool to = table64(first), from = table64(second);
      return three(&ctl::table_copy,
                   {first, second,
                    (to ? ctl::kWideA : 0) | (from ? ctl::kWideB : 0) | (to && from ? ctl::kWideC : 0)});
    }
    case Op::table_init: return three(&ctl::table_init, {second, table64(second) ? ctl::kWideA : 0, first});
    default:  // elem.drop
      return emit(&ctl::elem_drop, {}, {first});
  }
}

namespace {

Class class_of(ValKind k) {
  if (k == ValKind::v128) return Class::x128;
  return k == ValKind::f32 || k == ValKind::f64 ? Class::x64 : Class::r0;
}

}  // namespace

void Translator::local_or_global(const Instr& i) {
  switch (i.op) {
    case Op::local_get: return code_.push_local(validator_.local_type(i.index).kind(), local_slots_[i.index]);
    case Op::local_set:
    case Op::local_tee:
      return code_.set_local(local_slots_[i.index], validator_.local_type(i.index).kind(),
                             i.op == Op::local_tee);
    case Op::global_get: {
      const ValKind kind = module_.globals[i.index].type.type.kind();
      code_.emit_result(ctl::global_get_handler(class_of(kind), false),
                        ctl::global_get_handler(class_of(kind), true), 24, {}, kind);
      return code_.put(code_.last() + kFieldExt, global_cell(i.index));
    }
    default: {  // global.set
      Operand o = code_.pop();
      Source s = code_.source(o);
      if (s.src == Src::imm) s = {Src::slot, code_.in_slot(o), 0};
      const u32 at =
          code_.emit(ctl::global_set_handler(class_of(o.kind), s.src == Src::reg), 24, {.a = s.slot});
      return code_.put(at + kFieldExt, global_cell(i.index));
    }
  }
}

void Translator::select() {
  Operand condition = code_.pop(), b = code_.pop(), a = code_.pop();
  Source cs = code_.source(condition);
  if (cs.src == Src::imm) cs = {Src::slot, code_.in_slot(condition), 0};
  // The values in slots; the condition may have been made last and stay in the accumulator.
  const u32 slot_b = code_.in_slot(b), slot_a = code_.in_slot(a);
  const Class cls = class_of(a.kind);
  code_.emit_result(ctl::select_handler(cls, cs.src == Src::reg, false),
                    ctl::select_handler(cls, cs.src == Src::reg, true), 16,
                    {.a = slot_a, .b = slot_b, .c = cs.slot}, a.kind);
}

}  // namespace tenon::interp
