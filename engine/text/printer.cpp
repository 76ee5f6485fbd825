// Prints modules; see printer.h. Fields come in the order of the binary's sections, imports in their own
// order.
#include "engine/text/printer.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "engine/errors.h"
#include "engine/module.h"
#include "engine/reader.h"
#include "engine/text/instr_printer.h"
#include "engine/text/name_maps.h"

namespace tenon::text {
namespace {

constexpr std::string_view kBranchHints = "metadata.code.branch_hint";

// Section words of @custom's placement, in the order that CustomSection::after counts.
constexpr std::string_view kSectionWords[] = {"",       "type",      "import", "func",   "table",
                                              "memory", "tag",       "global", "export", "start",
                                              "elem",   "datacount", "code",   "data"};

// The text may be this much longer than the binary.
constexpr u64 kFreeText = u64{16} << 20, kTextPerByte = 200;

class ModulePrinter {
 public:
  explicit ModulePrinter(const Module& module) : module_(module), names_(module), instrs_(module, names_) {
    for (const auto& [func, hints] : module.branch_hints)
      for (const BranchHint& h : hints) hints_[{func.value, h.offset}] = h.likely;
  }

  Result<std::string> run() {
    out_ = "(module";
    if (!names_.module_name().empty()) out_ += " " + identifier(names_.module_name());
    types();
    imports();
    TRY(functions());
    TRY(tables());
    for (u32 i = module_.imported_memories; i < module_.memories.size(); ++i)
      field("memory", NameSpace::memory, i) += " " + memory_type(module_.memories[i]) + ")";
    for (u32 i = module_.imported_tags; i < module_.tags.size(); ++i)
      field("tag", NameSpace::tag, i) += fmt::format(" (type {}))", type_ref(module_.tags[i].type));
    TRY(globals());
    exports();
    if (module_.start) line() += fmt::format("(start {})", names_.ref(NameSpace::func, module_.start->value));
    TRY(elements());
    TRY(data());
    customs();
    out_ += ")\n";
    return std::move(out_);
  }

 private:
  // Indentation ends somewhere: nesting may go to 100,000.
  std::string& line(u32 depth = 1) {
    constexpr u32 kDeepest = 40;
    out_ += '\n';
    return out_.append(size_t{2} * std::min(depth, kDeepest), ' ');
  }
  // A definition up to its identifier.
  std::string& field(std::string_view word, NameSpace space, u32 index) {
    return line() += fmt::format("({}{}", word, names_.definition(space, index));
  }
  std::string type_ref(TypeId id) const { return names_.ref(NameSpace::type, id.value); }

  // ---- types

  void types() {
    u32 next = 0;
    for (const TypeGroup& group : module_.type_groups) {
      if (group.bracketed) line() += "(rec";
      for (u32 i = 0; i < group.size; ++i, ++next) {
        line(group.bracketed ? 2 : 1) += fmt::format("(type{} {})", names_.definition(NameSpace::type, next),
                                                     sub_type(module_.types[next]));
      }
      if (group.bracketed) out_ += ")";
    }
  }

  std::string sub_type(TypeId id) const {
    const SubType& t = module_.type_registry().get(id).sub;
    const std::string body = std::visit([this](const auto& c) { return composite(c); }, t.composite);
    if (t.final_ && !t.super) return body;
    return fmt::format("(sub {}{}{})", t.final_ ? "final " : "",
                       t.super ? instrs_.heap_type(*t.super) + " " : "", body);
  }
  std::string composite(const FuncType& f) const {
    return fmt::format("(func{}{})", value_list("param", f.params), value_list("result", f.results));
  }
  std::string composite(const StructType& s) const {
    std::string out = "(struct";
    for (const FieldType& f : s.fields) out += fmt::format(" (field {})", instrs_.field_type(f));
    return out + ")";
  }
  std::string composite(const ArrayType& a) const {
    return fmt::format("(array {})", instrs_.field_type(a.element));
  }

  std::string value_list(std::string_view word, std::span<const ValType> types) const {
    if (types.empty()) return "";
    std::string out = fmt::format(" ({}", word);
    for (ValType t : types) out += " " + instrs_.val_type(t);
    return out + ")";
  }

  static std::string limits(const Limits& l, bool is64) {
    std::string out = fmt::format("{}{}", is64 ? "i64 " : "", l.min);
    return l.max ? fmt::format("{} {}", out, *l.max) : out;
  }
  std::string table_type(const TableType& t) const {
    return limits(t.limits, t.is64) + " " + instrs_.val_type(t.element);
  }
  static std::string memory_type(const MemoryType& m) {
    std::string out = limits(m.limits, m.is64);
    if (m.shared) out += " shared";
    if (m.page_size_given) out += fmt::format(" (pagesize {})", m.page_size());
    return out;
  }
  std::string global_type(const GlobalType& g) const {
    return g.mutable_ ? fmt::format("(mut {})", instrs_.val_type(g.type)) : instrs_.val_type(g.type);
  }

  // ---- imports and exports

  void imports() {
    u32 counts[5] = {};
    constexpr std::string_view kWords[] = {"func", "table", "memory", "global", "tag"};
    constexpr NameSpace kSpaces[] = {NameSpace::func, NameSpace::table, NameSpace::memory, NameSpace::global,
                                     NameSpace::tag};
    for (const Import& import : module_.imports) {
      const size_t kind = static_cast<size_t>(import.kind());
      field(kWords[kind], kSpaces[kind], counts[kind]++) +=
          fmt::format(" (import {} {})", quoted(import.module), quoted(import.name)) +
          extern_type(import.type) + ")";
    }
  }
  std::string extern_type(const ExternType& type) const {
    if (auto* f = std::get_if<TypeId>(&type)) return fmt::format(" (type {})", type_ref(*f));
    if (auto* t = std::get_if<TableType>(&type)) return " " + table_type(*t);
    if (auto* m = std::get_if<MemoryType>(&type)) return " " + memory_type(*m);
    if (auto* g = std::get_if<GlobalType>(&type)) return " " + global_type(*g);
    return fmt::format(" (type {})", type_ref(std::get<TagType>(type).type));
  }

  void exports() {
    constexpr std::string_view kWords[] = {"func", "table", "memory", "global", "tag"};
    constexpr NameSpace kSpaces[] = {NameSpace::func, NameSpace::table, NameSpace::memory, NameSpace::global,
                                     NameSpace::tag};
    for (const Export& e : module_.exports) {
      const size_t kind = static_cast<size_t>(e.kind);
      line() += fmt::format("(export {} ({} {}))", quoted(e.name), kWords[kind],
                            names_.ref(kSpaces[kind], e.index));
    }
  }

  // ---- functions

  Result<void> functions() {
    for (u32 i = module_.imported_functions; i < module_.functions.size(); ++i) TRY(function(i));
    return {};
  }

  Result<void> function(u32 index) {
    const Function& f = module_.functions[index];
    const FuncType& type = *module_.type_registry().get(f.type).func();
    field("func", NameSpace::func, index) += fmt::format(" (type {})", type_ref(f.type));
    u32 local = 0;
    for (ValType t : type.params) variables("param", index, local++, 1, t);
    close_variables();
    out_ += value_list("result", type.results);
    CodeReader reader(module_, f.body, f.offset);
    std::vector<LocalRun> runs;
    reader.read_locals(runs);
    for (const LocalRun& run : runs) {
      const u64 locals = u64{local} + run.count, most = DecodeOptions().limits.locals;
      if (locals > most) return std::unexpected(make_limit_error(f.offset, "locals", locals, most));
      variables("local", index, local, run.count, run.type);
      local += run.count;
    }
    close_variables();
    body(reader, index, f.offset);
    if (reader.error()) return std::unexpected(*reader.error());
    out_ += ")";
    // A few bytes can stand for 50,000 locals or 1,000 parameters.
    const u64 most = kFreeText + kTextPerByte * module_.bytes().size();
    if (out_.size() > most)
      return std::unexpected(make_limit_error(f.offset, "bytes of text", out_.size(), most));
    return {};
  }

  // Those without names share parentheses.
  void variables(std::string_view word, u32 func, u32 first, u32 count, ValType type) {
    const bool named = names_.has_locals(func);
    const std::string text = " " + instrs_.val_type(type);
    for (u32 i = 0; i < count; ++i) {
      const std::string name = named ? names_.local_definition(func, first + i) : "";
      if (!name.empty()) close_variables();
      if (!open_variables_) out_ += fmt::format(" ({}{}", word, name);
      out_ += text;
      open_variables_ = true;
      if (!name.empty()) close_variables();
    }
  }
  void close_variables() {
    if (std::exchange(open_variables_, false)) out_ += ")";
  }

  void body(CodeReader& reader, u32 func, u64 start) {
    constexpr u32 kOutermost = 2;
    u32 depth = kOutermost;
    for (Instr instr; reader.next(instr);) {
      if (instr.op == Op::end && reader.at_end()) return;
      const bool closes = instr.op == Op::end || instr.op == Op::delegate;
      const bool middle = instr.op == Op::else_ || instr.op == Op::catch_ || instr.op == Op::catch_all;
      const Imm imm = op_info(instr.op).imm;
      if ((closes || middle) && depth > kOutermost) --depth;
      if (auto hint = hints_.find({func, static_cast<u32>(instr.offset - start)}); hint != hints_.end())
        line(depth) += fmt::format("(@{} \"\\0{}\")", kBranchHints, hint->second ? 1 : 0);
      line(depth) += instrs_.instruction(instr, func);
      if (middle || imm == Imm::block || imm == Imm::try_table) ++depth;
    }
  }

  // ---- the rest

  Result<void> tables() {
    for (u32 i = module_.imported_tables; i < module_.tables.size(); ++i) {
      const TableDef& t = module_.tables[i];
      field("table", NameSpace::table, i) += " " + table_type(t.type);
      if (!t.init.code.empty()) TRY(constant(" ", t.init));
      out_ += ")";
    }
    return {};
  }

  Result<void> globals() {
    for (u32 i = module_.imported_globals; i < module_.globals.size(); ++i) {
      field("global", NameSpace::global, i) += " " + global_type(module_.globals[i].type);
      TRY(constant(" ", module_.globals[i].init));
      out_ += ")";
    }
    return {};
  }

  Result<void> constant(std::string_view before, const ConstExpr& expr, std::string_view after = "") {
    TRY_ASSIGN(const std::string text, instrs_.constant(expr));
    out_ += fmt::format("{}{}{}", before, text, after);
    return {};
  }

  Result<void> elements() {
    for (u32 i = 0; i < module_.elements.size(); ++i) {
      const ElementSegment& e = module_.elements[i];
      field("elem", NameSpace::elem, i);
      if (e.mode == SegmentMode::declarative) out_ += " declare";
      if (e.mode == SegmentMode::active) {
        if (e.table.value != 0)
          out_ += fmt::format(" (table {})", names_.ref(NameSpace::table, e.table.value));
        TRY(constant(" (offset ", e.table_offset, ")"));
      }
      // Function indices have a type of their own, which no list of expressions has unless it says so.
      const bool indices = e.exprs.empty() && e.type == ValType::ref(AbstractHeap::func, false);
      out_ += indices ? " func" : " " + instrs_.val_type(e.type);
      for (FuncIdx f : e.funcs) out_ += " " + names_.ref(NameSpace::func, f.value);
      for (const ConstExpr& expr : e.exprs) TRY(constant(" (item ", expr, ")"));
      out_ += ")";
    }
    return {};
  }

  Result<void> data() {
    for (u32 i = 0; i < module_.data.size(); ++i) {
      const DataSegment& d = module_.data[i];
      field("data", NameSpace::data, i);
      if (d.mode == SegmentMode::active) {
        if (d.memory.value != 0)
          out_ += fmt::format(" (memory {})", names_.ref(NameSpace::memory, d.memory.value));
        TRY(constant(" (offset ", d.memory_offset, ")"));
      }
      out_ += " " + bytes(d.bytes) + ")";
    }
    return {};
  }

  void customs() {
    for (const CustomSection& c : module_.customs) {
      if (c.name == "name" || (c.name == kBranchHints && !hints_.empty())) continue;
      const std::string place =
          c.after == 0 ? "before first" : fmt::format("after {}", kSectionWords[c.after]);
      line() += fmt::format("(@custom {} ({}) {})", quoted(c.name), place, bytes(c.bytes));
    }
  }

  static std::string bytes(std::span<const u8> b) {
    return quoted({reinterpret_cast<const char*>(b.data()), b.size()});
  }

  const Module& module_;
  const NameMaps names_;
  const InstrPrinter instrs_;
  std::map<std::pair<u32, u32>, bool> hints_;  // by function and offset in its body
  std::string out_;
  bool open_variables_ = false;
};

}  // namespace

Result<std::string> wasm_to_wat(std::span<const u8> bytes, FeatureSet features) {
  DecodeOptions options;
  options.features = features;
  options.validate = false;
  auto registry = std::make_shared<TypeRegistry>(TypeRegistry::Identity::by_position);
  TRY_ASSIGN(const std::unique_ptr<Module> module,
             decode_module(std::move(registry), bytes, nullptr, options));
  return ModulePrinter(*module).run();
}

}  // namespace tenon::text
