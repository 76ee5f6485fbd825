// Floating point and memory: matrix products of 128 × 128 doubles.
#include "kernels.h"
enum { kSize = 128 };
static double a[kSize][kSize], b[kSize][kSize], c[kSize][kSize];
KERNEL(matmul) {
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j) {
      a[i][j] = i * 0.5 + j;
      b[i][j] = i - j * 0.25;
    }
  for (u32 round = 0; round < n; ++round) {
    for (int i = 0; i < kSize; ++i)
      for (int j = 0; j < kSize; ++j) c[i][j] = 0;
    for (int i = 0; i < kSize; ++i)
      for (int l = 0; l < kSize; ++l)
        for (int j = 0; j < kSize; ++j) c[i][j] += a[i][l] * b[l][j];
    a[round % kSize][3] += c[5][round % kSize] * 1e-9;
  }
  return (u32)c[7][9];
}
