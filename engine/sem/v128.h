// The 128-bit vector as a C++ value: clang vector types, one for each shape, and casts between them. No
// instruction is defined here (simd.h).
#pragma once
#include <cstring>

#include "engine/base.h"

namespace tenon {

// How a v128 travels: in one vector register, also in the C calling convention.
typedef u64 V128 __attribute__((vector_size(16)));

typedef i8 I8x16 __attribute__((vector_size(16)));
typedef u8 U8x16 __attribute__((vector_size(16)));
typedef i16 I16x8 __attribute__((vector_size(16)));
typedef u16 U16x8 __attribute__((vector_size(16)));
typedef i32 I32x4 __attribute__((vector_size(16)));
typedef u32 U32x4 __attribute__((vector_size(16)));
typedef i64 I64x2 __attribute__((vector_size(16)));
typedef u64 U64x2 __attribute__((vector_size(16)));
typedef f32 F32x4 __attribute__((vector_size(16)));
typedef f64 F64x2 __attribute__((vector_size(16)));

// Halves and doubles of the above, for widening and narrowing.
typedef i8 I8x8 __attribute__((vector_size(8)));
typedef u8 U8x8 __attribute__((vector_size(8)));
typedef i16 I16x4 __attribute__((vector_size(8)));
typedef u16 U16x4 __attribute__((vector_size(8)));
typedef i32 I32x2 __attribute__((vector_size(8)));
typedef u32 U32x2 __attribute__((vector_size(8)));
typedef f32 F32x2 __attribute__((vector_size(8)));
typedef i16 I16x16 __attribute__((vector_size(32)));
typedef i32 I32x8 __attribute__((vector_size(32)));

inline V128 v128_load_bytes(const void* p) {
  V128 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void v128_store_bytes(void* p, V128 v) { std::memcpy(p, &v, sizeof v); }

}  // namespace tenon
