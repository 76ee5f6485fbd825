// Looks up the rule of a node in onnx_ops.def.
#include "wasi-nn/formats/onnx_rules.h"

namespace tenon::nn::onnx {
namespace {

struct Row {
  std::string_view name;
  int64_t first;
  int64_t last;
  Result<void> (*rule)(NodeImport&);
};

constexpr Row kRows[] = {
#define ONNX_OP(name, first, last, rule) {#name, first, last, rules::rule},
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

}  // namespace tenon::nn::onnx
