// Handlers of control, variable, reference, table, bulk and GC instructions, which the translator names one
// by one. Fields are given in brackets; ext is the first 64-bit extension.
#pragma once
#include "engine/interp/moves.h"

namespace tenon::interp::ctl {

#define TENON_DECLARE(name) TENON_HANDLER name(TENON_INTERP_PARAMS)

// Entry and exit of functions.
TENON_DECLARE(leave_activation);  // pc of the outermost Link: back to C++
TENON_DECLARE(far_return);        // pc of a Link to another instance
TENON_DECLARE(translate_first);   // entry of functions not yet translated; r0 holds the FuncRef
TENON_DECLARE(zero_locals);       // [a first, b count]
TENON_DECLARE(return_none);       // [d link]
TENON_DECLARE(return_r0);
TENON_DECLARE(return_x64);
TENON_DECLARE(return_x128);
TENON_DECLARE(return_slot);  // [a source, d link]
TENON_DECLARE(return_slot128);
TENON_DECLARE(return_many);  // [a first source, b slots, d link]

// Calls. [a first argument slot, d first slot that is free after arguments and results]
TENON_DECLARE(call);           // ext: FuncRef*
TENON_DECLARE(call_indirect);  // [b index, c 64-bit index] ext: TableDesc*, u32 canonical type
TENON_DECLARE(call_ref);       // [b reference]
// [a first argument slot, b index or reference, c 64-bit index, d link] ext: as above
TENON_DECLARE(return_call);
TENON_DECLARE(return_call_indirect);
TENON_DECLARE(return_call_ref);

// Branches.
TENON_DECLARE(jump);  // [target]
TENON_DECLARE(jump_back);
TENON_DECLARE(br_table_slot);  // [a index, imm count] ext: count + 1 32-bit targets, the default last
TENON_DECLARE(br_table_r0);
TENON_DECLARE(check_interruption);  // fuel and epochs; only translated when the engine has them on
TENON_DECLARE(unreachable);

// Moves. Accumulators stay as they are.
inline constexpr Handler move = &single<MoveStep>;         // [a, d]
inline constexpr Handler move_two = &single<MoveTwoStep>;  // [a to d, then b to c]
TENON_DECLARE(move128);                                    // [a, d]
TENON_DECLARE(move_many);                                  // [a first source, b slots, d first target]
inline constexpr Handler const32 = &single<Const32Step>;   // [imm, d], zero-extended
Handler store_accumulator_handler(Class cls);              // [d]
TENON_DECLARE(const64);                                    // [d] ext: value
TENON_DECLARE(const128);                                   // [d] ext: value; also to the accumulator
Handler select_handler(Class cls, bool condition_in_r0, bool store);  // [a, b, c condition, d]
Handler global_get_handler(Class cls, bool store);                    // [d] ext: GlobalCell*
Handler global_set_handler(Class cls, bool from_reg);                 // [a] ext: GlobalCell*

// Memories and tables. Indices are 32-bit in the extensions.
TENON_DECLARE(memory_size);  // [c page shift, d] ext: MemoryDesc*
TENON_DECLARE(memory_grow);  // [a delta, c 64-bit, d] ext: memory
TENON_DECLARE(memory_fill);  // [a, b, c] ext: memory, flags
TENON_DECLARE(memory_copy);  // [a, b, c] ext: two memories, flags
TENON_DECLARE(memory_init);  // [a, b, c] ext: memory, flags, segment
TENON_DECLARE(data_drop);    // ext: segment
TENON_DECLARE(table_get);    // [a index, c 64-bit, d] ext: TableDesc*
TENON_DECLARE(table_set);    // [a index, b value, c 64-bit] ext: TableDesc*
TENON_DECLARE(table_size);   // [d] ext: TableDesc*
TENON_DECLARE(table_grow);   // [a init, b delta, c 64-bit, d] ext: table
TENON_DECLARE(table_fill);   // [a, b, c] ext: table, flags
TENON_DECLARE(table_copy);   // [a, b, c] ext: two tables, flags
TENON_DECLARE(table_init);   // [a, b, c] ext: table, flags, segment
TENON_DECLARE(elem_drop);    // ext: segment
TENON_DECLARE(atomic_fence);
// [a address, b expected or count, c timeout, d] ext: offset, memory and flags
TENON_DECLARE(atomic_wait32);
TENON_DECLARE(atomic_wait64);
TENON_DECLARE(atomic_notify);
// Address operands that are 64 bits wide, in order: the flags above.
inline constexpr u32 kWideA = 1, kWideB = 2, kWideC = 4;

// References and GC objects.
TENON_DECLARE(canonical_nan);    // [d] = [a] with canonical NaNs; c: NanResult
TENON_DECLARE(check_null);       // [a] imm: TrapCode
TENON_DECLARE(ref_i31);          // [a, d]
TENON_DECLARE(i31_get_s);        // [a, d]
TENON_DECLARE(i31_get_u);        // [a, d]
TENON_DECLARE(ref_test);         // [a, c nullable, d] ext: heap type bits
TENON_DECLARE(check_cast);       // [a, c nullable] ext: heap type bits
TENON_DECLARE(branch_cast);      // [a, d nullable, target] ext: heap type bits, sense
TENON_DECLARE(struct_new);       // [a first field or none, c from stack, d] ext: DefType*, free slot
TENON_DECLARE(struct_get);       // [a, c sign, d] ext: FieldType*, offset
TENON_DECLARE(struct_set);       // [a, b] ext: FieldType*, offset
TENON_DECLARE(array_new);        // [a value, b length, c from stack, d] ext: DefType*, free slot
TENON_DECLARE(array_new_fixed);  // [a first, d] ext: DefType*, free slot, length
TENON_DECLARE(array_new_data);   // [a source, b length, d] ext: DefType*, free slot, segment
TENON_DECLARE(array_new_elem);
TENON_DECLARE(array_get);        // [a, b index, c sign, d] ext: FieldType*
TENON_DECLARE(array_set);        // [a, b index, c value] ext: FieldType*
TENON_DECLARE(array_len);        // [a, d]
TENON_DECLARE(array_fill);       // [a array, b index, c value, d count]
TENON_DECLARE(array_copy);       // [a array, b index, c source, d source index] ext: count slot
TENON_DECLARE(array_init_data);  // [a array, b index, c source, d count] ext: segment
TENON_DECLARE(array_init_elem);

// Exceptions.
TENON_DECLARE(throw_tag);  // [a first argument] ext: Tag*, free slot
TENON_DECLARE(throw_ref);  // [a]

#undef TENON_DECLARE
}  // namespace tenon::interp::ctl
