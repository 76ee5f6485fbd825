// The fields of TensorFlow's protobuf messages; protobuf.h decodes them.
#include "wasi-nn/formats/tf_proto.h"

#include "wasi-nn/formats/protobuf.h"

namespace tenon::nn::protobuf {

// The error messages name messages as TensorFlow does.
using namespace tf;

PROTO_MESSAGE(DimProto, PROTO_FIELD(1, &DimProto::size))
PROTO_MESSAGE(TensorShapeProto, PROTO_FIELD(2, &TensorShapeProto::dim),
              PROTO_FIELD(3, &TensorShapeProto::unknown_rank))
PROTO_MESSAGE(TensorProto, PROTO_FIELD(1, &TensorProto::dtype), PROTO_FIELD(2, &TensorProto::tensor_shape),
              PROTO_FIELD(4, &TensorProto::tensor_content), PROTO_FIELD(13, &TensorProto::half_val),
              PROTO_FIELD(5, &TensorProto::float_val), PROTO_FIELD(6, &TensorProto::double_val),
              PROTO_FIELD(7, &TensorProto::int_val), PROTO_FIELD(8, &TensorProto::string_val),
              PROTO_FIELD(10, &TensorProto::int64_val), PROTO_FIELD(11, &TensorProto::bool_val),
              PROTO_FIELD(16, &TensorProto::uint32_val), PROTO_FIELD(17, &TensorProto::uint64_val))
PROTO_MESSAGE(AttrEntry, PROTO_FIELD(1, &AttrEntry::key), PROTO_FIELD(2, &AttrEntry::value))
PROTO_MESSAGE(NameAttrList, PROTO_FIELD(1, &NameAttrList::name), PROTO_FIELD(2, &NameAttrList::attr))
PROTO_MESSAGE(ListValue, PROTO_FIELD(2, &ListValue::s), PROTO_FIELD(3, &ListValue::i),
              PROTO_FIELD(4, &ListValue::f), PROTO_FIELD(5, &ListValue::b), PROTO_FIELD(6, &ListValue::type),
              PROTO_FIELD(7, &ListValue::shape), PROTO_FIELD(9, &ListValue::func))
PROTO_MESSAGE(AttrValue, PROTO_FIELD(1, &AttrValue::list), PROTO_FIELD(2, &AttrValue::s),
              PROTO_FIELD(3, &AttrValue::i), PROTO_FIELD(4, &AttrValue::f), PROTO_FIELD(5, &AttrValue::b),
              PROTO_FIELD(6, &AttrValue::type), PROTO_FIELD(7, &AttrValue::shape),
              PROTO_FIELD(8, &AttrValue::tensor), PROTO_FIELD(9, &AttrValue::placeholder),
              PROTO_FIELD(10, &AttrValue::func))
PROTO_MESSAGE(NodeDef, PROTO_FIELD(1, &NodeDef::name), PROTO_FIELD(2, &NodeDef::op),
              PROTO_FIELD(3, &NodeDef::input), PROTO_FIELD(5, &NodeDef::attr))
PROTO_MESSAGE(StringEntry, PROTO_FIELD(1, &StringEntry::key), PROTO_FIELD(2, &StringEntry::value))
PROTO_MESSAGE(ArgDef, PROTO_FIELD(1, &ArgDef::name), PROTO_FIELD(3, &ArgDef::type))
PROTO_MESSAGE(OpDef, PROTO_FIELD(1, &OpDef::name), PROTO_FIELD(2, &OpDef::input_arg),
              PROTO_FIELD(3, &OpDef::output_arg))
PROTO_MESSAGE(FunctionDef, PROTO_FIELD(1, &FunctionDef::signature), PROTO_FIELD(3, &FunctionDef::node_def),
              PROTO_FIELD(4, &FunctionDef::ret))
PROTO_MESSAGE(FunctionDefLibrary, PROTO_FIELD(1, &FunctionDefLibrary::function))
PROTO_MESSAGE(VersionDef, PROTO_FIELD(1, &VersionDef::producer))
PROTO_MESSAGE(GraphDef, PROTO_FIELD(1, &GraphDef::node), PROTO_FIELD(2, &GraphDef::library),
              PROTO_FIELD(4, &GraphDef::versions))
PROTO_MESSAGE(TensorInfo, PROTO_FIELD(1, &TensorInfo::name), PROTO_FIELD(2, &TensorInfo::dtype),
              PROTO_FIELD(3, &TensorInfo::tensor_shape))
PROTO_MESSAGE(TensorInfoEntry, PROTO_FIELD(1, &TensorInfoEntry::key), PROTO_FIELD(2, &TensorInfoEntry::value))
PROTO_MESSAGE(SignatureDef, PROTO_FIELD(1, &SignatureDef::inputs), PROTO_FIELD(2, &SignatureDef::outputs),
              PROTO_FIELD(3, &SignatureDef::method_name))
PROTO_MESSAGE(SignatureEntry, PROTO_FIELD(1, &SignatureEntry::key), PROTO_FIELD(2, &SignatureEntry::value))
PROTO_MESSAGE(MetaInfoDef, PROTO_FIELD(4, &MetaInfoDef::tags),
              PROTO_FIELD(5, &MetaInfoDef::tensorflow_version))
PROTO_MESSAGE(MetaGraphDef, PROTO_FIELD(1, &MetaGraphDef::meta_info_def),
              PROTO_FIELD(2, &MetaGraphDef::graph_def), PROTO_FIELD(5, &MetaGraphDef::signature_def))
PROTO_MESSAGE(SavedModel, PROTO_FIELD(1, &SavedModel::saved_model_schema_version),
              PROTO_FIELD(2, &SavedModel::meta_graphs))
PROTO_MESSAGE(BundleHeaderProto, PROTO_FIELD(1, &BundleHeaderProto::num_shards),
              PROTO_FIELD(2, &BundleHeaderProto::endianness))
PROTO_MESSAGE(BundleEntryProto, PROTO_FIELD(1, &BundleEntryProto::dtype),
              PROTO_FIELD(2, &BundleEntryProto::shape), PROTO_FIELD(3, &BundleEntryProto::shard_id),
              PROTO_FIELD(4, &BundleEntryProto::offset), PROTO_FIELD(5, &BundleEntryProto::size),
              PROTO_FIELD(6, &BundleEntryProto::crc32c), PROTO_FIELD(7, &BundleEntryProto::slices))

}  // namespace tenon::nn::protobuf

namespace tenon::nn::tf {

Result<GraphDef> decode_graph(std::span<const std::byte> bytes) {
  return protobuf::decode_message<GraphDef>(bytes, "TensorFlow");
}
Result<SavedModel> decode_saved_model(std::span<const std::byte> bytes) {
  return protobuf::decode_message<SavedModel>(bytes, "TensorFlow");
}
Result<BundleHeaderProto> decode_bundle_header(std::span<const std::byte> bytes) {
  return protobuf::decode_message<BundleHeaderProto>(bytes, "TensorFlow");
}
Result<BundleEntryProto> decode_bundle_entry(std::span<const std::byte> bytes) {
  return protobuf::decode_message<BundleEntryProto>(bytes, "TensorFlow");
}

// saved_model_schema_version = 1, then a meta graph; in ONNX field 2 is the producer's name, a text. A meta graph begins
// with its meta_info_def or its graph_def, messages of a certain length.
bool looks_like_saved_model(std::span<const std::byte> bytes) {
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!view.starts_with("\x08\x01\x12")) return false;
  const char* p = view.data() + 3;
  const char* end = view.data() + view.size();
  try {
    const uint64_t length = protozero::decode_varint(&p, end);
    if (p == end || length < 2 || (*p != 0x0a && *p != 0x12)) return false;
    ++p;
    const uint64_t inner = protozero::decode_varint(&p, end);
    return inner < length;
  } catch (const protozero::exception&) {
    return false;
  }
}

}  // namespace tenon::nn::tf
