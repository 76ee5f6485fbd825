// memory.atomic.wait and notify (threads proposal): sleeping on addresses of shared memories, across stores
// and threads.
#pragma once
#include "engine/base.h"
#include "engine/runtime/trap.h"
#include "engine/runtime/vm.h"

namespace tenon {

enum class WaitResult : u32 { ok = 0, not_equal = 1, timed_out = 2 };

// `address` is effective (offset added); traps: unaligned, out of bounds, memory not shared, interrupted.
// Timeout in nanoseconds, negative: none. Results go to *result.
TrapCode atomic_wait32(VMContext* vm, u32 memory, u64 address, u32 expected, i64 timeout, u32* result);
TrapCode atomic_wait64(VMContext* vm, u32 memory, u64 address, u64 expected, i64 timeout, u32* result);
// Wakes up to `count`; *result is how many. Works on unshared memories (nobody waits there).
TrapCode atomic_notify(VMContext* vm, u32 memory, u64 address, u32 count, u32* result);

}  // namespace tenon
