// See name_maps.h.
#include "engine/text/name_maps.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::text {
namespace {

constexpr u8 kLocals = 2;

bool is_idchar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-./:<=>?@\\^_`|~").contains(c);
}

}  // namespace

std::string quoted(std::string_view bytes) {
  std::string out = "\"";
  for (char c : bytes) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\{:02x}", static_cast<u8>(c));
    }
  }
  return out + '"';
}

std::string identifier(std::string_view name) {
  return std::ranges::all_of(name, is_idchar) ? "$" + std::string(name) : "$" + quoted(name);
}

NameMaps::NameMaps(const Module& module) {
  module_name_ = module.names.module.value_or("");
  for (const CustomSection& section : module.customs) {
    if (section.name != "name") continue;
    ByteReader in(section.bytes, section.offset);
    while (in.ok() && !in.at_end()) {
      const u8 id = in.byte();
      const u32 size = in.read_u32();
      const u64 offset = in.offset();
      ByteReader sub(in.bytes(size), offset);
      if (!in.ok()) return;
      if (id == kLocals) {
        const u32 count = sub.count();
        for (u32 i = 0; i < count && sub.ok(); ++i) {
          const u32 func = sub.read_u32();
          if (sub.ok()) read(sub, locals_[func]);
        }
      } else if (id < maps_.size()) {
        read(sub, maps_[id]);
      }
    }
  }
}

void NameMaps::read(ByteReader& in, Map& map) {
  const u32 count = in.count();
  for (u32 i = 0; i < count && in.ok(); ++i) {
    const u32 index = in.read_u32();
    const std::string_view name = in.name();
    if (in.ok() && !name.empty()) map.entries.try_emplace(index, Entry{name, map.seen.insert(name).second});
  }
}

const NameMaps::Entry* NameMaps::find(const Map& map, u32 index) {
  const auto it = map.entries.find(index);
  return it == map.entries.end() ? nullptr : &it->second;
}

std::string NameMaps::ref(NameSpace space, u32 index) const {
  const Entry* e = find(maps_[static_cast<size_t>(space)], index);
  return e && e->unique ? identifier(e->name) : std::to_string(index);
}

std::string NameMaps::definition(NameSpace space, u32 index) const {
  const Entry* e = find(maps_[static_cast<size_t>(space)], index);
  if (!e) return "";
  return e->unique ? " " + identifier(e->name) : fmt::format(" (@name {})", quoted(e->name));
}

std::string NameMaps::local_ref(u32 func, u32 local) const {
  const auto it = locals_.find(func);
  const Entry* e = it == locals_.end() ? nullptr : find(it->second, local);
  return e && e->unique ? identifier(e->name) : std::to_string(local);
}

std::string NameMaps::local_definition(u32 func, u32 local) const {
  const std::string ref = local_ref(func, local);
  return ref.starts_with('$') ? " " + ref : "";
}

}  // namespace tenon::text
