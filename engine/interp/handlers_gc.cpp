// Handlers of reference and GC instructions. Objects are laid out by runtime/gc.h.
#include "engine/interp/control.h"
#include "engine/runtime/bulk.h"
#include "engine/runtime/gc.h"
#include "engine/runtime/store.h"

namespace tenon::interp::ctl {
namespace {

// Everything that the frame holds lies below value_top while the collector may run.
void publish_frame(const u8* pc, Slot* fp, VMContext* vm) {
  vm->store->value_top = fp + read<u16>(pc, kFieldExt + 8);
}
const DefType& type_operand(const u8* pc) { return *read<const DefType*>(pc, kFieldExt); }

__attribute__((noinline)) u64 make_struct(const u8* pc, Slot* fp, VMContext* vm) {
  publish_frame(pc, fp, vm);
  const DefType& type = type_operand(pc);
  const u64 ref = tenon::struct_new(vm, type.id.value);
  if (ref == kNullRef || !read<u16>(pc, kFieldC)) return ref;
  const StructType& s = *type.struct_();
  const Slot* from = slot_at(pc, fp, kFieldA);
  for (size_t i = 0; i < s.fields.size(); ++i) {
    store_field(as_object(ref)->payload() + s.offsets[i], s.fields[i], from);
    from += s.fields[i].type.slots();
  }
  return ref;
}

__attribute__((noinline)) u64 make_array(const u8* pc, Slot* fp, VMContext* vm) {
  publish_frame(pc, fp, vm);
  const u32 length = slot_at(pc, fp, kFieldB)->u32_;
  const u64 ref = tenon::array_new(vm, type_operand(pc).id.value, length);
  if (ref == kNullRef || !read<u16>(pc, kFieldC)) return ref;
  tenon::array_fill(vm, ref, 0, slot_at(pc, fp, kFieldA), length);
  return ref;
}

__attribute__((noinline)) u64 make_fixed_array(const u8* pc, Slot* fp, VMContext* vm) {
  publish_frame(pc, fp, vm);
  const DefType& type = type_operand(pc);
  const u32 length = read<u32>(pc, kFieldExt + 12);
  const u64 ref = tenon::array_new(vm, type.id.value, length);
  if (ref == kNullRef) return ref;
  const FieldType& element = type.array()->element;
  const Slot* from = slot_at(pc, fp, kFieldA);
  for (u32 i = 0; i < length; ++i) {
    store_field(array_element(as_object(ref), i, element.size()), element, from);
    from += element.type.slots();
  }
  return ref;
}

// The element, or null and a trap.
u8* element_at(u64 array, u32 index, const FieldType& element, TrapCode& trap) {
  if (array == kNullRef) return trap = TrapCode::null_array_reference, nullptr;
  Object* o = as_object(array);
  if (index >= o->length) return trap = TrapCode::array_out_of_bounds, nullptr;
  return array_element(o, index, element.size());
}

__attribute__((noinline)) TrapCode get_element(const u8* pc, Slot* fp) {
  const FieldType& element = *read<const FieldType*>(pc, kFieldExt);
  TrapCode trap = TrapCode::none;
  if (u8* at = element_at(slot_at(pc, fp, kFieldA)->ref, slot_at(pc, fp, kFieldB)->u32_, element, trap))
    load_field(at, element, read<u16>(pc, kFieldC) != 0, slot_at(pc, fp, kFieldD));
  return trap;
}
__attribute__((noinline)) TrapCode set_element(const u8* pc, Slot* fp) {
  const FieldType& element = *read<const FieldType*>(pc, kFieldExt);
  TrapCode trap = TrapCode::none;
  if (u8* at = element_at(slot_at(pc, fp, kFieldA)->ref, slot_at(pc, fp, kFieldB)->u32_, element, trap))
    store_field(at, element, slot_at(pc, fp, kFieldC));
  return trap;
}

__attribute__((noinline)) bool test(VMContext* vm, u64 ref, u32 heap_bits, bool nullable) {
  return ref_test(vm->store->store->types(), ref, HeapType::from_bits(heap_bits), nullable);
}

// What the extensions of the segment forms hold behind the free slot.
u32 segment_operand(const u8* pc) { return read<u32>(pc, kFieldExt + 12); }

}  // namespace

// Ends an allocating handler; a null result has been raised by the helper.
#define TENON_ALLOCATED(value, size)      \
  do {                                    \
    const u64 ref_ = (value);             \
    if (ref_ == kNullRef) [[unlikely]]    \
      TENON_TRAP(TrapCode::none);         \
    slot_at(pc, fp, kFieldD)->ref = ref_; \
    TENON_NEXT(size);                     \
  } while (0)
#define TENON_CHECK(trap_code)                \
  do {                                        \
    const TrapCode trap_ = (trap_code);       \
    if (trap_ != TrapCode::none) [[unlikely]] \
      TENON_TRAP(trap_);                      \
  } while (0)

TENON_HANDLER check_null(TENON_INTERP_PARAMS) {
  if (slot_at(pc, fp, kFieldA)->ref == kNullRef) [[unlikely]]
    TENON_TRAP(read<u32>(pc, kFieldImm));
  TENON_NEXT(16);
}
TENON_HANDLER ref_i31(TENON_INTERP_PARAMS) {
  slot_at(pc, fp, kFieldD)->ref = make_i31(slot_at(pc, fp, kFieldA)->u32_);
  TENON_NEXT(16);
}
TENON_HANDLER i31_get_s(TENON_INTERP_PARAMS) {
  const u64 ref = slot_at(pc, fp, kFieldA)->ref;
  if (ref == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_i31_reference);
  slot_at(pc, fp, kFieldD)->u64_ = static_cast<u32>(tenon::i31_get_s(ref));
  TENON_NEXT(16);
}
TENON_HANDLER i31_get_u(TENON_INTERP_PARAMS) {
  const u64 ref = slot_at(pc, fp, kFieldA)->ref;
  if (ref == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_i31_reference);
  slot_at(pc, fp, kFieldD)->u64_ = tenon::i31_get_u(ref);
  TENON_NEXT(16);
}
TENON_HANDLER ref_test(TENON_INTERP_PARAMS) {
  slot_at(pc, fp, kFieldD)->u64_ =
      test(vm, slot_at(pc, fp, kFieldA)->ref, read<u32>(pc, kFieldExt), read<u16>(pc, kFieldC) != 0);
  TENON_NEXT(24);
}
TENON_HANDLER check_cast(TENON_INTERP_PARAMS) {
  if (!test(vm, slot_at(pc, fp, kFieldA)->ref, read<u32>(pc, kFieldExt), read<u16>(pc, kFieldC) != 0))
      [[unlikely]]
    TENON_TRAP(TrapCode::cast_failure);
  TENON_NEXT(24);
}
TENON_HANDLER branch_cast(TENON_INTERP_PARAMS) {
  const bool matches =
      test(vm, slot_at(pc, fp, kFieldA)->ref, read<u32>(pc, kFieldExt), read<u16>(pc, kFieldD) != 0);
  if (matches == (read<u32>(pc, kFieldExt + 4) != 0)) {
    pc += read<i32>(pc, kFieldTarget);
    TENON_DISPATCH();
  }
  TENON_NEXT(24);
}

TENON_HANDLER struct_new(TENON_INTERP_PARAMS) { TENON_ALLOCATED(make_struct(pc, fp, vm), 32); }
TENON_HANDLER struct_get(TENON_INTERP_PARAMS) {
  const u64 ref = slot_at(pc, fp, kFieldA)->ref;
  if (ref == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_structure_reference);
  load_field(as_object(ref)->payload() + read<u32>(pc, kFieldExt + 8), *read<const FieldType*>(pc, kFieldExt),
             read<u16>(pc, kFieldC) != 0, slot_at(pc, fp, kFieldD));
  TENON_NEXT(32);
}
TENON_HANDLER struct_set(TENON_INTERP_PARAMS) {
  const u64 ref = slot_at(pc, fp, kFieldA)->ref;
  if (ref == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_structure_reference);
  store_field(as_object(ref)->payload() + read<u32>(pc, kFieldExt + 8),
              *read<const FieldType*>(pc, kFieldExt), slot_at(pc, fp, kFieldB));
  TENON_NEXT(32);
}
TENON_HANDLER array_new(TENON_INTERP_PARAMS) { TENON_ALLOCATED(make_array(pc, fp, vm), 32); }
TENON_HANDLER array_new_fixed(TENON_INTERP_PARAMS) { TENON_ALLOCATED(make_fixed_array(pc, fp, vm), 32); }
TENON_HANDLER array_new_data(TENON_INTERP_PARAMS) {
  publish_frame(pc, fp, vm);
  TENON_ALLOCATED(tenon::array_new_data(vm, type_operand(pc).id.value, segment_operand(pc),
                                        slot_at(pc, fp, kFieldA)->u32_, slot_at(pc, fp, kFieldB)->u32_),
                  32);
}
TENON_HANDLER array_new_elem(TENON_INTERP_PARAMS) {
  publish_frame(pc, fp, vm);
  TENON_ALLOCATED(tenon::array_new_elem(vm, type_operand(pc).id.value, segment_operand(pc),
                                        slot_at(pc, fp, kFieldA)->u32_, slot_at(pc, fp, kFieldB)->u32_),
                  32);
}
TENON_HANDLER array_get(TENON_INTERP_PARAMS) {
  TENON_CHECK(get_element(pc, fp));
  TENON_NEXT(24);
}
TENON_HANDLER array_set(TENON_INTERP_PARAMS) {
  TENON_CHECK(set_element(pc, fp));
  TENON_NEXT(24);
}
TENON_HANDLER array_len(TENON_INTERP_PARAMS) {
  const u64 ref = slot_at(pc, fp, kFieldA)->ref;
  if (ref == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_array_reference);
  slot_at(pc, fp, kFieldD)->u64_ = as_object(ref)->length;
  TENON_NEXT(16);
}
TENON_HANDLER array_fill(TENON_INTERP_PARAMS) {
  TENON_CHECK(tenon::array_fill(vm, slot_at(pc, fp, kFieldA)->ref, slot_at(pc, fp, kFieldB)->u32_,
                                slot_at(pc, fp, kFieldC), slot_at(pc, fp, kFieldD)->u32_));
  TENON_NEXT(16);
}
TENON_HANDLER array_copy(TENON_INTERP_PARAMS) {
  TENON_CHECK(tenon::array_copy(vm, slot_at(pc, fp, kFieldA)->ref, slot_at(pc, fp, kFieldB)->u32_,
                                slot_at(pc, fp, kFieldC)->ref, slot_at(pc, fp, kFieldD)->u32_,
                                slot_at(pc, fp, kFieldExt)->u32_));
  TENON_NEXT(24);
}
TENON_HANDLER array_init_data(TENON_INTERP_PARAMS) {
  TENON_CHECK(tenon::array_init_data(vm, read<u32>(pc, kFieldExt), slot_at(pc, fp, kFieldA)->ref,
                                     slot_at(pc, fp, kFieldB)->u32_, slot_at(pc, fp, kFieldC)->u32_,
                                     slot_at(pc, fp, kFieldD)->u32_));
  TENON_NEXT(24);
}
TENON_HANDLER array_init_elem(TENON_INTERP_PARAMS) {
  TENON_CHECK(tenon::array_init_elem(vm, read<u32>(pc, kFieldExt), slot_at(pc, fp, kFieldA)->ref,
                                     slot_at(pc, fp, kFieldB)->u32_, slot_at(pc, fp, kFieldC)->u32_,
                                     slot_at(pc, fp, kFieldD)->u32_));
  TENON_NEXT(24);
}

}  // namespace tenon::interp::ctl
