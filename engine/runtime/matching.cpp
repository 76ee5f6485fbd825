// Import matching (spec: valid/matching) and extern types in words.
#include <fmt/format.h>

#include "engine/runtime/store.h"

namespace tenon {
namespace {

bool limits_match(u64 size, std::optional<u64> max, const Limits& wanted) {
  return size >= wanted.min && (!wanted.max || (max && *max <= *wanted.max));
}

bool matches(const TypeRegistry& types, const FuncRef* f, TypeId wanted) {
  return types.is_subtype(f->type, wanted);
}

bool matches(const TypeRegistry&, Table* t, const TableType& wanted) {
  const TableType& type = t->type();
  return type.is64 == wanted.is64 && type.element == wanted.element &&
         limits_match(t->size(), type.limits.max, wanted.limits);
}

bool matches(const TypeRegistry&, const Memory* m, const MemoryType& wanted) {
  const MemoryType& type = m->type();
  return type.is64 == wanted.is64 && type.shared == wanted.shared && type.page_shift == wanted.page_shift &&
         limits_match(m->pages(), type.limits.max, wanted.limits);
}

bool matches(const TypeRegistry& types, const Global* g, const GlobalType& wanted) {
  if (g->type.mutable_ != wanted.mutable_) return false;
  return wanted.mutable_ ? g->type.type == wanted.type : types.is_subtype(g->type.type, wanted.type);
}

bool matches(const TypeRegistry&, const Tag* t, const TagType& wanted) { return t->type == wanted.type; }

std::string limits_text(const Limits& l) {
  return l.max ? fmt::format("{} {}", l.min, *l.max) : fmt::format("{}", l.min);
}

std::string type_text(const DefType& type) {
  return type.func() ? to_string(*type.func()) : fmt::format("type {}", type.id.value);
}

}  // namespace

bool extern_matches(const TypeRegistry& types, const Extern& found, const ExternType& wanted) {
  if (found.index() != wanted.index()) return false;
  return std::visit(
      [&](auto* f) {
        using F = decltype(f);
        if constexpr (std::is_same_v<F, FuncRef*>)
          return matches(types, f, std::get<TypeId>(wanted));
        else if constexpr (std::is_same_v<F, Table*>)
          return matches(types, f, std::get<TableType>(wanted));
        else if constexpr (std::is_same_v<F, Memory*>)
          return matches(types, f, std::get<MemoryType>(wanted));
        else if constexpr (std::is_same_v<F, Global*>)
          return matches(types, f, std::get<GlobalType>(wanted));
        else
          return matches(types, f, std::get<TagType>(wanted));
      },
      found);
}

ExternType type_of(const Extern& value) {
  struct Visitor {
    ExternType operator()(FuncRef* f) const { return f->type; }
    ExternType operator()(Table* t) const {
      TableType type = t->type();
      type.limits.min = t->size();
      return type;
    }
    ExternType operator()(Memory* m) const {
      MemoryType type = m->type();
      type.limits.min = m->pages();
      return type;
    }
    ExternType operator()(Global* g) const { return g->type; }
    ExternType operator()(Tag* t) const { return TagType{t->type}; }
  };
  return std::visit(Visitor{}, value);
}

std::string to_string(const ExternType& type, const TypeRegistry& types) {
  struct Visitor {
    const TypeRegistry& types;
    std::string operator()(TypeId id) const { return "func " + type_text(types.get(id)); }
    std::string operator()(const TableType& t) const {
      return fmt::format("table {}{} {}", t.is64 ? "i64 " : "", limits_text(t.limits), to_string(t.element));
    }
    std::string operator()(const MemoryType& m) const {
      return fmt::format("memory {}{}{}{}", m.is64 ? "i64 " : "", limits_text(m.limits),
                         m.shared ? " shared" : "",
                         m.page_shift == 16 ? "" : fmt::format(" pagesize {}", m.page_size()));
    }
    std::string operator()(const GlobalType& g) const {
      return g.mutable_ ? fmt::format("global (mut {})", to_string(g.type)) : "global " + to_string(g.type);
    }
    std::string operator()(const TagType& t) const { return "tag " + type_text(types.get(t.type)); }
  };
  return std::visit(Visitor{types}, type);
}

}  // namespace tenon
