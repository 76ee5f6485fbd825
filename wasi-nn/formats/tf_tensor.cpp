// Types and tensors of TensorFlow; see tf_tensor.h.
#include "wasi-nn/formats/tf_tensor.h"

#include <cstring>

namespace tenon::nn::tf {
namespace {

using kernels::DataType;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Tensor;
using kernels::ValueType;

// Which field of TensorProto holds the elements of a type, where they are not in tensor_content.
enum class Holder : uint8_t { kInts, kFloats, kDoubles, kHalves, kStrings, kLongs, kBools, kUints, kUlongs };

struct TypeRow {
  TfType tf;
  DataType type;
  Holder holder;
};

constexpr TypeRow kTypes[] = {
    {TfType::kFloat, DataType::f32, Holder::kFloats},      {TfType::kDouble, DataType::f64, Holder::kDoubles},
    {TfType::kInt32, DataType::i32, Holder::kInts},        {TfType::kUint8, DataType::u8, Holder::kInts},
    {TfType::kInt16, DataType::i16, Holder::kInts},        {TfType::kInt8, DataType::i8, Holder::kInts},
    {TfType::kString, DataType::string, Holder::kStrings}, {TfType::kInt64, DataType::i64, Holder::kLongs},
    {TfType::kBool, DataType::boolean, Holder::kBools},    {TfType::kQint8, DataType::i8, Holder::kInts},
    {TfType::kQuint8, DataType::u8, Holder::kInts},        {TfType::kQint32, DataType::i32, Holder::kInts},
    {TfType::kBfloat16, DataType::bf16, Holder::kHalves},  {TfType::kQint16, DataType::i16, Holder::kInts},
    {TfType::kQuint16, DataType::u16, Holder::kInts},      {TfType::kUint16, DataType::u16, Holder::kInts},
    {TfType::kHalf, DataType::f16, Holder::kHalves},       {TfType::kUint32, DataType::u32, Holder::kUints},
    {TfType::kUint64, DataType::u64, Holder::kUlongs},
};
constexpr int32_t kReference = 100;

std::string_view name_of(int32_t type) {
  static constexpr std::string_view kNames[] = {
      "invalid",   "float",  "double",     "int32", "uint8",    "int16",   "int8",     "string",
      "complex64", "int64",  "bool",       "qint8", "quint8",   "qint32",  "bfloat16", "qint16",
      "quint16",   "uint16", "complex128", "half",  "resource", "variant", "uint32",   "uint64"};
  return type >= 0 && static_cast<size_t>(type) < std::size(kNames) ? kNames[type] : "unknown";
}

Result<TypeRow> type_row(int32_t type) {
  if (type > kReference) type -= kReference;
  const auto* row = std::ranges::find(kTypes, static_cast<TfType>(type), &TypeRow::tf);
  if (row != std::end(kTypes)) return *row;
  return fail(ErrorCode::unsupported_operation, "tensors of type {} ({}) are not supported", type,
              name_of(type));
}

Result<Dims> to_dims(const TensorShapeProto& shape) {
  std::vector<int64_t> dims;
  for (const DimProto& dim : shape.dim) dims.push_back(dim.size);
  auto made = Dims::from(dims);
  if (made && !shape.unknown_rank) return *made;
  return fail(ErrorCode::invalid_encoding, "its shape is not known");
}

// `given` elements of `width` bytes, then the last one again until the tensor is full; zeros when there is none.
Result<Tensor> filled(DataType type, const Dims& dims, std::span<const std::byte> given, uint64_t& budget) {
  const size_t size = TENON_TRY(kernels::byte_size(type, dims));
  if (given.size() > size) {
    return fail(ErrorCode::invalid_encoding, "{} bytes of elements; {} {} takes {}", given.size(),
                to_string(type), to_string(dims), size);
  }
  if (given.size() == size) return Tensor::copy(type, dims, given);
  if (size > budget)
    return fail(ErrorCode::too_large, "repeated elements fill {} bytes, {} are left", size, budget);
  budget -= size;
  Tensor tensor = TENON_TRY(Tensor::allocate(type, dims));
  if (given.empty()) return tensor;
  std::memcpy(tensor.mutable_data(), given.data(), given.size());
  const size_t width = kernels::bit_width(type) / 8;
  for (size_t at = given.size(); at < size; at += width) {
    std::memcpy(tensor.mutable_data() + at, given.data() + given.size() - width, width);
  }
  return tensor;
}

// Elements that the message holds as wider numbers.
template <typename T>
std::vector<std::byte> narrowed(const std::vector<T>& values, size_t width) {
  std::vector<std::byte> bytes(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) std::memcpy(bytes.data() + i * width, &values[i], width);
  return bytes;
}

Result<Tensor> strings_of(const TensorProto& proto, const Dims& dims, uint64_t& budget) {
  const auto count = static_cast<uint64_t>(TENON_TRY(kernels::element_count(dims)));
  const uint64_t size = TENON_TRY(kernels::byte_size(DataType::string, dims));
  if (proto.string_val.size() > count) {
    return fail(ErrorCode::invalid_encoding, "{} strings for {}", proto.string_val.size(), to_string(dims));
  }
  const std::string_view last = proto.string_val.empty() ? std::string_view() : proto.string_val.back();
  const uint64_t repeated = (count - proto.string_val.size()) * last.size();
  if (size > budget || repeated > budget - size) {
    return fail(ErrorCode::too_large, "{} strings exceed what is left", count);
  }
  budget -= size + repeated;
  std::vector<std::string> values(proto.string_val.begin(), proto.string_val.end());
  values.resize(count, std::string(last));
  return Tensor::strings(dims, std::move(values));
}

Result<Tensor> from_field(const TensorProto& proto, const TypeRow& row, const Dims& dims, uint64_t& budget) {
  const size_t width = kernels::bit_width(row.type) / 8;
  const auto fill = [&](const auto& values) {
    return filled(row.type, dims, narrowed(values, width), budget);
  };
  switch (row.holder) {
    case Holder::kFloats: return filled(row.type, dims, proto.float_val.bytes(), budget);
    case Holder::kDoubles: return filled(row.type, dims, proto.double_val.bytes(), budget);
    case Holder::kInts: return fill(proto.int_val);
    case Holder::kHalves: return fill(proto.half_val);
    case Holder::kLongs: return fill(proto.int64_val);
    case Holder::kBools: return fill(proto.bool_val);
    case Holder::kUints: return fill(proto.uint32_val);
    case Holder::kUlongs: return fill(proto.uint64_val);
    case Holder::kStrings: break;
  }
  return strings_of(proto, dims, budget);
}

}  // namespace

Result<DataType> to_data_type(int32_t type) { return TENON_TRY(type_row(type)).type; }

Result<ValueType> to_value_type(int32_t type, const TensorShapeProto* shape) {
  const DataType element = TENON_TRY(to_data_type(type));
  if (!shape || shape->unknown_rank) return ValueType::unranked(element);
  if (shape->dim.size() > Dims::kMaxRank) {
    return fail(ErrorCode::unsupported_operation, "rank {} exceeds {}", shape->dim.size(), Dims::kMaxRank);
  }
  std::vector<kernels::Dim> dims;
  for (const DimProto& dim : shape->dim) {
    if (dim.size < -1) return fail(ErrorCode::invalid_encoding, "dimension {}", dim.size);
    dims.push_back(dim.size < 0 ? kernels::Dim::unknown() : kernels::Dim::constant(dim.size));
  }
  ValueType value = ValueType::tensor(element, std::move(dims));
  if (const auto concrete = value.concrete_dims()) TENON_TRY(kernels::byte_size(DataType::u8, *concrete));
  return value;
}

Result<Tensor> to_tensor(const TensorProto& proto, const std::shared_ptr<const void>& owner,
                         uint64_t& fill_budget) {
  const TypeRow row = TENON_TRY(type_row(proto.dtype));
  const Dims dims = TENON_TRY(to_dims(proto.tensor_shape));
  if (proto.tensor_content.empty() || row.holder == Holder::kStrings)
    return from_field(proto, row, dims, fill_budget);
  const size_t size = TENON_TRY(kernels::byte_size(row.type, dims));
  if (proto.tensor_content.size() == size) {
    return Tensor::view(row.type, dims, std::as_bytes(std::span(proto.tensor_content)), owner);
  }
  return fail(ErrorCode::invalid_encoding, "{} bytes of contents; {} {} takes {}",
              proto.tensor_content.size(), to_string(row.type), to_string(dims), size);
}

}  // namespace tenon::nn::tf
