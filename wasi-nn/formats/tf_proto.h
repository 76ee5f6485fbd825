// TensorFlow's protobuf schema as plain structs that view the file's bytes: graphs, functions, SavedModels and the index
// of tensor bundles. Only what an importer for inference reads; the wire format is checked, not the meaning.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/error.h"
#include "wasi-nn/formats/protobuf_types.h"

namespace tenon::nn::tf {

using kernels::Result;
using protobuf::Fixed32;
using protobuf::FixedList;

// Field numbers and names follow tensorflow/core/framework/*.proto and core/protobuf/*.proto. Every string_view points
// into the decoded bytes, which must outlive the message.

// types.proto: DataType. Variables of TensorFlow 1 add 100 (references).
enum class TfType : int32_t {
  kInvalid = 0,
  kFloat = 1,
  kDouble = 2,
  kInt32 = 3,
  kUint8 = 4,
  kInt16 = 5,
  kInt8 = 6,
  kString = 7,
  kComplex64 = 8,
  kInt64 = 9,
  kBool = 10,
  kQint8 = 11,
  kQuint8 = 12,
  kQint32 = 13,
  kBfloat16 = 14,
  kQint16 = 15,
  kQuint16 = 16,
  kUint16 = 17,
  kComplex128 = 18,
  kHalf = 19,
  kResource = 20,
  kVariant = 21,
  kUint32 = 22,
  kUint64 = 23,
};

struct DimProto {
  int64_t size = 0;  // -1: unknown
};

struct TensorShapeProto {
  std::vector<DimProto> dim;
  bool unknown_rank = false;
};

struct TensorProto {
  int32_t dtype = 0;
  TensorShapeProto tensor_shape;
  std::string_view tensor_content;
  std::vector<int32_t> half_val;  // bits of f16 and bf16
  FixedList<float> float_val;
  FixedList<double> double_val;
  std::vector<int32_t> int_val;  // all integers up to 32 bits
  std::vector<std::string_view> string_val;
  std::vector<int64_t> int64_val;
  std::vector<uint8_t> bool_val;
  std::vector<uint32_t> uint32_val;
  std::vector<uint64_t> uint64_val;
};

struct AttrEntry;

struct NameAttrList {
  std::string_view name;
  std::vector<AttrEntry> attr;
};

struct ListValue {
  std::vector<std::string_view> s;
  std::vector<int64_t> i;
  std::vector<float> f;
  std::vector<uint8_t> b;
  std::vector<int32_t> type;
  std::vector<TensorShapeProto> shape;
  std::vector<NameAttrList> func;
};

// Only one member is set; which one, the attribute's reader knows.
struct AttrValue {
  std::unique_ptr<std::string_view> s;
  std::unique_ptr<int64_t> i;
  std::unique_ptr<float> f;
  std::unique_ptr<bool> b;
  int32_t type = 0;
  std::unique_ptr<TensorShapeProto> shape;
  std::unique_ptr<TensorProto> tensor;
  std::unique_ptr<ListValue> list;
  std::unique_ptr<NameAttrList> func;
  std::string_view placeholder;  // in functions: the name of an attribute of the call
};

struct AttrEntry {
  std::string_view key;
  AttrValue value;
};

struct NodeDef {
  std::string_view name;
  std::string_view op;
  std::vector<std::string_view> input;
  std::vector<AttrEntry> attr;
};

struct StringEntry {
  std::string_view key;
  std::string_view value;
};

struct ArgDef {
  std::string_view name;
  int32_t type = 0;
};

struct OpDef {
  std::string_view name;
  std::vector<ArgDef> input_arg;
  std::vector<ArgDef> output_arg;
};

struct FunctionDef {
  OpDef signature;
  std::vector<NodeDef> node_def;
  std::vector<StringEntry> ret;  // output argument → "node:output:index"
};

struct FunctionDefLibrary {
  std::vector<FunctionDef> function;
};

struct VersionDef {
  int32_t producer = 0;
};

struct GraphDef {
  std::vector<NodeDef> node;
  FunctionDefLibrary library;
  VersionDef versions;
};

struct TensorInfo {
  std::string_view name;  // "node:port"
  int32_t dtype = 0;
  std::unique_ptr<TensorShapeProto> tensor_shape;
};

struct TensorInfoEntry {
  std::string_view key;
  TensorInfo value;
};

struct SignatureDef {
  std::vector<TensorInfoEntry> inputs;
  std::vector<TensorInfoEntry> outputs;
  std::string_view method_name;
};

struct SignatureEntry {
  std::string_view key;
  SignatureDef value;
};

struct MetaInfoDef {
  std::vector<std::string_view> tags;
  std::string_view tensorflow_version;
};

struct MetaGraphDef {
  MetaInfoDef meta_info_def;
  GraphDef graph_def;
  std::vector<SignatureEntry> signature_def;
};

struct SavedModel {
  int64_t saved_model_schema_version = 0;
  std::vector<MetaGraphDef> meta_graphs;
};

// tensor_bundle.proto
struct BundleHeaderProto {
  int32_t num_shards = 0;
  int32_t endianness = 0;  // 0 little
};

struct BundleEntryProto {
  int32_t dtype = 0;
  TensorShapeProto shape;
  int32_t shard_id = 0;
  int64_t offset = 0;
  int64_t size = 0;
  Fixed32 crc32c;
  std::vector<std::string_view> slices;  // messages TensorSliceProto: a partitioned variable
};

// Decode one message each; see protobuf::decode_message.
Result<GraphDef> decode_graph(std::span<const std::byte> bytes);
Result<SavedModel> decode_saved_model(std::span<const std::byte> bytes);
Result<BundleHeaderProto> decode_bundle_header(std::span<const std::byte> bytes);
Result<BundleEntryProto> decode_bundle_entry(std::span<const std::byte> bytes);

// Whether the top-level fields are a SavedModel's; ONNX models begin with the same bytes.
bool looks_like_saved_model(std::span<const std::byte> bytes);

}  // namespace tenon::nn::tf
