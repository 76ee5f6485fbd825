// TensorFlow Lite models → the kernels' Graph. Checks structure; types and shapes of operators are checked when the
// graph is compiled.
#pragma once

#include "wasi-nn/formats/model_source.h"

namespace tenon::nn {

// Errors name file, node, operator and what is wrong. invalid_encoding: damaged or contradictory files;
// unsupported_operation: operators, element types and forms that Tenon lacks; too_large: limits.
kernels::Result<ImportedModel> import_tflite(const ModelSource& source);

}  // namespace tenon::nn
