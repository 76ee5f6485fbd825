// Decodes ONNX protobuf messages through one table of fields for each message; protozero reads the wire
// format.
#include "wasi-nn/formats/onnx_proto.h"

#include <protozero/pbf_reader.hpp>
#include <protozero/varint.hpp>
#include <tuple>
#include <type_traits>

namespace tenon::nn::onnx {
namespace {

using protozero::pbf_reader;
using protozero::pbf_wire_type;

// A message costs up to about 300 bytes and at least 2 in the file; files that people write stay far below
// this factor.
constexpr size_t kBytesForEachInputByte = 48;
constexpr size_t kBaseBudget = size_t{1} << 20;
constexpr int kMaxDepth = 100;  // protobuf's own default

// Internal to this file: protozero throws, so the decoder does too, and `decode_message` turns it into an
// Error.
struct Malformed {
  size_t offset;
  std::string what;
};

template <typename M>
struct Schema;

#define ONNX_MESSAGE(M, ...)                                 \
  template <>                                                \
  struct Schema<M> {                                         \
    static constexpr std::string_view kName = #M;            \
    static constexpr auto kFields = std::tuple{__VA_ARGS__}; \
  };
template <auto Member>
struct Field {
  uint32_t number;
};
#define F(number, member) \
  Field<member> { number }

ONNX_MESSAGE(StringStringEntryProto, F(1, &StringStringEntryProto::key), F(2, &StringStringEntryProto::value))
ONNX_MESSAGE(TensorProto, F(1, &TensorProto::dims), F(2, &TensorProto::data_type),
             F(4, &TensorProto::float_data), F(5, &TensorProto::int32_data), F(6, &TensorProto::string_data),
             F(7, &TensorProto::int64_data), F(8, &TensorProto::name), F(9, &TensorProto::raw_data),
             F(10, &TensorProto::double_data), F(11, &TensorProto::uint64_data),
             F(13, &TensorProto::external_data), F(14, &TensorProto::data_location))
ONNX_MESSAGE(SparseTensorProto, F(1, &SparseTensorProto::values), F(2, &SparseTensorProto::indices),
             F(3, &SparseTensorProto::dims))
ONNX_MESSAGE(DimensionProto, F(1, &DimensionProto::dim_value), F(2, &DimensionProto::dim_param))
ONNX_MESSAGE(TensorShapeProto, F(1, &TensorShapeProto::dim))
ONNX_MESSAGE(TensorTypeProto, F(1, &TensorTypeProto::elem_type), F(2, &TensorTypeProto::shape))
ONNX_MESSAGE(ElementTypeProto, F(1, &ElementTypeProto::elem_type))
ONNX_MESSAGE(TypeProto, F(1, &TypeProto::tensor_type), F(4, &TypeProto::sequence_type),
             F(9, &TypeProto::optional_type))
ONNX_MESSAGE(ValueInfoProto, F(1, &ValueInfoProto::name), F(2, &ValueInfoProto::type))
ONNX_MESSAGE(AttributeProto, F(1, &AttributeProto::name), F(2, &AttributeProto::f), F(3, &AttributeProto::i),
             F(4, &AttributeProto::s), F(5, &AttributeProto::t), F(6, &AttributeProto::g),
             F(7, &AttributeProto::floats), F(8, &AttributeProto::ints), F(9, &AttributeProto::strings),
             F(14, &AttributeProto::tp), F(20, &AttributeProto::attribute_type),
             F(21, &AttributeProto::ref_attr_name), F(22, &AttributeProto::sparse_tensor))
ONNX_MESSAGE(NodeProto, F(1, &NodeProto::input), F(2, &NodeProto::output), F(3, &NodeProto::name),
             F(4, &NodeProto::op_type), F(5, &NodeProto::attribute), F(7, &NodeProto::domain))
ONNX_MESSAGE(GraphProto, F(1, &GraphProto::node), F(2, &GraphProto::name), F(5, &GraphProto::initializer),
             F(11, &GraphProto::input), F(12, &GraphProto::output), F(13, &GraphProto::value_info),
             F(15, &GraphProto::sparse_initializer))
ONNX_MESSAGE(OperatorSetIdProto, F(1, &OperatorSetIdProto::domain), F(2, &OperatorSetIdProto::version))
ONNX_MESSAGE(FunctionProto, F(1, &FunctionProto::name), F(4, &FunctionProto::input),
             F(5, &FunctionProto::output), F(6, &FunctionProto::attribute), F(7, &FunctionProto::node),
             F(9, &FunctionProto::opset_import), F(10, &FunctionProto::domain),
             F(11, &FunctionProto::attribute_proto))
ONNX_MESSAGE(ModelProto, F(1, &ModelProto::ir_version), F(2, &ModelProto::producer_name),
             F(3, &ModelProto::producer_version), F(4, &ModelProto::domain), F(5, &ModelProto::model_version),
             F(7, &ModelProto::graph), F(8, &ModelProto::opset_import), F(14, &ModelProto::metadata_props),
             F(25, &ModelProto::functions))
ONNX_MESSAGE(SequenceProto, F(1, &SequenceProto::name), F(2, &SequenceProto::elem_type),
             F(3, &SequenceProto::tensor_values))
ONNX_MESSAGE(OptionalProto, F(1, &OptionalProto::name), F(2, &OptionalProto::elem_type),
             F(3, &OptionalProto::tensor_value), F(5, &OptionalProto::sequence_value))
#undef F
#undef ONNX_MESSAGE

template <typename T>
concept Message = requires { Schema<T>::kName; };
template <typename T>
concept Varint = std::is_integral_v<T>;
template <typename T>
concept Fixed = std::is_floating_point_v<T>;

class Decoder {
 public:
  explicit Decoder(std::string_view bytes)
      : bytes_(bytes), budget_(kBaseBudget + kBytesForEachInputByte * bytes.size()) {}

  template <Message M>
  void message(std::string_view view, M& out) {
    if (++depth_ > kMaxDepth) fail(view.data(), fmt::format("messages nest deeper than {}", kMaxDepth));
    pbf_reader reader(view.data(), view.size());
    const char* at = view.data();
    uint32_t tag = 0;
    try {
      while (reader.next()) {
        tag = reader.tag();
        at = reader.data().data();
        if (!std::apply([&](auto... field) { return (try_field(reader, out, field) || ...); },
                        Schema<M>::kFields)) {
          if (reader.wire_type() == pbf_wire_type::length_delimited) check_length(reader);
          reader.skip();
        }
        at = reader.data().data();
      }
    } catch (const protozero::exception& e) {
      fail(at, fmt::format("{} field {}: {}", Schema<M>::kName, tag, e.what()));
    }
    --depth_;
  }

  [[noreturn]] void fail(const char* at, std::string what) const {
    throw Malformed{static_cast<size_t>(at - bytes_.data()), std::move(what)};
  }

 private:
  template <Message M, auto Member>
  bool try_field(pbf_reader& reader, M& out, Field<Member> field) {
    if (reader.tag() != field.number) return false;
    value(reader, out.*Member);
    return true;
  }

  // protozero keeps only 32 bits of a length; a longer one must not wrap round to a small, plausible one.
  void check_length(pbf_reader& reader) const {
    const char* p = reader.data().data();
    const char* end = p + reader.data().size();
    const uint64_t length = protozero::decode_varint(&p, end);
    if (length > static_cast<uint64_t>(end - p)) {
      fail(p, fmt::format("a length of {} with {} bytes left", length, end - p));
    }
  }

  void expect(pbf_reader& reader, pbf_wire_type type) const {
    if (reader.wire_type() != type) {
      fail(reader.data().data(), fmt::format("field {} has wire type {}, expected {}", reader.tag(),
                                             static_cast<int>(reader.wire_type()), static_cast<int>(type)));
    }
    if (type == pbf_wire_type::length_delimited) check_length(reader);
  }

  void charge(const pbf_reader& reader, size_t bytes) {
    if (bytes > budget_) fail(reader.data().data(), "more elements than a file of this size may hold");
    budget_ -= bytes;
  }

  std::string_view view(pbf_reader& reader) {
    expect(reader, pbf_wire_type::length_delimited);
    const auto v = reader.get_view();
    return {v.data(), v.size()};
  }

  void value(pbf_reader& reader, std::string_view& out) { out = view(reader); }

  template <Varint T>
  void value(pbf_reader& reader, T& out) {
    expect(reader, pbf_wire_type::varint);
    out = static_cast<T>(reader.get_uint64());
  }

  template <Fixed T>
  void value(pbf_reader& reader, T& out) {
    if constexpr (sizeof(T) == 4) {
      expect(reader, pbf_wire_type::fixed32);
      out = reader.get_float();
    } else {
      expect(reader, pbf_wire_type::fixed64);
      out = reader.get_double();
    }
  }

  template <Message M>
  void value(pbf_reader& reader, M& out) {
    message(view(reader), out);
  }

  template <typename T>
  void value(pbf_reader& reader, std::unique_ptr<T>& out) {
    charge(reader, sizeof(T));
    if (!out) out = std::make_unique<T>();  // protobuf merges repeated occurrences of a message
    value(reader, *out);
  }

  template <typename T>
  void value(pbf_reader& reader, std::vector<T>& out) {
    if constexpr (Varint<T> || Fixed<T>) {
      if (reader.wire_type() == pbf_wire_type::length_delimited) return packed(reader, out);
    }
    charge(reader, sizeof(T));
    value(reader, out.emplace_back());
  }

  template <Varint T>
  void packed(pbf_reader& reader, std::vector<T>& out) {
    const std::string_view chunk = view(reader);
    const char* end = chunk.data() + chunk.size();
    for (const char* p = chunk.data(); p != end;) {
      charge(reader, sizeof(T));
      out.push_back(static_cast<T>(protozero::decode_varint(&p, end)));
    }
  }

  template <Fixed T>
  void packed(pbf_reader& reader, std::vector<T>& out) {
    const std::string_view chunk = fixed_chunk<T>(reader);
    charge(reader, chunk.size());
    const size_t old = out.size();
    out.resize(old + chunk.size() / sizeof(T));
    if (!chunk.empty()) std::memcpy(out.data() + old, chunk.data(), chunk.size());
  }

  template <Fixed T>
  void value(pbf_reader& reader, FixedList<T>& out) {
    const bool is_packed = reader.wire_type() == pbf_wire_type::length_delimited;
    if (is_packed && out.size() == 0) {
      out.packed = fixed_chunk<T>(reader);
      return;
    }
    if (out.loose.empty() && !out.packed.empty()) {
      out.loose.resize(out.packed.size() / sizeof(T));
      std::memcpy(out.loose.data(), out.packed.data(), out.packed.size());
    }
    value(reader, out.loose);
  }

  template <Fixed T>
  std::string_view fixed_chunk(pbf_reader& reader) {
    const std::string_view chunk = view(reader);
    if (chunk.size() % sizeof(T) != 0) {
      fail(chunk.data(), fmt::format("packed field of {} bytes, no multiple of {}", chunk.size(), sizeof(T)));
    }
    return chunk;
  }

  std::string_view bytes_;
  size_t budget_;
  int depth_ = 0;
};

template <Message M>
Result<M> decode_message(std::span<const std::byte> bytes) {
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Decoder decoder(view);
  M out;
  try {
    decoder.message(view, out);
  } catch (const Malformed& e) {
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "not a valid ONNX {}: at byte {}: {}",
                         Schema<M>::kName, e.offset, e.what);
  }
  return out;
}

}  // namespace

Result<ModelProto> decode_model(std::span<const std::byte> bytes) {
  return decode_message<ModelProto>(bytes);
}
Result<TensorProto> decode_tensor(std::span<const std::byte> bytes) {
  return decode_message<TensorProto>(bytes);
}
Result<SequenceProto> decode_sequence(std::span<const std::byte> bytes) {
  return decode_message<SequenceProto>(bytes);
}
Result<OptionalProto> decode_optional(std::span<const std::byte> bytes) {
  return decode_message<OptionalProto>(bytes);
}

}  // namespace tenon::nn::onnx
