// How 32-bit sums of quantised operators become their result. Internal to kernels/.
#pragma once
#include <cmath>
#include <vector>

#include "kernels/element.h"

namespace tenon::kernels {

/// The integer nearest to a whole number in T's range; NaN becomes 0.
template <class T>
T saturated(float value) {
  constexpr auto kLow = static_cast<float>(std::numeric_limits<T>::min());
  constexpr auto kHigh = static_cast<float>(std::numeric_limits<T>::max());
  value = value == value ? value : 0.0f;
  value = value < kLow ? kLow : value;
  value = value > kHigh ? kHigh : value;
  return static_cast<T>(value);
}

/// What sums of codes of `x_type` are multiplied with. For unsigned codes TensorFlow Lite multiplies the scales in single
/// precision (GetQuantizedConvolutionMultipler), for signed ones in double.
inline double multiplier_of(float x_scale, float w_scale, float y_scale, DataType x_type) {
  const double product = x_type == DataType::u8 ? static_cast<double>(x_scale * w_scale)
                                                : static_cast<double>(x_scale) * static_cast<double>(w_scale);
  return product / static_cast<double>(y_scale);
}

/// A scale as TensorFlow Lite's integer arithmetic has it: mantissa · 2^exponent, the mantissa 31 bits from 2^30 on.
struct FixedScale {
  std::int32_t mantissa = 0;
  int exponent = 0;  // of mantissa / 2^31, which lies in [0.5, 1)

  static FixedScale of(double scale) {
    FixedScale out;
    const auto rounded = std::llround(std::ldexp(std::frexp(scale, &out.exponent), 31));
    const bool carries = rounded == std::int64_t{1} << 31;
    out.exponent += carries ? 1 : 0;
    out.mantissa = static_cast<std::int32_t>(carries ? rounded / 2 : rounded);
    if (out.exponent < -31) return {};  // nothing is left of 32 bits
    return out;
  }

  // The product's upper half is rounded to nearest, then what the shift takes away: halves up, as its matrix products do
  // (convolutions and dense layers), or away from zero (depthwise convolutions).
  std::int32_t apply(std::int32_t x, bool halves_up) const {
    const int left = std::clamp(exponent, 0, 31), right = std::clamp(-exponent, 0, 31);
    const auto shifted = static_cast<std::int64_t>(x) * (std::int64_t{1} << left);
    const auto product = std::clamp<std::int64_t>(shifted, INT32_MIN, INT32_MAX) * mantissa;
    const auto high = (product + (product >= 0 ? std::int64_t{1} << 30 : 1 - (std::int64_t{1} << 30))) /
                      (std::int64_t{1} << 31);
    const auto mask = (std::int64_t{1} << right) - 1;
    const auto rest = high & mask, threshold = (mask >> 1) + (high < 0 && !halves_up ? 1 : 0);
    return static_cast<std::int32_t>((high >> right) + (rest > threshold ? 1 : 0));
  }
};

/// As they are, or scaled to 8 bits.
struct Requantize {
  DataType type = DataType::i32;
  std::vector<float> multipliers;  // one, or one for each channel
  float zero = 0;
  std::vector<FixedScale> fixed = {};  // instead, when sums are rounded twice
  bool halves_up = false;

  /// `n` sums to elements `at` and following of `out`; the first belongs to `channel`, each next one to the
  /// channel `channel_step` further.
  void write(const std::int32_t* sums, std::int64_t n, std::int64_t channel, std::int64_t channel_step,
             std::byte* out, std::int64_t at) const {
    if (type == DataType::i32) {
      if (n > 0) std::memcpy(out + at * 4, sums, static_cast<std::size_t>(n) * 4);
      return;
    }
    dispatch(TypeList<std::uint8_t, std::int8_t>{}, type, [&]<class T>() {
      for (std::int64_t j = 0; j < n; ++j) {
        const auto k = static_cast<std::size_t>(channel + j * channel_step);
        if (!fixed.empty()) {
          const auto sum = fixed[fixed.size() == 1 ? 0 : k].apply(sums[j], halves_up);
          Out<T>{out}.set(at + j, saturated<T>(static_cast<float>(sum) + zero));
          continue;
        }
        const auto multiplier = multipliers.size() == 1 ? multipliers[0] : multipliers[k];
        Out<T>{out}.set(at + j,
                        saturated<T>(std::nearbyint(static_cast<float>(sums[j]) * multiplier) + zero));
      }
    });
  }
};

}  // namespace tenon::kernels
