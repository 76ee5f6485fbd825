// Looks up the rule of a node in onnx_ops.def.
#include "kernels/catalog.h"
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

// "f32 f64", or a word for the usual sets.
std::string type_list(kernels::Op op) {
  using kernels::DataType;
  static constexpr DataType kFloats[] = {DataType::f16, DataType::bf16, DataType::f32, DataType::f64};
  static constexpr DataType kIntegers[] = {DataType::i8,  DataType::u8,  DataType::i16, DataType::u16,
                                           DataType::i32, DataType::u32, DataType::i64, DataType::u64};
  const auto takes = [op](DataType type) { return kernels::accepts(op, type); };
  const bool floats = std::ranges::all_of(kFloats, takes), integers = std::ranges::all_of(kIntegers, takes);
  std::vector<std::string_view> parts;
  if (floats) parts.emplace_back("floats");
  if (integers) parts.emplace_back("integers");
  for (const DataType type : kFloats) {
    if (!floats && takes(type)) parts.push_back(to_string(type));
  }
  for (const DataType type : kIntegers) {
    if (!integers && takes(type)) parts.push_back(to_string(type));
  }
  if (takes(DataType::boolean)) parts.emplace_back("bool");
  if (takes(DataType::string)) parts.emplace_back("strings");
  return fmt::format("{}", fmt::join(parts, ", "));
}

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

std::string operators_page() {
  std::string page =
      "# Operators\n\n"
      "ONNX operators of domain `ai.onnx` that Tenon runs, up to opset 22. Made from "
      "`wasi-nn/formats/onnx_ops.def`,\n"
      "`kernels/ops.def` and `kernels/families.def` by `tenon nn operators`; a test keeps it current. Other "
      "domains,\n"
      "other operators and other types are refused at load, by name.\n\n"
      "Opsets in parentheses are converted to the newest form. Types are those of the first operand; results "
      "of all\n"
      "fast paths agree with a plain reference loop within the row's tolerance.\n\n"
      "| operator | opsets | types | fast path |\n| --- | --- | --- | --- |\n";
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
    const bool expands = !op && first.rule_name != "direct";
    if (!op && !expands) continue;  // known by name only
    page +=
        fmt::format("| {} | {} | {} | {} |\n", first.name, spans, expands ? "as its parts" : type_list(*op),
                    expands ? "written out as other operators" : kernels::fast_path(*op));
  }
  return page;
}

}  // namespace tenon::nn::onnx
