// Tells profilers and debuggers about compiled code: perf by a jitdump file, GDB by its JIT interface. Off until
// asked for; what is compiled before that is not told.
#pragma once
#include "engine/error.h"

namespace tenon {

class CodeObject;

// Opens jit-PID.dump in the folder that $JITDUMPDIR names, else in the current one: `perf record -k mono`, then
// `perf inject --jit`. Once for the process. Errors: io.
Result<void> announce_to_perf();
// From now on GDB sees the functions of compiled code, by name.
void announce_to_gdb();
bool announces_code();

// Called by every CodeObject when its code is in place, and before it goes. Thread-safe.
void announce_code(const CodeObject& code);
void withdraw_code(const CodeObject& code);

}  // namespace tenon
