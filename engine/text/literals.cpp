// Number literals; rounding is the C library's, which is exact for decimal and hexadecimal notation.
#include "engine/text/literals.h"

#include <locale.h>
#include <stdlib.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>

namespace tenon::text {
namespace {

std::string without_underscores(std::string_view s) {
  std::string out;
  for (char c : s)
    if (c != '_') out += c;
  return out;
}

std::expected<u64, LiteralError> parse_digits(std::string_view s) {
  const u32 base = s.starts_with("0x") ? 16 : 10;
  if (base == 16) s.remove_prefix(2);
  if (s.empty()) return std::unexpected(LiteralError::syntax);
  u64 value = 0;
  bool overflow = false;
  for (char c : s) {
    u32 digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<u32>(c - '0');
    } else if (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) {
      digit = static_cast<u32>((c | 0x20) - 'a' + 10);
    } else {
      return std::unexpected(LiteralError::syntax);
    }
    overflow |= __builtin_mul_overflow(value, u64{base}, &value);
    overflow |= __builtin_add_overflow(value, u64{digit}, &value);
  }
  if (overflow) return std::unexpected(LiteralError::range);
  return value;
}

u64 mask(u32 bits) { return bits == 64 ? ~u64{0} : (u64{1} << bits) - 1; }

// strtod in the "C" locale whatever the host process has set.
template <class F>
F to_float(const std::string& s) {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  if constexpr (std::is_same_v<F, f32>)
    return strtof_l(s.c_str(), nullptr, c_locale);
  else
    return strtod_l(s.c_str(), nullptr, c_locale);
}

template <class F, class Bits, u32 kMantissa>
std::expected<Bits, LiteralError> parse_float(std::string_view text) {
  std::string s = without_underscores(text);
  const bool negative = s.starts_with('-');
  if (negative || s.starts_with('+')) s.erase(0, 1);
  const Bits sign = negative ? Bits{1} << (sizeof(Bits) * 8 - 1) : 0;
  const Bits infinity = std::bit_cast<Bits>(std::numeric_limits<F>::infinity());
  if (s == "inf") return sign | infinity;
  if (s == "nan") return sign | infinity | Bits{1} << (kMantissa - 1);
  if (s.starts_with("nan:")) {
    auto payload = parse_digits(std::string_view(s).substr(4));
    if (!payload) return std::unexpected(payload.error());
    if (*payload == 0 || *payload >= (u64{1} << kMantissa)) return std::unexpected(LiteralError::range);
    return sign | infinity | static_cast<Bits>(*payload);
  }
  if (s.empty() || s[0] < '0' || s[0] > '9') return std::unexpected(LiteralError::syntax);
  const F value = to_float<F>(s);
  if (std::isinf(value)) return std::unexpected(LiteralError::range);
  return sign | std::bit_cast<Bits>(value);
}

}  // namespace

std::expected<u64, LiteralError> parse_nat(std::string_view text, u32 bits) {
  auto value = parse_digits(without_underscores(text));
  if (value && *value > mask(bits)) return std::unexpected(LiteralError::range);
  return value;
}

std::expected<u64, LiteralError> parse_int(std::string_view text, u32 bits) {
  const bool negative = text.starts_with('-');
  const bool has_sign = negative || text.starts_with('+');
  auto magnitude = parse_digits(without_underscores(text.substr(has_sign ? 1 : 0)));
  if (!magnitude) return magnitude;
  const u64 half = u64{1} << (bits - 1);
  if (*magnitude > (negative ? half : mask(bits))) return std::unexpected(LiteralError::range);
  return (negative ? ~*magnitude + 1 : *magnitude) & mask(bits);
}

std::expected<u32, LiteralError> parse_f32(std::string_view text) { return parse_float<f32, u32, 23>(text); }
std::expected<u64, LiteralError> parse_f64(std::string_view text) { return parse_float<f64, u64, 52>(text); }

}  // namespace tenon::text
