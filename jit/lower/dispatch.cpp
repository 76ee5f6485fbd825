// Dispatch tables (dispatch.h).
#include "jit/lower/dispatch.h"

#include <fmt/format.h>

#include "engine/reader.h"
#include "jit/lower/func_lowering.h"

namespace tenon::jit {
namespace {

constexpr u64 kLargestTable = 1 << 20;

// The value of `i32.const n; end` or `i64.const n; end`; nothing for other expressions.
std::optional<u64> constant_offset(const Module& module, const ConstExpr& expr) {
  CodeReader reader(module, expr.code, expr.offset, CodeKind::constant_expression);
  Instr first, second;
  if (!reader.next(first) || (first.op != Op::i32_const && first.op != Op::i64_const)) return std::nullopt;
  const u64 value = first.op == Op::i32_const ? static_cast<u32>(first.bits) : first.bits;
  if (!reader.next(second) || second.op != Op::end) return std::nullopt;
  return value;
}

std::optional<TableContent> content(const Module& module, u32 table) {
  const TableType& type = module.tables[table].type;
  if (type.limits.min > kLargestTable || !module.tables[table].init.code.empty()) return std::nullopt;
  TableContent rows(type.limits.min, kNoFunction);
  for (const ElementSegment& segment : module.elements) {
    if (segment.mode != SegmentMode::active || segment.table.value != table) continue;
    const auto at = constant_offset(module, segment.table_offset);
    // A segment that does not fit ends instantiation.
    if (!at || !segment.exprs.empty() || *at > rows.size() || segment.funcs.size() > rows.size() - *at)
      return std::nullopt;
    for (size_t i = 0; i < segment.funcs.size(); ++i) rows[*at + i] = segment.funcs[i].value;
  }
  return rows;
}

llvm::ArrayType* table_type(Unit& unit, size_t rows) {
  return llvm::ArrayType::get(llvm::ArrayType::get(unit.i32(), 2), rows);
}

}  // namespace

std::vector<std::optional<TableContent>> known_tables(const Module& module,
                                                      const std::vector<bool>& changed) {
  std::vector<std::optional<TableContent>> tables(module.tables.size());
  std::vector<bool> open = changed;
  for (const Export& e : module.exports)
    if (e.kind == ExternKind::table) open[e.index] = true;
  for (u32 t = module.imported_tables; t < tables.size(); ++t)
    if (!open[t]) tables[t] = content(module, t);
  return tables;
}

u32 dispatch_type(const Module& module, TypeId type) {
  return static_cast<u32>(std::ranges::find(module.types, type) - module.types.begin());
}

llvm::GlobalVariable* declare_dispatch_table(Unit& unit, const ModulePlan& plan, u32 table) {
  const std::string name = fmt::format("table{}", table);
  if (auto* known = unit.module().getGlobalVariable(name)) return known;
  auto* declared = new llvm::GlobalVariable(unit.module(), table_type(unit, plan.known_tables[table]->size()),
                                            true, llvm::GlobalValue::ExternalLinkage, nullptr, name);
  declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
  declared->setDSOLocal(true);
  declared->setAlignment(llvm::Align(kDispatchRow));
  return declared;
}

void define_dispatch_tables(Unit& unit, const ModulePlan& plan) {
  const Module& module = *plan.module;
  auto* word = unit.i32();
  for (u32 t = 0; t < plan.known_tables.size(); ++t) {
    if (!plan.known_tables[t]) continue;
    auto* table = declare_dispatch_table(unit, plan, t);
    auto* start = llvm::ConstantExpr::getPtrToInt(table, unit.i64());
    std::vector<llvm::Constant*> rows;
    for (const u32 f : *plan.known_tables[t]) {
      llvm::Constant* offset = llvm::ConstantInt::get(word, 0);
      u32 type = ~u32{0};
      if (f != kNoFunction && plan.compiled[f]) {
        auto* code = llvm::ConstantExpr::getPtrToInt(declare_function(unit, plan, FuncIdx{f}), unit.i64());
        offset = llvm::ConstantExpr::getTrunc(llvm::ConstantExpr::getSub(code, start), word);
        type = dispatch_type(module, module.functions[f].type);
      }
      rows.push_back(llvm::ConstantArray::get(llvm::ArrayType::get(word, 2),
                                              {offset, llvm::ConstantInt::get(word, type)}));
    }
    table->setInitializer(llvm::ConstantArray::get(table_type(unit, rows.size()), rows));
  }
}

}  // namespace tenon::jit
