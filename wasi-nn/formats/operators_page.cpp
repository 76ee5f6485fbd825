// Writes docs/operators.md; see operators_page.h.
#include "wasi-nn/formats/operators_page.h"

#include "kernels/catalog.h"
#include "kernels/graph.h"

namespace tenon::nn {
namespace {

struct Column {
  std::string_view title;
  std::vector<ForeignOperator> (*list)();
};

// A format that gets an importer gets a line here.
constexpr Column kColumns[] = {
    {"ONNX opsets", onnx::foreign_operators},
    {"OpenVINO", openvino::foreign_operators},
    {"TensorFlow", tf::foreign_operators},
    {"TensorFlow Lite", tflite::foreign_operators},
};

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
  if (takes(DataType::i4)) parts.emplace_back("i4, u4, float8");
  return fmt::format("{}", fmt::join(parts, ", "));
}

// What stands in a column: versions where the names are those of the rows, else names.
std::string cell(const std::vector<ForeignOperator>& list, std::string_view op) {
  std::vector<std::string_view> names;
  for (const ForeignOperator& foreign : list) {
    if (foreign.op == op)
      names.push_back(foreign.versions.empty() ? foreign.name : std::string_view(foreign.versions));
  }
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string written_out(const Column& column, const std::vector<ForeignOperator>& list) {
  std::vector<std::string> names;
  for (const ForeignOperator& foreign : list) {
    if (!foreign.op.empty()) continue;
    names.push_back(foreign.versions.empty() ? std::string(foreign.name)
                                             : fmt::format("{} {}", foreign.name, foreign.versions));
  }
  const std::string_view title = column.title.substr(0, column.title.find(" opsets"));
  return names.empty() ? "" : fmt::format("- {}: {}\n", title, fmt::join(names, ", "));
}

}  // namespace

std::string operators_page() {
  std::string page =
      "# Operators\n\n"
      "What Tenon's kernels compute, and what each format calls it. Made from the importers' tables\n"
      "(`wasi-nn/formats/*_ops.def`), `kernels/ops.def` and `kernels/families.def` by `tenon nn operators`; "
      "a test\n"
      "keeps it current. Other domains, operators and types are refused at load, by name.\n\n"
      "ONNX: opsets of domain `ai.onnx`, up to 22; those in parentheses are converted to the newest form. "
      "Types are\n"
      "those of the first operand; results of all fast paths agree with a plain reference loop within the "
      "row's\n"
      "tolerance.\n\n| operator |";
  std::vector<std::vector<ForeignOperator>> lists;
  for (const Column& column : kColumns) {
    lists.push_back(column.list());
    page += fmt::format(" {} |", column.title);
  }
  page += " types | fast path |\n| --- |";
  for (size_t i = 0; i < std::size(kColumns) + 2; ++i) page += " --- |";
  page += "\n";
  std::vector<std::string_view> ops;
  for (size_t i = 0; i < static_cast<size_t>(kernels::Op::kCount); ++i)
    ops.push_back(to_string(static_cast<kernels::Op>(i)));
  std::ranges::sort(ops);
  for (const std::string_view op : ops) {
    std::string cells;
    bool known = false;
    for (const auto& list : lists) {
      const std::string text = cell(list, op);
      known = known || !text.empty();
      cells += fmt::format(" {} |", text);
    }
    const auto row = kernels::find_op(op);
    if (known)
      page += fmt::format("| {} |{} {} | {} |\n", op, cells, type_list(*row), kernels::fast_path(*row));
  }
  page += "\nWritten out as several of these:\n\n";
  for (size_t i = 0; i < lists.size(); ++i) page += written_out(kColumns[i], lists[i]);
  return page;
}

}  // namespace tenon::nn
