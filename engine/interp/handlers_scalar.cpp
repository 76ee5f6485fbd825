// Handlers of the scalar numeric rows, and of comparisons fused with a branch.
#include "engine/interp/steps.h"

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
  f.form[i][1][0] = &branch<BranchStep<op, l, r, true, false>>;
  f.form[i][1][1] = &branch<BranchStep<op, l, r, true, true>>;
  if constexpr (op_info(op).code >= op_info(Op::f32_eq).code || kOperands<op> == 1) {
    f.form[i][0][0] = &branch<BranchStep<op, l, r, false, false>>;
    f.form[i][0][1] = &branch<BranchStep<op, l, r, false, true>>;
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
