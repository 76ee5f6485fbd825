// Reading tensors from files; see tensor_file.h.
#include "wasi-nn/formats/tensor_file.h"

#include <charconv>

#include "wasi-nn/formats/onnx_tensor.h"
#include "wasi-nn/mapped_file.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::decode_image;
using kernels::Dims;
using kernels::ErrorCode;
using kernels::fail;
using kernels::Image;
using kernels::Tensor;
using kernels::Value;
using kernels::ValueType;

struct NpyType {
  std::string_view descr;  // without the byte order
  DataType type;
};
constexpr NpyType kNpyTypes[] = {{"f2", DataType::f16}, {"f4", DataType::f32}, {"f8", DataType::f64},
                                 {"i1", DataType::i8},  {"u1", DataType::u8},  {"i2", DataType::i16},
                                 {"u2", DataType::u16}, {"i4", DataType::i32}, {"u4", DataType::u32},
                                 {"i8", DataType::i64}, {"u8", DataType::u64}, {"b1", DataType::boolean}};

// The text after "'key':" in the header's dictionary, without leading blanks.
std::string_view npy_entry(std::string_view header, std::string_view key) {
  const std::string quoted = fmt::format("'{}'", key);
  const size_t at = header.find(quoted);
  if (at == header.npos) return {};
  const size_t begin = header.find_first_not_of(" :", at + quoted.size());
  return begin == header.npos ? std::string_view() : header.substr(begin);
}

// "(1, 28, 28)" or "(3,)" or "()".
Result<Dims> npy_shape(std::string_view text) {
  const size_t end = text.find(')');
  if (!text.starts_with('(') || end == text.npos) return fail(ErrorCode::invalid_encoding, "npy: no shape");
  std::vector<int64_t> dims;
  for (size_t at = 1; at < end;) {
    at = text.find_first_not_of(" ,", at);
    if (at >= end) break;
    int64_t dim = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, dim);
    if (error != std::errc())
      return fail(ErrorCode::invalid_encoding, "npy: shape {}", text.substr(0, end + 1));
    dims.push_back(dim);
    at = static_cast<size_t>(stop - text.data());
  }
  return Dims::from(dims);
}

Result<DataType> npy_type(std::string_view descr) {
  if (descr.size() < 5 || descr.front() != '\'')
    return fail(ErrorCode::invalid_encoding, "npy: no element type");
  const char order = descr[1];
  const std::string_view name = descr.substr(2, 2);
  for (const NpyType& row : kNpyTypes) {
    if (row.descr != name || descr[4] != '\'') continue;
    if (order == '>' && kernels::bit_width(row.type) > 8) break;
    return row.type;
  }
  return fail(ErrorCode::unsupported_operation, "npy: element type {}", descr.substr(0, 5));
}

bool ends_with_any(std::string_view path, std::initializer_list<std::string_view> ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return path.ends_with(end); });
}

// Where a picture's rows, columns and channels are in a tensor.
struct PictureLayout {
  Dims dims;
  int64_t height = 0, width = 0, channels = 0;
  bool channels_first = true;
};

// Dynamic dims become the picture's own size; a dynamic batch becomes 1.
Result<PictureLayout> picture_layout(const ValueType& wanted, const Image& image) {
  if (!wanted.shape || wanted.shape->size() < 2 || wanted.shape->size() > 4) {
    return fail(ErrorCode::invalid_argument, "a picture does not fit {}", to_string(wanted));
  }
  std::vector<int64_t> dims;
  for (const auto& dim : *wanted.shape) dims.push_back(dim.is_constant() ? dim.value : 0);
  const size_t rank = dims.size();
  if (rank == 4 && dims[0] <= 1) dims[0] = 1;
  const auto is_channels = [](int64_t d) { return d == 1 || d == 3; };
  PictureLayout layout;
  layout.channels_first = rank == 2 || is_channels(dims[rank - 3]) || !is_channels(dims[rank - 1]);
  const size_t h = layout.channels_first ? rank - 2 : rank - 3;
  if (dims[h] == 0) dims[h] = image.height;
  if (dims[h + 1] == 0) dims[h + 1] = image.width;
  const size_t c = layout.channels_first ? rank - 3 : rank - 1;
  if (rank > 2 && dims[c] == 0) dims[c] = image.channels;
  layout.height = dims[h];
  layout.width = dims[h + 1];
  layout.channels = rank == 2 ? 1 : dims[c];
  if (!is_channels(layout.channels) || layout.height < 1 || layout.width < 1 || layout.height > (1 << 16) ||
      layout.width > (1 << 16) || (rank == 4 && dims[0] != 1)) {
    return fail(ErrorCode::invalid_argument, "a picture does not fit {}", to_string(wanted));
  }
  layout.dims = TENON_TRY(Dims::from(dims));
  return layout;
}

}  // namespace

Result<Tensor> parse_npy(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with("\x93NUMPY") || text.size() < 12)
    return fail(ErrorCode::invalid_encoding, "npy: no npy file");
  const auto byte_at = [&](size_t i) { return static_cast<size_t>(bytes[i]); };
  const size_t header_at = text[6] == 1 ? 10 : 12;
  size_t length = byte_at(8) | byte_at(9) << 8;
  if (header_at == 12) length |= byte_at(10) << 16 | byte_at(11) << 24;
  if (length > text.size() - header_at)
    return fail(ErrorCode::invalid_encoding, "npy: the header is cut off");
  const std::string_view header = text.substr(header_at, length);
  const DataType type = TENON_TRY(npy_type(npy_entry(header, "descr")));
  const Dims dims = TENON_TRY(npy_shape(npy_entry(header, "shape")));
  if (!npy_entry(header, "fortran_order").starts_with("False")) {
    return fail(ErrorCode::unsupported_operation, "npy: Fortran order");
  }
  return Tensor::view(type, dims, bytes.subspan(header_at + length), std::move(owner));
}

Result<std::string> format_npy(const Tensor& tensor) {
  const auto row = std::ranges::find(kNpyTypes, tensor.type(), &NpyType::type);
  if (row == std::end(kNpyTypes)) {
    return fail(ErrorCode::unsupported_operation, "npy has no element type {}", to_string(tensor.type()));
  }
  std::string shape;
  for (const int64_t dim : tensor.dims()) shape += fmt::format("{}, ", dim);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   kernels::bit_width(tensor.type()) == 8 ? '|' : '<', row->descr, shape);
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  out.append(reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size());
  return out;
}

Result<Tensor> parse_raw(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                         const ValueType& wanted) {
  const unsigned width = kernels::bit_width(wanted.element) / 8;
  if (wanted.kind != ValueType::Kind::tensor || width == 0) {
    return fail(ErrorCode::invalid_argument, "raw bytes cannot be {}", to_string(wanted));
  }
  const auto elements = static_cast<int64_t>(bytes.size() / width);
  std::vector<int64_t> dims;
  if (!wanted.shape) {
    dims = {elements};
  } else {
    std::optional<size_t> dynamic;
    int64_t known = 1;
    for (size_t i = 0; i < wanted.shape->size(); ++i) {
      const kernels::Dim& dim = (*wanted.shape)[i];
      if (!dim.is_constant() && dynamic) {
        return fail(ErrorCode::invalid_argument, "raw bytes do not tell the dimensions of {}",
                    to_string(wanted));
      }
      if (!dim.is_constant()) dynamic = i;
      if (dim.is_constant() && __builtin_mul_overflow(known, dim.value, &known)) {
        return fail(ErrorCode::invalid_argument, "dimensions of {} overflow", to_string(wanted));
      }
      dims.push_back(dim.value);
    }
    if (dynamic) dims[*dynamic] = known > 0 ? elements / known : 0;
  }
  return Tensor::view(wanted.element, TENON_TRY(Dims::from(dims)), bytes, std::move(owner));
}

Result<Tensor> picture_tensor(std::span<const std::byte> bytes, const ValueType& wanted) {
  Image image = TENON_TRY(decode_image(bytes, 0));
  const PictureLayout layout = TENON_TRY(picture_layout(wanted, image));
  if (image.channels != layout.channels)
    image = TENON_TRY(decode_image(bytes, static_cast<int>(layout.channels)));
  if (wanted.element != DataType::f32 && wanted.element != DataType::u8) {
    return fail(ErrorCode::invalid_argument, "a picture becomes f32 or u8, not {}",
                to_string(wanted.element));
  }
  Tensor tensor = TENON_TRY(Tensor::allocate(wanted.element, layout.dims));
  const std::vector<float> pixels =
      kernels::resize_bilinear(image, static_cast<int>(layout.width), static_cast<int>(layout.height));
  const auto plane = static_cast<size_t>(layout.height * layout.width);
  const auto channels = static_cast<size_t>(layout.channels);
  for (size_t p = 0; p < plane; ++p) {
    for (size_t c = 0; c < channels; ++c) {
      const size_t at = layout.channels_first ? c * plane + p : p * channels + c;
      const float value = pixels[p * channels + c];
      if (wanted.element == DataType::u8) {
        tensor.mutable_data()[at] = static_cast<std::byte>(value + 0.5f);
      } else {
        const float scaled = value / 255.0f;
        std::memcpy(tensor.mutable_data() + at * sizeof(float), &scaled, sizeof scaled);
      }
    }
  }
  return tensor;
}

Result<Value> parse_pb(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                       const ValueType& wanted) {
  onnx::TensorSource source(std::move(owner), {}, FileAccess::kRead);
  switch (wanted.kind) {
    case ValueType::Kind::sequence: return to_value(TENON_TRY(onnx::decode_sequence(bytes)), source);
    case ValueType::Kind::optional: return to_value(TENON_TRY(onnx::decode_optional(bytes)), source);
    case ValueType::Kind::tensor: break;
  }
  Tensor tensor = TENON_TRY(to_tensor(TENON_TRY(onnx::decode_tensor(bytes)), source));
  // The suite's writer had no bfloat16 and stored its bits as 16-bit integers.
  if (tensor.type() == DataType::u16 && wanted.element == DataType::bf16) {
    tensor = TENON_TRY(Tensor::copy(DataType::bf16, tensor.dims(), tensor.bytes()));
  }
  return Value::of(std::move(tensor));
}

Result<Value> read_value(const std::string& path, const ValueType& wanted) {
  const auto file = TENON_TRY(MappedFile::open(path));
  const auto place = [&](auto result) -> Result<Value> {
    if (!result) return std::unexpected(kernels::with_place(std::move(result).error(), path));
    if constexpr (std::is_same_v<decltype(result), Result<Value>>) {
      return result;
    } else {
      return Value::of(*std::move(result));
    }
  };
  if (path.ends_with(".npy")) return place(parse_npy(file->bytes(), file));
  if (path.ends_with(".pb")) return place(parse_pb(file->bytes(), file, wanted));
  if (ends_with_any(path, {".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm"}))
    return place(picture_tensor(file->bytes(), wanted));
  if (ends_with_any(path, {".bin", ".raw"})) return place(parse_raw(file->bytes(), file, wanted));
  return fail(ErrorCode::invalid_argument, "{}: its name ends in none of .npy .pb .png .jpg .bin", path);
}

DataType parse_data_type(std::string_view name) {
#define X(type, bits, number) \
  if (name == #type) return DataType::type;
  TENON_DATA_TYPES(X)
#undef X
  return name == "bool" ? DataType::boolean : DataType::undefined;
}

}  // namespace tenon::nn
