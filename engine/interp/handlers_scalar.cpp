// Handlers of the scalar numeric rows, and of comparisons fused with a branch.
#include "engine/interp/handlers_num.h"

namespace tenon::interp {
namespace {

template <Op op>
consteval NumForms scalar_forms() {
  if constexpr (!kUsesVectors<op>)
    return make_forms<op>();
  else
    return {};
}
constexpr NumForms kForms[] = {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) scalar_forms<Op::id>(),
#include "engine/opcodes.def"
};

// An immediate operand lies in the extension, since the target takes the field of 32-bit immediates.
template <Src src, class T>
T branch_operand(const u8* pc, Slot* fp, u64 r0, V128 x0, u32 field) {
  if constexpr (src == Src::imm)
    return read<T>(pc, kFieldExt);
  else
    return operand<src, T>(pc, fp, r0, x0, field);
}

template <Op op, Src l, Src r, bool sense, bool back>
TENON_HANDLER branch(TENON_INTERP_PARAMS) {
  u32 result;
  const auto a = branch_operand<l, Param<op, 0>>(pc, fp, r0, x0, kFieldA);
  if constexpr (kOperands<op> == 1)
    result = kSem<op>(a);
  else
    result = kSem<op>(a, branch_operand<r, Param<op, 1>>(pc, fp, r0, x0, l == Src::imm ? kFieldA : kFieldD));
  if ((result != 0) == sense) {
    if constexpr (back)
      if (vm->store->interrupt) [[unlikely]]
        TENON_TRAP(TrapCode::interrupted);
    pc += read<i32>(pc, kFieldTarget);
    TENON_DISPATCH();
  }
  TENON_NEXT((l == Src::imm || r == Src::imm ? 24 : 16));
}

// By sense and direction.
struct BranchForms {
  Handler form[9][2][2] = {};
};

// Integer comparisons have their opposite, and are only needed in one sense.
template <Op op>
inline constexpr bool kCompares = [] {
  const OpInfo& info = op_info(op);
  return info.prefix == 0 && info.code >= op_info(Op::i32_eqz).code && info.code <= op_info(Op::f64_ge).code;
}();

template <Op op, Src l, Src r>
constexpr void add_branch(BranchForms& f) {
  constexpr u32 i = static_cast<u32>(l) * 3 + static_cast<u32>(r);
  f.form[i][1][0] = &branch<op, l, r, true, false>;
  f.form[i][1][1] = &branch<op, l, r, true, true>;
  if constexpr (op_info(op).code >= op_info(Op::f32_eq).code || kOperands<op> == 1) {
    f.form[i][0][0] = &branch<op, l, r, false, false>;
    f.form[i][0][1] = &branch<op, l, r, false, true>;
  }
}

template <Op op>
consteval BranchForms make_branches() {
  BranchForms f;
  if constexpr (kCompares<op>) {
    add_branch<op, Src::slot, Src::slot>(f);
    add_branch<op, Src::reg, Src::slot>(f);
    if constexpr (kOperands<op> == 2) {
      add_branch<op, Src::slot, Src::reg>(f);
      add_branch<op, Src::slot, Src::imm>(f);
      add_branch<op, Src::reg, Src::imm>(f);
    }
  }
  return f;
}
constexpr BranchForms kBranches[] = {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) make_branches<Op::id>(),
#include "engine/opcodes.def"
};

u32 form_index(Src l, Src r) { return static_cast<u32>(l) * 3 + static_cast<u32>(r); }

}  // namespace

Handler detail::scalar_handler(Op op, Src lhs, Src rhs, bool store) {
  return kForms[static_cast<size_t>(op)].form[form_index(lhs, rhs)][store];
}

Handler num_handler(Op op, Src lhs, Src rhs, bool store) {
  if (Handler h = detail::scalar_handler(op, lhs, rhs, store)) return h;
  return detail::simd_handler(op, lhs, rhs, store);
}

Handler branch_handler(Op op, Src lhs, Src rhs, bool sense, bool back) {
  return kBranches[static_cast<size_t>(op)].form[form_index(lhs, rhs)][sense][back];
}

}  // namespace tenon::interp
