// Translates a function body from Wasm to the interpreter's code (code.h).
#pragma once
#include "engine/error.h"
#include "engine/interp/state.h"

namespace tenon::interp {

// Fills f's code, frame layout and tables; validates on the way. Errors: what decoding and validation say,
// and `limit` for a frame of more than kMaxFrameSlots or code of more than kMaxCodeBytes.
Result<void> translate(State& state, Function& f);

}  // namespace tenon::interp
