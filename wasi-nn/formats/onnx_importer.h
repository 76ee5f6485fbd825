// ONNX models → the kernels' Graph. Checks structure (names, scopes, opsets, tensors); types and shapes of
// operators are checked when the graph is compiled.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/graph.h"
#include "wasi-nn/mapped_file.h"

namespace tenon::nn {

// A model's bytes and what may be done with them.
struct ModelSource {
  std::string file = "model";        // named in messages
  std::span<const std::byte> bytes;  // must not change while `owner` lives: tensors view them in place
  std::shared_ptr<const void> owner;
  std::string folder;                    // where external data may lie; empty: nowhere
  FileAccess access = FileAccess::kMap;  // for external data
  kernels::Limits limits;
};

// What a model file says of itself, for people.
struct ModelSummary {
  std::string format;                                   // "ONNX, IR version 8"
  std::string producer;                                 // name and version, may be empty
  std::vector<std::pair<std::string, int64_t>> opsets;  // domain, version
  std::map<std::string, size_t> operators;              // as the file names them, subgraphs included
};

struct ImportedModel {
  kernels::Graph graph;
  ModelSummary summary;
};

// Errors name file, node, operator and opset where there is one. invalid_encoding: what is malformed or
// contradicts itself; unsupported_operation: operators, domains, opsets and element types that Tenon lacks;
// too_large: limits.
Result<ImportedModel> import_onnx(const ModelSource& source);

}  // namespace tenon::nn
