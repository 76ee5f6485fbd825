// Elements of any numeric type as double, through a switch: for references and for operators that are rare or
// small, where one compiled loop is worth more than thirteen fast ones. i64 and u64 beyond 2^53 lose digits.
#pragma once
#include "kernels/element.h"

namespace tenon::kernels {

inline double get_number(DataType type, const std::byte* data, std::int64_t i) {
  double value = 0;
  dispatch(SmallTypes{}, type, [&]<class T>() { value = static_cast<double>(In<T>{data}[i]); });
  dispatch(RawTypes{}, type, [&]<class T>() {
    const T x = In<T>{data}[i];
    if constexpr (std::is_same_v<T, bool_t>) {
      value = x ? 1 : 0;
    } else {
      value = static_cast<double>(x);
    }
  });
  return value;
}

/// Integers saturate; NaN becomes 0.
inline void set_number(DataType type, std::byte* data, std::int64_t i, double value) {
  dispatch(SmallTypes{}, type, [&]<class T>() { Out<T>{data}.set(i, T::from(value)); });
  dispatch(RawTypes{}, type, [&]<class T>() {
    if constexpr (std::is_same_v<T, bool_t>) {
      Out<T>{data}.set(i, T(value != 0));
    } else if constexpr (kIsFloat<T>) {
      Out<T>{data}.set(i, static_cast<T>(static_cast<Compute<T>>(value)));
    } else {
      using L = std::numeric_limits<T>;
      T x = 0;
      if (value >= static_cast<double>(L::max())) {
        x = L::max();
      } else if (value <= static_cast<double>(L::lowest())) {
        x = L::lowest();
      } else if (value == value) {
        x = static_cast<T>(value);
      }
      Out<T>{data}.set(i, x);
    }
  });
}

/// A tensor's elements as doubles.
inline std::vector<double> get_numbers(DataType type, const std::byte* data, std::int64_t count) {
  std::vector<double> out(static_cast<std::size_t>(count));
  dispatch(SmallTypes{}, type, [&]<class T>() {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const float x = In<T>{data}[static_cast<std::int64_t>(i)];
      out[i] = static_cast<double>(x);
    }
  });
  dispatch(RawTypes{}, type, [&]<class T>() {
    for (std::int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, bool_t>) {
        out[static_cast<std::size_t>(i)] = In<T>{data}[i] ? 1 : 0;
      } else {
        out[static_cast<std::size_t>(i)] = static_cast<double>(In<T>{data}[i]);
      }
    }
  });
  return out;
}

inline void set_numbers(DataType type, std::byte* data, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    set_number(type, data, static_cast<std::int64_t>(i), values[i]);
}

}  // namespace tenon::kernels
