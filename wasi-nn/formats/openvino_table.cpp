// Looks up the rule of a layer in openvino_ops.def.
#include "wasi-nn/formats/openvino_rules.h"
#include "wasi-nn/formats/operators_page.h"

namespace tenon::nn::openvino {
namespace {

struct Row {
  std::string_view type;
  int64_t first, last;
  Result<void> (*rule)(LayerImport&);
  std::string_view op;
};

constexpr Row kRows[] = {
#define OPENVINO_OP(type, first, last, rule, op) {#type, first, last, rules::rule, #op},
#include "wasi-nn/formats/openvino_ops.def"
#undef OPENVINO_OP
};

constexpr bool rows_sorted() {
  for (size_t i = 1; i < std::size(kRows); ++i) {
    const Row &before = kRows[i - 1], &row = kRows[i];
    if (before.type > row.type || (before.type == row.type && before.last >= row.first)) return false;
  }
  return std::ranges::all_of(kRows, [](const Row& row) { return row.first <= row.last; });
}
static_assert(rows_sorted(),
              "openvino_ops.def: rows are sorted by type and then by opset, and do not overlap");

const Row* find_row(std::string_view type, int64_t opset) {
  for (const Row& row : std::ranges::equal_range(kRows, type, {}, &Row::type)) {
    if (row.first <= opset && opset <= row.last) return &row;
  }
  return nullptr;
}

}  // namespace

Result<void> import_layer(LayerImport& layer) {
  const Layer& from = layer.layer();
  if (const Row* row = find_row(from.type, layer.opset())) {
    layer.set_op(row->op);
    return row->rule(layer);
  }
  if (std::ranges::binary_search(kRows, from.type, {}, &Row::type))
    return LayerImport::unsupported("layers of type {} are not supported in this opset", from.type);
  return LayerImport::unsupported("layers of type {} are not supported", from.type);
}

std::vector<ForeignOperator> foreign_operators() {
  std::vector<ForeignOperator> list;
  for (const Row& row : kRows) {
    const bool expands = row.op == "parts";
    if (!list.empty() && list.back().name == row.type) continue;
    list.push_back({row.type, expands ? std::string_view() : row.op});
  }
  return list;
}

Result<void> rules::same(LayerImport& layer) { return layer.finish(layer.inputs()); }

}  // namespace tenon::nn::openvino
