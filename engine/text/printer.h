// The binary format of modules as text (the opposite of wat.h). Prints what decodes, valid or not. Text that
// is made binary, printed and made binary again gives the same bytes.
#pragma once
#include <span>
#include <string>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/opcodes.h"

namespace tenon::text {

// One module, indented, instructions flat; identifiers from the name section, other custom sections as
// @custom annotations, branch hints as annotations. Errors are those of decoding: malformed, limit,
// unsupported.
Result<std::string> wasm_to_wat(std::span<const u8> bytes, FeatureSet features = FeatureSet::all());

}  // namespace tenon::text
