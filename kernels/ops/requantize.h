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

/// As they are, or scaled to 8 bits.
struct Requantize {
  DataType type = DataType::i32;
  std::vector<float> multipliers;  // one, or one for each channel
  float zero = 0;

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
        const auto multiplier = multipliers.size() == 1 ? multipliers[0] : multipliers[k];
        Out<T>{out}.set(at + j,
                        saturated<T>(std::nearbyint(static_cast<float>(sums[j]) * multiplier) + zero));
      }
    });
  }
};

}  // namespace tenon::kernels
