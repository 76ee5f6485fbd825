// Makers of kernels, one for each family in ops.def: the fast one and the plain-loop oracle. Internal to
// kernels/.
#pragma once
#include "kernels/ops.h"

namespace tenon::kernels {

// Declared by expanding the table, so a row cannot name a family that has no makers.
namespace fast {
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, types, result, rule, family, ...) \
  KernelResult family(const LowerContext&);
#include "kernels/ops.def"
#undef NN_OP
}  // namespace fast

namespace reference {
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, types, result, rule, family, ...) \
  KernelResult family(const LowerContext&);
#include "kernels/ops.def"
#undef NN_OP
}  // namespace reference

/// The error of a maker that has no kernel for a type.
inline std::unexpected<Error> no_kernel(const LowerContext& c) {
  return fail(ErrorCode::unsupported_operation, "no kernel for element type {}",
              to_string(c.inputs.empty() ? DataType::undefined : c.inputs[0].type));
}

}  // namespace tenon::kernels
