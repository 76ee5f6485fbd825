// Handlers of memory, table and segment instructions that are more than one access.
#include "engine/interp/control.h"
#include "engine/runtime/bulk.h"
#include "engine/runtime/wait.h"

namespace tenon::interp::ctl {
namespace {

// Operands A, B, C as addresses or counts; `flags` tells which are 64 bits wide.
inline u64 address(const u8* pc, Slot* fp, u32 field, u32 flags, u32 bit) {
  const Slot* s = slot_at(pc, fp, field);
  return flags & bit ? s->u64_ : s->u32_;
}
inline u64 address_a(const u8* pc, Slot* fp, u32 flags) { return address(pc, fp, kFieldA, flags, kWideA); }
inline u64 address_b(const u8* pc, Slot* fp, u32 flags) { return address(pc, fp, kFieldB, flags, kWideB); }
inline u64 address_c(const u8* pc, Slot* fp, u32 flags) { return address(pc, fp, kFieldC, flags, kWideC); }
inline u32 ext(const u8* pc, u32 i) { return read<u32>(pc, kFieldExt + 4 * i); }

}  // namespace

// Ends a handler whose work gave a TrapCode.
#define TENON_NEXT_OR_TRAP(trap_code, size)   \
  do {                                        \
    const TrapCode trap_ = (trap_code);       \
    if (trap_ != TrapCode::none) [[unlikely]] \
      TENON_TRAP(trap_);                      \
    TENON_NEXT(size);                         \
  } while (0)

TENON_HANDLER memory_size(TENON_INTERP_PARAMS) {
  const MemoryDesc* desc = read<const MemoryDesc*>(pc, kFieldExt);
  slot_at(pc, fp, kFieldD)->u64_ = __atomic_load_n(&desc->length, __ATOMIC_RELAXED) >> read<u16>(pc, kFieldC);
  TENON_NEXT(24);
}
TENON_HANDLER memory_grow(TENON_INTERP_PARAMS) {
  const Slot* delta = slot_at(pc, fp, kFieldA);
  const bool wide = read<u16>(pc, kFieldC) != 0;
  // −1 in 64 bits is −1 in 32 too.
  slot_at(pc, fp, kFieldD)->u64_ =
      tenon::memory_grow(vm, read<u32>(pc, kFieldExt), wide ? delta->u64_ : delta->u32_);
  load_memory(vm, mem, mem_len);
  TENON_NEXT(24);
}
TENON_HANDLER memory_fill(TENON_INTERP_PARAMS) {
  const u32 flags = ext(pc, 1);
  TENON_NEXT_OR_TRAP(tenon::memory_fill(vm, ext(pc, 0), address_a(pc, fp, flags),
                                        slot_at(pc, fp, kFieldB)->u32_, address_c(pc, fp, flags)),
                     24);
}
TENON_HANDLER memory_copy(TENON_INTERP_PARAMS) {
  const u32 flags = ext(pc, 2);
  TENON_NEXT_OR_TRAP(tenon::memory_copy(vm, ext(pc, 0), ext(pc, 1), address_a(pc, fp, flags),
                                        address_b(pc, fp, flags), address_c(pc, fp, flags)),
                     32);
}
TENON_HANDLER memory_init(TENON_INTERP_PARAMS) {
  TENON_NEXT_OR_TRAP(tenon::memory_init(vm, ext(pc, 0), ext(pc, 2), address_a(pc, fp, ext(pc, 1)),
                                        slot_at(pc, fp, kFieldB)->u32_, slot_at(pc, fp, kFieldC)->u32_),
                     32);
}
TENON_HANDLER data_drop(TENON_INTERP_PARAMS) {
  tenon::data_drop(vm, ext(pc, 0));
  TENON_NEXT(24);
}

TENON_HANDLER table_get(TENON_INTERP_PARAMS) {
  const TableDesc* table = read<const TableDesc*>(pc, kFieldExt);
  const u64 index = address(pc, fp, kFieldA, read<u16>(pc, kFieldC), 1);
  if (index >= table->size) [[unlikely]]
    TENON_TRAP(TrapCode::table_out_of_bounds);
  slot_at(pc, fp, kFieldD)->ref = table->elements[index];
  TENON_NEXT(24);
}
TENON_HANDLER table_set(TENON_INTERP_PARAMS) {
  const TableDesc* table = read<const TableDesc*>(pc, kFieldExt);
  const u64 index = address(pc, fp, kFieldA, read<u16>(pc, kFieldC), 1);
  if (index >= table->size) [[unlikely]]
    TENON_TRAP(TrapCode::table_out_of_bounds);
  table->elements[index] = slot_at(pc, fp, kFieldB)->ref;
  TENON_NEXT(24);
}
TENON_HANDLER table_size(TENON_INTERP_PARAMS) {
  slot_at(pc, fp, kFieldD)->u64_ = read<const TableDesc*>(pc, kFieldExt)->size;
  TENON_NEXT(24);
}
TENON_HANDLER table_grow(TENON_INTERP_PARAMS) {
  slot_at(pc, fp, kFieldD)->u64_ = tenon::table_grow(
      vm, ext(pc, 0), address(pc, fp, kFieldB, read<u16>(pc, kFieldC), 1), slot_at(pc, fp, kFieldA)->ref);
  TENON_NEXT(24);
}
TENON_HANDLER table_fill(TENON_INTERP_PARAMS) {
  const u32 flags = ext(pc, 1);
  TENON_NEXT_OR_TRAP(tenon::table_fill(vm, ext(pc, 0), address_a(pc, fp, flags),
                                       slot_at(pc, fp, kFieldB)->ref, address_c(pc, fp, flags)),
                     24);
}
TENON_HANDLER table_copy(TENON_INTERP_PARAMS) {
  const u32 flags = ext(pc, 2);
  TENON_NEXT_OR_TRAP(tenon::table_copy(vm, ext(pc, 0), ext(pc, 1), address_a(pc, fp, flags),
                                       address_b(pc, fp, flags), address_c(pc, fp, flags)),
                     32);
}
TENON_HANDLER table_init(TENON_INTERP_PARAMS) {
  TENON_NEXT_OR_TRAP(tenon::table_init(vm, ext(pc, 0), ext(pc, 2), address_a(pc, fp, ext(pc, 1)),
                                       slot_at(pc, fp, kFieldB)->u32_, slot_at(pc, fp, kFieldC)->u32_),
                     32);
}
TENON_HANDLER elem_drop(TENON_INTERP_PARAMS) {
  tenon::elem_drop(vm, ext(pc, 0));
  TENON_NEXT(24);
}

TENON_HANDLER atomic_fence(TENON_INTERP_PARAMS) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  TENON_NEXT(16);
}

namespace {

// The effective address of wait and notify, or a trap.
TrapCode effective(const u8* pc, Slot* fp, u64& at) {
  if (__builtin_add_overflow(address_a(pc, fp, ext(pc, 3)), read<u64>(pc, kFieldExt), &at))
    return TrapCode::memory_out_of_bounds;
  return TrapCode::none;
}
__attribute__((noinline)) TrapCode wait32(VMContext* vm, const u8* pc, Slot* fp) {
  u64 at;
  if (TrapCode trap = effective(pc, fp, at); trap != TrapCode::none) return trap;
  return tenon::atomic_wait32(vm, ext(pc, 2), at, slot_at(pc, fp, kFieldB)->u32_,
                              slot_at(pc, fp, kFieldC)->i64_, &slot_at(pc, fp, kFieldD)->u32_);
}
__attribute__((noinline)) TrapCode wait64(VMContext* vm, const u8* pc, Slot* fp) {
  u64 at;
  if (TrapCode trap = effective(pc, fp, at); trap != TrapCode::none) return trap;
  return tenon::atomic_wait64(vm, ext(pc, 2), at, slot_at(pc, fp, kFieldB)->u64_,
                              slot_at(pc, fp, kFieldC)->i64_, &slot_at(pc, fp, kFieldD)->u32_);
}
__attribute__((noinline)) TrapCode notify(VMContext* vm, const u8* pc, Slot* fp) {
  u64 at;
  if (TrapCode trap = effective(pc, fp, at); trap != TrapCode::none) return trap;
  return tenon::atomic_notify(vm, ext(pc, 2), at, slot_at(pc, fp, kFieldB)->u32_,
                              &slot_at(pc, fp, kFieldD)->u32_);
}

}  // namespace

TENON_HANDLER atomic_wait32(TENON_INTERP_PARAMS) { TENON_NEXT_OR_TRAP(wait32(vm, pc, fp), 32); }
TENON_HANDLER atomic_wait64(TENON_INTERP_PARAMS) { TENON_NEXT_OR_TRAP(wait64(vm, pc, fp), 32); }
TENON_HANDLER atomic_notify(TENON_INTERP_PARAMS) { TENON_NEXT_OR_TRAP(notify(vm, pc, fp), 32); }

}  // namespace tenon::interp::ctl
