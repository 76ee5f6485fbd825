// Handlers of entry and exit of functions, branches, moves, select and globals.
#include <cmath>

#include "engine/interp/control.h"
#include "engine/interp/state.h"

namespace tenon::interp::ctl {

TENON_HANDLER leave_activation(TENON_INTERP_PARAMS) { return Status::ok; }

TENON_HANDLER far_return(TENON_INTERP_PARAMS) {
  const Link* link = reinterpret_cast<const Link*>(fp);
  pc = link->far_pc;
  vm = link->far_vm;
  fp = link->far_fp;
  load_memory(vm, mem, mem_len);
  TENON_DISPATCH();
}

namespace {

__attribute__((noinline)) void canonicalise(Slot* to, const Slot* from, NanResult shape) {
  constexpr u32 kF32 = 0x7fc0'0000;
  constexpr u64 kF64 = 0x7ff8'0000'0000'0000;
  const bool wide = shape == NanResult::f64 || shape == NanResult::f64x2;
  const u32 slots = shape == NanResult::f32x4 || shape == NanResult::f64x2 ? 2 : 1;
  for (u32 s = 0; s < slots; ++s) {
    f32 lanes[2];
    std::memcpy(lanes, &from[s], sizeof lanes);
    to[s] = from[s];
    if (wide && std::isnan(from[s].f64_)) to[s].u64_ = kF64;
    for (u32 lane = 0; !wide && lane < 2; ++lane)
      if (std::isnan(lanes[lane])) std::memcpy(reinterpret_cast<u8*>(&to[s]) + 4 * lane, &kF32, sizeof kF32);
  }
}

}  // namespace

TENON_HANDLER canonical_nan(TENON_INTERP_PARAMS) {
  canonicalise(slot_at(pc, fp, kFieldD), slot_at(pc, fp, kFieldA),
               static_cast<NanResult>(read<u16>(pc, kFieldC)));
  TENON_NEXT(16);
}

TENON_HANDLER zero_locals(TENON_INTERP_PARAMS) {
  Slot* first = slot_at(pc, fp, kFieldA);
  const u32 count = read<u16>(pc, kFieldB);
  for (u32 i = 0; i < count; ++i) {
    first[i].u64_ = 0;
    asm volatile("" ::: "memory");  // a loop of stores; a call of memset costs more for a few locals
  }
  TENON_NEXT(16);
}

// Results go to the frame's first slots, which never reach the Link.
#define TENON_LEAVE()                                                            \
  do {                                                                           \
    const Link* link_ = reinterpret_cast<const Link*>(slot_at(pc, fp, kFieldD)); \
    pc = link_->pc;                                                              \
    fp = link_->fp;                                                              \
    TENON_DISPATCH();                                                            \
  } while (0)

TENON_HANDLER return_none(TENON_INTERP_PARAMS) { TENON_LEAVE(); }
TENON_HANDLER return_r0(TENON_INTERP_PARAMS) {
  fp->u64_ = r0;
  TENON_LEAVE();
}
TENON_HANDLER return_x64(TENON_INTERP_PARAMS) {
  fp->u64_ = x0[0];
  TENON_LEAVE();
}
TENON_HANDLER return_x128(TENON_INTERP_PARAMS) {
  to_slot(fp, x0);
  TENON_LEAVE();
}
// The result is in the accumulators too, whatever its class.
TENON_HANDLER return_slot(TENON_INTERP_PARAMS) {
  r0 = slot_at(pc, fp, kFieldA)->u64_;
  to_reg(r0, x0, slot_at(pc, fp, kFieldA)->f64_);
  fp->u64_ = r0;
  TENON_LEAVE();
}
TENON_HANDLER return_slot128(TENON_INTERP_PARAMS) {
  x0 = from_slot<V128>(slot_at(pc, fp, kFieldA));
  to_slot(fp, x0);
  TENON_LEAVE();
}
TENON_HANDLER return_many(TENON_INTERP_PARAMS) {
  const Slot* from = slot_at(pc, fp, kFieldA);
  const u32 count = read<u16>(pc, kFieldB);
  for (u32 i = 0; i < count; ++i) fp[i] = from[i];
  TENON_LEAVE();
}

TENON_HANDLER move_many(TENON_INTERP_PARAMS) {
  std::memmove(slot_at(pc, fp, kFieldD), slot_at(pc, fp, kFieldA), read<u16>(pc, kFieldB) * sizeof(Slot));
  TENON_NEXT(16);
}

TENON_HANDLER jump(TENON_INTERP_PARAMS) {
  pc += read<i32>(pc, kFieldTarget);
  TENON_DISPATCH();
}
TENON_HANDLER jump_back(TENON_INTERP_PARAMS) {
  if (--vm->store->ticks < 0) [[unlikely]]
    TENON_TAIL(tick_at_branch);
  pc += read<i32>(pc, kFieldTarget);
  TENON_DISPATCH();
}
#define TENON_BR_TABLE(index)                                      \
  do {                                                             \
    const u32 count_ = read<u32>(pc, kFieldImm), index_ = (index); \
    const u32 entry_ = index_ < count_ ? index_ : count_;          \
    pc += read<i32>(pc, kFieldExt + 4 * entry_);                   \
    TENON_DISPATCH();                                              \
  } while (0)
TENON_HANDLER br_table_slot(TENON_INTERP_PARAMS) { TENON_BR_TABLE(slot_at(pc, fp, kFieldA)->u32_); }
TENON_HANDLER br_table_r0(TENON_INTERP_PARAMS) { TENON_BR_TABLE(static_cast<u32>(r0)); }

TENON_HANDLER check_interruption(TENON_INTERP_PARAMS) {
  StoreContext& context = *vm->store;
  if (__atomic_load_n(&context.interrupt, __ATOMIC_RELAXED) ||
      __atomic_load_n(context.epoch, __ATOMIC_RELAXED) >= context.epoch_deadline) [[unlikely]]
    TENON_TRAP(TrapCode::interrupted);
  if (context.fuel <= 0) [[unlikely]]
    TENON_TRAP(TrapCode::out_of_fuel);
  context.fuel -= 1;
  TENON_NEXT(16);
}

TENON_HANDLER unreachable(TENON_INTERP_PARAMS) { TENON_TRAP(TrapCode::unreachable); }

TENON_HANDLER move128(TENON_INTERP_PARAMS) {
  to_slot(slot_at(pc, fp, kFieldD), from_slot<V128>(slot_at(pc, fp, kFieldA)));
  TENON_NEXT(16);
}
TENON_HANDLER const64(TENON_INTERP_PARAMS) {
  slot_at(pc, fp, kFieldD)->u64_ = read<u64>(pc, kFieldExt);
  TENON_NEXT(24);
}
TENON_HANDLER const128(TENON_INTERP_PARAMS) {
  x0 = v128_load_bytes(pc + kFieldExt);
  to_slot(slot_at(pc, fp, kFieldD), x0);
  TENON_NEXT(32);
}

namespace {

// One handler for each class, by number.
template <template <Class> class Step>
Handler by_class(Class c) {
  constexpr Handler table[] = {&single<Step<Class::r0>>, &single<Step<Class::x64>>,
                               &single<Step<Class::x128>>};
  return table[static_cast<u32>(c)];
}
template <Class c>
using SelectSlot = SelectStep<c, false, false>;
template <Class c>
using SelectSlotStore = SelectStep<c, false, true>;
template <Class c>
using SelectReg = SelectStep<c, true, false>;
template <Class c>
using SelectRegStore = SelectStep<c, true, true>;
template <Class c>
using Get = GlobalGetStep<c, false>;
template <Class c>
using GetStore = GlobalGetStep<c, true>;
template <Class c>
using SetSlot = GlobalSetStep<c, false>;
template <Class c>
using SetReg = GlobalSetStep<c, true>;

}  // namespace

Handler select_handler(Class cls, bool in_r0, bool store) {
  if (in_r0) return store ? by_class<SelectRegStore>(cls) : by_class<SelectReg>(cls);
  return store ? by_class<SelectSlotStore>(cls) : by_class<SelectSlot>(cls);
}
Handler global_get_handler(Class cls, bool store) {
  return store ? by_class<GetStore>(cls) : by_class<Get>(cls);
}
Handler global_set_handler(Class cls, bool from_reg) {
  return from_reg ? by_class<SetReg>(cls) : by_class<SetSlot>(cls);
}
Handler store_accumulator_handler(Class cls) { return by_class<StoreAccStep>(cls); }

}  // namespace tenon::interp::ctl
