// The name section as identifiers of the text format (spec: appendix/custom, and the extended name section).
#pragma once
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "engine/base.h"
#include "engine/binary/byte_reader.h"
#include "engine/module.h"

namespace tenon::text {

// Subsections of the name section that are maps from index to name.
enum class NameSpace : u8 { func = 1, type = 4, table, memory, global, elem, data, tag = 11 };

class NameMaps {
 public:
  // Reads the module's name section, as far as it goes.
  explicit NameMaps(const Module& module);

  // "$name", or the index where there is no name or another entry has the same.
  std::string ref(NameSpace space, u32 index) const;
  // " $name", " (@name \"name\")" where another entry has the same, or nothing.
  std::string definition(NameSpace space, u32 index) const;
  // The same for locals; these have no annotations.
  bool has_locals(u32 func) const { return locals_.contains(func); }
  std::string local_ref(u32 func, u32 local) const;
  std::string local_definition(u32 func, u32 local) const;
  const std::string& module_name() const { return module_name_; }

 private:
  struct Entry {
    std::string_view name;
    bool unique = true;  // the first with this name
  };
  struct Map {
    std::map<u32, Entry> entries;
    std::set<std::string_view> seen;
  };

  void read(ByteReader& in, Map& map);
  static const Entry* find(const Map& map, u32 index);

  std::string module_name_;
  std::array<Map, 12> maps_;
  std::map<u32, Map> locals_;
};

// A string literal with its quotes.
std::string quoted(std::string_view bytes);
// "$x", or `$"a b"` where plain characters do not do.
std::string identifier(std::string_view name);

}  // namespace tenon::text
