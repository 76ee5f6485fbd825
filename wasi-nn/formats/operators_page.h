// docs/operators.md, made from the tables.
#pragma once

#include <string>

namespace tenon::nn::onnx {

// A row for each operator with its opsets, element types and fast path.
std::string operators_page();

}  // namespace tenon::nn::onnx
