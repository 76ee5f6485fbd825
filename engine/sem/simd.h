// Vector instructions (spec: exec/numerics, vectors), relaxed ones included: one pure function for each row
// of opcodes.def, named like it. Relaxed instructions do what x86-64 does in one instruction; compiled code
// makes the same choices. (For the deterministic profile see deterministic_form in engine/opcodes.h.) Loads
// and stores are in memory.h.
#pragma once
#include <limits>

#include "engine/sem/num.h"
#include "engine/sem/v128.h"
#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

namespace tenon::sem {

namespace detail {
template <class M>
V128 mask(M m) {
  return (V128)m;
}
// Even and odd lanes, low and high halves.
inline I8x8 even(I8x16 a) { return __builtin_shufflevector(a, a, 0, 2, 4, 6, 8, 10, 12, 14); }
inline I8x8 odd(I8x16 a) { return __builtin_shufflevector(a, a, 1, 3, 5, 7, 9, 11, 13, 15); }
inline U8x8 even(U8x16 a) { return __builtin_shufflevector(a, a, 0, 2, 4, 6, 8, 10, 12, 14); }
inline U8x8 odd(U8x16 a) { return __builtin_shufflevector(a, a, 1, 3, 5, 7, 9, 11, 13, 15); }
inline I16x4 even(I16x8 a) { return __builtin_shufflevector(a, a, 0, 2, 4, 6); }
inline I16x4 odd(I16x8 a) { return __builtin_shufflevector(a, a, 1, 3, 5, 7); }
inline U16x4 even(U16x8 a) { return __builtin_shufflevector(a, a, 0, 2, 4, 6); }
inline U16x4 odd(U16x8 a) { return __builtin_shufflevector(a, a, 1, 3, 5, 7); }
inline I8x8 low(I8x16 a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7); }
inline I8x8 high(I8x16 a) { return __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15); }
inline U8x8 low(U8x16 a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7); }
inline U8x8 high(U8x16 a) { return __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15); }
inline I16x4 low(I16x8 a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3); }
inline I16x4 high(I16x8 a) { return __builtin_shufflevector(a, a, 4, 5, 6, 7); }
inline U16x4 low(U16x8 a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3); }
inline U16x4 high(U16x8 a) { return __builtin_shufflevector(a, a, 4, 5, 6, 7); }
inline I32x2 low(I32x4 a) { return __builtin_shufflevector(a, a, 0, 1); }
inline I32x2 high(I32x4 a) { return __builtin_shufflevector(a, a, 2, 3); }
inline U32x2 low(U32x4 a) { return __builtin_shufflevector(a, a, 0, 1); }
inline U32x2 high(U32x4 a) { return __builtin_shufflevector(a, a, 2, 3); }

// b where m is set, a elsewhere; m is all ones or all zeros in each lane.
inline V128 choose(V128 m, V128 if_set, V128 if_clear) { return (if_set & m) | (if_clear & ~m); }

template <class F>
V128 vmin(F a, F b) {
  const V128 ordered_equal = mask(a == b), lt = mask(a < b), gt = mask(b < a);
  V128 r = mask(a + b);  // a NaN in at least one
  r = choose(ordered_equal, (V128)a | (V128)b, r);
  r = choose(lt, (V128)a, r);
  return choose(gt, (V128)b, r);
}
template <class F>
V128 vmax(F a, F b) {
  const V128 ordered_equal = mask(a == b), gt = mask(a > b), lt = mask(b > a);
  V128 r = mask(a + b);
  r = choose(ordered_equal, (V128)a & (V128)b, r);
  r = choose(gt, (V128)a, r);
  return choose(lt, (V128)b, r);
}

inline bool host_has_fma() {
#if defined(__x86_64__)
  static const bool kHas = __builtin_cpu_supports("fma");
  return kHas;
#else
  return true;
#endif
}

typedef bool B16 __attribute__((ext_vector_type(16)));
typedef bool B8 __attribute__((ext_vector_type(8)));
typedef bool B4 __attribute__((ext_vector_type(4)));
typedef bool B2 __attribute__((ext_vector_type(2)));
inline u32 bitmask8(B16 b) { return __builtin_bit_cast(u16, b); }
inline u32 bitmask16(B8 b) { return __builtin_bit_cast(u8, b); }
inline u32 bitmask32(B4 b) {
  return static_cast<u32>(b[0]) | static_cast<u32>(b[1]) << 1 | static_cast<u32>(b[2]) << 2 |
         static_cast<u32>(b[3]) << 3;
}
}  // namespace detail

// Whole vectors.
inline V128 v128_not(V128 a) { return ~a; }
inline V128 v128_and(V128 a, V128 b) { return a & b; }
inline V128 v128_andnot(V128 a, V128 b) { return a & ~b; }
inline V128 v128_or(V128 a, V128 b) { return a | b; }
inline V128 v128_xor(V128 a, V128 b) { return a ^ b; }
inline V128 v128_bitselect(V128 a, V128 b, V128 c) { return (a & c) | (b & ~c); }
inline u32 v128_any_true(V128 a) { return (a[0] | a[1]) != 0; }

#if defined(__SSSE3__)
inline V128 i8x16_swizzle(V128 a, V128 s) {
  // Indexes from 16 up get their top bit set by saturation, which pshufb turns into 0.
  return (V128)_mm_shuffle_epi8((__m128i)a, _mm_adds_epu8((__m128i)s, _mm_set1_epi8(0x70)));
}
#else
inline V128 i8x16_swizzle(V128 a, V128 s) {
  U8x16 r{};
  for (int i = 0; i < 16; ++i) {
    const u8 lane = ((U8x16)s)[i];
    r[i] = lane < 16 ? ((U8x16)a)[lane] : u8{0};
  }
  return (V128)r;
}
#endif
// `lanes` are the immediate: 16 indexes below 32.
inline V128 i8x16_shuffle(V128 a, V128 b, V128 lanes) {
  return i8x16_swizzle(a, lanes) | i8x16_swizzle(b, (V128)((U8x16)lanes - (u8)16));
}

#define TENON_SEM_SPLAT(p, V, T, X)       \
  inline V128 p##_splat(X a) {            \
    V v{};                                \
    return (V128)(v + static_cast<T>(a)); \
  }
TENON_SEM_SPLAT(i8x16, U8x16, u8, u32)
TENON_SEM_SPLAT(i16x8, U16x8, u16, u32)
TENON_SEM_SPLAT(i32x4, U32x4, u32, u32)
TENON_SEM_SPLAT(i64x2, U64x2, u64, u64)
#undef TENON_SEM_SPLAT
inline V128 f32x4_splat(f32 a) { return i32x4_splat(std::bit_cast<u32>(a)); }
inline V128 f64x2_splat(f64 a) { return i64x2_splat(std::bit_cast<u64>(a)); }

// Lanes. `lane` is the immediate, below the number of lanes.
inline u32 i8x16_extract_lane_s(V128 a, u8 lane) { return static_cast<u32>(i32{((I8x16)a)[lane]}); }
inline u32 i8x16_extract_lane_u(V128 a, u8 lane) { return ((U8x16)a)[lane]; }
inline u32 i16x8_extract_lane_s(V128 a, u8 lane) { return static_cast<u32>(i32{((I16x8)a)[lane]}); }
inline u32 i16x8_extract_lane_u(V128 a, u8 lane) { return ((U16x8)a)[lane]; }
inline u32 i32x4_extract_lane(V128 a, u8 lane) { return ((U32x4)a)[lane]; }
inline u64 i64x2_extract_lane(V128 a, u8 lane) { return a[lane]; }
inline f32 f32x4_extract_lane(V128 a, u8 lane) { return ((F32x4)a)[lane]; }
inline f64 f64x2_extract_lane(V128 a, u8 lane) { return ((F64x2)a)[lane]; }
#define TENON_SEM_REPLACE(p, V, T, X)                  \
  inline V128 p##_replace_lane(V128 a, X b, u8 lane) { \
    V v = (V)a;                                        \
    v[lane] = static_cast<T>(b);                       \
    return (V128)v;                                    \
  }
TENON_SEM_REPLACE(i8x16, U8x16, u8, u32)
TENON_SEM_REPLACE(i16x8, U16x8, u16, u32)
TENON_SEM_REPLACE(i32x4, U32x4, u32, u32)
TENON_SEM_REPLACE(i64x2, U64x2, u64, u64)
TENON_SEM_REPLACE(f32x4, F32x4, f32, f32)
TENON_SEM_REPLACE(f64x2, F64x2, f64, f64)
#undef TENON_SEM_REPLACE

// What every integer shape has.
#define TENON_SEM_VINT(p, U, S, T, BITS)                                                               \
  inline V128 p##_eq(V128 a, V128 b) { return detail::mask((U)a == (U)b); }                            \
  inline V128 p##_ne(V128 a, V128 b) { return detail::mask((U)a != (U)b); }                            \
  inline V128 p##_lt_s(V128 a, V128 b) { return detail::mask((S)a < (S)b); }                           \
  inline V128 p##_gt_s(V128 a, V128 b) { return detail::mask((S)a > (S)b); }                           \
  inline V128 p##_le_s(V128 a, V128 b) { return detail::mask((S)a <= (S)b); }                          \
  inline V128 p##_ge_s(V128 a, V128 b) { return detail::mask((S)a >= (S)b); }                          \
  inline V128 p##_abs(V128 a) {                                                                        \
    const U sign = (U)((S)a >> (BITS - 1));                                                            \
    return (V128)(((U)a ^ sign) - sign);                                                               \
  }                                                                                                    \
  inline V128 p##_neg(V128 a) { return (V128)(U{} - (U)a); }                                           \
  inline u32 p##_all_true(V128 a) { return v128_any_true(detail::mask((U)a == U{})) == 0; }            \
  inline V128 p##_shl(V128 a, u32 n) { return (V128)((U)a << (U{} + static_cast<T>(n % BITS))); }      \
  inline V128 p##_shr_s(V128 a, u32 n) { return (V128)((S)a >> (S)(U{} + static_cast<T>(n % BITS))); } \
  inline V128 p##_shr_u(V128 a, u32 n) { return (V128)((U)a >> (U{} + static_cast<T>(n % BITS))); }    \
  inline V128 p##_add(V128 a, V128 b) { return (V128)((U)a + (U)b); }                                  \
  inline V128 p##_sub(V128 a, V128 b) { return (V128)((U)a - (U)b); }
TENON_SEM_VINT(i8x16, U8x16, I8x16, u8, 8)
TENON_SEM_VINT(i16x8, U16x8, I16x8, u16, 16)
TENON_SEM_VINT(i32x4, U32x4, I32x4, u32, 32)
TENON_SEM_VINT(i64x2, U64x2, I64x2, u64, 64)
#undef TENON_SEM_VINT

// Unsigned comparison, minimum and maximum: not of 64-bit lanes.
#define TENON_SEM_VMINMAX(p, U, S)                                                              \
  inline V128 p##_lt_u(V128 a, V128 b) { return detail::mask((U)a < (U)b); }                    \
  inline V128 p##_gt_u(V128 a, V128 b) { return detail::mask((U)a > (U)b); }                    \
  inline V128 p##_le_u(V128 a, V128 b) { return detail::mask((U)a <= (U)b); }                   \
  inline V128 p##_ge_u(V128 a, V128 b) { return detail::mask((U)a >= (U)b); }                   \
  inline V128 p##_min_s(V128 a, V128 b) { return (V128)__builtin_elementwise_min((S)a, (S)b); } \
  inline V128 p##_min_u(V128 a, V128 b) { return (V128)__builtin_elementwise_min((U)a, (U)b); } \
  inline V128 p##_max_s(V128 a, V128 b) { return (V128)__builtin_elementwise_max((S)a, (S)b); } \
  inline V128 p##_max_u(V128 a, V128 b) { return (V128)__builtin_elementwise_max((U)a, (U)b); }
TENON_SEM_VMINMAX(i8x16, U8x16, I8x16)
TENON_SEM_VMINMAX(i16x8, U16x8, I16x8)
TENON_SEM_VMINMAX(i32x4, U32x4, I32x4)
#undef TENON_SEM_VMINMAX

// Saturation and rounding averages: 8- and 16-bit lanes. W is wide enough for a + b + 1.
#define TENON_SEM_VSAT(p, U, S, W)                                                                      \
  inline V128 p##_add_sat_s(V128 a, V128 b) { return (V128)__builtin_elementwise_add_sat((S)a, (S)b); } \
  inline V128 p##_add_sat_u(V128 a, V128 b) { return (V128)__builtin_elementwise_add_sat((U)a, (U)b); } \
  inline V128 p##_sub_sat_s(V128 a, V128 b) { return (V128)__builtin_elementwise_sub_sat((S)a, (S)b); } \
  inline V128 p##_sub_sat_u(V128 a, V128 b) { return (V128)__builtin_elementwise_sub_sat((U)a, (U)b); } \
  inline V128 p##_avgr_u(V128 a, V128 b) {                                                              \
    return (V128) __builtin_convertvector(                                                              \
        (__builtin_convertvector((U)a, W) + __builtin_convertvector((U)b, W) + 1) >> 1, U);             \
  }
TENON_SEM_VSAT(i8x16, U8x16, I8x16, I16x16)
TENON_SEM_VSAT(i16x8, U16x8, I16x8, I32x8)
#undef TENON_SEM_VSAT

inline V128 i16x8_mul(V128 a, V128 b) { return (V128)((U16x8)a * (U16x8)b); }
inline V128 i32x4_mul(V128 a, V128 b) { return (V128)((U32x4)a * (U32x4)b); }
inline V128 i64x2_mul(V128 a, V128 b) { return a * b; }
inline V128 i8x16_popcnt(V128 a) { return (V128)__builtin_elementwise_popcount((U8x16)a); }

inline u32 i8x16_bitmask(V128 a) {
  return detail::bitmask8(__builtin_convertvector((I8x16)a < 0, detail::B16));
}
inline u32 i16x8_bitmask(V128 a) {
  return detail::bitmask16(__builtin_convertvector((I16x8)a < 0, detail::B8));
}
inline u32 i32x4_bitmask(V128 a) {
  return detail::bitmask32(__builtin_convertvector((I32x4)a < 0, detail::B4));
}
inline u32 i64x2_bitmask(V128 a) { return static_cast<u32>((a[0] >> 63) | (a[1] >> 63) << 1); }

// Narrowing with saturation: a gives the low lanes.
#define TENON_SEM_NARROW(p, from, D, W, S2, MIN_S, MAX_S, MAX_U, ...)                          \
  inline V128 p##_narrow_##from##_s(V128 a, V128 b) {                                          \
    const W w = __builtin_shufflevector((S2)a, (S2)b, __VA_ARGS__);                            \
    return (V128) __builtin_convertvector(                                                     \
        __builtin_elementwise_min(__builtin_elementwise_max(w, W{} + MIN_S), W{} + MAX_S), D); \
  }                                                                                            \
  inline V128 p##_narrow_##from##_u(V128 a, V128 b) {                                          \
    const W w = __builtin_shufflevector((S2)a, (S2)b, __VA_ARGS__);                            \
    return (V128) __builtin_convertvector(                                                     \
        __builtin_elementwise_min(__builtin_elementwise_max(w, W{}), W{} + MAX_U), D);         \
  }
TENON_SEM_NARROW(i8x16, i16x8, I8x16, I16x16, I16x8, (i16)-128, (i16)127, (i16)255, 0, 1, 2, 3, 4, 5, 6, 7, 8,
                 9, 10, 11, 12, 13, 14, 15)
TENON_SEM_NARROW(i16x8, i32x4, I16x8, I32x8, I32x4, -32768, 32767, 65535, 0, 1, 2, 3, 4, 5, 6, 7)
#undef TENON_SEM_NARROW

// Widening: conversion, multiplication, pairwise addition.
#define TENON_SEM_WIDEN(p, from, SW, SN, UW, UN)                                          \
  inline V128 p##_extend_low_##from##_s(V128 a) {                                         \
    return (V128) __builtin_convertvector(detail::low((SN)a), SW);                        \
  }                                                                                       \
  inline V128 p##_extend_high_##from##_s(V128 a) {                                        \
    return (V128) __builtin_convertvector(detail::high((SN)a), SW);                       \
  }                                                                                       \
  inline V128 p##_extend_low_##from##_u(V128 a) {                                         \
    return (V128) __builtin_convertvector(detail::low((UN)a), UW);                        \
  }                                                                                       \
  inline V128 p##_extend_high_##from##_u(V128 a) {                                        \
    return (V128) __builtin_convertvector(detail::high((UN)a), UW);                       \
  }                                                                                       \
  inline V128 p##_extmul_low_##from##_s(V128 a, V128 b) {                                 \
    return (V128)((UW)p##_extend_low_##from##_s(a) * (UW)p##_extend_low_##from##_s(b));   \
  }                                                                                       \
  inline V128 p##_extmul_high_##from##_s(V128 a, V128 b) {                                \
    return (V128)((UW)p##_extend_high_##from##_s(a) * (UW)p##_extend_high_##from##_s(b)); \
  }                                                                                       \
  inline V128 p##_extmul_low_##from##_u(V128 a, V128 b) {                                 \
    return (V128)((UW)p##_extend_low_##from##_u(a) * (UW)p##_extend_low_##from##_u(b));   \
  }                                                                                       \
  inline V128 p##_extmul_high_##from##_u(V128 a, V128 b) {                                \
    return (V128)((UW)p##_extend_high_##from##_u(a) * (UW)p##_extend_high_##from##_u(b)); \
  }
TENON_SEM_WIDEN(i16x8, i8x16, I16x8, I8x16, U16x8, U8x16)
TENON_SEM_WIDEN(i32x4, i16x8, I32x4, I16x8, U32x4, U16x8)
TENON_SEM_WIDEN(i64x2, i32x4, I64x2, I32x4, U64x2, U32x4)
#undef TENON_SEM_WIDEN
#define TENON_SEM_PAIRWISE(p, from, SW, SN, UW, UN)                  \
  inline V128 p##_extadd_pairwise_##from##_s(V128 a) {               \
    return (V128)(__builtin_convertvector(detail::even((SN)a), SW) + \
                  __builtin_convertvector(detail::odd((SN)a), SW));  \
  }                                                                  \
  inline V128 p##_extadd_pairwise_##from##_u(V128 a) {               \
    return (V128)(__builtin_convertvector(detail::even((UN)a), UW) + \
                  __builtin_convertvector(detail::odd((UN)a), UW));  \
  }
TENON_SEM_PAIRWISE(i16x8, i8x16, I16x8, I8x16, U16x8, U8x16)
TENON_SEM_PAIRWISE(i32x4, i16x8, I32x4, I16x8, U32x4, U16x8)
#undef TENON_SEM_PAIRWISE

inline V128 i32x4_dot_i16x8_s(V128 a, V128 b) {
  const I16x8 x = (I16x8)a, y = (I16x8)b;
  // Both products may be 2^30, so the sum wraps: unsigned.
  return (V128)((U32x4)(__builtin_convertvector(detail::even(x), I32x4) *
                        __builtin_convertvector(detail::even(y), I32x4)) +
                (U32x4)(__builtin_convertvector(detail::odd(x), I32x4) *
                        __builtin_convertvector(detail::odd(y), I32x4)));
}
inline V128 i16x8_q15mulr_sat_s(V128 a, V128 b) {
  const I32x8 product = __builtin_convertvector((I16x8)a, I32x8) * __builtin_convertvector((I16x8)b, I32x8);
  const I32x8 rounded = (product + 0x4000) >> 15;
  return (V128) __builtin_convertvector(__builtin_elementwise_min(rounded, I32x8{} + 32767), I16x8);
}

// Floating point.
#define TENON_SEM_VFLOAT(p, F, SIGN)                                                                      \
  inline V128 p##_eq(V128 a, V128 b) { return detail::mask((F)a == (F)b); }                               \
  inline V128 p##_ne(V128 a, V128 b) { return detail::mask((F)a != (F)b); }                               \
  inline V128 p##_lt(V128 a, V128 b) { return detail::mask((F)a < (F)b); }                                \
  inline V128 p##_gt(V128 a, V128 b) { return detail::mask((F)a > (F)b); }                                \
  inline V128 p##_le(V128 a, V128 b) { return detail::mask((F)a <= (F)b); }                               \
  inline V128 p##_ge(V128 a, V128 b) { return detail::mask((F)a >= (F)b); }                               \
  inline V128 p##_abs(V128 a) { return a & ~(V128{} + SIGN); }                                            \
  inline V128 p##_neg(V128 a) { return a ^ (V128{} + SIGN); }                                             \
  inline V128 p##_sqrt(V128 a) { return (V128)__builtin_elementwise_sqrt((F)a); }                         \
  inline V128 p##_ceil(V128 a) { return (V128)__builtin_elementwise_ceil((F)a); }                         \
  inline V128 p##_floor(V128 a) { return (V128)__builtin_elementwise_floor((F)a); }                       \
  inline V128 p##_trunc(V128 a) { return (V128)__builtin_elementwise_trunc((F)a); }                       \
  inline V128 p##_nearest(V128 a) { return (V128)__builtin_elementwise_roundeven((F)a); }                 \
  inline V128 p##_add(V128 a, V128 b) { return (V128)((F)a + (F)b); }                                     \
  inline V128 p##_sub(V128 a, V128 b) { return (V128)((F)a - (F)b); }                                     \
  inline V128 p##_mul(V128 a, V128 b) { return (V128)((F)a * (F)b); }                                     \
  inline V128 p##_div(V128 a, V128 b) { return (V128)((F)a / (F)b); }                                     \
  inline V128 p##_min(V128 a, V128 b) { return detail::vmin<F>((F)a, (F)b); }                             \
  inline V128 p##_max(V128 a, V128 b) { return detail::vmax<F>((F)a, (F)b); }                             \
  inline V128 p##_pmin(V128 a, V128 b) { return detail::choose(detail::mask((F)b < (F)a), b, a); }        \
  inline V128 p##_pmax(V128 a, V128 b) { return detail::choose(detail::mask((F)a < (F)b), b, a); }        \
  inline V128 p##_relaxed_madd(V128 a, V128 b, V128 c) {                                                  \
    if (detail::host_has_fma()) return (V128)__builtin_elementwise_fma((F)a, (F)b, (F)c);                 \
    const F product = (F)a * (F)b;                                                                        \
    return (V128)(product + (F)c);                                                                        \
  }                                                                                                       \
  inline V128 p##_relaxed_nmadd(V128 a, V128 b, V128 c) { return p##_relaxed_madd(p##_neg(a), b, c); }    \
  inline V128 p##_relaxed_min(V128 a, V128 b) { return detail::choose(detail::mask((F)a < (F)b), a, b); } \
  inline V128 p##_relaxed_max(V128 a, V128 b) { return detail::choose(detail::mask((F)a > (F)b), a, b); }
TENON_SEM_VFLOAT(f32x4, F32x4, u64{0x80000000'80000000})
TENON_SEM_VFLOAT(f64x2, F64x2, u64{0x80000000'00000000})
#undef TENON_SEM_VFLOAT

// Conversions.
inline V128 i32x4_trunc_sat_f32x4_s(V128 a) {
  const F32x4 x = (F32x4)a;
  I32x4 r{};
  for (int i = 0; i < 4; ++i) r[i] = detail::trunc_sat<i32, f32>(x[i]);
  return (V128)r;
}
inline V128 i32x4_trunc_sat_f32x4_u(V128 a) {
  const F32x4 x = (F32x4)a;
  U32x4 r{};
  for (int i = 0; i < 4; ++i) r[i] = detail::trunc_sat<u32, f32>(x[i]);
  return (V128)r;
}
inline V128 i32x4_trunc_sat_f64x2_s_zero(V128 a) {
  const F64x2 x = (F64x2)a;
  return (V128)I32x4{detail::trunc_sat<i32, f64>(x[0]), detail::trunc_sat<i32, f64>(x[1]), 0, 0};
}
inline V128 i32x4_trunc_sat_f64x2_u_zero(V128 a) {
  const F64x2 x = (F64x2)a;
  return (V128)U32x4{detail::trunc_sat<u32, f64>(x[0]), detail::trunc_sat<u32, f64>(x[1]), 0, 0};
}
inline V128 f32x4_convert_i32x4_s(V128 a) { return (V128) __builtin_convertvector((I32x4)a, F32x4); }
inline V128 f32x4_convert_i32x4_u(V128 a) { return (V128) __builtin_convertvector((U32x4)a, F32x4); }
inline V128 f64x2_convert_low_i32x4_s(V128 a) {
  return (V128) __builtin_convertvector(detail::low((I32x4)a), F64x2);
}
inline V128 f64x2_convert_low_i32x4_u(V128 a) {
  return (V128) __builtin_convertvector(detail::low((U32x4)a), F64x2);
}
inline V128 f32x4_demote_f64x2_zero(V128 a) {
  const F64x2 x = (F64x2)a;
  return (V128)F32x4{static_cast<f32>(x[0]), static_cast<f32>(x[1]), 0, 0};
}
inline V128 f64x2_promote_low_f32x4(V128 a) {
  const F32x4 x = (F32x4)a;
  return (V128)F64x2{x[0], x[1]};
}

// Relaxed SIMD, what is not floating point arithmetic.
inline V128 i8x16_relaxed_swizzle(V128 a, V128 s) {  // pshufb
  const U8x16 x = (U8x16)a, index = (U8x16)s;
  U8x16 r{};
  for (int i = 0; i < 16; ++i) r[i] = index[i] & 0x80 ? 0 : x[index[i] & 15];
  return (V128)r;
}
inline V128 i32x4_relaxed_trunc_f32x4_s(V128 a) {  // cvttps2dq
  const F32x4 x = (F32x4)a;
  I32x4 r{};
  for (int i = 0; i < 4; ++i) {
    const bool fits = x[i] >= -0x1p31f && x[i] < 0x1p31f;
    r[i] = fits ? static_cast<i32>(x[i]) : std::numeric_limits<i32>::min();
  }
  return (V128)r;
}
inline V128 i32x4_relaxed_trunc_f32x4_u(V128 a) { return i32x4_trunc_sat_f32x4_u(a); }
inline V128 i32x4_relaxed_trunc_f64x2_s_zero(V128 a) {  // cvttpd2dq
  const F64x2 x = (F64x2)a;
  I32x4 r{};
  for (int i = 0; i < 2; ++i) {
    const bool fits = x[i] > -0x1.00000002p31 && x[i] < 0x1p31;
    r[i] = fits ? static_cast<i32>(x[i]) : std::numeric_limits<i32>::min();
  }
  return (V128)r;
}
inline V128 i32x4_relaxed_trunc_f64x2_u_zero(V128 a) { return i32x4_trunc_sat_f64x2_u_zero(a); }
inline V128 i8x16_relaxed_laneselect(V128 a, V128 b, V128 m) {  // pblendvb
  return detail::choose(detail::mask((I8x16)m < 0), a, b);
}
inline V128 i16x8_relaxed_laneselect(V128 a, V128 b, V128 m) { return i8x16_relaxed_laneselect(a, b, m); }
inline V128 i32x4_relaxed_laneselect(V128 a, V128 b, V128 m) {
  return detail::choose(detail::mask((I32x4)m < 0), a, b);
}
inline V128 i64x2_relaxed_laneselect(V128 a, V128 b, V128 m) {
  return detail::choose(detail::mask((I64x2)m < 0), a, b);
}
inline V128 i16x8_relaxed_q15mulr_s(V128 a, V128 b) {  // pmulhrsw
  const I16x8 x = (I16x8)a, y = (I16x8)b;
  I16x8 r{};
  for (int i = 0; i < 8; ++i) r[i] = static_cast<i16>((i32{x[i]} * y[i] + 0x4000) >> 15);
  return (V128)r;
}
inline V128 i16x8_relaxed_dot_i8x16_i7x16_s(V128 a, V128 b) {
  const I8x16 x = (I8x16)a, y = (I8x16)b;
  // Products of the first choice are signed × signed; their sum wraps at 2^15 = (-128)(-128) · 2.
  return (V128)((U16x8)(__builtin_convertvector(detail::even(x), I16x8) *
                        __builtin_convertvector(detail::even(y), I16x8)) +
                (U16x8)(__builtin_convertvector(detail::odd(x), I16x8) *
                        __builtin_convertvector(detail::odd(y), I16x8)));
}
inline V128 i32x4_relaxed_dot_i8x16_i7x16_add_s(V128 a, V128 b, V128 c) {
  return i32x4_add(i32x4_extadd_pairwise_i16x8_s(i16x8_relaxed_dot_i8x16_i7x16_s(a, b)), c);
}

}  // namespace tenon::sem
