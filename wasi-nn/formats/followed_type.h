// What a file that declares no types of values lets an importer know of an operator's result: its element type, rank and,
// where it is simple, dimensions. Less exact than the kernels' rules, which need concrete operands.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "kernels/graph.h"

namespace tenon::nn {

// The first output's type as far as it follows from the operands' declared types and constants; unknown parts are left
// open. Operands may be kAbsent.
kernels::ValueType followed_type(const kernels::GraphBuilder& builder, kernels::Op op,
                                 std::span<const kernels::ValueId> inputs,
                                 const kernels::Attributes& attributes);

// Contents of a tensor of a signed integer type or bytes; nothing for other types.
std::optional<std::vector<int64_t>> integers_of(const kernels::Tensor& tensor);

}  // namespace tenon::nn
