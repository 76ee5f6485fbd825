// Bulk operations on memories, tables, arrays and segments (spec: exec/instructions), called by the
// interpreter, compiled code and instantiation alike. Bounds are checked before anything is written, without
// overflow. `index` parameters are validated indices of the instance behind `vm`. Everything here takes and
// gives plain values, so that compiled code can call it (helpers.def).
#pragma once
#include "engine/base.h"
#include "engine/runtime/trap.h"
#include "engine/runtime/vm.h"

namespace tenon {

// TrapCode::none when it worked; the caller raises anything else.

// Old size in pages, or −1.
u64 memory_grow(VMContext* vm, u32 memory, u64 delta);
u64 memory_size(VMContext* vm, u32 memory);
TrapCode memory_fill(VMContext* vm, u32 memory, u64 dest, u32 value, u64 count);
TrapCode memory_copy(VMContext* vm, u32 dest_memory, u32 src_memory, u64 dest, u64 src, u64 count);
TrapCode memory_init(VMContext* vm, u32 memory, u32 segment, u64 dest, u32 src, u32 count);
void data_drop(VMContext* vm, u32 segment);

// Old size, or −1.
u64 table_grow(VMContext* vm, u32 table, u64 delta, u64 init);
TrapCode table_fill(VMContext* vm, u32 table, u64 dest, u64 value, u64 count);
TrapCode table_copy(VMContext* vm, u32 dest_table, u32 src_table, u64 dest, u64 src, u64 count);
TrapCode table_init(VMContext* vm, u32 table, u32 segment, u64 dest, u32 src, u32 count);
void elem_drop(VMContext* vm, u32 segment);

// Allocation. Zeroed, or filled from a segment; null after raise() (out of memory, or a segment's bounds) on
// the store: the caller passes Status::trap on. StoreContext::value_top must be past everything the
// interpreter's frames hold.
u64 struct_new(VMContext* vm, u32 type);  // `type` is canonical (TypeId) here and below
u64 array_new(VMContext* vm, u32 type, u32 length);
u64 array_new_data(VMContext* vm, u32 type, u32 segment, u32 src, u32 length);
u64 array_new_elem(VMContext* vm, u32 type, u32 segment, u32 src, u32 length);
u64 exception_new(VMContext* vm, Tag* tag, const Slot* args);

// `array` may be null (trap).
TrapCode array_fill(VMContext* vm, u64 array, u32 index, const Slot* value, u32 count);
TrapCode array_copy(VMContext* vm, u64 dest, u32 dest_index, u64 src, u32 src_index, u32 count);
TrapCode array_init_data(VMContext* vm, u32 segment, u64 array, u32 index, u32 src, u32 count);
TrapCode array_init_elem(VMContext* vm, u32 segment, u64 array, u32 index, u32 src, u32 count);
// ref.test with HeapType::bits(); 0 or 1.
u32 ref_test_bits(VMContext* vm, u64 ref, u32 heap_bits, u32 nullable);

}  // namespace tenon
