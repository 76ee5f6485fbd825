// The meaning of every fixed-signature instruction, by row: kSem<Op::i32_add> is the function. Rows without
// one (control, variables, tables, bulk memory, GC) have kSem of type NoSem.
//
// Parameters are the instruction's operands in order, i32 as u32, i64 as u64, f32, f64, v128 as V128. Rows
// with a memarg take a pointer to the checked bytes in place of the address. Lane immediates come after the
// operands as u8, shuffle's lanes as V128. Trapping functions take a last `TrapCode&`. Results come by value,
// two of them as Wide.
#pragma once
#include <type_traits>

#include "engine/opcodes.h"
#include "engine/sem/memory.h"
#include "engine/sem/num.h"
#include "engine/sem/simd.h"

namespace tenon {

struct NoSem {};

// Qualified look-up in `sem` finds the function when there is one and this otherwise.
namespace sem_missing {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) inline constexpr NoSem id{};
#include "engine/opcodes.def"
}  // namespace sem_missing
namespace sem {
using namespace sem_missing;
}

template <Op op>
inline constexpr auto kSem = NoSem{};
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) \
  template <>                                                             \
  inline constexpr auto kSem<Op::id> = sem::id;
#include "engine/opcodes.def"

template <Op op>
inline constexpr bool kHasSem = !std::is_same_v<std::remove_const_t<decltype(kSem<op>)>, NoSem>;

// The same by number, for code that calls out of line (JIT): C calling convention, TrapCode& as a pointer to
// one byte, v128 in a vector register, Wide in two integer registers. Null where kSem is NoSem.
const void* sem_function(Op op);

}  // namespace tenon
