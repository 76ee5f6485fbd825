// Exceptions in compiled code: from a throw outwards, frame by frame, to the first landing pad or out of the
// activation. Frame pointers and two tables (CodeFrame, CodeLanding) are all it needs; the system's unwinder
// takes no part: it needs a microsecond for a frame, and registration of what is here a part of the image.
#pragma once
#include "engine/runtime/vm.h"

namespace tenon {

// Registers of a compiled frame at one of its calls, as the stubs in entry_x86_64.S lay them out.
struct CallerState {
  u64 stack_pointer;  // after the call; set by the walk
  u64 r15, r14, r13, r12, rbx;
  u64 frame_pointer;
  u64 return_address;
};

extern "C" {
// What compiled code calls (helpers.def). StoreContext::exception is set.
[[noreturn]] void tenon_jit_throw(StoreContext* store);
// From a landing pad whose clauses did not fit.
[[noreturn]] void tenon_jit_rethrow(StoreContext* store);
// A status that the caller got from an array entry, or a helper that has already told the store.
[[noreturn]] void tenon_jit_reraise(StoreContext* store, u32 status);

// The stubs' other half: the address of the landing pad, with `state` as it expects it. None: they leave the
// activation with the status.
u64 tenon_jit_find_handler(StoreContext* store, u64 unused, CallerState* state);
u64 tenon_jit_find_next_handler(StoreContext* store, u64 unused, CallerState* state);
u64 tenon_jit_find_handler_of_status(StoreContext* store, u32 status, CallerState* state);
}

}  // namespace tenon
