// The table of makers: from an operator's row to its fast kernel and its reference.
#include "kernels/catalog.h"
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

struct FamilyRow {
  std::string_view name, fast_path;
};
constexpr FamilyRow kFamilies[] = {
#define NN_FAMILY(name, fast_path) {#name, fast_path},
#include "kernels/families.def"
#undef NN_FAMILY
};

constexpr const FamilyRow* find_family(std::string_view name) {
  for (const auto& family : kFamilies) {
    if (family.name == name) return &family;
  }
  return nullptr;
}
static_assert(std::ranges::all_of(kRows, [](const MakerRow& r) { return find_family(r.family) != nullptr; }),
              "families.def lacks a family of ops.def");

const MakerRow& row(Op op) { return kRows[static_cast<std::size_t>(op)]; }

}  // namespace

KernelResult make_kernel(const LowerContext& context) {
  return (context.reference ? row(context.node.op).reference : row(context.node.op).fast)(context);
}
double tolerance(Op op) { return row(op).tolerance; }
std::string_view family(Op op) { return row(op).family; }
std::string_view fast_path(Op op) { return find_family(family(op))->fast_path; }
bool is_foldable(Op op) { return family(op) != "random" && family(op) != "control"; }

}  // namespace tenon::kernels
