// perf's jitdump format (tools/perf/Documentation/jitdump-specification.txt): functions of compiled code with
// their Wasm names, and source lines where the guest has debug information.
#pragma once
#include "engine/error.h"

namespace tenon {

class CodeObject;

// Errors: io.
Result<void> open_jitdump();
// Appends the object's functions. A failed write ends the dump silently: profiling never stops a guest.
void write_jitdump(const CodeObject& code);

}  // namespace tenon
