// How handlers are written: operand access, dispatch, traps. Included by the handlers*.cpp only.
#pragma once
#include <cstring>
#include <type_traits>

#include "engine/interp/code.h"
#include "engine/runtime/trap.h"

namespace tenon::interp {

#define TENON_HANDLER __attribute__((preserve_none)) Status
// Goes on with the instruction at pc.
#define TENON_DISPATCH() [[clang::musttail]] return (*reinterpret_cast<const Handler*>(pc))(TENON_INTERP_ARGS)
#define TENON_NEXT(size) \
  do {                   \
    pc += (size);        \
    TENON_DISPATCH();    \
  } while (0)
#define TENON_TAIL(handler) [[clang::musttail]] return handler(TENON_INTERP_ARGS)
#define TENON_TRAP(code)         \
  do {                           \
    r0 = static_cast<u64>(code); \
    TENON_TAIL(raise_trap_at);   \
  } while (0)

// Leaves with the TrapCode in r0 at this pc.
TENON_HANDLER raise_trap_at(TENON_INTERP_PARAMS);
// Leaves with a Status in r0 (trap, exit or exception) that a callee of the instruction at pc gave; an
// exception that this activation catches goes on there.
TENON_HANDLER propagate(TENON_INTERP_PARAMS);
// StoreContext::ticks is used up at the backward branch at pc, or at the call of the FuncRef in r0 at pc, which
// is executed again then.
TENON_HANDLER tick_at_branch(TENON_INTERP_PARAMS);
TENON_HANDLER tick_at_call(TENON_INTERP_PARAMS);
// A bounds check against the cached length failed: tries again when the memory grew meanwhile, else traps.
TENON_HANDLER memory_slow(TENON_INTERP_PARAMS);

template <class T>
inline T read(const u8* pc, u32 offset) {
  T v;
  std::memcpy(&v, pc + offset, sizeof(T));
  return v;
}
inline Slot* slot_at(const u8* pc, Slot* fp, u32 field) { return fp + read<u16>(pc, field); }

template <class T>
inline T from_slot(const Slot* s) {
  T v;
  std::memcpy(&v, s, sizeof(T));
  return v;
}
template <class T>
inline void to_slot(Slot* s, T v) {
  std::memcpy(s, &v, sizeof(T));
}

template <class T>
inline constexpr bool kInX = std::is_floating_point_v<T> || std::is_same_v<T, V128>;

// A value in the accumulator of its class.
template <class T>
inline T from_reg(u64 r0, V128 x0) {
  if constexpr (std::is_same_v<T, V128>)
    return x0;
  else if constexpr (std::is_same_v<T, f32>)
    return ((F32x4)x0)[0];
  else if constexpr (std::is_same_v<T, f64>)
    return ((F64x2)x0)[0];
  else
    return static_cast<T>(r0);
}
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wuninitialized"
// The lanes above a scalar stay undefined, so that nothing has to clear them.
template <class T>
inline void to_reg(u64& r0, V128& x0, T v) {
  if constexpr (std::is_same_v<T, V128>) {
    x0 = v;
  } else if constexpr (std::is_same_v<T, f32>) {
    F32x4 w;
    w[0] = v;
    x0 = (V128)w;
  } else if constexpr (std::is_same_v<T, f64>) {
    F64x2 w;
    w[0] = v;
    x0 = (V128)w;
  } else {
    r0 = v;
  }
}
#pragma clang diagnostic pop

// A step is what one instruction does, without dispatch, so that handlers for one instruction and for several
// in a row (superinstructions.def) are made of the same code. exec() leaves pc at the next instruction; or it
// gives false, with pc at its own and what kFail needs in r0; kFail is null when it never does.
#define TENON_STEP                                                                                        \
  [[gnu::always_inline]] static bool exec([[maybe_unused]] const u8*& pc, [[maybe_unused]] Slot* fp,      \
                                          [[maybe_unused]] u8* mem, [[maybe_unused]] const VMContext* vm, \
                                          [[maybe_unused]] u64 mem_len, [[maybe_unused]] u64& r0,         \
                                          [[maybe_unused]] V128& x0)

template <class Step>
TENON_HANDLER single(TENON_INTERP_PARAMS) {
  if (!Step::exec(pc, fp, mem, vm, mem_len, r0, x0)) [[unlikely]] {
    if constexpr (Step::kFail != nullptr) TENON_TAIL(Step::kFail);
  }
  TENON_DISPATCH();
}

// Reloads what is cached of memory 0, after anything that may have grown it or changed the instance.
MemoryDesc* memory0(VMContext* vm);
inline void load_memory(VMContext* vm, u8*& mem, u64& mem_len) {
  const MemoryDesc* desc = memory0(vm);
  mem = desc ? desc->base : nullptr;
  mem_len = desc ? __atomic_load_n(&desc->length, __ATOMIC_RELAXED) : 0;
}

}  // namespace tenon::interp
