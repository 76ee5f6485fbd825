// Loads, stores and atomic accesses on bytes that the caller has checked (spec: exec/instructions, memory):
// one function for each row with a memarg, named like it. Bounds, alignment of atomics, wait and notify are
// not here.
#pragma once
#include <atomic>
#include <bit>
#include <cstring>

#include "engine/sem/simd.h"

namespace tenon::sem {

static_assert(std::endian::native == std::endian::little, "linear memory is little endian");

namespace detail {
template <class T>
T get(const u8* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
void put(u8* p, T v) {
  std::memcpy(p, &v, sizeof v);
}
template <class T>
V128 splat(const u8* p) {
  typedef T V __attribute__((vector_size(16)));
  return (V128)(V{} + get<T>(p));
}
}  // namespace detail

// id, value type, type in memory (its signedness is the extension)
#define TENON_SEM_LOAD(id, V, M, S) \
  inline V id(const u8* p) { return static_cast<V>(static_cast<S>(detail::get<M>(p))); }
TENON_SEM_LOAD(i32_load, u32, u32, u32)
TENON_SEM_LOAD(i64_load, u64, u64, u64)
TENON_SEM_LOAD(i32_load8_s, u32, i8, i32)
TENON_SEM_LOAD(i32_load8_u, u32, u8, u32)
TENON_SEM_LOAD(i32_load16_s, u32, i16, i32)
TENON_SEM_LOAD(i32_load16_u, u32, u16, u32)
TENON_SEM_LOAD(i64_load8_s, u64, i8, i64)
TENON_SEM_LOAD(i64_load8_u, u64, u8, u64)
TENON_SEM_LOAD(i64_load16_s, u64, i16, i64)
TENON_SEM_LOAD(i64_load16_u, u64, u16, u64)
TENON_SEM_LOAD(i64_load32_s, u64, i32, i64)
TENON_SEM_LOAD(i64_load32_u, u64, u32, u64)
#undef TENON_SEM_LOAD
inline f32 f32_load(const u8* p) { return detail::get<f32>(p); }
inline f64 f64_load(const u8* p) { return detail::get<f64>(p); }

#define TENON_SEM_STORE(id, V, M) \
  inline void id(u8* p, V v) { detail::put<M>(p, static_cast<M>(v)); }
TENON_SEM_STORE(i32_store, u32, u32)
TENON_SEM_STORE(i64_store, u64, u64)
TENON_SEM_STORE(f32_store, f32, f32)
TENON_SEM_STORE(f64_store, f64, f64)
TENON_SEM_STORE(i32_store8, u32, u8)
TENON_SEM_STORE(i32_store16, u32, u16)
TENON_SEM_STORE(i64_store8, u64, u8)
TENON_SEM_STORE(i64_store16, u64, u16)
TENON_SEM_STORE(i64_store32, u64, u32)
#undef TENON_SEM_STORE

// Vectors.
inline V128 v128_load(const u8* p) { return v128_load_bytes(p); }
inline void v128_store(u8* p, V128 v) { v128_store_bytes(p, v); }
inline V128 v128_load32_zero(const u8* p) { return V128{detail::get<u32>(p), 0}; }
inline V128 v128_load64_zero(const u8* p) { return V128{detail::get<u64>(p), 0}; }
inline V128 v128_load8x8_s(const u8* p) { return i16x8_extend_low_i8x16_s(v128_load64_zero(p)); }
inline V128 v128_load8x8_u(const u8* p) { return i16x8_extend_low_i8x16_u(v128_load64_zero(p)); }
inline V128 v128_load16x4_s(const u8* p) { return i32x4_extend_low_i16x8_s(v128_load64_zero(p)); }
inline V128 v128_load16x4_u(const u8* p) { return i32x4_extend_low_i16x8_u(v128_load64_zero(p)); }
inline V128 v128_load32x2_s(const u8* p) { return i64x2_extend_low_i32x4_s(v128_load64_zero(p)); }
inline V128 v128_load32x2_u(const u8* p) { return i64x2_extend_low_i32x4_u(v128_load64_zero(p)); }
inline V128 v128_load8_splat(const u8* p) { return detail::splat<u8>(p); }
inline V128 v128_load16_splat(const u8* p) { return detail::splat<u16>(p); }
inline V128 v128_load32_splat(const u8* p) { return detail::splat<u32>(p); }
inline V128 v128_load64_splat(const u8* p) { return detail::splat<u64>(p); }
#define TENON_SEM_LANE(bits, V, T)                                   \
  inline V128 v128_load##bits##_lane(const u8* p, V128 a, u8 lane) { \
    V v = (V)a;                                                      \
    v[lane] = detail::get<T>(p);                                     \
    return (V128)v;                                                  \
  }                                                                  \
  inline void v128_store##bits##_lane(u8* p, V128 a, u8 lane) { detail::put<T>(p, ((V)a)[lane]); }
TENON_SEM_LANE(8, U8x16, u8)
TENON_SEM_LANE(16, U16x8, u16)
TENON_SEM_LANE(32, U32x4, u32)
TENON_SEM_LANE(64, U64x2, u64)
#undef TENON_SEM_LANE

// Atomics: sequentially consistent. The address is aligned to the width.
inline void atomic_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
namespace detail {
template <class M>
M* at(u8* p) {
  return reinterpret_cast<M*>(p);
}
}  // namespace detail
#define TENON_SEM_ATOMIC_LOAD(id, V, M) \
  inline V id(u8* p) { return __atomic_load_n(detail::at<M>(p), __ATOMIC_SEQ_CST); }
#define TENON_SEM_ATOMIC_STORE(id, V, M) \
  inline void id(u8* p, V v) { __atomic_store_n(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST); }
#define TENON_SEM_ATOMIC_RMW(prefix, suffix, V, M)                                          \
  inline V prefix##_add##suffix(u8* p, V v) {                                               \
    return __atomic_fetch_add(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST);       \
  }                                                                                         \
  inline V prefix##_sub##suffix(u8* p, V v) {                                               \
    return __atomic_fetch_sub(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST);       \
  }                                                                                         \
  inline V prefix##_and##suffix(u8* p, V v) {                                               \
    return __atomic_fetch_and(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST);       \
  }                                                                                         \
  inline V prefix##_or##suffix(u8* p, V v) {                                                \
    return __atomic_fetch_or(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST);        \
  }                                                                                         \
  inline V prefix##_xor##suffix(u8* p, V v) {                                               \
    return __atomic_fetch_xor(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST);       \
  }                                                                                         \
  inline V prefix##_xchg##suffix(u8* p, V v) {                                              \
    return __atomic_exchange_n(detail::at<M>(p), static_cast<M>(v), __ATOMIC_SEQ_CST);      \
  }                                                                                         \
  inline V prefix##_cmpxchg##suffix(u8* p, V expected, V replacement) {                     \
    M old = static_cast<M>(expected); /* wrapped to the width, as the replacement is */     \
    __atomic_compare_exchange_n(detail::at<M>(p), &old, static_cast<M>(replacement), false, \
                                __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                        \
    return old;                                                                             \
  }
TENON_SEM_ATOMIC_LOAD(i32_atomic_load, u32, u32)
TENON_SEM_ATOMIC_LOAD(i64_atomic_load, u64, u64)
TENON_SEM_ATOMIC_LOAD(i32_atomic_load8_u, u32, u8)
TENON_SEM_ATOMIC_LOAD(i32_atomic_load16_u, u32, u16)
TENON_SEM_ATOMIC_LOAD(i64_atomic_load8_u, u64, u8)
TENON_SEM_ATOMIC_LOAD(i64_atomic_load16_u, u64, u16)
TENON_SEM_ATOMIC_LOAD(i64_atomic_load32_u, u64, u32)
TENON_SEM_ATOMIC_STORE(i32_atomic_store, u32, u32)
TENON_SEM_ATOMIC_STORE(i64_atomic_store, u64, u64)
TENON_SEM_ATOMIC_STORE(i32_atomic_store8, u32, u8)
TENON_SEM_ATOMIC_STORE(i32_atomic_store16, u32, u16)
TENON_SEM_ATOMIC_STORE(i64_atomic_store8, u64, u8)
TENON_SEM_ATOMIC_STORE(i64_atomic_store16, u64, u16)
TENON_SEM_ATOMIC_STORE(i64_atomic_store32, u64, u32)
TENON_SEM_ATOMIC_RMW(i32_atomic_rmw, , u32, u32)
TENON_SEM_ATOMIC_RMW(i64_atomic_rmw, , u64, u64)
TENON_SEM_ATOMIC_RMW(i32_atomic_rmw8, _u, u32, u8)
TENON_SEM_ATOMIC_RMW(i32_atomic_rmw16, _u, u32, u16)
TENON_SEM_ATOMIC_RMW(i64_atomic_rmw8, _u, u64, u8)
TENON_SEM_ATOMIC_RMW(i64_atomic_rmw16, _u, u64, u16)
TENON_SEM_ATOMIC_RMW(i64_atomic_rmw32, _u, u64, u32)
#undef TENON_SEM_ATOMIC_LOAD
#undef TENON_SEM_ATOMIC_STORE
#undef TENON_SEM_ATOMIC_RMW

}  // namespace tenon::sem
