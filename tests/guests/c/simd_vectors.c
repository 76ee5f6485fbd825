// Vectors of the compiler (flags: -msimd128 makes them v128), and loops that it vectorises.
// wasm-flags: -msimd128
#include <stdint.h>
#include <stdio.h>

typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int16_t i16x8 __attribute__((vector_size(16)));
typedef int64_t i64x2 __attribute__((vector_size(16)));

static float xs[1003], ys[1003];
static uint8_t bytes[1 << 12];

static float dot(const float* a, const float* b, int n) {
  f32x4 sum = {0, 0, 0, 0};
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    f32x4 x, y;
    __builtin_memcpy(&x, a + i, 16);
    __builtin_memcpy(&y, b + i, 16);
    sum += x * y;
  }
  float rest = 0;
  for (; i < n; i++) rest += a[i] * b[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]) + rest;
}

int main(void) {
  for (int i = 0; i < 1003; i++) xs[i] = (float)(i % 17) * 0.25f, ys[i] = (float)(i % 23) - 11.0f;
  printf("dot %.9g\n", dot(xs, ys, 1003));

  for (int i = 0; i < 1003; i++) ys[i] = ys[i] > 0 ? ys[i] * 2 : xs[i];
  double total = 0;
  for (int i = 0; i < 1003; i++) total += ys[i];
  printf("relu %.9g\n", total);

  volatile int seed = 7;
  i32x4 a = {seed, -seed, seed * 3, 1 << 30}, b = {3, 5, -7, 9};
  i32x4 r = a * b + (a >> 2) - (b << 3);
  printf("i32x4 %d %d %d %d\n", r[0], r[1], r[2], r[3]);
  i32x4 mask = a > b;
  printf("mask %d %d %d %d\n", mask[0], mask[1], mask[2], mask[3]);
  i32x4 mixed = __builtin_shufflevector(a, b, 0, 5, 2, 7);
  printf("shuffle %d %d %d %d\n", mixed[0], mixed[1], mixed[2], mixed[3]);
  f64x2 d = {(double)seed, 0.5};
  d = d * d / (f64x2){3, 7} - 1;
  printf("f64x2 %.17g %.17g\n", d[0], d[1]);
  f32x4 converted = __builtin_convertvector(r, f32x4);
  printf("convert %.9g %.9g\n", converted[0], converted[3]);
  i64x2 wide = {(int64_t)seed << 40, -seed};
  wide = wide * (i64x2){3, -3} ^ (i64x2) { 255, 1 };
  printf("i64x2 %lld %lld\n", (long long)wide[0], (long long)wide[1]);

  for (int i = 0; i < (1 << 12); i++) bytes[i] = (uint8_t)(i * 7 + (i >> 4));
  u8x16 low = {0}, high = {0};
  for (int i = 0; i < (1 << 12); i += 16) {
    u8x16 v;
    __builtin_memcpy(&v, bytes + i, 16);
    low += v;
    high = __builtin_elementwise_max(v, high);
  }
  unsigned check = 0;
  for (int i = 0; i < 16; i++) check = check * 31 + low[i] + high[i];
  printf("u8x16 %u\n", check);
  i16x8 saturating = {32767, -32768, 1000, -1000, 1, -1, 0, 12345};
  saturating = __builtin_elementwise_add_sat(saturating, (i16x8){1, -1, 1, -1, 1, -1, 1, 32767});
  printf("i16x8 %d %d %d %d\n", saturating[0], saturating[1], saturating[2], saturating[7]);
  unsigned sad = 0;
  for (int i = 0; i + 1 < (1 << 12); i++)
    sad += (unsigned)(bytes[i] > bytes[i + 1] ? bytes[i] - bytes[i + 1] : bytes[i + 1] - bytes[i]);
  printf("sad %u\n", sad);
  return 0;
}
