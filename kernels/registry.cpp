// The table of makers: from an operator's row to its fast kernel and its reference.
#include "kernels/ops/families.h"

namespace tenon::kernels {
namespace {

struct MakerRow {
  Maker fast, reference;
  std::string_view family;
  double tolerance;
};
constexpr MakerRow kRows[] = {
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, types, result, rule, family, tolerance) \
  {fast::family, reference::family, #family, tolerance},
#include "kernels/ops.def"
#undef NN_OP
};

const MakerRow& row(Op op) { return kRows[static_cast<std::size_t>(op)]; }

}  // namespace

KernelResult make_kernel(const LowerContext& context) {
  return (context.reference ? row(context.node.op).reference : row(context.node.op).fast)(context);
}
double tolerance(Op op) { return row(op).tolerance; }
std::string_view family(Op op) { return row(op).family; }
bool is_foldable(Op op) { return family(op) != "random" && family(op) != "control"; }

}  // namespace tenon::kernels
