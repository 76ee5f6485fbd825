// Contents of the custom sections that Tenon knows: names and branch hints. Others stay bytes.
#pragma once
#include "engine/module.h"

namespace tenon {

// Decodes what it can of a known custom section into the module (names, branch_hints). A broken one is not an
// error (spec: appendix/custom): what was read before the break is kept. All other sections must have been
// decoded.
void decode_custom_section(Module& module, const CustomSection& section);

}  // namespace tenon
