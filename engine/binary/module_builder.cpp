// Sections in their order (spec: binary/modules). The type section is in type_section.cpp, custom sections'
// contents in custom_sections.cpp.
#include "engine/binary/module_builder.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/binary/custom_sections.h"
#include "engine/reader.h"
#include "engine/validate/module_validator.h"

namespace tenon {

struct ModuleBuilder::SectionRow {
  u8 id;
  int order;  // position among the sections of a module
  Handler handler;
};

const ModuleBuilder::SectionRow ModuleBuilder::kSections[] = {
    {1, 1, &ModuleBuilder::type_section},         {2, 2, &ModuleBuilder::import_section},
    {3, 3, &ModuleBuilder::function_section},     {4, 4, &ModuleBuilder::table_section},
    {5, 5, &ModuleBuilder::memory_section},       {13, 6, &ModuleBuilder::tag_section},
    {6, 7, &ModuleBuilder::global_section},       {7, 8, &ModuleBuilder::export_section},
    {8, 9, &ModuleBuilder::start_section},        {9, 10, &ModuleBuilder::element_section},
    {12, 11, &ModuleBuilder::data_count_section}, {10, 12, &ModuleBuilder::code_section},
    {11, 13, &ModuleBuilder::data_section},
};

ModuleBuilder::ModuleBuilder(std::shared_ptr<TypeRegistry> registry, std::span<const u8> bytes,
                             std::shared_ptr<const void> owner, const DecodeOptions& options)
    : module_(std::make_unique<Module>()),
      limits_(options.limits),
      validate_(options.validate),
      in_(bytes, 0) {
  module_->registry_ = std::move(registry);
  module_->owner_ = std::move(owner);
  module_->bytes_ = bytes;
  module_->features_ = options.features;
}

Result<std::unique_ptr<Module>> ModuleBuilder::decode() {
  header();
  while (in_.ok() && !in_.at_end()) section();
  if (in_.ok()) check_lengths();
  if (!in_.ok()) return std::unexpected(first_malformed_body().value_or(*in_.error()));
  module_->declared_func_refs.resize(module_->functions.size());
  for (const CustomSection& section : module_->customs) decode_custom_section(*module_, section);
  return std::move(module_);
}

void ModuleBuilder::header() {
  constexpr u8 kMagic[] = {0, 'a', 's', 'm'}, kVersion[] = {1, 0, 0, 0};
  const auto expect = [this](std::span<const u8, 4> wanted, Err e) {
    const u64 offset = in_.offset();
    std::span<const u8> got = in_.bytes(4);
    if (in_.ok() && std::memcmp(got.data(), wanted.data(), 4) != 0) in_.fail_at(e, offset);
  };
  expect(kMagic, Err::bad_magic);
  expect(kVersion, Err::bad_version);
}

// Contents are read up to the end of the module and the size is compared afterwards: what is missing or too
// much then gets the message that the suite expects.
void ModuleBuilder::section() {
  constexpr u8 kCustom = 0;
  const u64 offset = in_.offset();
  const u8 id = in_.byte();
  const SectionRow* row = nullptr;
  for (const SectionRow& r : kSections)
    if (r.id == id) row = &r;
  if (!row && id != kCustom) {
    in_.fail_at(Err::bad_section_id, offset);
    return;
  }
  if (row && row->order <= last_order_) {
    in_.fail_at(Err::unexpected_content, offset);
    return;
  }
  const u64 size_at = in_.offset();
  const u32 size = in_.read_u32();
  if (in_.ok() && size > in_.remaining()) in_.fail_at(Err::length_out_of_bounds, size_at);
  if (!in_.ok()) return;
  const u64 start = in_.offset();
  if (row) {
    last_order_ = row->order;
    (this->*row->handler)();
  } else {
    custom_section(size);
  }
  if (in_.ok() && in_.offset() - start != size) in_.fail_at(Err::section_size, start);
}

void ModuleBuilder::check_lengths() {
  if (bodies_ != defined_functions_) in_.fail(Err::function_code_lengths);
  if (module_->data_count && *module_->data_count != module_->data.size()) in_.fail(Err::data_count_lengths);
}

u32 ModuleBuilder::section_count(std::string_view what, u64 existing, u32 limit) {
  const u64 offset = in_.offset();
  const u32 count = in_.count();
  if (existing + count > limit) in_.fail(make_limit_error(offset, what, existing + count, limit));
  return in_.ok() ? count : 0;
}

void ModuleBuilder::custom_section(u64 size) {
  const u64 start = in_.offset();
  const std::string_view name = in_.name();
  if (!in_.ok()) return;
  const u64 used = in_.offset() - start;
  if (used > size) {
    in_.fail(Err::unexpected_end);
    return;
  }
  const u64 offset = in_.offset();
  module_->customs.push_back({name, in_.bytes(size - used), offset, static_cast<u8>(last_order_)});
}

void ModuleBuilder::import_section() {
  const u32 count = section_count("imports", 0, limits_.imports);
  Module& m = *module_;
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    Import import;
    import.module = in_.name();
    import.name = in_.name();
    const u64 offset = in_.offset();
    const u8 kind = in_.byte();
    if (!in_.ok()) return;
    switch (kind) {
      case 0: {
        Function f;
        f.type = func_type_index(&f.type_idx);
        import.type = f.type;
        m.functions.push_back(f);
        ++m.imported_functions;
        break;
      }
      case 1: {
        TableDef t{table_type(), {}};
        import.type = t.type;
        m.tables.push_back(t);
        ++m.imported_tables;
        break;
      }
      case 2:
        m.memories.push_back(memory_type());
        import.type = m.memories.back();
        ++m.imported_memories;
        break;
      case 3: {
        const u64 at = in_.offset();
        GlobalDef g{global_type(), {}};
        if (g.type.mutable_) require_feature(in_, m.features_, Feature::mutable_global, at);
        import.type = g.type;
        m.globals.push_back(g);
        ++m.imported_globals;
        break;
      }
      case 4:
        require(Feature::exceptions);
        m.tags.push_back(tag_type());
        import.type = m.tags.back();
        ++m.imported_tags;
        break;
      default: in_.fail_at(Err::bad_import_kind, offset); return;
    }
    m.imports.push_back(import);
  }
}

void ModuleBuilder::function_section() {
  Module& m = *module_;
  const u32 count = section_count("functions", m.functions.size(), limits_.functions);
  m.functions.reserve(m.functions.size() + std::min<u64>(count, in_.remaining()));
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    Function f;
    f.type = func_type_index(&f.type_idx);
    m.functions.push_back(f);
  }
  defined_functions_ = count;
}

void ModuleBuilder::table_section() {
  constexpr u8 kWithInit = 0x40;
  Module& m = *module_;
  const u32 count = section_count("tables", m.tables.size(), limits_.tables);
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    TableDef table;
    const bool with_init = !in_.at_end() && in_.peek() == kWithInit;
    if (with_init) {
      require(Feature::function_references);
      in_.byte();
      const u64 at = in_.offset();
      if (in_.byte() != 0) in_.fail_at(Err::zero_byte_expected, at);
    }
    table.type = table_type();
    if (with_init) table.init = const_expr();
    m.tables.push_back(table);
  }
}

void ModuleBuilder::memory_section() {
  const u32 count = section_count("memories", module_->memories.size(), limits_.memories);
  for (u32 i = 0; i < count && in_.ok(); ++i) module_->memories.push_back(memory_type());
}

void ModuleBuilder::tag_section() {
  require(Feature::exceptions);
  const u32 count = section_count("tags", module_->tags.size(), limits_.tags);
  for (u32 i = 0; i < count && in_.ok(); ++i) module_->tags.push_back(tag_type());
}

void ModuleBuilder::global_section() {
  const u32 count = section_count("globals", module_->globals.size(), limits_.globals);
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    GlobalDef g;
    g.type = global_type();
    g.init = const_expr();
    module_->globals.push_back(g);
  }
}

void ModuleBuilder::export_section() {
  const u32 count = section_count("exports", 0, limits_.exports);
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    Export e;
    e.offset = in_.offset();
    e.name = in_.name();
    const u64 offset = in_.offset();
    const u8 kind = in_.byte();
    if (kind > static_cast<u8>(ExternKind::tag)) in_.fail_at(Err::bad_export_kind, offset);
    e.kind = static_cast<ExternKind>(kind);
    e.index = in_.read_u32();
    if (!in_.ok()) return;
    if (e.kind == ExternKind::func) declare_function(e.index);
    module_->exports.push_back(e);
  }
}

void ModuleBuilder::start_section() {
  module_->offsets.start = in_.offset();
  module_->start = FuncIdx{in_.read_u32()};
}

void ModuleBuilder::element_section() {
  const u32 count = section_count("element segments", 0, limits_.element_segments);
  for (u32 i = 0; i < count && in_.ok(); ++i) element_segment();
}

// Flags: bit 0 passive or declarative, bit 1 explicit table (or declarative), bit 2 expressions.
void ModuleBuilder::element_segment() {
  const u64 offset = in_.offset();
  const u32 flags = in_.read_u32();
  if (flags > 7) in_.fail_at(Err::bad_element_flags, offset);
  if (flags > 0) require_feature(in_, module_->features_, Feature::bulk_memory, offset);
  const bool exprs = flags & 4, active = !(flags & 1), explicit_index = active && (flags & 2);
  ElementSegment seg;
  seg.offset = offset;
  seg.mode = active ? SegmentMode::active : flags & 2 ? SegmentMode::declarative : SegmentMode::passive;
  if (explicit_index) seg.table = TableIdx{in_.read_u32()};
  if (active) seg.table_offset = const_expr();
  seg.type = exprs ? kFuncRef : ValType::ref(AbstractHeap::func, false);
  if ((flags & 3) != 0) {
    if (exprs) {
      seg.type = read_ref_type(in_, {*module_});
    } else if (const u64 at = in_.offset(); in_.byte() != 0) {
      in_.fail_at(Err::bad_element_kind, at);
    }
  }
  const u32 count = in_.count();
  if (exprs) {
    for (u32 i = 0; i < count && in_.ok(); ++i) seg.exprs.push_back(const_expr());
  } else {
    seg.funcs.reserve(std::min<u64>(count, in_.remaining()));
    for (u32 i = 0; i < count && in_.ok(); ++i) {
      seg.funcs.push_back(FuncIdx{in_.read_u32()});
      declare_function(seg.funcs.back().value);
    }
  }
  module_->elements.push_back(std::move(seg));
}

void ModuleBuilder::data_count_section() {
  require(Feature::bulk_memory);
  const u64 offset = in_.offset();
  const u32 count = in_.read_u32();
  if (count > limits_.data_segments)
    in_.fail(make_limit_error(offset, "data segments", count, limits_.data_segments));
  module_->data_count = count;
}

// Without as many functions as bodies the module is malformed, but what follows is read first:
// check_lengths() says so.
void ModuleBuilder::code_section() {
  const u32 count = in_.count();
  bodies_ = count;
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    const u64 size_at = in_.offset();
    const u32 size = in_.read_u32();
    if (size > limits_.function_bytes)
      in_.fail(make_limit_error(size_at, "bytes in a function", size, limits_.function_bytes));
    const u64 offset = in_.offset();
    const std::span<const u8> body = in_.bytes(size);
    if (i >= defined_functions_) continue;
    Function& f = module_->functions[module_->imported_functions + i];
    f.offset = offset;
    f.body = body;
  }
}

// Bodies are decoded last, with validation. When a section after them is malformed, a malformed body, which
// comes first in the module, is what gets reported.
std::optional<Error> ModuleBuilder::first_malformed_body() const {
  Instr instr;
  std::vector<LocalRun> locals;
  for (const Function& f : module_->functions) {
    if (f.body.empty()) continue;
    // An instruction that crosses the body's end is read whole, to say what is wrong with it.
    CodeReader reader(*module_, module_->bytes_.subspan(f.offset), f.offset);
    if (reader.read_locals(locals))
      while (reader.offset() < f.offset + f.body.size() && reader.next(instr)) {
      }
    if (reader.error() && reader.error()->category == ErrorCategory::malformed) return reader.error();
    // Here at the latest it ends: reading whole instructions beyond each of many ends would take for ever.
    const u64 end = f.offset + f.body.size();
    if (reader.offset() > end) return make_error(Err::unexpected_end, end);
  }
  return std::nullopt;
}

void ModuleBuilder::data_section() {
  const u64 start = in_.offset();
  const u32 count = section_count("data segments", 0, limits_.data_segments);
  if (in_.ok() && module_->data_count && *module_->data_count != count)
    in_.fail_at(Err::data_count_lengths, start);
  for (u32 i = 0; i < count && in_.ok(); ++i) {
    const u64 offset = in_.offset();
    const u32 flags = in_.read_u32();
    if (flags > 2) in_.fail_at(Err::bad_data_flags, offset);
    if (flags == 1) require_feature(in_, module_->features_, Feature::bulk_memory, offset);
    DataSegment seg;
    seg.offset = offset;
    seg.mode = flags == 1 ? SegmentMode::passive : SegmentMode::active;
    if (flags == 2) seg.memory = MemoryIdx{in_.read_u32()};
    if (flags != 1) seg.memory_offset = const_expr();
    seg.bytes = in_.sized_bytes();
    module_->data.push_back(seg);
  }
}

Limits ModuleBuilder::limits(bool has_max) {
  const bool wide = module_->features_.has(Feature::memory64);
  Limits l;
  l.min = wide ? in_.read_u64() : in_.read_u32();
  if (has_max) l.max = wide ? in_.read_u64() : in_.read_u32();
  return l;
}

namespace {
constexpr u8 kLimitsMax = 1, kLimitsShared = 2, kLimits64 = 4, kLimitsPageSize = 8;
}

TableType ModuleBuilder::table_type() {
  TableType t;
  module_->offsets.tables.push_back(in_.offset());
  t.element = read_ref_type(in_, {*module_});
  const u64 offset = in_.offset();
  const u8 flags = in_.byte();
  if (flags & ~(kLimitsMax | kLimits64)) in_.fail_at(Err::bad_limits_flags, offset);
  t.is64 = flags & kLimits64;
  if (t.is64) require_feature(in_, module_->features_, Feature::memory64, offset);
  t.limits = limits(flags & kLimitsMax);
  return t;
}

MemoryType ModuleBuilder::memory_type() {
  MemoryType m;
  module_->offsets.memories.push_back(in_.offset());
  const FeatureSet features = module_->features_;
  const u64 offset = in_.offset();
  const u8 flags = in_.byte();
  u8 known = kLimitsMax | kLimitsShared | kLimits64;
  if (features.has(Feature::custom_page_sizes)) known |= kLimitsPageSize;
  if (flags & ~known) in_.fail_at(Err::bad_limits_flags, offset);
  m.shared = flags & kLimitsShared;
  m.is64 = flags & kLimits64;
  if (m.shared) require_feature(in_, features, Feature::threads, offset);
  if (m.is64) require_feature(in_, features, Feature::memory64, offset);
  m.limits = limits(flags & kLimitsMax);
  if (flags & kLimitsPageSize) {
    const u64 at = in_.offset();
    const u32 shift = in_.read_u32();
    if (shift >= 64) in_.fail_at(Err::page_size_too_large, at);
    m.page_shift = static_cast<u8>(shift);
    m.page_size_given = true;
  }
  return m;
}

bool ModuleBuilder::mutability() {
  const u64 offset = in_.offset();
  const u8 m = in_.byte();
  if (m > 1) in_.fail_at(Err::bad_mutability, offset);
  return m == 1;
}

GlobalType ModuleBuilder::global_type() {
  GlobalType g;
  g.type = read_val_type(in_, {*module_});
  g.mutable_ = mutability();
  return g;
}

TagType ModuleBuilder::tag_type() {
  const u64 offset = in_.offset();
  module_->offsets.tags.push_back(offset);
  if (in_.byte() != 0) in_.fail_at(Err::bad_attribute, offset);
  return {func_type_index()};
}

TypeId ModuleBuilder::func_type_index(TypeIdx* index) {
  const u64 offset = in_.offset();
  const u32 i = in_.read_u32();
  if (!in_.ok()) return {};
  if (index) *index = TypeIdx{i};
  if (i >= module_->types.size()) {
    in_.fail(make_index_error(Err::unknown_type, offset, i));
    return {};
  }
  const TypeId id = module_->types[i];
  if (!module_->registry_->get(id).func()) in_.fail(make_index_error(Err::non_function_type, offset, i));
  return id;
}

void ModuleBuilder::declare_function(u32 index) {
  std::vector<bool>& declared = module_->declared_func_refs;
  declared.resize(module_->functions.size());
  if (index < declared.size()) declared[index] = true;
}

ConstExpr ModuleBuilder::const_expr() {
  if (!in_.ok()) return {};
  const u64 offset = in_.offset();
  const std::span<const u8> rest(in_.position(), in_.remaining());
  CodeReader reader(*module_, rest, offset, CodeKind::constant_expression);
  Instr instr;
  for (u32 depth = 0; reader.next(instr);) {
    if (instr.op == Op::end) {
      if (depth == 0) {
        const u64 size = reader.offset() - offset;
        in_.skip(size);
        return {rest.first(size), offset};
      }
      --depth;
    } else if (instr.op == Op::ref_func) {
      declare_function(instr.index);
    } else if (const Imm imm = op_info(instr.op).imm; imm == Imm::block || imm == Imm::try_table) {
      ++depth;  // not constant, which validation will say
    }
  }
  if (reader.error()) {
    in_.fail(*reader.error());
  } else {
    in_.fail_at(Err::unexpected_end, reader.offset());
  }
  return {};
}

Result<std::unique_ptr<Module>> decode_module(std::shared_ptr<TypeRegistry> registry,
                                              std::span<const u8> bytes, std::shared_ptr<const void> owner,
                                              const DecodeOptions& options) {
  ModuleBuilder builder(std::move(registry), bytes, std::move(owner), options);
  TRY_ASSIGN(std::unique_ptr<Module> module, builder.decode());
  if (options.validate) TRY(validate_module(*module, options));
  return module;
}

}  // namespace tenon
