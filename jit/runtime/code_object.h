// What is known of a piece of compiled code at run time: which Wasm function and instruction a code address
// belongs to. Knows nothing of LLVM.
#pragma once
#include <optional>
#include <vector>

#include "engine/base.h"
#include "engine/runtime/trap.h"

namespace tenon::jit {

// Offsets are from the code's base.
struct CodeFunction {
  u32 begin, end;
  u32 func;  // FuncIdx
};
// From `pc` on, up to the next row, code comes from the instruction at `wasm_offset` (0: unknown).
struct CodeLine {
  u32 pc;
  u32 wasm_offset;
};

struct CodeObject {
  const Module* module = nullptr;
  const u8* base = nullptr;
  u64 size = 0;
  std::vector<CodeFunction> functions;  // sorted by begin
  std::vector<CodeLine> lines;          // sorted by pc

  // The Wasm frame that executes the instruction holding `pc`; nothing for thunks.
  std::optional<TraceFrame> frame_at(u64 pc) const;
};

}  // namespace tenon::jit
