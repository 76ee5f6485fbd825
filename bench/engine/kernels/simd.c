// SIMD: sums of products and absolute differences over arrays of floats and bytes.
#include "kernels.h"
typedef float f32x4 __attribute__((vector_size(16)));
typedef u8 u8x16 __attribute__((vector_size(16)));
enum { kCount = 4096 };
static f32x4 x[kCount / 4], y[kCount / 4];
static u8x16 p[kCount / 16], q[kCount / 16];
KERNEL(simd) {
  for (int i = 0; i < kCount; ++i) {
    ((float*)x)[i] = i * 0.25f;
    ((float*)y)[i] = (kCount - i) * 0.5f;
    ((u8*)p)[i] = i * 7;
    ((u8*)q)[i] = i * 13;
  }
  f32x4 sum = {0, 0, 0, 0};
  u8x16 best = {0};
  for (u32 round = 0; round < n; ++round) {
#pragma clang loop unroll(disable)
    for (int i = 0; i < kCount / 4; ++i) sum = sum * 0.5f + x[i] * y[i];
#pragma clang loop unroll(disable)
    for (int i = 0; i < kCount / 16; ++i) {
      u8x16 larger = (u8x16)(p[i] > q[i]);
      best ^= ((p[i] - q[i]) & larger) | ((q[i] - p[i]) & ~larger);
    }
    p[round % 256] ^= best;
  }
  return (u32)(sum[0] + sum[3]) + best[5];
}
