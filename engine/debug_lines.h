// Source lines of a module that was compiled with debug information: DWARF's line table (.debug_line, versions 2 to 5,
// whose addresses count from the code section's first byte). Reads no other DWARF: inlined calls of the guest's compiler
// are known by their innermost line only.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/base.h"

namespace tenon {

class Module;

struct SourceLine {
  std::string file;  // printable, as the guest's compiler named it
  u32 line;
  bool operator==(const SourceLine&) const = default;
};

class DebugLines {
 public:
  // What is damaged is left out; memory and time are linear in the sections. Views the module's bytes.
  explicit DebugLines(const Module& module);

  bool empty() const { return rows_.empty(); }
  // Of the instruction at an offset in the module's bytes; nothing: not known.
  std::optional<SourceLine> find(u64 module_offset) const;

  struct Row {  // from here to the next row
    u32 offset;
    u32 file;
    u32 line;   // 0: no line is known
    u32 order;  // of two rows at one offset the later one counts
  };
  struct File {
    std::string_view directory, name;
  };

 private:
  std::vector<Row> rows_;  // sorted by offset
  std::vector<File> files_;
};

}  // namespace tenon
