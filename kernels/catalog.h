// What the table of operators says, for people: documentation and listings.
#pragma once
#include <string_view>

#include "kernels/graph.h"

namespace tenon::kernels {

/// How nodes of this operator run fast, as families.def says it.
std::string_view fast_path(Op op);
/// Whether operand 0 may have this element type.
bool accepts(Op op, DataType type);

}  // namespace tenon::kernels
