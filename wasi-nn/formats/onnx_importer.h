// ONNX models → the kernels' Graph. Checks structure (names, scopes, opsets, tensors); types and shapes of
// operators are checked when the graph is compiled.
#pragma once

#include "wasi-nn/formats/model_source.h"

namespace tenon::nn {

// Errors name file, node, operator and opset where there is one. invalid_encoding: what is malformed or
// contradicts itself; unsupported_operation: operators, domains, opsets and element types that Tenon lacks;
// too_large: limits.
Result<ImportedModel> import_onnx(const ModelSource& source);

}  // namespace tenon::nn
