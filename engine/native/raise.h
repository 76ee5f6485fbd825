// Traps out of compiled code: backtraces by frame pointer, and the way to the innermost activation. The fault
// handler turns accesses past the end of a guarded memory into such traps. Uses nothing of LLVM.
#pragma once
#include "engine/native/entry.h"
#include "engine/runtime/store.h"

namespace tenon {

// What compiled code calls (helpers.def).
extern "C" {
// A trap found by an explicit check in the calling compiled function. `site`: TrapCode in the upper half, the
// instruction's offset in the module in the lower.
[[noreturn]] void tenon_jit_raise(VMContext* vm, u64 site);
// The same with the index that the message names.
[[noreturn]] void tenon_jit_raise_at(VMContext* vm, u64 site, u64 index);
// After self->array_entry gave a status other than ok: makes pending tail calls. What it gives, unless ok, is
// for tenon_jit_reraise (unwind.h).
u32 tenon_jit_resume_call(FuncRef* self, Slot* slots, u32 status);
// Not a trap: whether canonical type `sub` is a subtype of `super`.
u32 tenon_jit_is_subtype(VMContext* vm, u32 sub, u32 super);
}

// A frame of compiled code or of a C++ function, as its frame pointer shows it.
struct NativeFrame {
  const NativeFrame* outer;
  u64 return_address;
};
// Ends the innermost activation with a status that the store has been told of. Adds the compiled frames from
// `frame` on to the store's trap record; null: none.
[[noreturn]] void leave_with(StoreContext* store, const NativeFrame* frame, Status status);
// Adds the Wasm frames that execute at `pc` (more than one where calls were inlined); nothing when that is not compiled
// Wasm code. `known_offset`: the instruction, where that is known better than from tables, else 0.
void append_frame(TrapRecord& record, u64 pc, u64 known_offset);

// Installs the process's SIGSEGV and SIGBUS handler once. A fault whose code address is in code_ranges() and
// whose data address is in guarded_memories() is a trap; every other one goes to the handler that was there
// before.
void install_fault_handler();

}  // namespace tenon
