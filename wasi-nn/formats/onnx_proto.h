// The ONNX protobuf schema as plain structs that view the file's bytes. Only what an importer for inference
// reads; it checks the wire format, not the meaning (that is onnx_importer's).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/error.h"
#include "wasi-nn/formats/protobuf_types.h"

namespace tenon::nn::onnx {

using kernels::Result;
using protobuf::FixedList;

// Field numbers and names follow onnx/onnx.proto3 (https://onnx.ai/onnx/repo-docs/IR.html). Every string_view
// points into the decoded bytes, which must outlive the message.

// AttributeProto.AttributeType.
enum class AttributeType : int32_t {
  kUndefined = 0,
  kFloat = 1,
  kInt = 2,
  kString = 3,
  kTensor = 4,
  kGraph = 5,
  kFloats = 6,
  kInts = 7,
  kStrings = 8,
  kTensors = 9,
  kGraphs = 10,
  kSparseTensor = 11,
  kSparseTensors = 12,
  kTypeProto = 13,
  kTypeProtos = 14,
};

struct StringStringEntryProto {
  std::string_view key;
  std::string_view value;
};

struct TensorProto {
  std::vector<int64_t> dims;
  int32_t data_type = 0;
  FixedList<float> float_data;
  std::vector<int32_t> int32_data;
  std::vector<std::string_view> string_data;
  std::vector<int64_t> int64_data;
  std::string_view name;
  std::string_view raw_data;
  FixedList<double> double_data;
  std::vector<uint64_t> uint64_data;
  std::vector<StringStringEntryProto> external_data;
  int32_t data_location = 0;  // 0 in the message, 1 external
};

struct SparseTensorProto {
  std::unique_ptr<TensorProto> values;
  std::unique_ptr<TensorProto> indices;
  std::vector<int64_t> dims;
};

struct DimensionProto {
  std::unique_ptr<int64_t> dim_value;  // absent is not 0
  std::string_view dim_param;
};

struct TensorShapeProto {
  std::vector<DimensionProto> dim;
};

struct TypeProto;

struct TensorTypeProto {
  int32_t elem_type = 0;
  std::unique_ptr<TensorShapeProto> shape;  // absent: rank unknown
};

struct ElementTypeProto {  // TypeProto.Sequence and TypeProto.Optional have the same one field
  std::unique_ptr<TypeProto> elem_type;
};

struct TypeProto {
  std::unique_ptr<TensorTypeProto> tensor_type;
  std::unique_ptr<ElementTypeProto> sequence_type;
  std::unique_ptr<ElementTypeProto> optional_type;
};

struct ValueInfoProto {
  std::string_view name;
  std::unique_ptr<TypeProto> type;
};

struct GraphProto;

struct AttributeProto {
  std::string_view name;
  float f = 0;
  int64_t i = 0;
  std::string_view s;
  std::unique_ptr<TensorProto> t;
  std::unique_ptr<GraphProto> g;
  std::vector<float> floats;
  std::vector<int64_t> ints;
  std::vector<std::string_view> strings;
  std::unique_ptr<SparseTensorProto> sparse_tensor;
  std::unique_ptr<TypeProto> tp;
  int32_t attribute_type = 0;
  std::string_view ref_attr_name;

  AttributeType type() const { return static_cast<AttributeType>(attribute_type); }
};

struct NodeProto {
  std::vector<std::string_view> input;
  std::vector<std::string_view> output;
  std::string_view name;
  std::string_view op_type;
  std::vector<AttributeProto> attribute;
  std::string_view domain;
};

struct GraphProto {
  std::vector<NodeProto> node;
  std::string_view name;
  std::vector<TensorProto> initializer;
  std::vector<ValueInfoProto> input;
  std::vector<ValueInfoProto> output;
  std::vector<ValueInfoProto> value_info;
  std::vector<SparseTensorProto> sparse_initializer;
};

struct OperatorSetIdProto {
  std::string_view domain;
  int64_t version = 0;
};

struct FunctionProto {
  std::string_view name;
  std::vector<std::string_view> input;
  std::vector<std::string_view> output;
  std::vector<std::string_view> attribute;
  std::vector<AttributeProto> attribute_proto;  // attributes with a default
  std::vector<NodeProto> node;
  std::vector<OperatorSetIdProto> opset_import;
  std::string_view domain;
};

struct ModelProto {
  int64_t ir_version = 0;
  std::string_view producer_name;
  std::string_view producer_version;
  std::string_view domain;
  int64_t model_version = 0;
  std::unique_ptr<GraphProto> graph;
  std::vector<OperatorSetIdProto> opset_import;
  std::vector<StringStringEntryProto> metadata_props;
  std::vector<FunctionProto> functions;
};

// Test data of the ONNX backend suite for values that are no tensors.
struct SequenceProto {
  std::string_view name;
  int32_t elem_type = 0;
  std::vector<TensorProto> tensor_values;
};

struct OptionalProto {
  std::string_view name;
  int32_t elem_type = 0;  // 0: none
  std::unique_ptr<TensorProto> tensor_value;
  std::unique_ptr<SequenceProto> sequence_value;
};

// Decodes one message. Memory taken is at most a fixed multiple of bytes.size(); nesting is limited. Errors
// (invalid_encoding) carry message, field and byte offset. Unknown fields are skipped, as protobuf asks.
Result<ModelProto> decode_model(std::span<const std::byte> bytes);
Result<TensorProto> decode_tensor(std::span<const std::byte> bytes);
Result<SequenceProto> decode_sequence(std::span<const std::byte> bytes);
Result<OptionalProto> decode_optional(std::span<const std::byte> bytes);

}  // namespace tenon::nn::onnx
