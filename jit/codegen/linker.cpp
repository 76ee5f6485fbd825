// ObjectLinker: placement, symbols, relocations, line tables.
#include "jit/codegen/linker.h"

#include <fmt/format.h>
#include <llvm/DebugInfo/DWARF/DWARFContext.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <tuple>

#include "jit/codegen/unwind_tables.h"

namespace tenon::jit {
namespace {

using llvm::object::ELFSectionRef;
using llvm::object::ELFSymbolRef;

std::unexpected<Error> link_error(std::string what) {
  return std::unexpected(Error{ErrorCategory::unsupported, "linking compiled code: " + std::move(what), {}});
}
std::unexpected<Error> link_error(llvm::Error error) { return link_error(llvm::toString(std::move(error))); }

u64 aligned(u64 n, u64 to) { return (n + to - 1) / to * to; }

// Sections of the image, in their order. Unwind tables become rows (unwind_tables.h).
enum class Group : u8 { text, cold_text, constants, none };

Group group_of(const ELFSectionRef& section) {
  const u64 flags = section.getFlags();
  if (!(flags & llvm::ELF::SHF_ALLOC) || (flags & llvm::ELF::SHF_WRITE) || section.getSize() == 0)
    return Group::none;
  auto name = section.getName();
  if (!name) {
    llvm::consumeError(name.takeError());
    return Group::none;
  }
  if (!(flags & llvm::ELF::SHF_EXECINSTR))
    return name->starts_with(".eh_frame") || *name == ".gcc_except_table" ? Group::none : Group::constants;
  return name->starts_with(".text.unlikely") ? Group::cold_text : Group::text;
}

template <class T>
void write_at(u8* at, u64 value) {
  T v = static_cast<T>(value);
  std::memcpy(at, &v, sizeof v);
}

}  // namespace

Result<void> ObjectLinker::add(const llvm::MemoryBuffer& object) {
  auto file = ElfFile::create(object.getMemBufferRef());
  if (!file) return link_error(file.takeError());
  Object& o = objects_.emplace_back();
  o.file = std::make_unique<ElfFile>(std::move(*file));
  return {};
}

void ObjectLinker::place_sections() {
  u64 end = 0;
  for (Object& o : objects_) o.sections.resize(o.file->getELFFile().getHeader().e_shnum);
  for (const Group group : {Group::text, Group::cold_text, Group::constants})
    for (Object& o : objects_)
      for (const ELFSectionRef section : o.file->sections()) {
        if (group_of(section) != group) continue;
        end = aligned(end, section.getAlignment().value());
        o.sections[section.getIndex()] = end;
        end += section.getSize();
      }
  parts_.code.resize(end);
}

// Where a symbol lies in the code; nothing: not there.
Result<std::optional<u64>> ObjectLinker::find(const Object& object, const ELFSymbolRef& symbol) const {
  auto section = symbol.getSection();
  if (!section) return link_error(section.takeError());
  if (*section != object.file->section_end()) {
    const auto& placed = object.sections[ELFSectionRef(**section).getIndex()];
    auto value = symbol.getValue();
    if (!value) return link_error(value.takeError());
    if (!placed) return std::nullopt;
    return *placed + *value;
  }
  auto name = symbol.getName();
  if (!name) return link_error(name.takeError());
  auto known = symbols_.find(name->str());
  if (known == symbols_.end()) return std::nullopt;
  return known->second;
}

namespace {

// The two numbers of "12.345".
std::optional<OsrLoop> parse_loop(std::string_view name) {
  OsrLoop loop;
  const char* end = name.data() + name.size();
  const auto first = std::from_chars(name.data(), end, loop.function.value);
  if (first.ptr == end || *first.ptr != '.') return std::nullopt;
  if (std::from_chars(first.ptr + 1, end, loop.offset).ptr != end) return std::nullopt;
  return loop;
}

// "i12": a copy for inlining.
std::optional<FuncIdx> parse_copy(std::string_view name) {
  FuncIdx f;
  const char* end = name.data() + name.size();
  if (!name.starts_with('i') || std::from_chars(name.data() + 1, end, f.value).ptr != end)
    return std::nullopt;
  return f;
}

}  // namespace

// Names: f<FuncIdx>, array.<key>, native.<key>; i<FuncIdx> of copies that were not inlined; of on-stack replacement
// o<FuncIdx>.<offset> and loop.o…; others are the unit's own.
void ObjectLinker::add_function(const std::string& name, u64 offset, u64 size) {
  const auto begin = static_cast<u32>(offset);
  u32 index = 0;
  const std::string_view rest = std::string_view(name).substr(1);
  const char* end = name.data() + name.size();
  if (name.starts_with('f') && std::from_chars(name.data() + 1, end, index).ptr == end) {
    parts_.functions.push_back({begin, static_cast<u32>(offset + size), index});
    parts_.entries.push_back({index, begin});
  } else if (const auto copied = parse_copy(name)) {
    parts_.functions.push_back({begin, static_cast<u32>(offset + size), copied->value});
  } else if (const auto loop = parse_loop(rest); loop && name.starts_with('o')) {
    parts_.functions.push_back({begin, static_cast<u32>(offset + size), loop->function.value});
  } else if (name.starts_with("loop.o")) {
    if (const auto at = parse_loop(rest.substr(std::strlen("oop.o"))))
      parts_.loops.push_back({at->function.value, at->offset, begin});
  } else if (name.starts_with("array.")) {
    thunks_[name.substr(std::strlen("array."))].array_entry = begin;
  } else if (name.starts_with("native.")) {
    thunks_[name.substr(std::strlen("native."))].native_entry = begin;
  }
}

Result<void> ObjectLinker::collect_symbols() {
  for (const Object& o : objects_)
    for (const ELFSymbolRef symbol : o.file->symbols()) {
      auto flags = symbol.getFlags();
      if (!flags) return link_error(flags.takeError());
      if (*flags & llvm::object::SymbolRef::SF_Undefined) continue;
      TRY_ASSIGN(const auto address, find(o, symbol));
      if (!address) continue;
      auto name = symbol.getName();
      if (!name) return link_error(name.takeError());
      if (*flags & llvm::object::SymbolRef::SF_Global) symbols_.try_emplace(name->str(), *address);
      if (symbol.getELFType() == llvm::ELF::STT_FUNC) add_function(name->str(), *address, symbol.getSize());
    }
  std::ranges::sort(parts_.functions, {}, &CodeFunction::begin);
  std::ranges::sort(parts_.entries, {}, &CodeEntry::func);
  for (const auto& [key, thunk] : thunks_) {
    if (!thunk.array_entry || !thunk.native_entry) return link_error("half a thunk for " + key);
    parts_.thunks.push_back(
        {parts_.add_string(key), static_cast<u32>(key.size()), *thunk.array_entry, *thunk.native_entry});
  }
  return {};
}

Result<void> ObjectLinker::relocate(const Object& object, const llvm::object::RelocationRef& relocation,
                                    u64 section) {
  const llvm::object::ELFRelocationRef r(relocation);
  auto addend = r.getAddend();
  if (!addend) return link_error(addend.takeError());
  const auto symbol = r.getSymbol();
  if (symbol == object.file->symbol_end()) return link_error("a relocation without a symbol");
  const ELFSymbolRef target(*symbol);
  TRY_ASSIGN(const auto address, find(object, target));
  auto name = target.getName();
  if (!name) return link_error(name.takeError());
  const u64 at = section + r.getOffset();
  if (!address) return link_error(fmt::format("compiled code refers to {}", name->str()));
  const u64 value = *address + static_cast<u64>(*addend) - at;
  u8* where = parts_.code.data() + at;
  switch (r.getType()) {
    case llvm::ELF::R_X86_64_PC32:
    case llvm::ELF::R_X86_64_PLT32: write_at<u32>(where, value); return {};
    case llvm::ELF::R_X86_64_PC64: write_at<u64>(where, value); return {};
    default: break;
  }
  return link_error(fmt::format("relocation of type {} to {}", r.getType(), name->str()));
}

Result<void> ObjectLinker::copy_and_relocate(const Object& object) {
  for (const ELFSectionRef s : object.file->sections()) {
    const auto& placed = object.sections[s.getIndex()];
    if (!placed) continue;
    auto bytes = s.getContents();
    if (!bytes) return link_error(bytes.takeError());
    std::memcpy(parts_.code.data() + *placed, bytes->data(), bytes->size());
  }
  for (const ELFSectionRef s : object.file->sections()) {
    auto applies_to = s.getRelocatedSection();
    if (!applies_to) return link_error(applies_to.takeError());
    if (*applies_to == object.file->section_end()) continue;
    const auto& placed = object.sections[ELFSectionRef(**applies_to).getIndex()];
    if (!placed) continue;
    for (const auto& r : s.relocations()) TRY(relocate(object, r, *placed));
  }
  return {};
}

// Ranges of code that came out of inlined calls, from the debug information's tree.
Result<void> ObjectLinker::collect_inlined(const Object& object, const llvm::DWARFDie& parent, u32 depth) {
  for (const llvm::DWARFDie& die : parent.children()) {
    const bool inlined = die.getTag() == llvm::dwarf::DW_TAG_inlined_subroutine;
    if (inlined) {
      const char* name = die.getSubroutineName(llvm::DINameKind::ShortName);
      const auto callee = parse_copy(name ? name : "");
      auto ranges = die.getAddressRanges();
      if (!ranges) return link_error(ranges.takeError());
      const u64 call = llvm::dwarf::toUnsigned(die.find(llvm::dwarf::DW_AT_call_line), 0);
      for (const auto& range : *ranges) {
        if (!callee || range.SectionIndex >= object.sections.size() || !object.sections[range.SectionIndex])
          continue;
        const u64 base = *object.sections[range.SectionIndex];
        inlined_.push_back({{static_cast<u32>(base + range.LowPC), static_cast<u32>(base + range.HighPC),
                             callee->value, static_cast<u32>(call)},
                            depth});
      }
    }
    TRY(collect_inlined(object, die, depth + inlined));
  }
  return {};
}

// Lines of the debug information are offsets in the Wasm module.
Result<void> ObjectLinker::collect_lines(const Object& object) {
  auto dwarf = llvm::DWARFContext::create(*object.file);
  for (const auto& unit : dwarf->compile_units()) {
    TRY(collect_inlined(object, unit->getUnitDIE(false), 0));
    const auto* table = dwarf->getLineTableForUnit(unit.get());
    if (!table) continue;
    for (const auto& row : table->Rows) {
      const u64 section = row.Address.SectionIndex;
      if (section >= object.sections.size() || !object.sections[section]) continue;
      const u64 pc = *object.sections[section] + row.Address.Address;
      rows_.push_back({static_cast<u32>(pc), !row.EndSequence, rows_.size(), row.EndSequence ? 0 : row.Line});
    }
  }
  return {};
}

Result<void> ObjectLinker::collect_unwinding(const Object& object) {
  std::optional<Error> failed;
  auto place = [&](const ELFSymbolRef& symbol) -> std::optional<u64> {
    auto found = find(object, symbol);
    if (found) return *found;
    failed = found.error();
    return std::nullopt;
  };
  TRY(read_unwind_tables(*object.file, place, parts_));
  if (failed) return std::unexpected(*failed);
  return {};
}

// Of several rows at one address the last one counts, the end of what lies before least.
void ObjectLinker::sort_lines() {
  std::ranges::sort(rows_, {}, [](const Row& r) { return std::tuple(r.pc, r.begins, r.order); });
  auto& lines = parts_.lines;
  for (const Row& r : rows_) {
    if (!lines.empty() && lines.back().pc == r.pc) lines.pop_back();
    if (lines.empty() || lines.back().wasm_offset != r.wasm_offset) lines.push_back({r.pc, r.wasm_offset});
  }
}

Result<ImageParts> ObjectLinker::link() {
  place_sections();
  TRY(collect_symbols());
  for (const Object& o : objects_) {
    TRY(copy_and_relocate(o));
    TRY(collect_lines(o));
    TRY(collect_unwinding(o));
  }
  sort_lines();
  std::ranges::sort(inlined_, {},
                    [](const Inlined& i) { return std::tuple(i.row.begin, ~i.row.end, i.depth); });
  for (const Inlined& i : inlined_) parts_.inlined.push_back(i.row);
  std::ranges::sort(parts_.frames, {}, &CodeFrame::begin);
  std::ranges::sort(parts_.landings, {}, &CodeLanding::begin);
  return std::move(parts_);
}

}  // namespace tenon::jit
