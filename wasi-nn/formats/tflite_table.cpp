// Looks up the row of an operator in tflite_ops.def.
#include "wasi-nn/formats/operators_page.h"
#include "wasi-nn/formats/tflite_rules.h"

namespace tenon::nn::tflite {
namespace {

constexpr Row kRows[] = {
#define TFLITE_OP(name, code, rule, op) {#name, code, rules::rule, #op},
#include "wasi-nn/formats/tflite_ops.def"
};

constexpr bool rows_sorted() {
  for (size_t i = 1; i < std::size(kRows); ++i) {
    if (kRows[i - 1].name >= kRows[i].name) return false;
  }
  return true;
}
static_assert(rows_sorted(), "tflite_ops.def: rows are sorted by name, each name once");

constexpr Row kUnsupported[] = {
#define TFLITE_UNSUPPORTED(name, code) {#name, code, nullptr, {}},
#include "wasi-nn/formats/tflite_ops.def"
};

constexpr int32_t kCustom = 32;

}  // namespace

const Row* find_row(const OperatorCode& code) {
  const auto* row = std::ranges::find_if(kRows, [&](const Row& r) {
    return r.code == code.builtin && (r.code != kCustom || r.name == code.custom);
  });
  return row == std::end(kRows) ? nullptr : row;
}

std::string name_of(const OperatorCode& code) {
  if (code.builtin == kCustom) return std::string(code.custom.empty() ? "CUSTOM" : code.custom);
  if (const Row* row = find_row(code)) return std::string(row->name);
  const auto* row = std::ranges::find(kUnsupported, code.builtin, &Row::code);
  return row == std::end(kUnsupported) ? fmt::format("operator {}", code.builtin) : std::string(row->name);
}

std::vector<ForeignOperator> foreign_operators() {
  std::vector<ForeignOperator> all;
  for (const Row& row : kRows) all.push_back({row.name, row.op});
  return all;
}

}  // namespace tenon::nn::tflite
