// Validates a decoded module (spec: valid/modules): limits, constant expressions, segments, exports, start,
// and each function body by FuncValidator.
#include "engine/validate/module_validator.h"

#include <fmt/format.h>

#include <unordered_set>

#include "engine/errors.h"
#include "engine/reader.h"
#include "engine/validate/func_validator.h"

namespace tenon {
namespace {

class ModuleValidator {
 public:
  ModuleValidator(const Module& module, const DecodeOptions& options)
      : module_(module), options_(options), functions_(module, options.limits) {}

  Result<void> run() {
    TRY(tables());
    TRY(memories());
    TRY(tags());
    TRY(globals());
    TRY(exports());
    TRY(start());
    TRY(elements());
    TRY(data());
    return bodies();
  }

 private:
  static std::unexpected<Error> fail(Error e) { return std::unexpected(std::move(e)); }
  bool has(Feature f) const { return options_.features.has(f); }

  Result<void> tags() {
    for (size_t i = 0; i < module_.tags.size(); ++i)
      if (!module_.type_registry().get(module_.tags[i].type).func()->results.empty())
        return fail(make_error(Err::tag_result, module_.offsets.tags[i]));
    return {};
  }

  Result<void> check_limits(const Limits& limits, u64 offset) {
    if (limits.max && limits.min > *limits.max) return fail(make_error(Err::size_minimum, offset));
    return {};
  }

  Result<void> tables() {
    if (module_.tables.size() > 1 && !has(Feature::reference_types))
      return fail(make_error(Err::multiple_tables, module_.offsets.tables[1]));
    for (size_t i = 0; i < module_.tables.size(); ++i) {
      const TableDef& table = module_.tables[i];
      const u64 offset = module_.offsets.tables[i];
      TRY(check_table(table.type, offset));
      if (i < module_.imported_tables) continue;
      if (!table.init.code.empty()) {
        TRY(constant(table.init, table.type.element, module_.imported_globals));
      } else if (!table.type.element.is_defaultable()) {
        return fail(make_error(Err::not_defaultable, offset,
                               fmt::format("table of {}", to_string(table.type.element))));
      }
    }
    return {};
  }

  Result<void> check_table(const TableType& table, u64 offset) {
    constexpr u64 kMax32 = 0xffffffff;
    if (!table.is64 && (table.limits.min > kMax32 || table.limits.max.value_or(0) > kMax32))
      return fail(Error{ErrorCategory::invalid,
                        fmt::format("{} {} elements", err_text(Err::table_size), kMax32), offset});
    return check_limits(table.limits, offset);
  }

  Result<void> memories() {
    if (module_.memories.size() > 1 && !has(Feature::multi_memory))
      return fail(make_error(Err::multiple_memories, module_.offsets.memories[1]));
    for (size_t i = 0; i < module_.memories.size(); ++i)
      TRY(check_memory(module_.memories[i], module_.offsets.memories[i]));
    return {};
  }

  // All bytes must be addressable; with pages of one byte the count itself must fit.
  Result<void> check_memory(const MemoryType& memory, u64 offset) {
    if (memory.page_shift != 0 && memory.page_shift != 16)
      return fail(make_error(Err::page_size, offset, fmt::format("2^{}", memory.page_shift)));
    const u64 last_address = memory.is64 ? ~u64{0} : 0xffffffff;
    const u64 max = memory.page_shift == 0 ? last_address : (last_address >> memory.page_shift) + 1;
    if (memory.limits.min > max || memory.limits.max.value_or(0) > max) {
      std::string text = fmt::format("{} {} pages", err_text(Err::memory_size), max);
      if (memory.page_shift == 16) text += memory.is64 ? " (16EiB)" : " (4GiB)";
      return fail(Error{ErrorCategory::invalid, std::move(text), offset});
    }
    if (memory.shared && !memory.limits.max) return fail(make_error(Err::shared_without_max, offset));
    return check_limits(memory.limits, offset);
  }

  // Before garbage collection only imported globals could be read.
  Result<void> globals() {
    for (u32 i = module_.imported_globals; i < module_.globals.size(); ++i) {
      const u32 known = has(Feature::gc) ? i : module_.imported_globals;
      TRY(constant(module_.globals[i].init, module_.globals[i].type.type, known));
    }
    return {};
  }
  u32 known_globals() const {
    return has(Feature::gc) ? static_cast<u32>(module_.globals.size()) : module_.imported_globals;
  }

  Result<void> constant(const ConstExpr& expr, ValType type, u32 known_globals) {
    functions_.begin_constant(type, known_globals);
    CodeReader reader(module_, expr.code, expr.offset, CodeKind::constant_expression);
    Instr instr;
    while (!functions_.done()) {
      if (!reader.next(instr))
        return fail(reader.error().value_or(make_error(Err::unexpected_end, reader.offset())));
      if (!functions_.step(instr)) return fail(*functions_.error());
    }
    return {};
  }

  Result<void> exports() {
    const u64 sizes[] = {module_.functions.size(), module_.tables.size(), module_.memories.size(),
                         module_.globals.size(), module_.tags.size()};
    constexpr Err kUnknown[] = {Err::unknown_function, Err::unknown_table, Err::unknown_memory,
                                Err::unknown_global, Err::unknown_tag};
    std::unordered_set<std::string_view> names;
    for (const Export& e : module_.exports) {
      const size_t kind = static_cast<size_t>(e.kind);
      if (e.index >= sizes[kind]) return fail(make_index_error(kUnknown[kind], e.offset, e.index));
      if (!names.insert(e.name).second) return fail(make_error(Err::duplicate_export, e.offset, e.name));
    }
    return {};
  }

  Result<void> start() {
    if (!module_.start) return {};
    const u64 offset = module_.offsets.start;
    if (module_.start->value >= module_.functions.size())
      return fail(make_index_error(Err::unknown_function, offset, module_.start->value));
    const FuncType& type = module_.func_type(*module_.start);
    if (!type.params.empty() || !type.results.empty())
      return fail(make_error(Err::start_type, offset, to_string(type)));
    return {};
  }

  Result<void> elements() {
    for (const ElementSegment& segment : module_.elements) {
      if (segment.mode == SegmentMode::active) {
        if (segment.table.value >= module_.tables.size())
          return fail(make_index_error(Err::unknown_table, segment.offset, segment.table.value));
        const TableType& table = module_.tables[segment.table.value].type;
        if (!module_.type_registry().is_subtype(segment.type, table.element))
          return fail(make_error(Err::type_mismatch, segment.table_offset.offset,
                                 fmt::format("element segment of {} for a table of {}",
                                             to_string(segment.type), to_string(table.element))));
        TRY(constant(segment.table_offset, table.is64 ? kI64 : kI32, known_globals()));
      }
      for (FuncIdx f : segment.funcs)
        if (f.value >= module_.functions.size())
          return fail(make_index_error(Err::unknown_function, segment.offset, f.value));
      for (const ConstExpr& expr : segment.exprs) TRY(constant(expr, segment.type, known_globals()));
    }
    return {};
  }

  Result<void> data() {
    for (const DataSegment& segment : module_.data) {
      if (segment.mode != SegmentMode::active) continue;
      if (segment.memory.value >= module_.memories.size())
        return fail(make_index_error(Err::unknown_memory, segment.offset, segment.memory.value));
      TRY(constant(segment.memory_offset, module_.memories[segment.memory.value].is64 ? kI64 : kI32,
                   known_globals()));
    }
    return {};
  }

  Result<void> bodies() {
    if (options_.lazy_bodies) return {};
    for (u32 i = module_.imported_functions; i < module_.functions.size(); ++i)
      TRY(validate_function(functions_, module_, FuncIdx{i}));
    return {};
  }

  const Module& module_;
  const DecodeOptions& options_;
  FuncValidator functions_;
};

}  // namespace

Result<void> validate_module(const Module& module, const DecodeOptions& options) {
  return ModuleValidator(module, options).run();
}

}  // namespace tenon
