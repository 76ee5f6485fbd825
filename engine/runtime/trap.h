// Traps as small codes, and the record that a Store keeps of the last one. How tiers raise them: vm.h,
// Status.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "engine/base.h"

namespace tenon {

class Module;

enum class TrapCode : u8 {
#define TRAP(id, text) id,
#include "engine/runtime/traps.def"
#undef TRAP
  count,
  none = 0xff,
};

// The suite's text, e.g. "integer divide by zero".
std::string_view trap_text(TrapCode code);

// One Wasm frame of a backtrace, innermost first.
struct TraceFrame {
  const Module* module;
  FuncIdx function;
  u64 offset;  // of the instruction in the module's bytes
};

// Filled while a Status other than ok travels outwards: the tier that raised it puts the code and its frames,
// each outer boundary appends its own.
struct TrapRecord {
  TrapCode code = TrapCode::none;
  std::string message;  // more than the code's text, where there is more (host errors)
  std::vector<TraceFrame> frames;
  i32 exit_code = 0;  // with Status::exit
  void clear() {
    code = TrapCode::none;
    message.clear();
    frames.clear();
    exit_code = 0;
  }
};

}  // namespace tenon
