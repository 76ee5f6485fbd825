// The fields of ONNX's protobuf messages; protobuf.h decodes them.
#include "wasi-nn/formats/onnx_proto.h"

#include "wasi-nn/formats/protobuf.h"

namespace tenon::nn::protobuf {

// The error messages name messages as ONNX does.
using namespace onnx;

PROTO_MESSAGE(StringStringEntryProto, PROTO_FIELD(1, &StringStringEntryProto::key),
              PROTO_FIELD(2, &StringStringEntryProto::value))
PROTO_MESSAGE(TensorProto, PROTO_FIELD(1, &TensorProto::dims), PROTO_FIELD(2, &TensorProto::data_type),
              PROTO_FIELD(4, &TensorProto::float_data), PROTO_FIELD(5, &TensorProto::int32_data),
              PROTO_FIELD(6, &TensorProto::string_data), PROTO_FIELD(7, &TensorProto::int64_data),
              PROTO_FIELD(8, &TensorProto::name), PROTO_FIELD(9, &TensorProto::raw_data),
              PROTO_FIELD(10, &TensorProto::double_data), PROTO_FIELD(11, &TensorProto::uint64_data),
              PROTO_FIELD(13, &TensorProto::external_data), PROTO_FIELD(14, &TensorProto::data_location))
PROTO_MESSAGE(SparseTensorProto, PROTO_FIELD(1, &SparseTensorProto::values),
              PROTO_FIELD(2, &SparseTensorProto::indices), PROTO_FIELD(3, &SparseTensorProto::dims))
PROTO_MESSAGE(DimensionProto, PROTO_FIELD(1, &DimensionProto::dim_value),
              PROTO_FIELD(2, &DimensionProto::dim_param))
PROTO_MESSAGE(TensorShapeProto, PROTO_FIELD(1, &TensorShapeProto::dim))
PROTO_MESSAGE(TensorTypeProto, PROTO_FIELD(1, &TensorTypeProto::elem_type),
              PROTO_FIELD(2, &TensorTypeProto::shape))
PROTO_MESSAGE(ElementTypeProto, PROTO_FIELD(1, &ElementTypeProto::elem_type))
PROTO_MESSAGE(TypeProto, PROTO_FIELD(1, &TypeProto::tensor_type), PROTO_FIELD(4, &TypeProto::sequence_type),
              PROTO_FIELD(9, &TypeProto::optional_type))
PROTO_MESSAGE(ValueInfoProto, PROTO_FIELD(1, &ValueInfoProto::name), PROTO_FIELD(2, &ValueInfoProto::type))
PROTO_MESSAGE(AttributeProto, PROTO_FIELD(1, &AttributeProto::name), PROTO_FIELD(2, &AttributeProto::f),
              PROTO_FIELD(3, &AttributeProto::i), PROTO_FIELD(4, &AttributeProto::s),
              PROTO_FIELD(5, &AttributeProto::t), PROTO_FIELD(6, &AttributeProto::g),
              PROTO_FIELD(7, &AttributeProto::floats), PROTO_FIELD(8, &AttributeProto::ints),
              PROTO_FIELD(9, &AttributeProto::strings), PROTO_FIELD(14, &AttributeProto::tp),
              PROTO_FIELD(20, &AttributeProto::attribute_type),
              PROTO_FIELD(21, &AttributeProto::ref_attr_name),
              PROTO_FIELD(22, &AttributeProto::sparse_tensor))
PROTO_MESSAGE(NodeProto, PROTO_FIELD(1, &NodeProto::input), PROTO_FIELD(2, &NodeProto::output),
              PROTO_FIELD(3, &NodeProto::name), PROTO_FIELD(4, &NodeProto::op_type),
              PROTO_FIELD(5, &NodeProto::attribute), PROTO_FIELD(7, &NodeProto::domain))
PROTO_MESSAGE(GraphProto, PROTO_FIELD(1, &GraphProto::node), PROTO_FIELD(2, &GraphProto::name),
              PROTO_FIELD(5, &GraphProto::initializer), PROTO_FIELD(11, &GraphProto::input),
              PROTO_FIELD(12, &GraphProto::output), PROTO_FIELD(13, &GraphProto::value_info),
              PROTO_FIELD(15, &GraphProto::sparse_initializer))
PROTO_MESSAGE(OperatorSetIdProto, PROTO_FIELD(1, &OperatorSetIdProto::domain),
              PROTO_FIELD(2, &OperatorSetIdProto::version))
PROTO_MESSAGE(FunctionProto, PROTO_FIELD(1, &FunctionProto::name), PROTO_FIELD(4, &FunctionProto::input),
              PROTO_FIELD(5, &FunctionProto::output), PROTO_FIELD(6, &FunctionProto::attribute),
              PROTO_FIELD(7, &FunctionProto::node), PROTO_FIELD(9, &FunctionProto::opset_import),
              PROTO_FIELD(10, &FunctionProto::domain), PROTO_FIELD(11, &FunctionProto::attribute_proto))
PROTO_MESSAGE(ModelProto, PROTO_FIELD(1, &ModelProto::ir_version), PROTO_FIELD(2, &ModelProto::producer_name),
              PROTO_FIELD(3, &ModelProto::producer_version), PROTO_FIELD(4, &ModelProto::domain),
              PROTO_FIELD(5, &ModelProto::model_version), PROTO_FIELD(7, &ModelProto::graph),
              PROTO_FIELD(8, &ModelProto::opset_import), PROTO_FIELD(14, &ModelProto::metadata_props),
              PROTO_FIELD(25, &ModelProto::functions))
PROTO_MESSAGE(SequenceProto, PROTO_FIELD(1, &SequenceProto::name), PROTO_FIELD(2, &SequenceProto::elem_type),
              PROTO_FIELD(3, &SequenceProto::tensor_values))
PROTO_MESSAGE(OptionalProto, PROTO_FIELD(1, &OptionalProto::name), PROTO_FIELD(2, &OptionalProto::elem_type),
              PROTO_FIELD(3, &OptionalProto::tensor_value), PROTO_FIELD(5, &OptionalProto::sequence_value))

}  // namespace tenon::nn::protobuf

namespace tenon::nn::onnx {

Result<ModelProto> decode_model(std::span<const std::byte> bytes) {
  return protobuf::decode_message<ModelProto>(bytes, "ONNX");
}
Result<TensorProto> decode_tensor(std::span<const std::byte> bytes) {
  return protobuf::decode_message<TensorProto>(bytes, "ONNX");
}
Result<SequenceProto> decode_sequence(std::span<const std::byte> bytes) {
  return protobuf::decode_message<SequenceProto>(bytes, "ONNX");
}
Result<OptionalProto> decode_optional(std::span<const std::byte> bytes) {
  return protobuf::decode_message<OptionalProto>(bytes, "ONNX");
}

}  // namespace tenon::nn::onnx
