// From opcode to check: one function for each shape of row with a fixed signature, generated from
// opcodes.def, and the rule of each row without. Reading immediates and checking is one indirect call for
// each instruction.
#include <fmt/format.h>

#include <array>
#include <bit>
#include <utility>

#include "engine/validate/func_validator.h"

namespace tenon {
namespace {

// What the check of a row with a fixed signature depends on. Rows alike in it share one function.
struct Shape {
  Imm imm;
  u8 width;     // bytes accessed in memory
  u8 lanes;     // of the vector shape in the row's name, 0 when there is none
  bool atomic;  // its alignment is exact
  OpSignature signature;
};

// The lane count in "i8x16.extract_lane_s".
constexpr u8 lanes_in(std::string_view text) {
  const size_t x = text.find('x'), dot = text.find('.');
  if (x == std::string_view::npos || dot == std::string_view::npos || x > dot) return 0;
  u8 lanes = 0;
  for (size_t i = x + 1; i < dot; ++i) lanes = static_cast<u8>(lanes * 10 + (text[i] - '0'));
  return lanes;
}

constexpr Shape shape_of(size_t row) {
  const OpInfo& info = detail::kOpInfos[row];
  return {info.imm, info.width, info.imm == Imm::lane ? lanes_in(info.text) : u8{0},
          info.width != 0 && info.feature == Feature::threads, info.signature};
}

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

// A signature as types, for one address type.
struct SignatureTypes {
  std::array<ValType, OperandStack::kPatternTypes> params{};
  std::array<ValType, 2> results{};
  OperandStack::Pattern pattern{};  // the parameters

  constexpr SignatureTypes(const OpSignature& signature, ValType address) {
    for (u8 i = 0; i < signature.param_count; ++i) {
      params[i] = type_of_letter(signature.params[i], address);
      const u32 at = OperandStack::kPatternTypes - signature.param_count + i, shift = 32 * (at % 2);
      pattern.types[at / 2] |= u64{params[i].bits()} << shift;
      pattern.mask[at / 2] |= u64{0xffffffff} << shift;
    }
    for (u8 i = 0; i < signature.result_count; ++i)
      results[i] = type_of_letter(signature.results[i], address);
  }
};
static_assert(std::endian::native == std::endian::little,
              "OperandStack::Pattern packs types in memory order");

}  // namespace

// ---- Rules short and frequent enough to be inlined below

[[gnu::always_inline]] inline void FuncValidator::drop(const Instr&) { pop(); }

[[gnu::always_inline]] inline bool FuncValidator::check_local(u32 index) {
  if (index < local_count_) [[likely]]
    return true;
  fail_index(Err::unknown_local, index);
  return false;
}

[[gnu::always_inline]] inline void FuncValidator::local_get(const Instr& instr) {
  if (!check_local(instr.index)) return;
  if (track_inits_ && !initialised_[instr.index]) return fail_index(Err::uninitialized_local, instr.index);
  push(local_type(instr.index));
}

[[gnu::always_inline]] inline void FuncValidator::local_set(const Instr& instr) {
  if (!check_local(instr.index)) return;
  pop(local_type(instr.index));
  mark_initialised(instr.index);
}

[[gnu::always_inline]] inline void FuncValidator::local_tee(const Instr& instr) {
  if (!check_local(instr.index)) return;
  pop(local_type(instr.index));
  push(local_type(instr.index));
  mark_initialised(instr.index);
}

bool FuncValidator::check_lane(u32 lane, u32 lanes) {
  if (lane < lanes) return true;
  fail(Err::invalid_lane_index, fmt::format("{} of {}", lane, lanes));
  return false;
}

template <u8 width, bool atomic>
bool FuncValidator::check_memarg(const MemArg& arg, const MemoryType& memory) {
  constexpr u32 kNatural = std::countr_zero(width), kMaxOffset32 = 0xffffffff;
  if (atomic ? arg.align != kNatural : arg.align > kNatural) [[unlikely]] {
    fail(atomic ? Err::atomic_alignment : Err::alignment_too_large);
    return false;
  }
  if (arg.offset > kMaxOffset32 && !memory.is64) [[unlikely]] {
    fail(Err::offset_out_of_range);
    return false;
  }
  return true;
}

// ---- Dispatch

struct FuncValidator::Dispatch {
  using V = FuncValidator;
  using Rule = void (V::*)(const Instr&);
  using Check = void (*)(V&, const Instr&);
  using Step = void (*)(V&, CodeReader&, Instr&);

  // The rule of each row whose signature is "*".
  struct Row {
    Op op;
    Rule rule;
  };
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

  static constexpr auto kRules = [] {
    std::array<Rule, kOpCount> table{};
    for (const Row& row : kRows) table[static_cast<size_t>(row.op)] = row.rule;
    return table;
  }();
  static consteval bool complete() {
    for (size_t i = 0; i < kOpCount; ++i)
      if (detail::kOpInfos[i].signature.by_hand != (kRules[i] != nullptr)) return false;
    return true;
  }

  template <Rule rule>
  static void by_hand(V& v, const Instr& instr) {
    (v.*rule)(instr);
  }

  // Checks the immediates; null after an error, else the types for the address type that they give.
  template <Shape shape>
  static const SignatureTypes* check_immediates(V& v, const Instr& instr) {
    static constexpr SignatureTypes k32(shape.signature, kI32), k64(shape.signature, kI64);
    if constexpr (shape.imm == Imm::memarg || shape.imm == Imm::memarg_lane) {
      const MemoryType* m = v.memory(instr.mem.memory.value);
      if (!m || !v.check_memarg<shape.width, shape.atomic>(instr.mem, *m)) return nullptr;
      if constexpr (shape.imm == Imm::memarg_lane)
        if (!v.check_lane(instr.lane, 16u / shape.width)) return nullptr;
      return m->is64 ? &k64 : &k32;
    } else if constexpr (shape.imm == Imm::mem || shape.imm == Imm::data_mem) {
      const MemoryType* m = v.memory(shape.imm == Imm::mem ? instr.index : instr.index2);
      if (!m || (shape.imm == Imm::data_mem && !v.check_data(instr.index))) return nullptr;
      return m->is64 ? &k64 : &k32;
    } else if constexpr (shape.imm == Imm::table) {
      const TableType* t = v.table(instr.index);
      return !t ? nullptr : t->is64 ? &k64 : &k32;
    } else if constexpr (shape.imm == Imm::data) {
      return v.check_data(instr.index) ? &k32 : nullptr;
    } else if constexpr (shape.imm == Imm::elem) {
      return v.element(instr.index) ? &k32 : nullptr;
    } else if constexpr (shape.imm == Imm::lane) {
      return v.check_lane(instr.lane, shape.lanes) ? &k32 : nullptr;
    } else if constexpr (shape.imm == Imm::lanes16) {
      for (u8 lane : instr.v128)
        if (!v.check_lane(lane, 32)) return nullptr;
      return &k32;
    } else {
      return &k32;
    }
  }

  template <Shape shape>
  static void fixed_signature(V& v, const Instr& instr) {
    constexpr u8 kParams = shape.signature.param_count, kResults = shape.signature.result_count;
    const SignatureTypes* types = check_immediates<shape>(v, instr);
    if (!types) return;
    if (v.operands_.size() - v.floor_ >= kParams && v.operands_.top_is(types->pattern)) [[likely]]
      return v.operands_.replace(kParams, types->results.data(), kResults);
    v.pop(std::span(types->params.data(), kParams));
    for (u8 i = 0; i < kResults; ++i) v.push(types->results[i]);
  }

  template <size_t row>
  static consteval Check check_of() {
    if constexpr (detail::kOpInfos[row].signature.by_hand) {
      return &by_hand<kRules[row]>;
    } else {
      return &fixed_signature<shape_of(row)>;
    }
  }

  // Reads the immediates, checks, and goes on with the next instruction: a jump of its own for each shape,
  // which the processor predicts better than one that all share. Comes back at the end of the body or on an
  // error.
  template <Imm imm, Check check, bool closes>
  static void step_and_go_on(V& v, CodeReader& reader, Instr& instr) {
    reader.read<imm>(instr);
    if (imm != Imm::none && reader.error()) [[unlikely]]
      return;
    v.offset_ = instr.offset;
    check(v, instr);
    if (v.error_ || (closes && v.done()) || !reader.next_op(instr)) [[unlikely]]
      return;
    [[clang::musttail]] return go_on(v, reader, instr);
  }
  static void go_on(V& v, CodeReader& reader, Instr& instr);

  template <size_t... rows>
  static consteval auto make_checks(std::index_sequence<rows...>) {
    return std::array<Check, kOpCount>{check_of<rows>()...};
  }
  static constexpr bool closes(size_t row) {
    return row == static_cast<size_t>(Op::end) || row == static_cast<size_t>(Op::delegate);
  }
  template <size_t... rows>
  static consteval auto make_steps(std::index_sequence<rows...>) {
    return std::array<Step, kOpCount>{
        &step_and_go_on<detail::kOpInfos[rows].imm, check_of<rows>(), closes(rows)>...};
  }

  static void check(V& v, const Instr& instr) {
    static constexpr auto kChecks = make_checks(std::make_index_sequence<kOpCount>());
    kChecks[static_cast<size_t>(instr.op)](v, instr);
  }
};

// After reader.next_op(); function bodies only.
[[gnu::always_inline]] inline void FuncValidator::Dispatch::go_on(V& v, CodeReader& reader, Instr& instr) {
  static constexpr auto kSteps = make_steps(std::make_index_sequence<kOpCount>());
  [[clang::musttail]] return kSteps[static_cast<size_t>(instr.op)](v, reader, instr);
}

bool FuncValidator::step(const Instr& instr) {
  static_assert(Dispatch::complete(), "opcodes.def: each row with signature \"*\" needs a rule, others none");
  offset_ = instr.offset;
  if (controls_.empty()) [[unlikely]] {
    fail(Err::section_size);
    return false;
  }
  if (constant_ && !check_constant(instr)) return false;
  Dispatch::check(*this, instr);
  return !error_.has_value();
}

// ---- One function

Result<void> validate_function(const Module& module, FuncIdx func, const ModuleLimits& limits) {
  FuncValidator validator(module, limits);
  return validate_function(validator, module, func);
}

// The body has ended without its last `end`; which message fits depends on what follows it.
static Error missing_end(const Module& module, const Function& f) {
  const u64 after = f.offset + f.body.size();
  constexpr u8 kEnd = 0x0b;
  if (after >= module.bytes().size()) return make_error(Err::unexpected_end, after);
  return make_error(module.bytes()[after] == kEnd ? Err::section_size : Err::end_expected, after);
}

std::optional<Error> FuncValidator::run(FuncIdx func) {
  const Function& f = module_.functions[func.value];
  begin_function(func);
  CodeReader reader(module_, f.body, f.offset);
  std::vector<LocalRun> runs;
  if (!reader.read_locals(runs)) return reader.error();
  if (!locals(runs)) return error_;
  Instr instr;
  if (reader.next_op(instr)) Dispatch::go_on(*this, reader, instr);
  if (reader.error()) return reader.error();
  if (error_) return error_;
  if (!done()) return missing_end(module_, f);
  if (!reader.at_end()) return make_error(Err::section_size, reader.offset());
  return std::nullopt;
}

Result<void> validate_function(FuncValidator& validator, const Module& module, FuncIdx func) {
  std::optional<Error> error = validator.run(func);
  if (!error) return {};
  error->message += fmt::format(" (in function {}, {})", func.value, module.function_name(func));
  return std::unexpected(std::move(*error));
}

}  // namespace tenon
