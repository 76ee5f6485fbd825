// Handlers of the vector rows.
#include "engine/interp/steps.h"

namespace tenon::interp {
namespace {

template <Op op>
consteval NumForms simd_forms() {
  if constexpr (kUsesVectors<op>)
    return make_forms<op>();
  else
    return {};
}
constexpr NumForms kForms[] = {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) simd_forms<Op::id>(),
#include "engine/opcodes.def"
};

}  // namespace

Handler detail::simd_handler(Op op, Src lhs, Src rhs, bool store) {
  return kForms[static_cast<size_t>(op)].form[static_cast<u32>(lhs) * 3 + static_cast<u32>(rhs)][store];
}

}  // namespace tenon::interp
