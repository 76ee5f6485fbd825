// The list of runtime helpers (helpers.def here and in engine/native) as an enumeration, signatures and a table of addresses.
#pragma once
#include <string_view>

#include "engine/base.h"
#include "engine/runtime/trap.h"
#include "engine/runtime/vm.h"

namespace tenon {

enum class Helper : u16 {
#define HELPER(id, signature) id,
#include "engine/runtime/helpers.def"
#define HELPER(id, signature) id,
#include "engine/native/helpers.def"
  count,
};

// "params:result", letters as in helpers.def.
std::string_view helper_signature(Helper helper);
std::string_view helper_name(Helper helper);
// What StoreContext::helpers points to; indexed by Helper.
const void* const* helper_table();

// Sets the store's trap record and gives Status::trap. `code` is a TrapCode.
u32 raise_trap(StoreContext* store, u32 code);
// Appends a frame to the backtrace being collected.
void add_trap_frame(VMContext* vm, u32 function, u64 offset);
// Store::finish_tail_calls and Store::transfer.
u32 finish_tail_calls(StoreContext* store, Slot* results);
Slot* transfer_slots(StoreContext* store, u64 count);
// A relaxed_madd or relaxed_nmadd of engine/sem, for code that is compiled for processors without fused operations but
// may run on one that has them: three vectors in six slots; the result takes the first one's place.
void relaxed_madd(Slot* operands, u32 op);

}  // namespace tenon
