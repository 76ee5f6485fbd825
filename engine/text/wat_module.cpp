// Module fields of the text format; see wat.h. Three walks over the fields: declare every index and
// identifier, define types, then encode the rest, so that uses may come before definitions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/text/literals.h"
#include "engine/text/wat.h"
#include "engine/text/wat_instrs.h"

namespace tenon::text {
namespace {

enum SectionId : u8 {
  kCustom,
  kType,
  kImport,
  kFunction,
  kTable,
  kMemory,
  kGlobal,
  kExport,
  kStart,
  kElement,
  kCode,
  kData,
  kDataCount,
  kTag,
};
// Order of sections in a module (spec: binary/modules).
constexpr std::array kOrder =
    std::to_array<SectionId>({kType, kImport, kFunction, kTable, kMemory, kTag, kGlobal, kExport, kStart,
                              kElement, kDataCount, kCode, kData});

struct SectionWord {
  std::string_view word;
  SectionId id;
};
constexpr std::array kSectionWords = std::to_array<SectionWord>({{"type", kType},
                                                                 {"import", kImport},
                                                                 {"func", kFunction},
                                                                 {"table", kTable},
                                                                 {"memory", kMemory},
                                                                 {"tag", kTag},
                                                                 {"global", kGlobal},
                                                                 {"export", kExport},
                                                                 {"start", kStart},
                                                                 {"elem", kElement},
                                                                 {"code", kCode},
                                                                 {"data", kData},
                                                                 {"datacount", kDataCount}});

constexpr HeapCode kFuncHeap = -0x10;

// A section as a vector: entries are counted while they are written.
struct Section {
  u32 count = 0;
  ByteWriter content;
  ByteWriter& add() {
    ++count;
    return content;
  }
};

// A custom section asked for by @custom: where in kOrder it goes. 0 is before everything.
struct CustomAnnotation {
  size_t place;
  std::string name, bytes;
};

class ModuleParser : public InstrParser {
 public:
  ModuleParser(const TokenStream& stream, u32 position, FeatureSet features)
      : InstrParser(stream, position), features_(features) {}

  Result<ParsedModule> run() {
    ParsedModule out;
    out.id = take_id();
    if (out.id) module_name_ = *out.id;
    if (is_annotation("name")) {
      name_annotation(module_name_);
      if (is_annotation("name")) fail("@name annotation: multiple module");
    }
    const u32 fields = position();
    for_each_field(&ModuleParser::declare_field);
    seek_if_ok(fields);
    for_each_field(&ModuleParser::define_type);
    seek_if_ok(fields);
    for_each_field(&ModuleParser::encode_field);
    if (error()) return std::unexpected(*error());
    out.bytes = assemble();
    return out;
  }

 private:
  using FieldFn = void (ModuleParser::*)(std::string_view word);

  void seek_if_ok(u32 p) {
    if (ok()) seek(p);
  }

  // Calls fn behind "(" word for each field; fn may leave the rest of the field unread.
  void for_each_field(FieldFn fn) {
    while (ok() && !is(TokenKind::rparen) && !is(TokenKind::end)) {
      const u32 start = position();
      if (is_annotation("custom")) {
        advance();
        if (fn == &ModuleParser::encode_field) custom_annotation();
      } else if (is(TokenKind::lparen) && is(TokenKind::keyword, 1)) {
        const std::string_view word = text(1);
        advance(2);
        (this->*fn)(word);
      } else {
        return unexpected();
      }
      if (fn == &ModuleParser::encode_field) {
        close();
      } else if (ok()) {
        seek(start + 1);
        skip_form();
      }
    }
  }

  struct FieldRow {
    std::string_view word;
    IndexSpace TypeParser::* space;
    void (ModuleParser::*encode)();
    bool importable;
  };
  static const FieldRow* find_field(std::string_view word);

  // ---- first walk

  void declare_field(std::string_view word) {
    if (word == "rec") {
      while (take_form("type")) {
        declare(types, take_id());
        skip_form();
      }
      return;
    }
    if (word == "import") return declare_import();
    if (word == "start") {
      if (std::exchange(has_start_, true)) fail("multiple start sections");
      return;
    }
    if (word == "export") return;
    const FieldRow* row = find_field(word);
    if (!row) {
      seek(position() - 1);
      return unexpected();
    }
    const Token at = peek();
    IndexSpace& space = this->*row->space;
    const u32 own = declare(space, take_id());
    if (is_annotation("name")) name_annotation(space.names[own]);
    if (!row->importable) return;
    while (take_form("export")) skip_form();
    if (is_form("import")) {
      check_import_order(at);
    } else {
      if (first_definition_.empty()) first_definition_ = row->word;
      declare_inline_segment(*row);
    }
  }

  // (table … (elem …)) and (memory … (data …)) bring a segment without a name.
  void declare_inline_segment(const FieldRow& row) {
    const bool table = row.word == "table";
    if (!table && row.word != "memory") return;
    while (ok() && !is(TokenKind::rparen) && !is(TokenKind::end)) {
      if (is_form(table ? "elem" : "data"))
        return static_cast<void>(declare(table ? elems : data, std::nullopt));
      const bool form = is(TokenKind::lparen);
      advance();
      if (form) skip_form();
    }
  }

  void check_import_order(const Token& at) {
    if (!first_definition_.empty()) fail_at(at, fmt::format("import after {}", definition_word()));
  }
  std::string definition_word() const { return first_definition_ == "func" ? "function" : first_definition_; }

  void declare_import() {
    const Token at = peek();
    expect_name();
    expect_name();
    if (!is(TokenKind::lparen)) return unexpected();
    const FieldRow* row = find_field(text(1));
    if (!row || !row->importable) {
      advance();
      return unexpected();
    }
    check_import_order(at);
    advance(2);
    declare(this->*row->space, take_id());
  }

  // ---- second walk

  void define_type(std::string_view word) {
    if (word == "type") type_definition();
    if (word == "rec") rec_group();
  }

  // ---- third walk

  void encode_field(std::string_view word) {
    if (word == "type") return to_field_end();
    if (word == "rec") return to_field_end();
    if (word == "import") return encode_import();
    if (word == "export") return encode_export();
    if (word == "start") return static_cast<void>(start_ = index(funcs));
    const FieldRow* row = find_field(word);
    take_id();
    if (is_annotation("name")) {
      std::string ignored;
      name_annotation(ignored);
    }
    (this->*row->encode)();
  }
  void to_field_end() {
    skip_form();
    seek(position() - 1);
  }

  // (export "a")* in a definition.
  void inline_exports(u8 kind, u32 own) {
    while (take_form("export")) {
      ByteWriter& out = exports_.add();
      out.name(export_name());
      out.byte(kind);
      out.unsigned_leb(own);
      close();
    }
  }
  std::string export_name() { return expect_name(); }

  // (import "m" "n") in a definition: writes names and kind, true when it is there.
  bool inline_import(u8 kind) {
    if (!take_form("import")) return false;
    ByteWriter& out = imports_.add();
    out.name(expect_name());
    out.name(expect_name());
    close();
    out.byte(kind);
    return true;
  }

  void encode_func() {
    const u32 own = next_func_++;
    inline_exports(0, own);
    if (inline_import(0)) {
      imports_.content.unsigned_leb(resolve(type_use(true)));
      return;
    }
    const TypeUse use = type_use(true);
    functions_.add().unsigned_leb(resolve(use));
    declare_params(use);
    ByteWriter local_types, body;
    const u32 runs = local_declarations(local_types);
    const size_t first_hint = hints.size();
    function_body(body);
    if (!ok()) return;
    ByteWriter code;
    code.unsigned_leb(runs);
    code.append(local_types);
    write_hints(own, first_hint, static_cast<u32>(code.size()));
    code.append(body);
    codes_.add().sized(code);
    if (!locals.names.empty()) local_names_.emplace_back(own, locals.names);
  }

  void declare_params(const TypeUse& use) {
    locals = IndexSpace{"local"};
    const u32 count = static_cast<u32>(signature(use).params.size());
    for (const auto& [position, id] : use.param_ids) {
      if (!locals.ids.emplace(id, position).second) fail(fmt::format("duplicate local ${}", id));
      locals.names[position] = id;
    }
    locals.count = count;
  }

  u32 local_declarations(ByteWriter& out) {
    std::vector<std::pair<u32, TextValType>> runs;
    auto add = [&](std::optional<std::string> id) {
      declare(locals, id);
      const TextValType t = val_type();
      if (runs.empty() || runs.back().second != t) runs.emplace_back(0, t);
      ++runs.back().first;
    };
    while (take_form("local")) {
      if (is(TokenKind::id)) {
        add(take_id());
      } else {
        while (ok() && !is(TokenKind::rparen)) add(std::nullopt);
      }
      close();
    }
    for (const auto& [count, type] : runs) {
      out.unsigned_leb(count);
      type.encode(out);
    }
    return static_cast<u32>(runs.size());
  }

  void write_hints(u32 func, size_t first, u32 shift) {
    if (first == hints.size()) return;
    ByteWriter& out = hint_functions_.add();
    out.unsigned_leb(func);
    out.unsigned_leb(hints.size() - first);
    for (size_t i = first; i < hints.size(); ++i) {
      out.unsigned_leb(hints[i].offset + shift);
      out.unsigned_leb(1);
      out.byte(hints[i].likely);
    }
  }

  bool address_type() {
    if (take_keyword("i64")) return true;
    take_keyword("i32");
    return false;
  }

  struct TextLimits {
    bool is64 = false, shared = false;
    u64 min = 0;
    std::optional<u64> max;
    std::optional<u32> page_shift;
    void encode(ByteWriter& out) const {
      out.byte(static_cast<u8>((max ? 1 : 0) | (shared ? 2 : 0) | (is64 ? 4 : 0) | (page_shift ? 8 : 0)));
      out.unsigned_leb(min);
      if (max) out.unsigned_leb(*max);
      if (page_shift) out.unsigned_leb(*page_shift);
    }
  };
  TextLimits limits() {
    TextLimits l;
    l.is64 = address_type();
    const u32 bits = features_.has(Feature::memory64) ? 64 : 32;  // spec 3.0 leaves the range to validation
    l.min = expect_nat(bits);
    if (is(TokenKind::number)) l.max = expect_nat(bits);
    return l;
  }
  void page_size(TextLimits& l) {
    if (!take_form("pagesize")) return;
    const Token at = peek();
    const u64 size = expect_nat(64);
    if (ok() && !std::has_single_bit(size)) return fail_at(at, "invalid custom page size");
    l.page_shift = static_cast<u32>(std::countr_zero(size));
    close();
  }
  void table_type(ByteWriter& out) {
    const TextLimits l = limits();
    ref_type().encode(out);
    l.encode(out);
  }
  TextLimits memory_type() {
    TextLimits l = limits();
    l.shared = take_keyword("shared");
    page_size(l);
    return l;
  }
  void global_type(ByteWriter& out) {
    const bool mutable_ = take_form("mut");
    val_type().encode(out);
    if (mutable_) close();
    out.byte(mutable_ ? 1 : 0);
  }
  void tag_type(ByteWriter& out) {
    out.byte(0);
    out.unsigned_leb(resolve(type_use(true)));
  }

  void encode_table() {
    const u32 own = next_table_++;
    inline_exports(1, own);
    if (inline_import(1)) return table_type(imports_.content);
    // (table i64? reftype (elem …)) against (table i64? min max? reftype init?)
    const u32 start = position();
    const bool is64 = address_type();
    if (at_ref_type()) return table_with_elements(own, is64);
    seek(start);
    ByteWriter type, init;
    table_type(type);
    if (!is(TokenKind::rparen)) {
      expression(init);
      tables_.add().byte(0x40);
      tables_.content.byte(0);
      tables_.content.append(type);
      tables_.content.append(init);
    } else {
      tables_.add().append(type);
    }
  }
  void table_with_elements(u32 own, bool is64) {
    const TextValType type = ref_type();
    if (!take_form("elem")) return unexpected();
    ByteWriter list;
    u32 count = 0;
    // Plain function indices make a segment of (ref func), which only a table of functions takes.
    const bool indices = at_index() && type.heap == kFuncHeap;
    for (; ok() && !is(TokenKind::rparen); ++count) {
      if (indices)
        list.unsigned_leb(index(funcs));
      else if (at_index())
        ref_func(list);
      else
        element_expression(list);
    }
    close();
    ByteWriter& table = tables_.add();
    type.encode(table);
    TextLimits{is64, false, count, count, {}}.encode(table);
    ByteWriter& out = elements_.add();
    active_element_head(out, own, indices, type, [&](ByteWriter& o) { zero_offset(o, is64); });
    out.unsigned_leb(count);
    out.append(list);
  }
  void zero_offset(ByteWriter& out, bool is64) {
    out.byte(is64 ? 0x42 : 0x41);
    out.byte(0);
    out.byte(0x0b);
  }

  void encode_memory() {
    const u32 own = next_memory_++;
    inline_exports(2, own);
    if (inline_import(2)) return memory_type().encode(imports_.content);
    const u32 start = position();
    TextLimits l;
    l.is64 = address_type();
    page_size(l);
    if (!is_form("data")) {
      seek_if_ok(start);
      return memory_type().encode(memories_.add());
    }
    advance(2);
    std::string bytes;
    while (is(TokenKind::string)) bytes += expect_bytes();
    close();
    const u32 shift = l.page_shift.value_or(16);
    l.min = (bytes.size() + (u64{1} << std::min(shift, 63u)) - 1) >> std::min(shift, 63u);
    l.max = l.min;
    l.encode(memories_.add());
    ByteWriter& out = datas_.add();
    out.byte(own == 0 ? 0 : 2);
    if (own != 0) out.unsigned_leb(own);
    zero_offset(out, l.is64);
    out.name(bytes);
  }

  void encode_global() {
    const u32 own = next_global_++;
    inline_exports(3, own);
    if (inline_import(3)) return global_type(imports_.content);
    ByteWriter& out = globals_.add();
    global_type(out);
    expression(out);
  }

  void encode_tag() {
    const u32 own = next_tag_++;
    inline_exports(4, own);
    if (inline_import(4)) return tag_type(imports_.content);
    tag_type(tags_.add());
  }

  void encode_import() {
    ByteWriter& out = imports_.add();
    out.name(expect_name());
    out.name(expect_name());
    expect(TokenKind::lparen);
    const FieldRow* row = find_field(text());
    if (!row || !row->importable) return unexpected();
    advance();
    take_id();
    const auto kind = static_cast<u8>(row - kFields.data());
    out.byte(kind);
    switch (kind) {
      case 0:
        out.unsigned_leb(resolve(type_use(true)));
        ++next_func_;
        break;
      case 1:
        table_type(out);
        ++next_table_;
        break;
      case 2:
        memory_type().encode(out);
        ++next_memory_;
        break;
      case 3:
        global_type(out);
        ++next_global_;
        break;
      default:
        tag_type(out);
        ++next_tag_;
        break;
    }
    close();
  }

  void encode_export() {
    ByteWriter& out = exports_.add();
    out.name(export_name());
    expect(TokenKind::lparen);
    const FieldRow* row = find_field(text());
    if (!row || !row->importable) return unexpected();
    advance();
    out.byte(static_cast<u8>(row - kFields.data()));
    out.unsigned_leb(index(this->*row->space));
    close();
  }

  // (offset instr*) or one folded instruction.
  void offset(ByteWriter& out) {
    if (take_form("offset")) {
      expression(out);
      close();
    } else {
      folded_expression(out);
    }
  }
  void ref_func(ByteWriter& out) {
    out.byte(0xd2);
    out.unsigned_leb(index(funcs));
    out.byte(0x0b);
  }
  void element_expression(ByteWriter& out) {
    if (take_form("item")) {
      expression(out);
      close();
    } else {
      folded_expression(out);
    }
  }

  // Flags, table, offset and kind of an active segment (spec: binary/modules, element section).
  template <class Offset>
  void active_element_head(ByteWriter& out, u32 table, bool indices, const TextValType& type,
                           Offset write_offset) {
    const bool short_form = table == 0 && (indices || type == TextValType{0x63, kFuncHeap});
    out.byte(static_cast<u8>((short_form ? 0 : 2) | (indices ? 0 : 4)));
    if (!short_form) out.unsigned_leb(table);
    write_offset(out);
    if (short_form) return;
    if (indices) {
      out.byte(0);
    } else {
      type.encode(out);
    }
  }

  void encode_elem() {
    ByteWriter offset_code, list;
    bool active = false;
    u32 table = 0;
    const bool declarative = take_keyword("declare");
    if (!declarative && take_form("table")) {
      table = index(tables);
      close();
      active = true;
    } else if (!declarative && is(TokenKind::number)) {  // the first version's notation
      table = index(tables);
      active = true;
    }
    if (!declarative && (active || (is(TokenKind::lparen) && !at_ref_type()))) {
      offset(offset_code);
      active = true;
    }
    TextValType type{0x64, kFuncHeap};
    bool indices = true;
    if (!take_keyword("func") && !(active && (at_index() || is(TokenKind::rparen)))) {
      type = ref_type();
      indices = false;
    }
    u32 count = 0;
    for (; ok() && !is(TokenKind::rparen); ++count)
      indices ? list.unsigned_leb(index(funcs)) : element_expression(list);
    ByteWriter& out = elements_.add();
    if (active) {
      active_element_head(out, table, indices, type, [&](ByteWriter& o) { o.append(offset_code); });
    } else {
      out.byte(static_cast<u8>((declarative ? 3 : 1) | (indices ? 0 : 4)));
      indices ? out.byte(0) : type.encode(out);
    }
    out.unsigned_leb(count);
    out.append(list);
  }

  void encode_data() {
    ByteWriter offset_code;
    u32 memory = 0;
    bool active = false;
    if (take_form("memory")) {
      memory = index(memories);
      close();
      active = true;
    } else if (is(TokenKind::number)) {  // the first version's notation
      memory = index(memories);
      active = true;
    }
    if (active || is(TokenKind::lparen)) {
      offset(offset_code);
      active = true;
    }
    std::string bytes;
    while (is(TokenKind::string)) bytes += expect_bytes();
    ByteWriter& out = datas_.add();
    out.byte(!active ? 1 : memory == 0 ? 0 : 2);
    if (active && memory != 0) out.unsigned_leb(memory);
    out.append(offset_code);
    out.name(bytes);
  }

  void encode_nothing() {}

  // ---- annotations

  void name_annotation(std::string& name) {
    advance();
    name = expect_name();
    close();
  }

  // (@custom "name" (before|after section | before first | after last)? "bytes"*), behind the name.
  void custom_annotation() {
    constexpr std::string_view kPrefix = "@custom annotation: ";
    if (!is(TokenKind::string)) return fail(fmt::format("{}missing section name", kPrefix));
    CustomAnnotation c{kOrder.size(), decode_string(text()), {}};
    if (!is_valid_utf8(c.name)) return fail(fmt::format("{}malformed UTF-8 encoding", kPrefix));
    advance();
    if (is(TokenKind::lparen)) {
      advance();
      const bool before = is_keyword("before");
      if (!before && !is_keyword("after")) return fail(fmt::format("{}malformed placement", kPrefix));
      advance();
      if (is_keyword("first") || is_keyword("last")) {
        c.place = is_keyword("first") ? 0 : kOrder.size();
      } else {
        auto it = std::ranges::find(kSectionWords, text(), &SectionWord::word);
        if (it == kSectionWords.end()) return fail(fmt::format("{}malformed section kind", kPrefix));
        c.place = static_cast<size_t>(std::ranges::find(kOrder, it->id) - kOrder.begin()) + (before ? 0 : 1);
      }
      advance();
      close();
    }
    if (!is(TokenKind::string) && !is(TokenKind::rparen))
      return fail(fmt::format("{}unexpected token", kPrefix));
    while (is(TokenKind::string)) c.bytes += expect_bytes();
    customs_.push_back(std::move(c));
  }

  // ---- output

  static void section(ByteWriter& out, u8 id, const ByteWriter& content) {
    out.byte(id);
    out.sized(content);
  }
  static ByteWriter counted(const Section& s) {
    ByteWriter out;
    out.unsigned_leb(s.count);
    out.append(s.content);
    return out;
  }
  static void custom_section(ByteWriter& out, std::string_view name, const ByteWriter& bytes) {
    ByteWriter content;
    content.name(name);
    content.append(bytes);
    section(out, kCustom, content);
  }

  ByteWriter section_content(SectionId id) {
    switch (id) {
      case kType: return encode_types();
      case kStart: {
        ByteWriter out;
        if (start_) out.unsigned_leb(*start_);
        return out;
      }
      case kDataCount: {
        ByteWriter out;
        if (uses_data_index) out.unsigned_leb(datas_.count);
        return out;
      }
      default: break;
    }
    const std::array<std::pair<SectionId, Section*>, 10> sections = {{{kImport, &imports_},
                                                                      {kFunction, &functions_},
                                                                      {kTable, &tables_},
                                                                      {kMemory, &memories_},
                                                                      {kTag, &tags_},
                                                                      {kGlobal, &globals_},
                                                                      {kExport, &exports_},
                                                                      {kElement, &elements_},
                                                                      {kCode, &codes_},
                                                                      {kData, &datas_}}};
    for (const auto& [section_id, s] : sections)
      if (section_id == id && s->count > 0) return counted(*s);
    return {};
  }

  void custom_sections_at(ByteWriter& out, size_t place) {
    for (const CustomAnnotation& c : customs_) {
      if (c.place != place) continue;
      ByteWriter bytes;
      bytes.append(std::span(reinterpret_cast<const u8*>(c.bytes.data()), c.bytes.size()));
      custom_section(out, c.name, bytes);
    }
  }

  std::vector<u8> assemble() {
    ByteWriter out;
    out.append(std::to_array<u8>({0, 'a', 's', 'm', 1, 0, 0, 0}));
    for (size_t place = 0; place <= kOrder.size(); ++place) {
      custom_sections_at(out, place);
      if (place == kOrder.size()) break;
      if (kOrder[place] == kCode && hint_functions_.count > 0)
        custom_section(out, "metadata.code.branch_hint", counted(hint_functions_));
      const ByteWriter content = section_content(kOrder[place]);
      if (content.size() > 0) section(out, kOrder[place], content);
    }
    name_section(out);
    return std::move(out.bytes);
  }

  static ByteWriter name_map(const std::map<u32, std::string>& names) {
    ByteWriter out;
    out.unsigned_leb(names.size());
    for (const auto& [i, name] : names) {
      out.unsigned_leb(i);
      out.name(name);
    }
    return out;
  }

  // Subsections as in the spec's appendix (module, functions, locals) and the extended-names proposal.
  void name_section(ByteWriter& out) {
    ByteWriter content;
    if (!module_name_.empty()) {
      ByteWriter name;
      name.name(module_name_);
      section(content, 0, name);
    }
    if (!funcs.names.empty()) section(content, 1, name_map(funcs.names));
    if (!local_names_.empty()) {
      ByteWriter list;
      list.unsigned_leb(local_names_.size());
      for (const auto& [func, names] : local_names_) {
        list.unsigned_leb(func);
        list.append(name_map(names));
      }
      section(content, 2, list);
    }
    const std::array<std::pair<u8, IndexSpace*>, 7> spaces = {
        {{4, &types}, {5, &tables}, {6, &memories}, {7, &globals}, {8, &elems}, {9, &data}, {11, &tags}}};
    for (const auto& [id, space] : spaces)
      if (!space->names.empty()) section(content, id, name_map(space->names));
    if (content.size() > 0) custom_section(out, "name", content);
  }

  // The importable ones in ExternKind's order.
  static constexpr std::array<FieldRow, 8> kFields = {{
      {"func", &ModuleParser::funcs, &ModuleParser::encode_func, true},
      {"table", &ModuleParser::tables, &ModuleParser::encode_table, true},
      {"memory", &ModuleParser::memories, &ModuleParser::encode_memory, true},
      {"global", &ModuleParser::globals, &ModuleParser::encode_global, true},
      {"tag", &ModuleParser::tags, &ModuleParser::encode_tag, true},
      {"elem", &ModuleParser::elems, &ModuleParser::encode_elem, false},
      {"data", &ModuleParser::data, &ModuleParser::encode_data, false},
      {"type", &ModuleParser::types, &ModuleParser::encode_nothing, false},
  }};

  FeatureSet features_;
  std::string module_name_;
  std::string first_definition_;
  bool has_start_ = false;
  std::optional<u32> start_;
  u32 next_func_ = 0, next_table_ = 0, next_memory_ = 0, next_global_ = 0, next_tag_ = 0;
  Section imports_, functions_, tables_, memories_, tags_, globals_, exports_, elements_, codes_, datas_,
      hint_functions_;
  std::vector<std::pair<u32, std::map<u32, std::string>>> local_names_;
  std::vector<CustomAnnotation> customs_;
};

const ModuleParser::FieldRow* ModuleParser::find_field(std::string_view word) {
  auto it = std::ranges::find(kFields, word, &FieldRow::word);
  return it == kFields.end() ? nullptr : &*it;
}

}  // namespace

Result<ParsedModule> parse_module_fields(const TokenStream& stream, u32& position, FeatureSet features) {
  ModuleParser parser(stream, position, features);
  auto module = parser.run();
  position = parser.position();
  return module;
}

Result<std::vector<u8>> wat_to_wasm(std::string_view source, FeatureSet features) {
  auto stream = TokenStream::lex(source);
  if (!stream) return std::unexpected(stream.error());
  Cursor cursor(*stream, 0);
  const bool wrapped = cursor.take_form("module");
  u32 position = cursor.position();
  auto module = parse_module_fields(*stream, position, features);
  if (!module) return std::unexpected(module.error());
  cursor.seek(position);
  if (wrapped) cursor.close();
  cursor.expect(TokenKind::end);
  if (cursor.error()) return std::unexpected(*cursor.error());
  return std::move(module->bytes);
}

}  // namespace tenon::text
