// GDB's JIT interface (GDB manual, "JIT Compilation Interface"): a small ELF file in memory for each CodeObject,
// with a symbol for each function, and source lines where the guest has debug information.
#pragma once

namespace tenon {

class CodeObject;

void gdb_register(const CodeObject& code);
void gdb_unregister(const CodeObject& code);

}  // namespace tenon
