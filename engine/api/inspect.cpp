// What a module consists of and which proposals it needs. Reads validated modules only.
#include <algorithm>
#include <array>

#include "engine/reader.h"
#include "handles.h"

namespace tenon::api {
namespace {

constexpr std::array<std::string_view, 14> kSectionNames = {
    "custom", "type",  "import",  "function", "table", "memory",     "global",
    "export", "start", "element", "code",     "data",  "data count", "tag"};

// LEB128 of a validated module.
u64 read_leb(std::span<const u8> bytes, size_t& at) {
  u64 value = 0;
  for (u32 shift = 0; at < bytes.size() && shift < 64; shift += 7) {
    const u8 b = bytes[at++];
    value |= u64{b & 0x7fu} << shift;
    if (!(b & 0x80)) break;
  }
  return value;
}

std::vector<Inspection::Section> sections_of(const Module& module) {
  std::vector<Inspection::Section> out;
  const std::span<const u8> bytes = module.bytes();
  for (size_t at = 8; at < bytes.size();) {
    const u8 id = bytes[at++];
    const u64 size = read_leb(bytes, at);
    if (size > bytes.size() - at) break;
    Inspection::Section s{id, id < kSectionNames.size() ? kSectionNames[id] : "unknown", at, size, 0};
    size_t inside = at;
    if (id == 0) {
      const u64 length = read_leb(bytes, inside);
      s.name = {reinterpret_cast<const char*>(bytes.data() + inside),
                std::min<u64>(length, bytes.size() - inside)};
    } else if (id != 8) {
      s.items = read_leb(bytes, inside);
    }
    out.push_back(s);
    at += size;
  }
  return out;
}

class FeatureScan {
 public:
  explicit FeatureScan(const Module& module) : module_(module) {}

  std::vector<std::string_view> run() {
    for (const TypeId t : module_.types) type(module_.type_registry().get(t));
    for (const Import& i : module_.imports)
      if (const auto* g = std::get_if<GlobalType>(&i.type); g && g->mutable_) add(Feature::mutable_global);
    for (const Export& e : module_.exports)
      if (e.kind == ExternKind::global && module_.globals[e.index].type.mutable_)
        add(Feature::mutable_global);
    definitions();
    for (u32 f = module_.imported_functions; f < module_.functions.size(); ++f) body(module_.functions[f]);
    std::vector<std::string_view> names;
    for (size_t f = 0; f < kFeatureCount; ++f)
      if (used_[f] && static_cast<Feature>(f) != Feature::mvp)
        names.push_back(feature_name(static_cast<Feature>(f)));
    return names;
  }

 private:
  void add(Feature f) { used_[static_cast<size_t>(f)] = true; }
  void value(ValType t) {
    if (t.is_vec()) add(Feature::simd);
    if (!t.is_ref()) return;
    if (t.heap().is_defined() || !t.nullable())
      add(Feature::function_references);
    else if (t == kExnRef)
      add(Feature::exceptions);
    else if (t != kFuncRef && t != kExternRef)
      add(Feature::gc);
    if (t == kExternRef) add(Feature::reference_types);
  }
  void type(const DefType& t) {
    if (const FuncType* f = t.func()) {
      if (f->results.size() > 1) add(Feature::multi_value);
      for (const ValType v : f->params) value(v);
      for (const ValType v : f->results) value(v);
      if (t.sub.super || !t.sub.final_ || t.group_size > 1) add(Feature::gc);
    } else {
      add(Feature::gc);
    }
  }
  void definitions() {
    if (module_.memories.size() > 1) add(Feature::multi_memory);
    if (module_.tables.size() > 1) add(Feature::reference_types);
    if (!module_.tags.empty()) add(Feature::exceptions);
    for (const MemoryType& m : module_.memories) {
      if (m.is64) add(Feature::memory64);
      if (m.shared) add(Feature::threads);
      if (m.page_shift != 16) add(Feature::custom_page_sizes);
    }
    for (const TableDef& t : module_.tables) {
      if (t.type.is64) add(Feature::memory64);
      value(t.type.element);
    }
    for (const GlobalDef& g : module_.globals) value(g.type.type);
    for (const ElementSegment& e : module_.elements)
      if (e.mode != SegmentMode::active) add(Feature::bulk_memory);
    for (const DataSegment& d : module_.data)
      if (d.mode != SegmentMode::active) add(Feature::bulk_memory);
    if (!module_.branch_hints.empty()) add(Feature::branch_hinting);
  }
  void body(const Function& f) {
    CodeReader reader(module_, f.body, f.offset);
    std::vector<LocalRun> locals;
    if (!reader.read_locals(locals)) return;
    for (const LocalRun& run : locals) value(run.type);
    Instr instr;
    while (reader.next(instr)) {
      add(op_info(instr.op).feature);
      if (instr.block.kind == BlockType::Kind::type) add(Feature::multi_value);
    }
  }

  const Module& module_;
  std::array<bool, kFeatureCount> used_{};
};

std::string def_text(const DefType& t) {
  if (const FuncType* f = t.func()) return to_string(*f);
  auto field = [](const FieldType& f) {
    std::string text = f.packed == Packed::i8 ? "i8" : f.packed == Packed::i16 ? "i16" : to_string(f.type);
    return f.mutable_ ? fmt::format("(mut {})", text) : text;
  };
  if (const ArrayType* a = t.array()) return fmt::format("(array {})", field(a->element));
  std::string text = "(struct";
  for (const FieldType& f : t.struct_()->fields) text += fmt::format(" (field {})", field(f));
  return text + ")";
}

}  // namespace

ExternType export_type(const Module& m, const Export& e) {
  switch (e.kind) {
    case ExternKind::func: return m.functions[e.index].type;
    case ExternKind::table: return m.tables[e.index].type;
    case ExternKind::memory: return m.memories[e.index];
    case ExternKind::global: return m.globals[e.index].type;
    case ExternKind::tag: return m.tags[e.index];
  }
  __builtin_unreachable();
}

Inspection inspect(const Module& module) {
  Inspection out;
  const TypeRegistry& types = module.type_registry();
  for (const Import& i : module.imports) out.import_types.push_back(to_string(i.type, types));
  for (const Export& e : module.exports) out.export_types.push_back(to_string(export_type(module, e), types));
  for (const TypeId t : module.types) out.types.push_back(def_text(types.get(t)));
  out.sections = sections_of(module);
  out.features = FeatureScan(module).run();
  return out;
}

}  // namespace tenon::api
