// The rules that rows of onnx_ops.def name: opset conversions (onnx_rules.cpp) and function operators
// (onnx_functions.cpp). Each translates one node completely.
#pragma once

#include "wasi-nn/formats/onnx_node.h"

namespace tenon::nn::onnx::rules {

// Declared by expanding the table, so that a row cannot name a rule that does not exist.
#define ONNX_OP(name, first, last, rule) Result<void> rule(NodeImport& node);
#include "wasi-nn/formats/onnx_ops.def"
#undef ONNX_OP

}  // namespace tenon::nn::onnx::rules
