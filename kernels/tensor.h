// Element types, dimensions, tensors that view or own bytes. No arithmetic on elements here.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"

namespace tenon::kernels {

// name, bits of one element, number in attributes of the graph IR (`to`, `dtype`; TensorProto.DataType of ONNX).
// Strings are counted in elements, never in bytes; they have no raw form. 4-bit integers take a byte each (small_types.h):
// importers unpack them.
#define TENON_DATA_TYPES(X) \
  X(f16, 16, 10)            \
  X(bf16, 16, 16)           \
  X(f32, 32, 1)             \
  X(f64, 64, 11)            \
  X(i8, 8, 3)               \
  X(u8, 8, 2)               \
  X(i16, 16, 5)             \
  X(u16, 16, 4)             \
  X(i32, 32, 6)             \
  X(u32, 32, 12)            \
  X(i64, 64, 7)             \
  X(u64, 64, 13)            \
  X(boolean, 8, 9)          \
  X(string, 0, 8)           \
  X(i4, 8, 22)              \
  X(u4, 8, 21)              \
  X(f8e4m3fn, 8, 17)        \
  X(f8e4m3fnuz, 8, 18)      \
  X(f8e5m2, 8, 19)          \
  X(f8e5m2fnuz, 8, 20)

enum class DataType : std::uint8_t {
  undefined,
#define X(name, bits, number) name,
  TENON_DATA_TYPES(X)
#undef X
};

std::string_view to_string(DataType type);
/// Bits of an element; 0 for undefined and string.
unsigned bit_width(DataType type);
/// The type's number in attributes; 0 for undefined.
std::int64_t onnx_number(DataType type);
/// undefined when no type has this number.
DataType data_type_of(std::int64_t onnx_number);
/// Types that operators compute in; neither holds for i4, u4 and float8.
bool is_float(DataType type);
bool is_integer(DataType type);

/// Dimensions of a concrete tensor, outermost first, each >= 0. Rank is at most kMaxRank: builders of Dims
/// from files and guests check with `from`; the rest of the engine never exceeds it.
class Dims {
 public:
  static constexpr std::size_t kMaxRank = 12;

  Dims() = default;
  Dims(std::initializer_list<std::int64_t> dims) { assign(std::span(dims.begin(), dims.size())); }
  explicit Dims(std::size_t rank, std::int64_t value) : rank_(static_cast<std::uint8_t>(rank)) {
    std::fill_n(dims_.begin(), rank, value);
  }
  /// invalid_argument when the rank exceeds kMaxRank or a dimension is negative.
  static Result<Dims> from(std::span<const std::int64_t> dims);

  std::size_t size() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  std::int64_t& operator[](std::size_t i) { return dims_[i]; }
  std::int64_t operator[](std::size_t i) const { return dims_[i]; }
  std::int64_t& back() { return dims_[rank_ - 1u]; }
  std::int64_t back() const { return dims_[rank_ - 1u]; }
  std::int64_t* begin() { return dims_.data(); }
  std::int64_t* end() { return dims_.data() + rank_; }
  const std::int64_t* begin() const { return dims_.data(); }
  const std::int64_t* end() const { return dims_.data() + rank_; }
  const std::int64_t* data() const { return dims_.data(); }
  /// The caller keeps the rank within kMaxRank.
  void push_back(std::int64_t dim) { dims_[rank_++] = dim; }
  void insert(std::size_t at, std::int64_t dim);
  void erase(std::size_t at);
  void resize(std::size_t rank, std::int64_t value = 1);

  bool operator==(const Dims& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

 private:
  void assign(std::span<const std::int64_t> dims) {
    rank_ = static_cast<std::uint8_t>(dims.size());
    std::copy(dims.begin(), dims.end(), dims_.begin());
  }
  std::array<std::int64_t, kMaxRank> dims_{};
  std::uint8_t rank_ = 0;
};

std::string to_string(const Dims& dims);

/// Number of elements; too_large when it exceeds 2^62. An empty tensor has 0, a scalar 1.
Result<std::int64_t> element_count(const Dims& dims);
/// Bytes of a densely packed tensor; too_large on overflow. For strings sizeof(std::string) each.
Result<std::size_t> byte_size(DataType type, const Dims& dims);

/// One dimension of a declared type: a constant, a named symbol (equal names are equal sizes), or unknown.
struct Dim {
  std::int64_t value = -1;  // >= 0: constant
  std::string symbol;       // when value < 0: a name, or empty = unknown

  static Dim constant(std::int64_t value) { return {value, {}}; }
  static Dim named(std::string name) { return {-1, std::move(name)}; }
  static Dim unknown() { return {}; }
  bool is_constant() const { return value >= 0; }
  bool operator==(const Dim&) const = default;
};

/// A type as declared in a file: tensor, sequence of, or optional of.
struct ValueType {
  enum class Kind : std::uint8_t { tensor, sequence, optional };
  Kind kind = Kind::tensor;
  DataType element = DataType::undefined;      // tensor; undefined = not declared
  std::optional<std::vector<Dim>> shape;       // tensor; nullopt = unknown rank
  std::shared_ptr<const ValueType> contained;  // sequence and optional

  static ValueType tensor(DataType element, std::vector<Dim> shape) {
    return {Kind::tensor, element, std::move(shape), nullptr};
  }
  static ValueType tensor(DataType element, const Dims& dims);
  static ValueType unranked(DataType element) { return {Kind::tensor, element, std::nullopt, nullptr}; }
  static ValueType sequence(ValueType of) {
    return {Kind::sequence, DataType::undefined, std::nullopt,
            std::make_shared<const ValueType>(std::move(of))};
  }
  static ValueType optional(ValueType of) {
    return {Kind::optional, DataType::undefined, std::nullopt,
            std::make_shared<const ValueType>(std::move(of))};
  }
  /// Every dimension constant: the concrete dims; otherwise nothing.
  std::optional<Dims> concrete_dims() const;
};

std::string to_string(const ValueType& type);

/// Bytes of somebody else, row-major and dense, any alignment. Never strings.
struct TensorView {
  DataType type = DataType::undefined;
  Dims dims;
  std::span<const std::byte> bytes;
};

/// An immutable tensor that shares ownership of its bytes: a mapped file, a copy, a heap block. Cheap to
/// copy.
class Tensor {
 public:
  Tensor() = default;

  /// Views `bytes` (any alignment), kept alive by `owner`. invalid_argument when the length disagrees with
  /// type and dims.
  static Result<Tensor> view(DataType type, const Dims& dims, std::span<const std::byte> bytes,
                             std::shared_ptr<const void> owner);
  /// Owns a copy of `bytes`.
  static Result<Tensor> copy(DataType type, const Dims& dims, std::span<const std::byte> bytes);
  /// Owns zeroed bytes, aligned to 64; `mutable_data` fills them until the tensor is shared. too_large beyond
  /// max_bytes.
  static Result<Tensor> allocate(DataType type, const Dims& dims,
                                 std::uint64_t max_bytes = std::uint64_t{1} << 40);
  static Result<Tensor> strings(const Dims& dims, std::vector<std::string> values);
  /// From elements of the C++ type that corresponds to `type`; for tests and small constants.
  template <class T>
  static Result<Tensor> of(DataType type, const Dims& dims, std::span<const T> values) {
    return copy(type, dims, std::as_bytes(values));
  }

  DataType type() const { return type_; }
  const Dims& dims() const { return dims_; }
  std::int64_t count() const { return count_; }
  bool defined() const { return type_ != DataType::undefined; }
  /// Raw bytes; empty for strings.
  std::span<const std::byte> bytes() const {
    return type_ == DataType::string ? std::span<const std::byte>() : std::span(data_, size_);
  }
  std::span<const std::string> strings() const;
  const std::byte* data() const { return data_; }
  /// Only for the creator of an allocated tensor, before it is shared.
  std::byte* mutable_data() { return const_cast<std::byte*>(data_); }
  std::span<std::string> mutable_strings();
  /// The same bytes with other dims of the same element count (checked).
  Result<Tensor> reshaped(const Dims& dims) const;
  TensorView view() const { return {type_, dims_, bytes()}; }

 private:
  DataType type_ = DataType::undefined;
  Dims dims_;
  std::int64_t count_ = 0;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::shared_ptr<const void> owner_;
};

/// A run-time value: tensor, sequence (possibly empty) or optional (possibly without content).
struct Value {
  using Sequence = std::vector<Value>;
  ValueType::Kind kind = ValueType::Kind::tensor;
  Tensor tensor;      // kind tensor
  Sequence elements;  // kind sequence: its elements; kind optional: none or one element

  static Value of(Tensor t) { return {ValueType::Kind::tensor, std::move(t), {}}; }
  static Value sequence(Sequence s) { return {ValueType::Kind::sequence, {}, std::move(s)}; }
  static Value none() { return {ValueType::Kind::optional, {}, {}}; }
  static Value some(Value v);
};

}  // namespace tenon::kernels
