// What numeric rows, branches on comparisons, loads and stores do, as templates over sem::. Instantiated by
// handlers_scalar.cpp, handlers_simd.cpp, handlers_memory.cpp and, in combinations, handlers_super.cpp.
#pragma once
#include <array>
#include <tuple>

#include "engine/interp/dispatch.h"
#include "engine/interp/tables.h"
#include "engine/sem/sem.h"

namespace tenon::interp {

template <class F>
struct SemTraits;
template <class R, class... P>
struct SemTraits<R (*const)(P...)> {
  using Result = R;
  using Params = std::tuple<P..., void*, void*>;
  static constexpr bool kTraps = (false || ... || std::is_same_v<P, TrapCode&>);
  static constexpr u32 kArity = sizeof...(P) - kTraps;
};
template <Op op>
using Traits = SemTraits<decltype(kSem<op>)>;
template <Op op, u32 i>
using Param = std::tuple_element_t<i, typename Traits<op>::Params>;

template <Src src, class T>
inline T operand(const u8* pc, Slot* fp, u64 r0, V128 x0, u32 field, u32 wide_field = kFieldExt) {
  if constexpr (src == Src::slot)
    return from_slot<T>(slot_at(pc, fp, field));
  else if constexpr (src == Src::reg)
    return from_reg<T>(r0, x0);
  else
    return read<T>(pc, sizeof(T) == 4 ? kFieldImm : wide_field);
}

// How many operands come from the stack, and what immediate follows them.
template <Op op>
inline constexpr u32 kOperands = op_info(op).signature.param_count;
template <Op op>
inline constexpr bool kHasLane = op_info(op).imm == Imm::lane;
template <Op op>
inline constexpr bool kHasLanes = op_info(op).imm == Imm::lanes16;

template <Op op, Src l, Src r>
consteval u32 num_size() {
  if (kHasLanes<op>) return 32;
  if constexpr (l == Src::imm)
    return sizeof(Param<op, 0>) == 8 ? 24 : 16;
  else if constexpr (r == Src::imm)
    return sizeof(Param<op, 1>) == 8 ? 24 : 16;
  else
    return 16;
}

template <Op op, Src l, Src r>
inline auto apply(const u8* pc, Slot* fp, u64 r0, V128 x0, TrapCode& trap) {
  constexpr u32 field_r = l == Src::imm ? kFieldA : kFieldB;
  const auto a = operand<l, Param<op, 0>>(pc, fp, r0, x0, kFieldA);
  if constexpr (kOperands<op> == 1) {
    if constexpr (kHasLane<op>)
      return kSem<op>(a, read<u8>(pc, kFieldC));
    else if constexpr (Traits<op>::kTraps)
      return kSem<op>(a, trap);
    else
      return kSem<op>(a);
  } else if constexpr (kOperands<op> == 2) {
    const auto b = operand<r, Param<op, 1>>(pc, fp, r0, x0, field_r);
    if constexpr (kHasLane<op>)
      return kSem<op>(a, b, read<u8>(pc, kFieldC));
    else if constexpr (kHasLanes<op>)
      return kSem<op>(a, b, v128_load_bytes(pc + kFieldExt));
    else if constexpr (Traits<op>::kTraps)
      return kSem<op>(a, b, trap);
    else
      return kSem<op>(a, b);
  } else {
    static_assert(kOperands<op> == 3);
    return kSem<op>(a, from_slot<Param<op, 1>>(slot_at(pc, fp, kFieldB)),
                    from_slot<Param<op, 2>>(slot_at(pc, fp, kFieldC)));
  }
}

template <Op op, Src l, Src r, bool store>
struct NumStep {
  static constexpr Handler kFail = &raise_trap_at;
  TENON_STEP {
    TrapCode trap = TrapCode::none;
    const auto result = apply<op, l, r>(pc, fp, r0, x0, trap);
    if constexpr (Traits<op>::kTraps)
      if (trap != TrapCode::none) [[unlikely]] {
        r0 = static_cast<u64>(trap);
        return false;
      }
    if constexpr (store) to_slot(slot_at(pc, fp, kFieldD), result);
    to_reg(r0, x0, result);
    pc += num_size<op, l, r>();
    return true;
  }
};

// Comparison and branch. An immediate operand lies in the extension, since the target takes the field of
// 32-bit immediates.
template <Src src, class T>
T branch_operand(const u8* pc, Slot* fp, u64 r0, V128 x0, u32 field) {
  if constexpr (src == Src::imm)
    return read<T>(pc, kFieldExt);
  else
    return operand<src, T>(pc, fp, r0, x0, field);
}
template <Op op, Src l, Src r, bool sense, bool back>
struct BranchStep {
  static constexpr bool kBack = back;
  static constexpr u32 kSize = l == Src::imm || r == Src::imm ? 24 : 16;
  [[gnu::always_inline]] static bool taken(const u8* pc, Slot* fp, u64 r0, V128 x0) {
    const auto a = branch_operand<l, Param<op, 0>>(pc, fp, r0, x0, kFieldA);
    u32 result;
    if constexpr (kOperands<op> == 1)
      result = kSem<op>(a);
    else
      result =
          kSem<op>(a, branch_operand<r, Param<op, 1>>(pc, fp, r0, x0, l == Src::imm ? kFieldA : kFieldD));
    return (result != 0) == sense;
  }
};
// Both ways dispatch by themselves: a selected pc would make everything after wait for the comparison.
#define TENON_BRANCH(Step)                       \
  do {                                           \
    if (Step::taken(pc, fp, r0, x0)) {           \
      if constexpr (Step::kBack)                 \
        if (--vm->store->ticks < 0) [[unlikely]] \
          TENON_TAIL(tick_at_branch);            \
      pc += read<i32>(pc, kFieldTarget);         \
      TENON_DISPATCH();                          \
    }                                            \
    TENON_NEXT(Step::kSize);                     \
  } while (0)
template <class Step>
TENON_HANDLER branch(TENON_INTERP_PARAMS) {
  TENON_BRANCH(Step);
}

// Memory 0. The immediate is the end of the access relative to the address; the width is part of it.
template <Src address>
u64 end_of_access(const u8* pc, Slot* fp, u64 r0, V128 x0) {
  const u64 offset = read<u32>(pc, kFieldImm);
  if constexpr (address == Src::imm)
    return offset;
  else
    return offset + operand<address, u32>(pc, fp, r0, x0, kFieldA);
}
template <Op op, Src address, bool store>
struct LoadStep {
  static constexpr Handler kFail = &memory_slow;
  TENON_STEP {
    const u64 end = end_of_access<address>(pc, fp, r0, x0);
    if (end > mem_len) [[unlikely]]
      return false;
    const auto value = kSem<op>(mem + end - op_info(op).width);
    if constexpr (store) to_slot(slot_at(pc, fp, kFieldD), value);
    to_reg(r0, x0, value);
    pc += 16;
    return true;
  }
};
template <Op op, Src address, Src value>
struct StoreStep {
  static constexpr Handler kFail = &memory_slow;
  TENON_STEP {
    const u64 end = end_of_access<address>(pc, fp, r0, x0);
    if (end > mem_len) [[unlikely]]
      return false;
    using T = Param<op, 1>;
    T v;
    if constexpr (value == Src::imm)
      v = read<T>(pc, kFieldExt);
    else
      v = operand<value, T>(pc, fp, r0, x0, kFieldD);
    kSem<op>(mem + end - op_info(op).width, v);
    pc += value == Src::imm ? 24 : 16;
    return true;
  }
};

// Wide arithmetic: operands in A, B, C and the first extension field, results in D and the slot after it.
template <Op op>
TENON_HANDLER wide(TENON_INTERP_PARAMS) {
  const u64 a = slot_at(pc, fp, kFieldA)->u64_, b = slot_at(pc, fp, kFieldB)->u64_;
  sem::Wide result;
  if constexpr (kOperands<op> == 2)
    result = kSem<op>(a, b);
  else
    result = kSem<op>(a, b, slot_at(pc, fp, kFieldC)->u64_, slot_at(pc, fp, kFieldExt)->u64_);
  Slot* d = slot_at(pc, fp, kFieldD);
  d[0].u64_ = result.lo;
  d[1].u64_ = result.hi;
  TENON_NEXT(24);
}

// Forms by source of the operands, lhs * 3 + rhs, without and with store.
struct NumForms {
  Handler form[9][2] = {};
};

template <Op op>
inline constexpr bool kNumeric =
    kHasSem<op> && op_info(op).width == 0 && op_info(op).signature.result_count != 0;
template <Op op>
inline constexpr bool kWide = op_info(op).signature.result_count == 2;

template <Op op, Src l, Src r>
constexpr void add_form(NumForms& f) {
  constexpr u32 i = static_cast<u32>(l) * 3 + static_cast<u32>(r);
  f.form[i][0] = &single<NumStep<op, l, r, false>>;
  f.form[i][1] = &single<NumStep<op, l, r, true>>;
}

template <Op op>
consteval NumForms make_forms() {
  NumForms f;
  if constexpr (kNumeric<op>) {
    if constexpr (kWide<op>) {
      f.form[0][1] = &wide<op>;
    } else {
      add_form<op, Src::slot, Src::slot>(f);
      if constexpr (kOperands<op> <= 2) {
        add_form<op, Src::reg, Src::slot>(f);
      }
      if constexpr (kOperands<op> == 2) {
        add_form<op, Src::slot, Src::reg>(f);
        constexpr bool vector_l = std::is_same_v<Param<op, 0>, V128>;
        constexpr bool vector_r = std::is_same_v<Param<op, 1>, V128>;
        if constexpr (!kHasLane<op> && !kHasLanes<op>) {
          if constexpr (!vector_l || !vector_r) add_form<op, Src::reg, Src::reg>(f);
          if constexpr (!vector_r) {
            add_form<op, Src::slot, Src::imm>(f);
            add_form<op, Src::reg, Src::imm>(f);
          }
          if constexpr (!vector_l) {
            add_form<op, Src::imm, Src::slot>(f);
            add_form<op, Src::imm, Src::reg>(f);
          }
        }
      }
    }
  }
  return f;
}

template <Op op>
inline constexpr bool kUsesVectors = [] {
  for (char c : op_info(op).signature.params)
    if (c == 'v') return true;
  for (char c : op_info(op).signature.results)
    if (c == 'v') return true;
  return false;
}();

}  // namespace tenon::interp
