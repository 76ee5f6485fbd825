// Looks up the rule of a node in onnx_ops.def.
#include "wasi-nn/formats/onnx_rules.h"
#include "wasi-nn/formats/operators_page.h"

namespace tenon::nn::onnx {
namespace {

struct Row {
  std::string_view name;
  int64_t first;
  int64_t last;
  Result<void> (*rule)(NodeImport&);
  std::string_view rule_name;
};

constexpr Row kRows[] = {
#define ONNX_OP(name, first, last, rule) {#name, first, last, rules::rule, #rule},
#include "wasi-nn/formats/onnx_ops.def"
#undef ONNX_OP
};

constexpr bool rows_sorted() {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    if (kRows[i].first > kRows[i].last || kRows[i].last > kNewestOpset) return false;
    if (i == 0) continue;
    const Row& before = kRows[i - 1];
    if (before.name > kRows[i].name) return false;
    if (before.name == kRows[i].name && before.last >= kRows[i].first) return false;
  }
  return true;
}
static_assert(rows_sorted(), "onnx_ops.def: rows are sorted by name and then by opset, and do not overlap");

}  // namespace

Result<void> import_node(NodeImport& node) {
  const std::string_view name = node.proto().op_type;
  const auto rows = std::ranges::equal_range(kRows, name, {}, &Row::name);
  for (const Row& row : rows) {
    if (row.first <= node.opset() && node.opset() <= row.last) return row.rule(node);
  }
  if (rows.empty()) return NodeImport::unsupported("operator {} is not supported", name);
  return NodeImport::unsupported("operator {} is not supported in this opset", name);
}

std::vector<ForeignOperator> foreign_operators() {
  std::vector<ForeignOperator> list;
  for (size_t i = 0; i < std::size(kRows);) {
    const Row& first = kRows[i];
    std::string spans;
    for (; i < std::size(kRows) && kRows[i].name == first.name; ++i) {
      const Row& row = kRows[i];
      if (!spans.empty()) spans += ", ";
      const auto span =
          row.first == row.last ? fmt::format("{}", row.first) : fmt::format("{}–{}", row.first, row.last);
      spans += row.rule_name == "direct" ? span : fmt::format("({})", span);
    }
    const auto op = kernels::find_op(first.name);
    if (!op && first.rule_name == "direct") continue;  // known by name only
    list.push_back({first.name, op ? first.name : std::string_view(), std::move(spans)});
  }
  return list;
}

}  // namespace tenon::nn::onnx
