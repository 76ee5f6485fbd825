// Scalar numeric instructions (spec: exec/numerics): one pure function for each row of opcodes.def, named
// like it. Trapping ones set `trap` and then return 0. NaN results are canonical or arithmetic as the spec
// allows: what the hardware's SSE2-style arithmetic gives.
#pragma once
#include <bit>
#include <cmath>
#include <limits>

#include "engine/base.h"
#include "engine/runtime/trap.h"

namespace tenon::sem {

inline void nop() {}

// Integers. U and S are the unsigned and signed type of the width.
#define TENON_SEM_INT(p, U, S)                                                                        \
  inline u32 p##_eqz(U a) { return a == 0; }                                                          \
  inline u32 p##_eq(U a, U b) { return a == b; }                                                      \
  inline u32 p##_ne(U a, U b) { return a != b; }                                                      \
  inline u32 p##_lt_s(U a, U b) { return static_cast<S>(a) < static_cast<S>(b); }                     \
  inline u32 p##_lt_u(U a, U b) { return a < b; }                                                     \
  inline u32 p##_gt_s(U a, U b) { return static_cast<S>(a) > static_cast<S>(b); }                     \
  inline u32 p##_gt_u(U a, U b) { return a > b; }                                                     \
  inline u32 p##_le_s(U a, U b) { return static_cast<S>(a) <= static_cast<S>(b); }                    \
  inline u32 p##_le_u(U a, U b) { return a <= b; }                                                    \
  inline u32 p##_ge_s(U a, U b) { return static_cast<S>(a) >= static_cast<S>(b); }                    \
  inline u32 p##_ge_u(U a, U b) { return a >= b; }                                                    \
  inline U p##_clz(U a) { return static_cast<U>(std::countl_zero(a)); }                               \
  inline U p##_ctz(U a) { return static_cast<U>(std::countr_zero(a)); }                               \
  inline U p##_popcnt(U a) { return static_cast<U>(std::popcount(a)); }                               \
  inline U p##_add(U a, U b) { return a + b; }                                                        \
  inline U p##_sub(U a, U b) { return a - b; }                                                        \
  inline U p##_mul(U a, U b) { return a * b; }                                                        \
  inline U p##_div_s(U a, U b, TrapCode& trap) {                                                      \
    if (b == 0) [[unlikely]]                                                                          \
      return trap = TrapCode::integer_divide_by_zero, 0;                                              \
    if (static_cast<S>(a) == std::numeric_limits<S>::min() && static_cast<S>(b) == -1) [[unlikely]]   \
      return trap = TrapCode::integer_overflow, 0;                                                    \
    return static_cast<U>(static_cast<S>(a) / static_cast<S>(b));                                     \
  }                                                                                                   \
  inline U p##_div_u(U a, U b, TrapCode& trap) {                                                      \
    if (b == 0) [[unlikely]]                                                                          \
      return trap = TrapCode::integer_divide_by_zero, 0;                                              \
    return a / b;                                                                                     \
  }                                                                                                   \
  inline U p##_rem_s(U a, U b, TrapCode& trap) {                                                      \
    if (b == 0) [[unlikely]]                                                                          \
      return trap = TrapCode::integer_divide_by_zero, 0;                                              \
    if (static_cast<S>(b) == -1) [[unlikely]]                                                         \
      return 0;                                                                                       \
    return static_cast<U>(static_cast<S>(a) % static_cast<S>(b));                                     \
  }                                                                                                   \
  inline U p##_rem_u(U a, U b, TrapCode& trap) {                                                      \
    if (b == 0) [[unlikely]]                                                                          \
      return trap = TrapCode::integer_divide_by_zero, 0;                                              \
    return a % b;                                                                                     \
  }                                                                                                   \
  inline U p##_and(U a, U b) { return a & b; }                                                        \
  inline U p##_or(U a, U b) { return a | b; }                                                         \
  inline U p##_xor(U a, U b) { return a ^ b; }                                                        \
  inline U p##_shl(U a, U b) { return a << (b % (sizeof(U) * 8)); }                                   \
  inline U p##_shr_s(U a, U b) { return static_cast<U>(static_cast<S>(a) >> (b % (sizeof(U) * 8))); } \
  inline U p##_shr_u(U a, U b) { return a >> (b % (sizeof(U) * 8)); }                                 \
  inline U p##_rotl(U a, U b) { return std::rotl(a, static_cast<int>(b % (sizeof(U) * 8))); }         \
  inline U p##_rotr(U a, U b) { return std::rotr(a, static_cast<int>(b % (sizeof(U) * 8))); }         \
  inline U p##_extend8_s(U a) { return static_cast<U>(static_cast<S>(static_cast<i8>(a))); }          \
  inline U p##_extend16_s(U a) { return static_cast<U>(static_cast<S>(static_cast<i16>(a))); }
TENON_SEM_INT(i32, u32, i32)
TENON_SEM_INT(i64, u64, i64)
#undef TENON_SEM_INT
inline u64 i64_extend32_s(u64 a) { return static_cast<u64>(static_cast<i64>(static_cast<i32>(a))); }

namespace detail {
// min and max (spec: fmin, fmax): a NaN if either is one, and -0 below +0.
template <class F, class U>
F fmin(F a, F b) {
  if (a < b) return a;
  if (b < a) return b;
  if (a == b) return std::bit_cast<F>(std::bit_cast<U>(a) | std::bit_cast<U>(b));
  return a + b;
}
template <class F, class U>
F fmax(F a, F b) {
  if (a > b) return a;
  if (b > a) return b;
  if (a == b) return std::bit_cast<F>(std::bit_cast<U>(a) & std::bit_cast<U>(b));
  return a + b;
}
}  // namespace detail

// Floating point. Sign operations work on bits, so that they leave signalling NaNs alone.
#define TENON_SEM_FLOAT(p, F, U)                                                                        \
  inline u32 p##_eq(F a, F b) { return a == b; }                                                        \
  inline u32 p##_ne(F a, F b) { return a != b; }                                                        \
  inline u32 p##_lt(F a, F b) { return a < b; }                                                         \
  inline u32 p##_gt(F a, F b) { return a > b; }                                                         \
  inline u32 p##_le(F a, F b) { return a <= b; }                                                        \
  inline u32 p##_ge(F a, F b) { return a >= b; }                                                        \
  inline F p##_abs(F a) { return std::bit_cast<F>(std::bit_cast<U>(a) & static_cast<U>(~U{0} >> 1)); }  \
  inline F p##_neg(F a) { return std::bit_cast<F>(std::bit_cast<U>(a) ^ ~static_cast<U>(~U{0} >> 1)); } \
  inline F p##_copysign(F a, F b) {                                                                     \
    constexpr U magnitude = ~U{0} >> 1;                                                                 \
    return std::bit_cast<F>((std::bit_cast<U>(a) & magnitude) | (std::bit_cast<U>(b) & ~magnitude));    \
  }                                                                                                     \
  inline F p##_ceil(F a) { return __builtin_elementwise_ceil(a); }                                      \
  inline F p##_floor(F a) { return __builtin_elementwise_floor(a); }                                    \
  inline F p##_trunc(F a) { return __builtin_elementwise_trunc(a); }                                    \
  inline F p##_nearest(F a) { return __builtin_elementwise_roundeven(a); }                              \
  inline F p##_sqrt(F a) { return __builtin_elementwise_sqrt(a); }                                      \
  inline F p##_add(F a, F b) { return a + b; }                                                          \
  inline F p##_sub(F a, F b) { return a - b; }                                                          \
  inline F p##_mul(F a, F b) { return a * b; }                                                          \
  inline F p##_div(F a, F b) { return a / b; }                                                          \
  inline F p##_min(F a, F b) { return detail::fmin<F, U>(a, b); }                                       \
  inline F p##_max(F a, F b) { return detail::fmax<F, U>(a, b); }
TENON_SEM_FLOAT(f32, f32, u32)
TENON_SEM_FLOAT(f64, f64, u64)
#undef TENON_SEM_FLOAT

// Conversions.
namespace detail {
// The values that truncate into I lie strictly between these two; both are exact in F.
template <class I, class F>
struct TruncRange {
  static constexpr F power(int n) { return n == 0 ? F{1} : 2 * power(n - 1); }
  static constexpr bool kSigned = std::numeric_limits<I>::is_signed;
  static constexpr F kUpper = power(std::numeric_limits<I>::digits);
  // -2^(n-1) - 1 where F can hold it; else the bound itself is allowed.
  static constexpr bool kWide = std::numeric_limits<F>::digits > std::numeric_limits<I>::digits;
  static constexpr bool contains(F x) {
    if constexpr (!kSigned)
      return x > F{-1} && x < kUpper;
    else if constexpr (kWide)
      return x > -kUpper - 1 && x < kUpper;
    else
      return x >= -kUpper && x < kUpper;
  }
};
template <class I, class F>
I trunc(F x, TrapCode& trap) {
  if (x != x) [[unlikely]]
    return trap = TrapCode::invalid_conversion, I{0};
  if (!TruncRange<I, F>::contains(x)) [[unlikely]]
    return trap = TrapCode::integer_overflow, I{0};
  return static_cast<I>(x);
}
template <class I, class F>
I trunc_sat(F x) {
  if (TruncRange<I, F>::contains(x)) return static_cast<I>(x);
  if (x != x) return 0;
  return x < 0 ? std::numeric_limits<I>::min() : std::numeric_limits<I>::max();
}
}  // namespace detail

#define TENON_SEM_TRUNC(i, U, S, f, F)                                                                     \
  inline U i##_trunc_##f##_s(F a, TrapCode& trap) { return static_cast<U>(detail::trunc<S, F>(a, trap)); } \
  inline U i##_trunc_##f##_u(F a, TrapCode& trap) { return detail::trunc<U, F>(a, trap); }                 \
  inline U i##_trunc_sat_##f##_s(F a) { return static_cast<U>(detail::trunc_sat<S, F>(a)); }               \
  inline U i##_trunc_sat_##f##_u(F a) { return detail::trunc_sat<U, F>(a); }                               \
  inline F f##_convert_##i##_s(U a) { return static_cast<F>(static_cast<S>(a)); }                          \
  inline F f##_convert_##i##_u(U a) { return static_cast<F>(a); }
TENON_SEM_TRUNC(i32, u32, i32, f32, f32)
TENON_SEM_TRUNC(i32, u32, i32, f64, f64)
TENON_SEM_TRUNC(i64, u64, i64, f32, f32)
TENON_SEM_TRUNC(i64, u64, i64, f64, f64)
#undef TENON_SEM_TRUNC

inline u32 i32_wrap_i64(u64 a) { return static_cast<u32>(a); }
inline u64 i64_extend_i32_s(u32 a) { return static_cast<u64>(static_cast<i64>(static_cast<i32>(a))); }
inline u64 i64_extend_i32_u(u32 a) { return a; }
inline f32 f32_demote_f64(f64 a) { return static_cast<f32>(a); }
inline f64 f64_promote_f32(f32 a) { return a; }
inline u32 i32_reinterpret_f32(f32 a) { return std::bit_cast<u32>(a); }
inline u64 i64_reinterpret_f64(f64 a) { return std::bit_cast<u64>(a); }
inline f32 f32_reinterpret_i32(u32 a) { return std::bit_cast<f32>(a); }
inline f64 f64_reinterpret_i64(u64 a) { return std::bit_cast<f64>(a); }

// Wide arithmetic: two results, the low half first.
struct Wide {
  u64 lo, hi;
};
namespace detail {
inline unsigned __int128 join(u64 lo, u64 hi) { return (static_cast<unsigned __int128>(hi) << 64) | lo; }
inline Wide split(unsigned __int128 v) { return {static_cast<u64>(v), static_cast<u64>(v >> 64)}; }
}  // namespace detail
inline Wide i64_add128(u64 a_lo, u64 a_hi, u64 b_lo, u64 b_hi) {
  return detail::split(detail::join(a_lo, a_hi) + detail::join(b_lo, b_hi));
}
inline Wide i64_sub128(u64 a_lo, u64 a_hi, u64 b_lo, u64 b_hi) {
  return detail::split(detail::join(a_lo, a_hi) - detail::join(b_lo, b_hi));
}
inline Wide i64_mul_wide_s(u64 a, u64 b) {
  return detail::split(
      static_cast<unsigned __int128>(static_cast<__int128>(static_cast<i64>(a)) * static_cast<i64>(b)));
}
inline Wide i64_mul_wide_u(u64 a, u64 b) { return detail::split(static_cast<unsigned __int128>(a) * b); }

}  // namespace tenon::sem
