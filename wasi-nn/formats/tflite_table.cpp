// Looks up the row of an operator in tflite_ops.def.
#include "wasi-nn/formats/operators_page.h"
#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite {
namespace {

constexpr Row kRows[] = {
#define TFLITE_OP(name, code, rule, op) {#name, code, rules::rule, #op},
#include "wasi-nn/formats/tflite_ops.def"
#undef TFLITE_OP
};

constexpr bool rows_sorted() {
  for (size_t i = 1; i < std::size(kRows); ++i) {
    if (kRows[i - 1].name >= kRows[i].name) return false;
  }
  return true;
}
static_assert(rows_sorted(), "tflite_ops.def: rows are sorted by name, each name once");

}  // namespace

const Row* find_row(int32_t code) {
  const auto* row = std::ranges::find(kRows, code, &Row::code);
  return row == std::end(kRows) ? nullptr : row;
}

std::vector<ForeignOperator> foreign_operators() {
  std::vector<ForeignOperator> all;
  for (const Row& row : kRows) all.push_back({row.name, row.op});
  return all;
}

}  // namespace tenon::nn::tflite
