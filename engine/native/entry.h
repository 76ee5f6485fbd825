// Entering compiled code and leaving it by a trap. The functions are in entry_x86_64.S; what they share with
// C++ is here.
#pragma once
#include <cstddef>

#include "engine/runtime/vm.h"

namespace tenon {

// One for each entry into compiled code, on the stack of tenon_jit_enter; the innermost is
// StoreContext::activation. Its address is the stack pointer that a trap restores.
struct Activation {
  Activation* outer;
  StoreContext* store;
};
// From the frame pointer of tenon_jit_enter down to its Activation (five saved registers and padding
// between).
inline constexpr size_t kActivationBelowFrame = 64;

extern "C" {
// Runs inner(self, slots) under a new activation; Status::ok, or what tenon_jit_leave was given.
Status tenon_jit_enter(FuncRef* self, Slot* slots, void (*inner)(FuncRef*, Slot*), StoreContext* store);
// Ends the innermost activation: its tenon_jit_enter returns `status`. Frames in between are dropped as they
// are.
[[noreturn]] void tenon_jit_leave(StoreContext* store, Status status);
// The return address of the call inside tenon_jit_enter: where a walk through compiled frames ends.
extern const char tenon_jit_enter_return[];
}

static_assert(offsetof(StoreContext, activation) == 88, "entry_x86_64.S knows this offset");

}  // namespace tenon
