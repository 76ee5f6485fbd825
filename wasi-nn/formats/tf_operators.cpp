// Looks rows up in tf_ops.def.
#include "wasi-nn/formats/tf_operators.h"

#include <algorithm>

#include "wasi-nn/formats/operators_page.h"
#include "wasi-nn/formats/tf_rules.h"

namespace tenon::nn::tf {
namespace {

constexpr std::string_view none = "";

// `none` has to stay a name, other targets become texts.
#define TF_TARGET(target) (std::string_view(#target) == "none" ? none : std::string_view(#target))
constexpr OperatorRow kRows[] = {
#define TF_OP(name, min_inputs, outputs, rule, target) \
  {#name, min_inputs, outputs, rules::rule, TF_TARGET(target)},
#define TF_STEP(name, outputs, step)
#include "wasi-nn/formats/tf_ops.def"
#undef TF_STEP
#undef TF_OP
};
constexpr OperatorRow kSteps[] = {
#define TF_OP(...)
#define TF_STEP(name, outputs, step) {#name, 0, outputs, nullptr, none},
#include "wasi-nn/formats/tf_ops.def"
#undef TF_STEP
#undef TF_OP
};
#undef TF_TARGET

template <size_t N>
constexpr bool sorted(const OperatorRow (&rows)[N]) {
  for (size_t i = 1; i < N; ++i) {
    if (rows[i - 1].name >= rows[i].name) return false;
  }
  return true;
}
static_assert(sorted(kRows) && sorted(kSteps), "tf_ops.def: rows are sorted by name within each part");

template <size_t N>
const OperatorRow* find_in(const OperatorRow (&rows)[N], std::string_view op) {
  const auto* row = std::ranges::lower_bound(rows, op, {}, &OperatorRow::name);
  return row != std::end(rows) && row->name == op ? row : nullptr;
}

}  // namespace

const OperatorRow* find_row(std::string_view op) {
  const OperatorRow* row = find_in(kRows, op);
  return row ? row : find_in(kSteps, op);
}

uint32_t first_port(std::string_view op, std::string_view output) {
  const OperatorRow* row = find_row(op);
  if (!row) return 0;
  uint32_t port = 0;
  for (std::string_view rest = row->outputs; !rest.empty(); ++port) {
    const size_t space = std::min(rest.find(' '), rest.size());
    if (rest.substr(0, space) == output) return port;
    rest.remove_prefix(std::min(space + 1, rest.size()));
  }
  return 0;
}

std::vector<ForeignOperator> foreign_operators() {
  std::vector<ForeignOperator> all;
  for (const OperatorRow& row : kRows) all.push_back({row.name, row.target});
  for (const OperatorRow& row : kSteps) all.push_back({row.name, row.target});
  std::ranges::sort(all, {}, &ForeignOperator::name);
  return all;
}

}  // namespace tenon::nn::tf
