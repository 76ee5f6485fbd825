// How passes recognise accesses to a guest's linear memory, and the barriers that keep them in order
// (docs/design/0001-abi.md, "Load order in compiled code"). Facts of the module come with the IR, as named metadata.
#pragma once
#include <llvm/IR/Instructions.h>
#include <llvm/IR/Module.h>

#include <optional>

#include "engine/base.h"

namespace tenon::jit {

// Memory 0, where its base never changes and an access past its end faults.
struct GuestMemory {
  u64 base_cell;   // offset in the VMContext of memory0_base
  u64 desc_cell;   // and of the MemoryDesc pointer
  u64 min_length;  // bytes that are always there: memories never shrink
};
void set_guest_memory(llvm::Module& module, const GuestMemory& memory);
std::optional<GuestMemory> guest_memory(const llvm::Module& module);

inline constexpr const char* kGuestMemoryTag = "memory";  // name of its alias class

// Whether `i` may access linear memory. Accesses that lost their alias tag count, unless they are known to be
// something else.
bool is_guest_access(const llvm::Instruction& i);

// A barrier: inline assembly without code that may unwind. With an operand it keeps a loaded value alive.
bool is_barrier(const llvm::Instruction& i);

}  // namespace tenon::jit
