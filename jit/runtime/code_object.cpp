// Look-ups in a CodeObject's tables.
#include "jit/runtime/code_object.h"

#include <algorithm>

namespace tenon::jit {

std::optional<TraceFrame> CodeObject::frame_at(u64 pc) const {
  const u64 offset = pc - reinterpret_cast<u64>(base);
  auto f = std::upper_bound(functions.begin(), functions.end(), offset,
                            [](u64 o, const CodeFunction& fn) { return o < fn.begin; });
  if (f == functions.begin() || offset >= (--f)->end) return std::nullopt;
  auto l = std::upper_bound(lines.begin(), lines.end(), offset,
                            [](u64 o, const CodeLine& line) { return o < line.pc; });
  const u64 wasm = l != lines.begin() && (--l)->pc >= f->begin ? l->wasm_offset : 0;
  return TraceFrame{module, FuncIdx{f->func}, wasm};
}

}  // namespace tenon::jit
