// Element types of a whole graph without its shapes, so that unsupported operators and types are refused at
// compile time also when shapes are dynamic. Internal to kernels/.
#pragma once
#include "kernels/graph.h"

namespace tenon::kernels {

/// The element type of each value; undefined where it depends on what is not known (sequences, optionals).
/// unsupported_operation and invalid_encoding with the node's place.
Result<std::vector<DataType>> check_types(const Graph& graph);

}  // namespace tenon::kernels
