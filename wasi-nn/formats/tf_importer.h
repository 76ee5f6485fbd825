// TensorFlow graphs → the kernels' Graph: frozen GraphDefs and SavedModels. Checks structure; types and shapes of
// operators are checked when the graph is compiled.
#pragma once

#include "wasi-nn/formats/model_source.h"

namespace tenon::nn {

// A GraphDef: inputs are its placeholders, outputs the nodes that nobody reads. A SavedModel: the signature
// serving_default (else the only one) names inputs and outputs, in alphabetical order; source.parts are the variables'
// index and data files. Errors name file, node and operator. invalid_encoding: what is malformed or contradicts itself;
// unsupported_operation: operators and element types that Tenon lacks; too_large: limits.
Result<ImportedModel> import_tensorflow(const ModelSource& source);

// The files that belong to a model file, in the order of ModelSource::parts: those of the variables beside saved_model.pb.
std::vector<std::string> saved_model_files(const std::string& path);

}  // namespace tenon::nn
