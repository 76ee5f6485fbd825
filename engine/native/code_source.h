// Source lines of compiled code, for profilers and debuggers: from code to Wasm instructions by the image's line table, on
// to the guest's source by its debug information.
#pragma once
#include <string>
#include <vector>

#include "engine/debug_lines.h"

namespace tenon {

class CodeObject;
struct CodeFunction;

// From this address to the next row's, or the function's end. Line 0: the guest's compiler has made what no line stands for.
struct CodeSource {
  u64 address;
  SourceLine source;
};
// Sorted by address; empty for guests without debug information.
std::vector<CodeSource> code_source(const CodeObject& code, const CodeFunction& f);

// The same of all functions as DWARF 4 for GDB, with addresses that need no relocation.
struct CodeDwarf {
  std::string abbrev, info, line;  // contents of the sections; empty: no function has lines
};
CodeDwarf code_dwarf(const CodeObject& code);

}  // namespace tenon
