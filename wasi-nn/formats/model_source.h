// What importers of all formats take and give.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/graph.h"
#include "wasi-nn/mapped_file.h"

namespace tenon::nn {

// A byte array beside the first: weights in a file of their own. `bytes` must not change while `owner` lives.
struct ModelPart {
  std::string file;  // named in messages
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

// A model's bytes and what may be done with them.
struct ModelSource {
  std::string file = "model";        // named in messages
  std::span<const std::byte> bytes;  // must not change while `owner` lives: tensors view them in place
  std::shared_ptr<const void> owner;
  std::vector<ModelPart> parts = {};     // further byte arrays, in the order that the format gives them
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

}  // namespace tenon::nn
