// The TensorFlow Lite schema as structs that view the file's bytes. Only what inference reads; what it means is
// tflite_importer's.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/tensor.h"
#include "wasi-nn/formats/flatbuffer.h"

namespace tenon::nn::tflite {

using kernels::Result;

struct Quantization {
  std::vector<float> scale;
  std::vector<int64_t> zero_point;
  int32_t dimension = 0;  // along which scales differ, when there are several
};

struct TensorInfo {
  std::vector<int32_t> shape;  // -1 where the file leaves a dimension open
  bool has_rank = true;        // false: nothing is known of the shape
  int8_t type = 0;             // TensorType
  uint32_t buffer = 0;
  std::string_view name;
  Quantization quantization;
  bool is_variable = false, is_sparse = false;
};

struct OperatorCode {
  int32_t builtin = 0;
  std::string_view custom;
};

struct OperatorInfo {
  uint32_t code = 0;
  std::vector<int32_t> inputs, outputs;  // indices of tensors; -1: absent
  flatbuffer::Table options;
  std::span<const std::byte> custom_options;
  std::vector<int32_t> intermediates;
};

struct SubGraph {
  std::string_view name;
  std::vector<TensorInfo> tensors;
  std::vector<int32_t> inputs, outputs;
  std::vector<OperatorInfo> operators;
};

// Names of a signature's tensors.
struct Signature {
  std::string_view key;
  uint32_t subgraph = 0;
  std::vector<std::pair<std::string_view, uint32_t>> inputs, outputs;
};

struct Model {
  explicit Model(std::span<const std::byte> file) : bytes(file), buffer(file) {}
  std::span<const std::byte> bytes;
  flatbuffer::Buffer buffer;  // options are read through it
  uint32_t version = 0;
  std::string_view description;
  std::vector<OperatorCode> codes;
  std::vector<SubGraph> subgraphs;
  std::vector<std::span<const std::byte>> buffers;
  std::vector<Signature> signatures;
};

// invalid_encoding: what is no TensorFlow Lite file of version 3, or damaged.
Result<std::unique_ptr<Model>> read_model(std::span<const std::byte> bytes);

// The kernels' type of a TensorType; undefined for those without one (complex, resources, variants, four bits).
kernels::DataType to_data_type(int8_t type);

}  // namespace tenon::nn::tflite
