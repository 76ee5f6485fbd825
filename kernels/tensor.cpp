// Tensors: sizes with overflow checks, views and owned bytes.
#include "kernels/tensor.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>

namespace tenon::kernels {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 62;
constexpr std::align_val_t kAlignment{64};

struct TypeRow {
  std::string_view name;
  unsigned bits;
  std::int64_t onnx_number;
};
constexpr TypeRow kTypes[] = {{"undefined", 0, 0},
#define X(name, bits, number) {#name, bits, number},
                              TENON_DATA_TYPES(X)
#undef X
};

}  // namespace

std::string_view to_string(DataType type) {
  return type == DataType::boolean ? "bool" : kTypes[static_cast<std::size_t>(type)].name;
}
unsigned bit_width(DataType type) { return kTypes[static_cast<std::size_t>(type)].bits; }
std::int64_t onnx_number(DataType type) { return kTypes[static_cast<std::size_t>(type)].onnx_number; }
DataType data_type_of(std::int64_t onnx_number) {
  const auto* row = std::ranges::find(kTypes, onnx_number, &TypeRow::onnx_number);
  return row == std::end(kTypes) ? DataType::undefined : static_cast<DataType>(row - kTypes);
}
bool is_float(DataType type) {
  return type == DataType::f16 || type == DataType::bf16 || type == DataType::f32 || type == DataType::f64;
}
bool is_integer(DataType type) { return type >= DataType::i8 && type <= DataType::u64; }

Result<Dims> Dims::from(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank) {
    return fail(ErrorCode::invalid_argument, "rank {} exceeds the supported {}", dims.size(), kMaxRank);
  }
  for (const auto dim : dims) {
    if (dim < 0) return fail(ErrorCode::invalid_argument, "negative dimension {}", dim);
  }
  Dims out;
  out.assign(dims);
  return out;
}

void Dims::insert(std::size_t at, std::int64_t dim) {
  std::copy_backward(begin() + at, end(), end() + 1);
  dims_[at] = dim;
  ++rank_;
}

void Dims::erase(std::size_t at) {
  std::copy(begin() + at + 1, end(), begin() + at);
  --rank_;
}

void Dims::resize(std::size_t rank, std::int64_t value) {
  for (std::size_t i = rank_; i < rank; ++i) dims_[i] = value;
  rank_ = static_cast<std::uint8_t>(rank);
}

std::string to_string(const Dims& dims) {
  return fmt::format("[{}]", fmt::join(dims.begin(), dims.end(), ","));
}

Result<std::int64_t> element_count(const Dims& dims) {
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return 0;
  std::int64_t count = 1;
  for (const auto dim : dims) {
    if (__builtin_mul_overflow(count, dim, &count) || count > kMaxElements) {
      return fail(ErrorCode::too_large, "dimensions {} overflow", to_string(dims));
    }
  }
  return count;
}

Result<std::size_t> byte_size(DataType type, const Dims& dims) {
  const auto count = static_cast<std::size_t>(TENON_TRY(element_count(dims)));
  const std::size_t element = type == DataType::string ? sizeof(std::string) : bit_width(type) / 8;
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, element, &bytes) || bytes > (std::size_t{1} << 62)) {
    return fail(ErrorCode::too_large, "a tensor of {} {} overflows", to_string(type), to_string(dims));
  }
  return bytes;
}

ValueType ValueType::tensor(DataType element, const Dims& dims) {
  std::vector<Dim> shape;
  for (const auto dim : dims) shape.push_back(Dim::constant(dim));
  return tensor(element, std::move(shape));
}

std::optional<Dims> ValueType::concrete_dims() const {
  if (kind != Kind::tensor || !shape || shape->size() > Dims::kMaxRank) return std::nullopt;
  Dims dims;
  for (const auto& dim : *shape) {
    if (!dim.is_constant()) return std::nullopt;
    dims.push_back(dim.value);
  }
  return dims;
}

std::string to_string(const ValueType& type) {
  if (type.kind != ValueType::Kind::tensor) {
    return fmt::format("{}({})", type.kind == ValueType::Kind::sequence ? "sequence" : "optional",
                       type.contained ? to_string(*type.contained) : "?");
  }
  std::string out(to_string(type.element));
  if (!type.shape) return out + "[…]";
  out += '[';
  for (std::size_t i = 0; i < type.shape->size(); ++i) {
    const auto& dim = (*type.shape)[i];
    if (i > 0) out += ',';
    out += dim.is_constant() ? std::to_string(dim.value) : dim.symbol.empty() ? "?" : dim.symbol;
  }
  return out + ']';
}

Result<Tensor> Tensor::view(DataType type, const Dims& dims, std::span<const std::byte> bytes,
                            std::shared_ptr<const void> owner) {
  if (type == DataType::string || type == DataType::undefined) {
    return fail(ErrorCode::invalid_argument, "a tensor of {} has no raw bytes", to_string(type));
  }
  const auto size = TENON_TRY(byte_size(type, dims));
  if (bytes.size() != size) {
    return fail(ErrorCode::invalid_argument, "{} bytes for a tensor of {} {}, which has {}", bytes.size(),
                to_string(type), to_string(dims), size);
  }
  Tensor t;
  t.type_ = type;
  t.dims_ = dims;
  t.count_ = TENON_TRY(element_count(dims));
  t.data_ = bytes.data();
  t.size_ = size;
  t.owner_ = std::move(owner);
  return t;
}

Result<Tensor> Tensor::allocate(DataType type, const Dims& dims, std::uint64_t max_bytes) {
  const auto size = TENON_TRY(byte_size(type, dims));
  if (size > max_bytes) {
    return fail(ErrorCode::too_large, "a tensor of {} {} has {} bytes, the limit is {}", to_string(type),
                to_string(dims), size, max_bytes);
  }
  if (type == DataType::string) {
    return strings(dims, std::vector<std::string>(static_cast<std::size_t>(TENON_TRY(element_count(dims)))));
  }
  auto* data =
      static_cast<std::byte*>(::operator new(std::max<std::size_t>(size, 1), kAlignment, std::nothrow));
  if (data == nullptr) return fail(ErrorCode::too_large, "out of memory for {} bytes", size);
  std::memset(data, 0, size);
  std::shared_ptr<const void> owner(data, [](void* p) { ::operator delete(p, kAlignment); });
  return view(type, dims, {data, size}, std::move(owner));
}

Result<Tensor> Tensor::copy(DataType type, const Dims& dims, std::span<const std::byte> bytes) {
  // The lengths are compared before memory is taken: dims may be hostile.
  TENON_TRY(view(type, dims, bytes, nullptr));
  auto t = TENON_TRY(allocate(type, dims));
  if (!bytes.empty()) std::memcpy(t.mutable_data(), bytes.data(), bytes.size());
  return t;
}

Result<Tensor> Tensor::strings(const Dims& dims, std::vector<std::string> values) {
  const auto count = TENON_TRY(element_count(dims));
  if (static_cast<std::uint64_t>(count) != values.size()) {
    return fail(ErrorCode::invalid_argument, "{} strings for dimensions {}", values.size(), to_string(dims));
  }
  auto owner = std::make_shared<std::vector<std::string>>(std::move(values));
  Tensor t;
  t.type_ = DataType::string;
  t.dims_ = dims;
  t.count_ = count;
  t.data_ = reinterpret_cast<const std::byte*>(owner->data());
  t.size_ = owner->size() * sizeof(std::string);
  t.owner_ = std::move(owner);
  return t;
}

std::span<const std::string> Tensor::strings() const {
  if (type_ != DataType::string) return {};
  return {reinterpret_cast<const std::string*>(data_), static_cast<std::size_t>(count_)};
}

std::span<std::string> Tensor::mutable_strings() {
  if (type_ != DataType::string) return {};
  return {reinterpret_cast<std::string*>(mutable_data()), static_cast<std::size_t>(count_)};
}

Result<Tensor> Tensor::reshaped(const Dims& dims) const {
  const auto count = TENON_TRY(element_count(dims));
  if (count != count_) {
    return fail(ErrorCode::invalid_argument, "{} elements do not fill {}", count_, to_string(dims));
  }
  Tensor t = *this;
  t.dims_ = dims;
  return t;
}

Value Value::some(Value v) {
  Value out = none();
  out.elements.push_back(std::move(v));
  return out;
}

}  // namespace tenon::kernels
