// Elements of few bits: float8 in ONNX's four forms and 4-bit integers. They are stored and converted; no operator computes in
// them. Rules: ONNX, "Float stored in 8 bits" and "4 bit integer types".
#pragma once
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace tenon::kernels {

/// Exponent and mantissa bits, the exponent's bias, the code of the largest number, and whether the codes above it are
/// infinity and NaN. Forms without a negative zero (`one_zero`) use its code for the only NaN.
struct Float8Form {
  int exponent, mantissa, bias;
  std::uint8_t largest, nan;
  bool infinity, one_zero;
};

template <Float8Form kForm>
struct Float8 {
  std::uint8_t bits = 0;

  /// To nearest, ties to even. Beyond the largest number, infinities included: that number if `saturate`, else infinity or
  /// NaN.
  static Float8 from(double value, bool saturate = true) {
    const std::uint8_t sign = std::signbit(value) ? 0x80 : 0;
    const double size = std::abs(value);
    if (std::isnan(value)) return nan(sign);
    constexpr int kLeast = 1 - kForm.bias;  // exponent of subnormal numbers
    int code = 0x80;                        // beyond all
    if (!std::isinf(value)) {
      const int exponent = size == 0 ? kLeast : std::max(std::ilogb(size), kLeast);
      if (exponent + kForm.bias < 1 << kForm.exponent) {
        const auto steps = static_cast<int>(std::nearbyint(std::ldexp(size, kForm.mantissa - exponent)));
        // A carry out of the mantissa raises the exponent by itself.
        code = ((exponent - kLeast) << kForm.mantissa) + steps;
      }
    }
    if (std::isinf(value) || code > kForm.largest) {
      if (saturate) return {static_cast<std::uint8_t>(sign | kForm.largest)};
      if (!kForm.infinity) return nan(sign);
      return {static_cast<std::uint8_t>(sign | (kForm.largest + 1))};
    }
    if (code == 0 && kForm.one_zero) return {};
    return {static_cast<std::uint8_t>(sign | code)};
  }

  operator float() const {
    const int code = bits & 0x7f;
    const float sign = bits & 0x80 ? -1.0f : 1.0f;
    if (kForm.one_zero && bits == 0x80) return std::nanf("");
    if (code > kForm.largest)
      return kForm.infinity && code == kForm.largest + 1 ? sign * HUGE_VALF : std::nanf("");
    const int exponent = code >> kForm.mantissa;
    const int mantissa = code & ((1 << kForm.mantissa) - 1);
    const int steps = exponent == 0 ? mantissa : mantissa | 1 << kForm.mantissa;
    return sign * std::ldexp(static_cast<float>(steps), std::max(exponent, 1) - kForm.bias - kForm.mantissa);
  }

 private:
  static Float8 nan(std::uint8_t sign) {
    return {static_cast<std::uint8_t>(kForm.one_zero ? 0x80 : sign | kForm.nan)};
  }
};

using f8e4m3fn_t = Float8<{4, 3, 7, 0x7e, 0x7f, false, false}>;
using f8e4m3fnuz_t = Float8<{4, 3, 8, 0x7f, 0x80, false, true}>;
using f8e5m2_t = Float8<{5, 2, 15, 0x7b, 0x7f, true, false}>;
using f8e5m2fnuz_t = Float8<{5, 2, 16, 0x7f, 0x80, false, true}>;

/// A byte of its own for each; bytes from outside may hold anything, so only the lower half counts.
template <bool kSigned>
struct Int4 {
  std::uint8_t bits = 0;

  /// To nearest, ties to even, then to the range, whatever `saturate` says; NaN becomes 0.
  static Int4 from(double value, bool /*saturate*/ = true) {
    const double whole = std::isnan(value) ? 0 : std::nearbyint(value);
    const auto clamped =
        static_cast<int>(kSigned ? std::clamp(whole, -8.0, 7.0) : std::clamp(whole, 0.0, 15.0));
    return {static_cast<std::uint8_t>(clamped & 0xf)};
  }

  operator float() const {
    const int low = bits & 0xf;
    return static_cast<float>(kSigned && low > 7 ? low - 16 : low);
  }
};

using i4_t = Int4<true>;
using u4_t = Int4<false>;

}  // namespace tenon::kernels
