// C++ types of tensor elements, unaligned access to them, and dispatch from DataType to a template.
// Callers' bytes may lie at any address, so no kernel dereferences a typed pointer into them.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/small_types.h"
#include "kernels/tensor.h"

namespace tenon::kernels {

using f16_t = _Float16;

/// Brain float: the upper half of an f32, rounded to nearest even.
struct bf16_t {
  std::uint16_t bits = 0;
  bf16_t() = default;
  bf16_t(float value) {
    auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<std::uint16_t>((u >> 16) | 0x40);  // NaN stays NaN
    } else {
      u += 0x7fff + ((u >> 16) & 1);
      bits = static_cast<std::uint16_t>(u >> 16);
    }
  }
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

/// A byte that is false when 0. Bytes from outside may hold anything, which a C++ bool must not.
struct bool_t {
  std::uint8_t byte = 0;
  bool_t() = default;
  bool_t(bool value) : byte(value ? 1 : 0) {}
  operator bool() const { return byte != 0; }
};

template <class T>
inline constexpr DataType kDataTypeOf = DataType::undefined;
// clang-format off
#define TENON_ELEMENTS(X) \
  X(f16, f16_t) \
  X(bf16, bf16_t) \
  X(f32, float) \
  X(f64, double) \
  X(i8, std::int8_t) \
  X(u8, std::uint8_t) \
  X(i16, std::int16_t) \
  X(u16, std::uint16_t) \
  X(i32, std::int32_t) \
  X(u32, std::uint32_t) \
  X(i64, std::int64_t) \
  X(u64, std::uint64_t) \
  X(boolean, bool_t) \
  X(string, std::string) \
  X(i4, i4_t) \
  X(u4, u4_t) \
  X(f8e4m3fn, f8e4m3fn_t) \
  X(f8e4m3fnuz, f8e4m3fnuz_t) \
  X(f8e5m2, f8e5m2_t) \
  X(f8e5m2fnuz, f8e5m2fnuz_t)
// clang-format on
#define X(name, type) \
  template <>         \
  inline constexpr DataType kDataTypeOf<type> = DataType::name;
TENON_ELEMENTS(X)
#undef X

template <class T>
inline constexpr bool kIsFloat =
    std::is_floating_point_v<T> || std::is_same_v<T, f16_t> || std::is_same_v<T, bf16_t>;
/// The type in which arithmetic on T happens.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, f16_t> || std::is_same_v<T, bf16_t>, float, T>;

template <class T>
struct In {
  const std::byte* base;
  T operator[](std::int64_t i) const {
    T value;
    std::memcpy(&value, base + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
    return value;
  }
  In at(std::int64_t i) const { return {base + i * static_cast<std::int64_t>(sizeof(T))}; }
};
template <>
struct In<std::string> {
  const std::byte* base;
  const std::string& operator[](std::int64_t i) const {
    return reinterpret_cast<const std::string*>(base)[i];
  }
  In at(std::int64_t i) const { return {base + i * static_cast<std::int64_t>(sizeof(std::string))}; }
};

template <class T>
struct Out {
  std::byte* base;
  void set(std::int64_t i, T value) const {
    std::memcpy(base + i * static_cast<std::int64_t>(sizeof(T)), &value, sizeof(T));
  }
  T operator[](std::int64_t i) const { return In<T>{base}[i]; }
  Out at(std::int64_t i) const { return {base + i * static_cast<std::int64_t>(sizeof(T))}; }
};
template <>
struct Out<std::string> {
  std::byte* base;
  void set(std::int64_t i, const std::string& value) const {
    reinterpret_cast<std::string*>(base)[i] = value;
  }
  const std::string& operator[](std::int64_t i) const { return reinterpret_cast<std::string*>(base)[i]; }
  Out at(std::int64_t i) const { return {base + i * static_cast<std::int64_t>(sizeof(std::string))}; }
};

template <class... Ts>
struct TypeList {};
using FloatTypes = TypeList<float, double, f16_t, bf16_t>;
using IntegerTypes = TypeList<std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t,
                              std::uint32_t, std::int64_t, std::uint64_t>;
using NumericTypes = TypeList<float, double, f16_t, bf16_t, std::int8_t, std::uint8_t, std::int16_t,
                              std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t>;
using RawTypes = TypeList<float, double, f16_t, bf16_t, std::int8_t, std::uint8_t, std::int16_t,
                          std::uint16_t, std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, bool_t>;
using AllTypes =
    TypeList<float, double, f16_t, bf16_t, std::int8_t, std::uint8_t, std::int16_t, std::uint16_t,
             std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, bool_t, std::string>;
/// Stored and converted only (small_types.h).
using SmallTypes = TypeList<i4_t, u4_t, f8e4m3fn_t, f8e4m3fnuz_t, f8e5m2_t, f8e5m2fnuz_t>;
template <class T>
inline constexpr bool kIsSmall = kDataTypeOf<T> >= DataType::i4;
template <class T>
inline constexpr bool kIsFloat8 = kDataTypeOf<T> >= DataType::f8e4m3fn;
/// For moving elements without looking at them: one type for each element size, and strings.
using MovedTypes = TypeList<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t, std::string>;

/// Calls f.operator()<T>() for the T of `type`; false when the list has none.
template <class... Ts, class F>
bool dispatch(TypeList<Ts...>, DataType type, F&& f) {
  return ((kDataTypeOf<Ts> == type ? (f.template operator()<Ts>(), true) : false) || ...);
}

/// As dispatch over MovedTypes, chosen by element size.
template <class F>
void dispatch_moved(DataType type, F&& f) {
  if (type == DataType::string) return f.template operator()<std::string>();
  switch (bit_width(type)) {
    case 8: return f.template operator()<std::uint8_t>();
    case 16: return f.template operator()<std::uint16_t>();
    case 32: return f.template operator()<std::uint32_t>();
    default: return f.template operator()<std::uint64_t>();
  }
}

inline std::size_t element_bytes(DataType type) {
  return type == DataType::string ? sizeof(std::string) : bit_width(type) / 8;
}

}  // namespace tenon::kernels
