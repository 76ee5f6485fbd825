// Conversions of ONNX tensors and types; see onnx_tensor.h.
#include "wasi-nn/formats/onnx_tensor.h"

#include <charconv>

namespace tenon::nn::onnx {
namespace {

using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Tensor;
using kernels::Value;
using kernels::ValueType;
using KernelType = kernels::DataType;

// The TensorProto field that holds a type's elements outside raw_data.
enum class Holder { kFloat, kDouble, kInt32, kInt64, kUint64, kStrings };
Holder holder_of(KernelType type) {
  switch (type) {
    case KernelType::f32: return Holder::kFloat;
    case KernelType::f64: return Holder::kDouble;
    case KernelType::i64: return Holder::kInt64;
    case KernelType::u32:
    case KernelType::u64: return Holder::kUint64;
    case KernelType::string: return Holder::kStrings;
    default: return Holder::kInt32;
  }
}

Result<uint64_t> parse_number(std::string_view key, std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(ErrorCode::invalid_encoding, "external data: {} '{}' is no number", key, text);
  }
  return value;
}

// Narrows elements of a wider field to the tensor's own width, the way protobuf stores small integers.
template <typename From>
Result<Tensor> narrow(KernelType type, const Dims& dims, std::span<const From> from) {
  Tensor tensor = TENON_TRY(Tensor::allocate(type, dims));
  const size_t width = kernels::bit_width(type) / 8;
  for (size_t i = 0; i < from.size(); ++i) std::memcpy(tensor.mutable_data() + i * width, &from[i], width);
  return tensor;
}

bool is_packed(KernelType type) { return type == KernelType::i4 || type == KernelType::u4; }

// 4-bit elements come two to a byte, the first in the lower half; each gets a byte of its own.
Result<Tensor> unpack(KernelType type, const Dims& dims, std::span<const std::byte> bytes) {
  Tensor tensor = TENON_TRY(Tensor::allocate(type, dims));
  for (size_t i = 0; i < static_cast<size_t>(tensor.count()); ++i)
    tensor.mutable_data()[i] = (i % 2 == 0 ? bytes[i / 2] : bytes[i / 2] >> 4) & std::byte{0xf};
  return tensor;
}

Result<Tensor> from_field(const TensorProto& proto, KernelType type, const Dims& dims, int64_t count,
                          TensorSource& source) {
  const auto check = [&](size_t have) -> Result<void> {
    if (have == static_cast<size_t>(is_packed(type) ? count / 2 + count % 2 : count)) return {};
    return fail(ErrorCode::invalid_encoding, "{} elements for dims {}", have, to_string(dims));
  };
  switch (holder_of(type)) {
    case Holder::kFloat:
    case Holder::kDouble: {
      const bool is_float = type == KernelType::f32;
      TENON_TRY(check(is_float ? proto.float_data.size() : proto.double_data.size()));
      const bool packed = is_float ? proto.float_data.loose.empty() : proto.double_data.loose.empty();
      const auto bytes = is_float ? proto.float_data.bytes() : proto.double_data.bytes();
      return packed ? Tensor::view(type, dims, bytes, source.owner()) : Tensor::copy(type, dims, bytes);
    }
    case Holder::kInt32:
      TENON_TRY(check(proto.int32_data.size()));
      if (is_packed(type)) {
        std::vector<std::byte> bytes;
        for (const int32_t pair : proto.int32_data) bytes.push_back(static_cast<std::byte>(pair & 0xff));
        return unpack(type, dims, bytes);
      }
      return narrow(type, dims, std::span(proto.int32_data));
    case Holder::kInt64:
      TENON_TRY(check(proto.int64_data.size()));
      return narrow(type, dims, std::span(proto.int64_data));
    case Holder::kUint64:
      TENON_TRY(check(proto.uint64_data.size()));
      return narrow(type, dims, std::span(proto.uint64_data));
    case Holder::kStrings:
      TENON_TRY(check(proto.string_data.size()));
      return Tensor::strings(dims, {proto.string_data.begin(), proto.string_data.end()});
  }
  return fail(ErrorCode::invalid_encoding, "unknown holder");
}

Result<Tensor> convert(const TensorProto& proto, TensorSource& source) {
  const KernelType type = TENON_TRY(to_data_type(proto.data_type));
  const Dims dims = TENON_TRY(Dims::from(proto.dims));
  const int64_t count = TENON_TRY(kernels::element_count(dims));
  const size_t unpacked = TENON_TRY(kernels::byte_size(type, dims));
  const size_t size = is_packed(type) ? unpacked / 2 + unpacked % 2 : unpacked;
  const bool is_string = type == KernelType::string;
  if (proto.data_location == 1) {
    if (is_string) return fail(ErrorCode::invalid_encoding, "strings cannot be external data");
    std::shared_ptr<const void> keeper;
    const auto bytes = TENON_TRY(source.external(proto, size, keeper));
    if (is_packed(type)) return unpack(type, dims, bytes);
    return Tensor::view(type, dims, bytes, keeper);
  }
  if (proto.raw_data.empty() || is_string) return from_field(proto, type, dims, count, source);
  if (proto.raw_data.size() != size) {
    return fail(ErrorCode::invalid_encoding, "{} bytes of raw data; {} {} takes {}", proto.raw_data.size(),
                to_string(type), to_string(dims), size);
  }
  const auto bytes = std::as_bytes(std::span(proto.raw_data));
  if (is_packed(type)) return unpack(type, dims, bytes);
  return Tensor::view(type, dims, bytes, source.owner());
}

// A bad tensor of a model is bad encoding, whatever the helper that found it calls it.
kernels::Error place_error(kernels::Error error, std::string_view kind, std::string_view name) {
  if (error.code == ErrorCode::invalid_argument || error.code == ErrorCode::too_large) {
    error.code = ErrorCode::invalid_encoding;
  }
  return kernels::with_place(std::move(error), fmt::format("{} '{}'", kind, name));
}

Result<ValueType> tensor_type(const TensorTypeProto& proto) {
  const KernelType element =
      proto.elem_type == 0 ? KernelType::undefined : TENON_TRY(to_data_type(proto.elem_type));
  if (!proto.shape) return ValueType::unranked(element);
  if (proto.shape->dim.size() > Dims::kMaxRank) {
    return fail(ErrorCode::invalid_encoding, "rank {} exceeds {}", proto.shape->dim.size(), Dims::kMaxRank);
  }
  std::vector<kernels::Dim> dims;
  for (const DimensionProto& dim : proto.shape->dim) {
    if (!dim.dim_value) {
      dims.push_back(kernels::Dim::named(std::string(dim.dim_param)));
    } else if (*dim.dim_value == -1) {
      dims.push_back(kernels::Dim::unknown());
    } else if (*dim.dim_value < -1) {
      return fail(ErrorCode::invalid_encoding, "dimension {}", *dim.dim_value);
    } else {
      dims.push_back(kernels::Dim::constant(*dim.dim_value));
    }
  }
  ValueType type = ValueType::tensor(element, std::move(dims));
  if (const auto concrete = type.concrete_dims()) TENON_TRY(kernels::byte_size(KernelType::u8, *concrete));
  return type;
}

}  // namespace

Result<std::span<const std::byte>> TensorSource::external(const TensorProto& proto, size_t expected_bytes,
                                                          std::shared_ptr<const void>& keeper) {
  std::string_view location;
  uint64_t offset = 0;
  uint64_t length = expected_bytes;
  for (const auto& entry : proto.external_data) {
    if (entry.key == "location") location = entry.value;
    if (entry.key == "offset") offset = TENON_TRY(parse_number(entry.key, entry.value));
    if (entry.key == "length") length = TENON_TRY(parse_number(entry.key, entry.value));
  }
  if (folder_.empty()) {
    return fail(ErrorCode::invalid_encoding, "external data '{}' needs a model that was loaded from a file",
                location);
  }
  if (length != expected_bytes) {
    return fail(ErrorCode::invalid_encoding, "external data '{}': length {}, the tensor takes {}", location,
                length, expected_bytes);
  }
  auto it = files_.find(location);
  if (it == files_.end()) {
    auto file = TENON_TRY(MappedFile::open_below(folder_, location, access_));
    it = files_.emplace(std::string(location), std::move(file)).first;
  }
  const auto bytes = it->second->bytes();
  if (offset > bytes.size() || length > bytes.size() - offset) {
    return fail(ErrorCode::invalid_encoding, "external data '{}': {} bytes at {} of a file of {}", location,
                length, offset, bytes.size());
  }
  keeper = it->second;
  return bytes.subspan(offset, length);
}

Result<KernelType> to_data_type(int32_t onnx_number) {
  const KernelType type = kernels::data_type_of(onnx_number);
  if (type != KernelType::undefined) return type;
  if (onnx_number <= 0)
    return fail(ErrorCode::invalid_encoding, "element type {} is not defined", onnx_number);
  return fail(ErrorCode::unsupported_operation, "element type {} is not supported", onnx_number);
}

Result<Tensor> to_tensor(const TensorProto& proto, TensorSource& source) {
  auto tensor = convert(proto, source);
  if (!tensor) return std::unexpected(place_error(std::move(tensor).error(), "tensor", proto.name));
  return tensor;
}

Result<Tensor> to_tensor(const SparseTensorProto& proto, TensorSource& source) {
  const std::string_view name = proto.values ? proto.values->name : std::string_view();
  const auto bad = [&](std::string_view what) {
    return fail(ErrorCode::invalid_encoding, "sparse tensor '{}': {}", name, what);
  };
  if (!proto.values || !proto.indices) return bad("values or indices missing");
  const Tensor values = TENON_TRY(to_tensor(*proto.values, source));
  const Tensor indices = TENON_TRY(to_tensor(*proto.indices, source));
  const Dims dims = TENON_TRY(Dims::from(proto.dims));
  if (values.type() == KernelType::string || indices.type() != KernelType::i64)
    return bad("wrong element types");
  const size_t rank = dims.size();
  const bool linear = indices.dims().size() == 1;
  if (values.dims().size() != 1 ||
      indices.count() != (linear ? values.count() : values.count() * int64_t(rank))) {
    return bad("values and indices do not match");
  }
  Tensor dense = TENON_TRY(Tensor::allocate(values.type(), dims, uint64_t{1} << 31));
  const size_t width = kernels::bit_width(values.type()) / 8;
  for (int64_t i = 0; i < values.count(); ++i) {
    int64_t at = 0;
    for (size_t d = 0; d < (linear ? 1 : rank); ++d) {
      int64_t index = 0;
      std::memcpy(&index, indices.data() + (linear ? size_t(i) : size_t(i) * rank + d) * 8, 8);
      const int64_t bound = linear ? dense.count() : dims[d];
      if (index < 0 || index >= bound) return bad("an index is out of range");
      at = linear ? index : at * dims[d] + index;
    }
    std::memcpy(dense.mutable_data() + size_t(at) * width, values.data() + size_t(i) * width, width);
  }
  return dense;
}

Result<Value> to_value(const SequenceProto& proto, TensorSource& source) {
  if (proto.elem_type > 1) {
    return fail(ErrorCode::unsupported_operation, "sequence '{}': only sequences of tensors are supported",
                proto.name);
  }
  Value::Sequence elements;
  for (const TensorProto& tensor : proto.tensor_values) {
    elements.push_back(Value::of(TENON_TRY(to_tensor(tensor, source))));
  }
  return Value::sequence(std::move(elements));
}

Result<Value> to_value(const OptionalProto& proto, TensorSource& source) {
  if (proto.tensor_value) return Value::some(Value::of(TENON_TRY(to_tensor(*proto.tensor_value, source))));
  if (proto.sequence_value) return Value::some(TENON_TRY(to_value(*proto.sequence_value, source)));
  if (proto.elem_type > 3) {
    return fail(ErrorCode::unsupported_operation, "optional '{}': only tensors and sequences are supported",
                proto.name);
  }
  return Value::none();
}

Result<ValueType> to_value_type(const TypeProto& proto) {
  if (proto.tensor_type) return tensor_type(*proto.tensor_type);
  if (proto.sequence_type && proto.sequence_type->elem_type) {
    return ValueType::sequence(TENON_TRY(to_value_type(*proto.sequence_type->elem_type)));
  }
  if (proto.optional_type && proto.optional_type->elem_type) {
    return ValueType::optional(TENON_TRY(to_value_type(*proto.optional_type->elem_type)));
  }
  return ValueType{};  // nothing declared, or a kind that the operators around it will refuse
}

}  // namespace tenon::nn::onnx
