// Traps out of compiled code: backtraces by frame pointer, and the way to the innermost activation. The fault
// handler turns accesses past the end of a guarded memory into such traps. Uses nothing of LLVM.
#pragma once
#include "engine/native/entry.h"
#include "engine/runtime/store.h"

namespace tenon {

// What compiled code calls (helpers.def). None of them returns but resume_call when a pending tail call gave
// results.
extern "C" {
// A trap found by an explicit check in the calling compiled function. `site`: TrapCode in the upper half, the
// instruction's offset in the module in the lower.
[[noreturn]] void tenon_jit_raise(VMContext* vm, u64 site);
// The same with the index that the message names.
[[noreturn]] void tenon_jit_raise_at(VMContext* vm, u64 site, u64 index);
// A status that the caller got from an array entry, or a helper that has already told the store.
[[noreturn]] void tenon_jit_reraise(StoreContext* store, u32 status);
// After self->array_entry gave a status other than ok: makes pending tail calls, raises anything else.
void tenon_jit_resume_call(FuncRef* self, Slot* slots, u32 status);
// Not a trap: whether canonical type `sub` is a subtype of `super`.
u32 tenon_jit_is_subtype(VMContext* vm, u32 sub, u32 super);
}

// Installs the process's SIGSEGV and SIGBUS handler once. A fault whose code address is in code_ranges() and
// whose data address is in guarded_memories() is a trap; every other one goes to the handler that was there
// before.
void install_fault_handler();

}  // namespace tenon
