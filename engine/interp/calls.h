// What the handlers of calls (handlers_call.cpp) and of ticks (handlers_tick.cpp) share.
#pragma once
#include "engine/interp/control.h"
#include "engine/interp/state.h"

namespace tenon::interp {

inline State& state_of(VMContext* vm) { return State::of(*vm->store->store); }

// A call that takes the place of a frame: registers before, and where its caller goes on after.
struct TailCall {
  const u8* pc;
  Slot* fp;
  VMContext* vm;
  Status status;
};
// `inside` enters an interpreted function, `finished` has called something else and returns to the caller,
// `failed` leaves with TailCall::status: out of the activation when pc is a stub's, else propagated from pc - 1.
enum class TailKind { inside, finished, failed };

// Calls `entry` with the frame at t.fp as slots, in its place; `link` is the frame's own. `slots` is what the
// call needs of it.
TailKind call_in_place(TailCall& t, const Link& link, ArrayEntry entry, FuncRef* ref, u32 slots);

}  // namespace tenon::interp
