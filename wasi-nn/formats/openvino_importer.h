// OpenVINO IR (versions 10 and 11: an XML and a byte array of weights) → the kernels' Graph. Checks structure: the XML's
// form, ports and edges, where constants lie; types and shapes of operators are checked when the graph is compiled.
#pragma once

#include "wasi-nn/formats/model_source.h"

namespace tenon::nn {

// `source.bytes` is the XML, `source.parts[0]` the weights. Elements of f16 and bf16 are computed as f32, inputs and
// outputs of these types are f32. Errors name file, layer, type and opset where there is one. invalid_encoding: what is
// malformed or contradicts itself; unsupported_operation: layers and element types that Tenon lacks; too_large: limits.
Result<ImportedModel> import_openvino(const ModelSource& source);

}  // namespace tenon::nn
