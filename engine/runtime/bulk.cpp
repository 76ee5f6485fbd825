// Bulk operations: check the whole range, then act.
#include "engine/runtime/bulk.h"

#include <algorithm>
#include <cstring>

#include "engine/runtime/store.h"

namespace tenon {
namespace {

// [at, at + count) lies within `length`; nothing here can overflow.
bool in_range(u64 at, u64 count, u64 length) { return count <= length && at <= length - count; }

u64 length_of(const MemoryDesc* m) { return __atomic_load_n(&m->length, __ATOMIC_ACQUIRE); }

MemoryDesc* memory_desc(VMContext* vm, u32 memory) {
  return &vm->instance->memory(MemoryIdx{memory})->desc();
}
TableDesc* table_desc(VMContext* vm, u32 table) { return &vm->instance->table(TableIdx{table})->desc(); }

Store& store_of(VMContext* vm) { return *vm->store->store; }

u64 allocated(VMContext* vm, Object* o) {
  if (!o) store_of(vm).raise(TrapCode::out_of_memory);
  return o ? o->ref() : kNullRef;
}

u64 raised(VMContext* vm, TrapCode code) {
  store_of(vm).raise(code);
  return kNullRef;
}

const FieldType& element_type(VMContext* vm, Object* array) {
  return store_of(vm).types().get(TypeId{array->type}).array()->element;
}

}  // namespace

u64 memory_grow(VMContext* vm, u32 memory, u64 delta) {
  Memory* m = vm->instance->memory(MemoryIdx{memory});
  const u64 old = m->grow(delta).value_or(~u64{0});
  return old;
}

u64 memory_size(VMContext* vm, u32 memory) { return vm->instance->memory(MemoryIdx{memory})->pages(); }

TrapCode memory_fill(VMContext* vm, u32 memory, u64 dest, u32 value, u64 count) {
  MemoryDesc* m = memory_desc(vm, memory);
  if (!in_range(dest, count, length_of(m))) return TrapCode::memory_out_of_bounds;
  std::memset(m->base + dest, static_cast<int>(value & 0xff), count);
  return TrapCode::none;
}

TrapCode memory_copy(VMContext* vm, u32 dest_memory, u32 src_memory, u64 dest, u64 src, u64 count) {
  MemoryDesc *d = memory_desc(vm, dest_memory), *s = memory_desc(vm, src_memory);
  if (!in_range(dest, count, length_of(d)) || !in_range(src, count, length_of(s)))
    return TrapCode::memory_out_of_bounds;
  std::memmove(d->base + dest, s->base + src, count);
  return TrapCode::none;
}

TrapCode memory_init(VMContext* vm, u32 memory, u32 segment, u64 dest, u32 src, u32 count) {
  MemoryDesc* m = memory_desc(vm, memory);
  const std::span<const u8> bytes = vm->instance->data(DataIdx{segment});
  if (!in_range(dest, count, length_of(m)) || !in_range(src, count, bytes.size()))
    return TrapCode::memory_out_of_bounds;
  if (count != 0) std::memcpy(m->base + dest, bytes.data() + src, count);
  return TrapCode::none;
}

void data_drop(VMContext* vm, u32 segment) { vm->instance->drop_data(DataIdx{segment}); }

u64 table_grow(VMContext* vm, u32 table, u64 delta, u64 init) {
  return vm->instance->table(TableIdx{table})->grow(delta, init).value_or(~u64{0});
}

TrapCode table_fill(VMContext* vm, u32 table, u64 dest, u64 value, u64 count) {
  TableDesc* t = table_desc(vm, table);
  if (!in_range(dest, count, t->size)) return TrapCode::table_out_of_bounds;
  std::fill_n(t->elements + dest, count, value);
  return TrapCode::none;
}

TrapCode table_copy(VMContext* vm, u32 dest_table, u32 src_table, u64 dest, u64 src, u64 count) {
  TableDesc *d = table_desc(vm, dest_table), *s = table_desc(vm, src_table);
  if (!in_range(dest, count, d->size) || !in_range(src, count, s->size)) return TrapCode::table_out_of_bounds;
  if (count != 0) std::memmove(d->elements + dest, s->elements + src, count * sizeof(u64));
  return TrapCode::none;
}

TrapCode table_init(VMContext* vm, u32 table, u32 segment, u64 dest, u32 src, u32 count) {
  TableDesc* t = table_desc(vm, table);
  const std::span<const u64> refs = vm->instance->elements(ElemIdx{segment});
  if (!in_range(dest, count, t->size) || !in_range(src, count, refs.size()))
    return TrapCode::table_out_of_bounds;
  std::copy_n(refs.begin() + src, count, t->elements + dest);
  return TrapCode::none;
}

void elem_drop(VMContext* vm, u32 segment) { vm->instance->drop_elements(ElemIdx{segment}); }

u64 struct_new(VMContext* vm, u32 type) {
  return allocated(vm, store_of(vm).heap().new_struct(TypeId{type}));
}

u64 array_new(VMContext* vm, u32 type, u32 length) {
  return allocated(vm, store_of(vm).heap().new_array(TypeId{type}, length));
}

u64 array_new_data(VMContext* vm, u32 type, u32 segment, u32 src, u32 length) {
  const u32 size = store_of(vm).types().get(TypeId{type}).array()->element.size();
  const std::span<const u8> bytes = vm->instance->data(DataIdx{segment});
  if (!in_range(src, u64{length} * size, bytes.size())) return raised(vm, TrapCode::memory_out_of_bounds);
  Object* o = store_of(vm).heap().new_array(TypeId{type}, length);
  if (o && length != 0) std::memcpy(o->payload(), bytes.data() + src, u64{length} * size);
  return allocated(vm, o);
}

u64 array_new_elem(VMContext* vm, u32 type, u32 segment, u32 src, u32 length) {
  const std::span<const u64> refs = vm->instance->elements(ElemIdx{segment});
  if (!in_range(src, length, refs.size())) return raised(vm, TrapCode::table_out_of_bounds);
  Object* o = store_of(vm).heap().new_array(TypeId{type}, length);
  if (o && length != 0) std::memcpy(o->payload(), refs.data() + src, u64{length} * sizeof(u64));
  return allocated(vm, o);
}

u64 exception_new(VMContext* vm, Tag* tag, const Slot* args) {
  Store& store = store_of(vm);
  const FuncType& type = *store.types().get(tag->type).func();
  return allocated(vm, store.heap().new_exception(tag, {args, type.param_slots}));
}

TrapCode array_fill(VMContext* vm, u64 array, u32 index, const Slot* value, u32 count) {
  if (array == kNullRef) return TrapCode::null_array_reference;
  Object* o = as_object(array);
  if (!in_range(index, count, o->length)) return TrapCode::array_out_of_bounds;
  const FieldType& element = element_type(vm, o);
  const u32 size = element.size();
  for (u32 i = 0; i < count; ++i) store_field(array_element(o, u64{index} + i, size), element, value);
  return TrapCode::none;
}

TrapCode array_copy(VMContext* vm, u64 dest, u32 dest_index, u64 src, u32 src_index, u32 count) {
  if (dest == kNullRef || src == kNullRef) return TrapCode::null_array_reference;
  Object *d = as_object(dest), *s = as_object(src);
  if (!in_range(dest_index, count, d->length) || !in_range(src_index, count, s->length))
    return TrapCode::array_out_of_bounds;
  const u32 size = element_type(vm, d).size();
  std::memmove(array_element(d, dest_index, size), array_element(s, src_index, size), u64{count} * size);
  return TrapCode::none;
}

TrapCode array_init_data(VMContext* vm, u32 segment, u64 array, u32 index, u32 src, u32 count) {
  if (array == kNullRef) return TrapCode::null_array_reference;
  Object* o = as_object(array);
  const u32 size = element_type(vm, o).size();
  const std::span<const u8> bytes = vm->instance->data(DataIdx{segment});
  if (!in_range(index, count, o->length)) return TrapCode::array_out_of_bounds;
  if (!in_range(src, u64{count} * size, bytes.size())) return TrapCode::memory_out_of_bounds;
  if (count != 0) std::memcpy(array_element(o, index, size), bytes.data() + src, u64{count} * size);
  return TrapCode::none;
}

TrapCode array_init_elem(VMContext* vm, u32 segment, u64 array, u32 index, u32 src, u32 count) {
  if (array == kNullRef) return TrapCode::null_array_reference;
  Object* o = as_object(array);
  const std::span<const u64> refs = vm->instance->elements(ElemIdx{segment});
  if (!in_range(index, count, o->length)) return TrapCode::array_out_of_bounds;
  if (!in_range(src, count, refs.size())) return TrapCode::table_out_of_bounds;
  if (count != 0)
    std::memcpy(array_element(o, index, sizeof(u64)), refs.data() + src, u64{count} * sizeof(u64));
  return TrapCode::none;
}

u32 ref_test_bits(VMContext* vm, u64 ref, u32 heap_bits, u32 nullable) {
  return ref_test(store_of(vm).types(), ref, HeapType::from_bits(heap_bits), nullable != 0);
}

}  // namespace tenon
