// Operand and control stacks, the table of rules, and the rules for fixed signatures, variables, tables and
// memories (spec: valid/instructions). Control is in control_rules.cpp, references and aggregates in
// reference_rules.cpp.
#include "engine/validate/func_validator.h"

#include <fmt/format.h>

#include <array>
#include <bit>

namespace tenon {
namespace {

constexpr u32 kMaxOffset32 = 0xffffffff;

// A signature column as types, for one address type.
struct FixedSignature {
  std::array<ValType, OperandStack::kPatternTypes> params{};
  std::array<ValType, 2> results{};
  OperandStack::Pattern pattern;  // the parameters
  u8 param_count = 0, result_count = 0;
  bool has_address = false;
  bool has_immediate = false;
  u8 lanes = 0;  // of the row's vector shape, 0 when it names none

  constexpr void set(const OpInfo& info, ValType address);
};

constexpr ValType type_of_letter(char letter, ValType address) {
  switch (letter) {
    case 'i': return kI32;
    case 'l': return kI64;
    case 'f': return kF32;
    case 'd': return kF64;
    case 'v': return kV128;
    default: return address;
  }
}

// The lane count in "i8x16.extract_lane_s".
constexpr u8 lanes_in(std::string_view text) {
  const size_t x = text.find('x'), dot = text.find('.');
  if (x == std::string_view::npos || dot == std::string_view::npos || x > dot) return 0;
  u8 lanes = 0;
  for (size_t i = x + 1; i < dot; ++i) lanes = static_cast<u8>(lanes * 10 + (text[i] - '0'));
  return lanes;
}

constexpr void FixedSignature::set(const OpInfo& info, ValType address) {
  param_count = info.signature.param_count;
  result_count = info.signature.result_count;
  for (u8 i = 0; i < param_count; ++i) {
    params[i] = type_of_letter(info.signature.params[i], address);
    has_address |= info.signature.params[i] == 'a';
    const u32 at = OperandStack::kPatternTypes - param_count + i, shift = 32 * (at % 2);
    pattern.types[at / 2] |= u64{params[i].bits()} << shift;
    pattern.mask[at / 2] |= u64{0xffffffff} << shift;
  }
  for (u8 i = 0; i < result_count; ++i) {
    results[i] = type_of_letter(info.signature.results[i], address);
    has_address |= info.signature.results[i] == 'a';
  }
  has_immediate = info.imm != Imm::none;
  if (info.imm == Imm::lane) lanes = lanes_in(info.text);
}

template <u8 address_bits>
constexpr auto kFixed = [] {
  std::array<FixedSignature, kOpCount> table{};
  for (size_t i = 0; i < kOpCount; ++i) table[i].set(detail::kOpInfos[i], address_bits == 64 ? kI64 : kI32);
  return table;
}();
static_assert(std::endian::native == std::endian::little,
              "OperandStack::Pattern packs types in memory order");

std::string list_of(std::span<const ValType> types) {
  std::string s;
  for (ValType t : types) s += (s.empty() ? "" : " ") + to_string(t);
  return s;
}

}  // namespace

// What checks each instruction: a member function, or null for a fixed signature.
struct FuncValidator::Rules {
  using Rule = void (FuncValidator::*)(const Instr&);
  struct Row {
    Op op;
    Rule rule;
  };
  using V = FuncValidator;

  static constexpr Row kRows[] = {
      {Op::unreachable, &V::unreachable_},
      {Op::block, &V::block},
      {Op::loop, &V::block},
      {Op::if_, &V::block},
      {Op::else_, &V::else_},
      {Op::try_, &V::block},
      {Op::catch_, &V::catch_},
      {Op::throw_, &V::throw_},
      {Op::rethrow, &V::rethrow},
      {Op::throw_ref, &V::throw_ref},
      {Op::end, &V::end},
      {Op::br, &V::br},
      {Op::br_if, &V::br_if},
      {Op::br_table, &V::br_table},
      {Op::return_, &V::return_},
      {Op::call, &V::call},
      {Op::call_indirect, &V::call_indirect},
      {Op::return_call, &V::return_call},
      {Op::return_call_indirect, &V::return_call_indirect},
      {Op::call_ref, &V::call_ref},
      {Op::return_call_ref, &V::return_call_ref},
      {Op::delegate, &V::delegate},
      {Op::catch_all, &V::catch_},
      {Op::drop, &V::drop},
      {Op::select, &V::select},
      {Op::select_t, &V::select_t},
      {Op::try_table, &V::try_table},
      {Op::local_get, &V::local_get},
      {Op::local_set, &V::local_set},
      {Op::local_tee, &V::local_tee},
      {Op::global_get, &V::global_get},
      {Op::global_set, &V::global_set},
      {Op::table_get, &V::table_get},
      {Op::table_set, &V::table_set},
      {Op::table_grow, &V::table_grow},
      {Op::table_fill, &V::table_fill},
      {Op::table_init, &V::table_init},
      {Op::table_copy, &V::table_copy},
      {Op::memory_copy, &V::memory_copy},
      {Op::ref_null, &V::ref_null},
      {Op::ref_is_null, &V::ref_is_null},
      {Op::ref_func, &V::ref_func},
      {Op::ref_eq, &V::ref_eq},
      {Op::ref_as_non_null, &V::ref_as_non_null},
      {Op::br_on_null, &V::br_on_null},
      {Op::br_on_non_null, &V::br_on_non_null},
      {Op::struct_new, &V::struct_new},
      {Op::struct_new_default, &V::struct_new},
      {Op::struct_get, &V::struct_get},
      {Op::struct_get_s, &V::struct_get},
      {Op::struct_get_u, &V::struct_get},
      {Op::struct_set, &V::struct_set},
      {Op::array_new, &V::array_new},
      {Op::array_new_default, &V::array_new},
      {Op::array_new_fixed, &V::array_new},
      {Op::array_new_data, &V::array_new_segment},
      {Op::array_new_elem, &V::array_new_segment},
      {Op::array_get, &V::array_get},
      {Op::array_get_s, &V::array_get},
      {Op::array_get_u, &V::array_get},
      {Op::array_set, &V::array_set},
      {Op::array_len, &V::array_len},
      {Op::array_fill, &V::array_fill},
      {Op::array_copy, &V::array_copy},
      {Op::array_init_data, &V::array_init_segment},
      {Op::array_init_elem, &V::array_init_segment},
      {Op::ref_test, &V::ref_test},
      {Op::ref_test_null, &V::ref_test},
      {Op::ref_cast, &V::ref_cast},
      {Op::ref_cast_null, &V::ref_cast},
      {Op::br_on_cast, &V::br_on_cast},
      {Op::br_on_cast_fail, &V::br_on_cast},
      {Op::any_convert_extern, &V::any_convert_extern},
      {Op::extern_convert_any, &V::extern_convert_any},
      {Op::ref_i31, &V::ref_i31},
      {Op::i31_get_s, &V::i31_get},
      {Op::i31_get_u, &V::i31_get},
  };

  static constexpr auto kByOp = [] {
    std::array<Rule, kOpCount> table{};
    for (const Row& row : kRows) table[static_cast<size_t>(row.op)] = row.rule;
    return table;
  }();

  static consteval bool complete() {
    for (size_t i = 0; i < kOpCount; ++i)
      if (detail::kOpInfos[i].signature.by_hand != (kByOp[i] != nullptr)) return false;
    return true;
  }
};
FuncValidator::FuncValidator(const Module& module, const ModuleLimits& limits)
    : module_(module), types_(module.type_registry()), limits_(limits) {
  static_assert(Rules::complete(), "each row of opcodes.def with signature \"*\" needs a rule, others none");
}

FuncValidator::FuncValidator(const Module& module, FuncIdx func, const ModuleLimits& limits)
    : FuncValidator(module, limits) {
  begin_function(func);
}

void FuncValidator::begin_function(FuncIdx func) {
  func_ = func;
  constant_ = false;
  const FuncType& type = module_.func_type(func);
  local_types_.assign(type.params.begin(), type.params.end());
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
  u64 total = local_types_.size();
  for (const LocalRun& run : runs) total += run.count;
  if (total > limits_.locals) {
    fail_limit("locals", total, limits_.locals);
    return false;
  }
  const size_t params = local_types_.size();
  local_types_.reserve(total);
  for (const LocalRun& run : runs) {
    local_types_.insert(local_types_.end(), run.count, run.type);
    track_inits_ |= run.count > 0 && !run.type.is_defaultable();
  }
  if (track_inits_) {
    initialised_.assign(local_types_.size(), true);
    for (size_t i = params; i < local_types_.size(); ++i) initialised_[i] = local_types_[i].is_defaultable();
  }
  return true;
}

bool FuncValidator::step(const Instr& instr) {
  offset_ = instr.offset;
  if (controls_.empty()) [[unlikely]] {
    fail(Err::section_size);
    return false;
  }
  if (constant_ && !check_constant(instr)) return false;
  if (const Rules::Rule rule = Rules::kByOp[static_cast<size_t>(instr.op)]) {
    (this->*rule)(instr);
  } else {
    fixed_signature(instr);
  }
  return !error_.has_value();
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

ValType FuncValidator::pop(ValType expected) {
  if (operands_.size() > floor_) [[likely]] {
    const ValType t = operands_.back();
    if (t != expected && !types_.is_subtype(t, expected)) [[unlikely]]
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

// ---- Fixed signatures

inline void FuncValidator::fixed_signature(const Instr& instr) {
  const FixedSignature* sig = &kFixed<32>[static_cast<size_t>(instr.op)];
  if (sig->has_immediate) {
    const OpInfo& info = op_info(instr.op);
    check_immediates(instr, info);
    if (sig->has_address && address_type(instr, info) == kI64)
      sig = &kFixed<64>[static_cast<size_t>(instr.op)];
  }
  if (operands_.size() - floor_ >= sig->param_count && operands_.top_is(sig->pattern)) [[likely]]
    return operands_.replace(sig->param_count, sig->results.data(), sig->result_count);
  pop(Types(sig->params.data(), sig->param_count));
  for (u8 i = 0; i < sig->result_count; ++i) push(sig->results[i]);
}

// The type of the letter `a`: how the memory or table that the immediates name is addressed.
ValType FuncValidator::address_type(const Instr& instr, const OpInfo& info) {
  switch (info.imm) {
    case Imm::memarg:
    case Imm::memarg_lane:
      if (const MemoryType* m = memory(instr.mem.memory.value)) return m->is64 ? kI64 : kI32;
      break;
    case Imm::mem:
      if (const MemoryType* m = memory(instr.index)) return m->is64 ? kI64 : kI32;
      break;
    case Imm::data_mem:
      if (const MemoryType* m = memory(instr.index2)) return m->is64 ? kI64 : kI32;
      break;
    case Imm::table:
      if (const TableType* t = table(instr.index)) return t->is64 ? kI64 : kI32;
      break;
    default: break;
  }
  return kI32;
}

// What the immediates of rows with a fixed signature must satisfy; existence of memories and tables is
// checked when their address type is looked up.
void FuncValidator::check_immediates(const Instr& instr, const OpInfo& info) {
  switch (info.imm) {
    case Imm::memarg: check_memarg(instr.mem, info); break;
    case Imm::memarg_lane:
      check_memarg(instr.mem, info);
      check_lane(instr.lane, 16u / info.width);
      break;
    case Imm::lane: check_lane(instr.lane, kFixed<32>[static_cast<size_t>(instr.op)].lanes); break;
    case Imm::lanes16:
      for (u8 lane : instr.v128) check_lane(lane, 32);
      break;
    case Imm::data_mem:
      if (memory(instr.index2)) check_data(instr.index);
      break;
    case Imm::data: check_data(instr.index); break;
    case Imm::elem: element(instr.index); break;
    default: break;
  }
}

void FuncValidator::check_memarg(const MemArg& arg, const OpInfo& info) {
  const MemoryType* m = memory(arg.memory.value);
  if (!m) return;
  const u32 natural = static_cast<u32>(std::countr_zero(info.width));
  if (info.feature == Feature::threads) {
    if (arg.align != natural) fail(Err::atomic_alignment);
  } else if (arg.align > natural) {
    fail(Err::alignment_too_large);
  }
  if (!m->is64 && arg.offset > kMaxOffset32) fail(Err::offset_out_of_range);
}

void FuncValidator::check_lane(u32 lane, u32 lanes) {
  if (lane >= lanes) fail(Err::invalid_lane_index, fmt::format("{} of {}", lane, lanes));
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
bool FuncValidator::check_local(u32 index) {
  if (index < local_types_.size()) [[likely]]
    return true;
  fail_index(Err::unknown_local, index);
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

void FuncValidator::drop(const Instr&) { pop(); }

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

void FuncValidator::local_get(const Instr& instr) {
  if (!check_local(instr.index)) return;
  if (track_inits_ && !initialised_[instr.index]) return fail_index(Err::uninitialized_local, instr.index);
  push(local_types_[instr.index]);
}

void FuncValidator::local_set(const Instr& instr) {
  if (!check_local(instr.index)) return;
  pop(local_types_[instr.index]);
  mark_initialised(instr.index);
}

void FuncValidator::local_tee(const Instr& instr) {
  if (!check_local(instr.index)) return;
  pop(local_types_[instr.index]);
  push(local_types_[instr.index]);
  mark_initialised(instr.index);
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

// ---- One function

Result<void> validate_function(const Module& module, FuncIdx func, const ModuleLimits& limits) {
  FuncValidator validator(module, limits);
  return validate_function(validator, module, func);
}

namespace {

// The body has ended without its last `end`; which message fits depends on what follows it.
Error missing_end(const Module& module, const Function& f) {
  const u64 after = f.offset + f.body.size();
  constexpr u8 kEnd = 0x0b;
  if (after >= module.bytes().size()) return make_error(Err::unexpected_end, after);
  return make_error(module.bytes()[after] == kEnd ? Err::section_size : Err::end_expected, after);
}

std::optional<Error> check_body(FuncValidator& validator, const Module& module, FuncIdx func) {
  const Function& f = module.functions[func.value];
  validator.begin_function(func);
  CodeReader reader(module, f.body, f.offset);
  std::vector<LocalRun> runs;
  if (!reader.read_locals(runs)) return reader.error();
  if (!validator.locals(runs)) return validator.error();
  Instr instr;
  while (!validator.done()) {
    if (!reader.next(instr)) return reader.error() ? *reader.error() : missing_end(module, f);
    if (!validator.step(instr)) return validator.error();
  }
  if (!reader.at_end()) return make_error(Err::section_size, reader.offset());
  return std::nullopt;
}

}  // namespace

Result<void> validate_function(FuncValidator& validator, const Module& module, FuncIdx func) {
  std::optional<Error> error = check_body(validator, module, func);
  if (!error) return {};
  error->message += fmt::format(" (in function {}, {})", func.value, module.function_name(func));
  return std::unexpected(std::move(*error));
}

}  // namespace tenon
