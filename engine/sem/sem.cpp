// The table of sem:: functions by row number.
#include "engine/sem/sem.h"

#include <array>

namespace tenon {
namespace {

template <Op op>
const void* address() {
  if constexpr (kHasSem<op>)
    return reinterpret_cast<const void*>(kSem<op>);
  else
    return nullptr;
}

}  // namespace

const void* sem_function(Op op) {
  static const std::array<const void*, kOpCount> table = {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) address<Op::id>(),
#include "engine/opcodes.def"
  };
  return table[static_cast<size_t>(op)];
}

}  // namespace tenon
