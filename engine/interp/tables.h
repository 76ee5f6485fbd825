// Which handler runs an instruction in which form. Null means that the form does not exist; every row has
// the form with all operands in slots.
#pragma once
#include "engine/interp/code.h"
#include "engine/opcodes.h"

namespace tenon::interp {

// Numeric rows with up to two operands. `store`: the result goes to the slot in D as well as into the
// accumulator. Unary rows look at `lhs` only. Rows with three and more operands exist with slots only.
Handler num_handler(Op op, Src lhs, Src rhs, bool store);
// Comparisons (and eqz) fused with a branch taken when the result is non-zero (`sense`) or zero. `back`: the
// branch goes to a loop, and looks at the interrupt flag.
Handler branch_handler(Op op, Src lhs, Src rhs, bool sense, bool back);
// Memory 0 with 32-bit addresses; the immediate holds offset + width. An immediate address is part of it.
Handler load_handler(Op op, Src address, bool store);
Handler store_handler(Op op, Src address, Src value);
// Any memory: slots A, B, C hold the operands; extension: offset (8 bytes), MemoryDesc*, lane (byte), 64-bit
// addresses (byte). Loads write D and the accumulator. Atomics and lane accesses have this form only.
Handler memory_handler(Op op);

// A handler that does both instructions, which follow each other in the code, or null.
Handler super_handler(Handler first, Handler second);

// The parts of the tables, by who has them.
namespace detail {
Handler scalar_handler(Op op, Src lhs, Src rhs, bool store);
Handler simd_handler(Op op, Src lhs, Src rhs, bool store);
}  // namespace detail

}  // namespace tenon::interp
