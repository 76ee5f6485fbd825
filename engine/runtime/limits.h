// What a store may use. Plain data: each limit is enforced where the resource is made or grows.
#pragma once
#include "engine/base.h"

namespace tenon {

struct StoreLimits {
  u64 memory_bytes = ~u64{0};  // of one memory
  u64 table_elements = 10'000'000;
  u32 memories = 10'000, tables = 10'000, instances = 10'000;
  u64 gc_heap_bytes = u64{4} << 30;
  u64 native_stack_bytes = 1 << 20;  // how deep compiled code and hosts may go below the entry
  u64 value_stack_bytes = 8 << 20;   // the interpreter's
  // Address space reserved for each memory at most: 0 makes memories that move when they grow (and that
  // compiled code checks explicitly), as on machines that refuse large reservations.
  u64 memory_reservation = ~u64{0};
};

}  // namespace tenon
