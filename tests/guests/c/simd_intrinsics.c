// wasm_simd128.h against plain loops over the lanes; prints the number of lanes that differ for each group.
// wasm-flags: -msimd128
// native: no
// expect: integer 0
// expect: saturating 0
// expect: widening 0
// expect: shuffles 0
// expect: floats 0
// expect: conversions 0
// expect: tests 0
// expect: memory 0
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasm_simd128.h>

static uint32_t state = 1;
static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 17;
  return state ^= state << 5;
}

static v128_t random_vector(void) {
  uint32_t w[4];
  for (int i = 0; i < 4; i++) w[i] = next();
  if (next() % 4 == 0) w[next() % 4] = 0x80000000u;
  if (next() % 4 == 0) w[next() % 4] = 0x7fff8000u;
  return wasm_v128_load(w);
}

#define LANES(type, count, vector, name) \
  type name[count];                      \
  wasm_v128_store(name, vector)

// Counts the lanes where EXPRESSION (of lanes x[i], y[i]) is not what the vector R holds.
#define DIFFER(rtype, count, R, EXPRESSION)                                \
  do {                                                                     \
    LANES(rtype, count, R, r_);                                            \
    for (int i = 0; i < count; i++) wrong += r_[i] != (rtype)(EXPRESSION); \
  } while (0)

static int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

static int integer(v128_t a, v128_t b) {
  int wrong = 0;
  {
    LANES(int8_t, 16, a, x);
    LANES(int8_t, 16, b, y);
    DIFFER(int8_t, 16, wasm_i8x16_add(a, b), x[i] + y[i]);
    DIFFER(int8_t, 16, wasm_i8x16_min(a, b), x[i] < y[i] ? x[i] : y[i]);
    DIFFER(uint8_t, 16, wasm_u8x16_max(a, b), (uint8_t)x[i] > (uint8_t)y[i] ? x[i] : y[i]);
    DIFFER(int8_t, 16, wasm_i8x16_shr(a, 11), x[i] >> 3);
    DIFFER(int8_t, 16, wasm_i8x16_abs(a), x[i] < 0 ? -x[i] : x[i]);
    DIFFER(uint8_t, 16, wasm_i8x16_popcnt(a), __builtin_popcount((uint8_t)x[i]));
    DIFFER(uint8_t, 16, wasm_u8x16_avgr(a, b), ((uint8_t)x[i] + (uint8_t)y[i] + 1) / 2);
    DIFFER(int8_t, 16, wasm_i8x16_gt(a, b), x[i] > y[i] ? -1 : 0);
  }
  {
    LANES(int32_t, 4, a, x);
    LANES(int32_t, 4, b, y);
    DIFFER(uint32_t, 4, wasm_i32x4_mul(a, b), (uint32_t)x[i] * (uint32_t)y[i]);
    DIFFER(int32_t, 4, wasm_i32x4_shl(a, 37), (uint32_t)x[i] << 5);
    DIFFER(uint32_t, 4, wasm_u32x4_shr(a, 3), (uint32_t)x[i] >> 3);
    DIFFER(int32_t, 4, wasm_u32x4_le(a, b), (uint32_t)x[i] <= (uint32_t)y[i] ? -1 : 0);
  }
  {
    LANES(int64_t, 2, a, x);
    LANES(int64_t, 2, b, y);
    DIFFER(uint64_t, 2, wasm_i64x2_mul(a, b), (uint64_t)x[i] * (uint64_t)y[i]);
    DIFFER(int64_t, 2, wasm_i64x2_lt(a, b), x[i] < y[i] ? -1 : 0);
    DIFFER(uint64_t, 2, wasm_i64x2_neg(a), -(uint64_t)x[i]);
  }
  return wrong;
}

static int saturating(v128_t a, v128_t b) {
  int wrong = 0;
  LANES(int8_t, 16, a, x);
  LANES(int8_t, 16, b, y);
  DIFFER(int8_t, 16, wasm_i8x16_add_sat(a, b), clamp(x[i] + y[i], -128, 127));
  DIFFER(uint8_t, 16, wasm_u8x16_sub_sat(a, b), clamp((uint8_t)x[i] - (uint8_t)y[i], 0, 255));
  LANES(int16_t, 8, a, u);
  LANES(int16_t, 8, b, v);
  DIFFER(int16_t, 8, wasm_i16x8_sub_sat(a, b), clamp(u[i] - v[i], -32768, 32767));
  DIFFER(int16_t, 8, wasm_i16x8_q15mulr_sat(a, b), clamp((u[i] * v[i] + 0x4000) >> 15, -32768, 32767));
  DIFFER(int8_t, 16, wasm_i8x16_narrow_i16x8(a, b), clamp(i < 8 ? u[i] : v[i - 8], -128, 127));
  DIFFER(uint8_t, 16, wasm_u8x16_narrow_i16x8(a, b), clamp(i < 8 ? u[i] : v[i - 8], 0, 255));
  return wrong;
}

static int widening(v128_t a, v128_t b) {
  int wrong = 0;
  LANES(int16_t, 8, a, x);
  LANES(int16_t, 8, b, y);
  LANES(uint8_t, 16, a, u);
  DIFFER(int32_t, 4, wasm_i32x4_dot_i16x8(a, b),
         (uint32_t)(x[2 * i] * y[2 * i]) + (uint32_t)(x[2 * i + 1] * y[2 * i + 1]));
  DIFFER(int32_t, 4, wasm_i32x4_extmul_high_i16x8(a, b), x[i + 4] * y[i + 4]);
  DIFFER(uint16_t, 8, wasm_u16x8_extadd_pairwise_u8x16(a), u[2 * i] + u[2 * i + 1]);
  DIFFER(int32_t, 4, wasm_i32x4_extend_low_i16x8(a), x[i]);
  DIFFER(uint16_t, 8, wasm_u16x8_extend_high_u8x16(a), u[i + 8]);
  return wrong;
}

static int shuffles(v128_t a, v128_t b) {
  int wrong = 0;
  LANES(uint8_t, 16, a, x);
  LANES(uint8_t, 16, b, y);
  DIFFER(uint8_t, 16, wasm_i8x16_shuffle(a, b, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31),
         i % 2 ? y[i] : x[i]);
  DIFFER(uint8_t, 16, wasm_i8x16_shuffle(a, b, 31, 30, 29, 28, 0, 0, 0, 0, 15, 15, 15, 15, 16, 16, 16, 16),
         i < 4    ? y[15 - i]
         : i < 8  ? x[0]
         : i < 12 ? x[15]
                  : y[0]);
  DIFFER(uint8_t, 16, wasm_i8x16_swizzle(a, b), y[i] < 16 ? x[y[i]] : 0);
  DIFFER(uint8_t, 16, wasm_i8x16_splat(77), 77);
  DIFFER(uint8_t, 16, wasm_i8x16_replace_lane(a, 5, 9), i == 5 ? 9 : x[i]);
  wrong += wasm_u8x16_extract_lane(a, 3) != x[3];
  wrong += wasm_i8x16_extract_lane(a, 3) != (int8_t)x[3];
  DIFFER(uint8_t, 16, wasm_v128_bitselect(a, b, wasm_i8x16_splat(0x3c)), (x[i] & 0x3c) | (y[i] & ~0x3c));
  DIFFER(uint8_t, 16, wasm_v128_andnot(a, b), x[i] & ~y[i]);
  return wrong;
}

static int floats(v128_t a, v128_t b) {
  int wrong = 0;
  v128_t fa = wasm_f32x4_convert_i32x4(a), fb = wasm_f32x4_convert_i32x4(b);
  LANES(float, 4, fa, x);
  LANES(float, 4, fb, y);
  DIFFER(float, 4, wasm_f32x4_add(fa, fb), x[i] + y[i]);
  DIFFER(float, 4, wasm_f32x4_mul(fa, fb), x[i] * y[i]);
  DIFFER(float, 4, wasm_f32x4_sqrt(wasm_f32x4_abs(fa)), sqrtf(fabsf(x[i])));
  DIFFER(float, 4, wasm_f32x4_min(fa, fb), x[i] < y[i] ? x[i] : y[i]);
  DIFFER(float, 4, wasm_f32x4_pmax(fa, fb), x[i] < y[i] ? y[i] : x[i]);
  DIFFER(float, 4, wasm_f32x4_nearest(wasm_f32x4_mul(fa, wasm_f32x4_splat(1e-8f))), rintf(x[i] * 1e-8f));
  DIFFER(int32_t, 4, wasm_f32x4_ge(fa, fb), x[i] >= y[i] ? -1 : 0);
  v128_t da = wasm_f64x2_convert_low_i32x4(a);
  LANES(double, 2, da, d);
  DIFFER(double, 2, wasm_f64x2_div(da, wasm_f64x2_splat(7)), d[i] / 7);
  DIFFER(double, 2, wasm_f64x2_floor(wasm_f64x2_mul(da, wasm_f64x2_splat(0.001))), floor(d[i] * 0.001));
  return wrong;
}

static int conversions(v128_t a) {
  int wrong = 0;
  LANES(int32_t, 4, a, x);
  v128_t scaled = wasm_f32x4_mul(wasm_f32x4_convert_i32x4(a), wasm_f32x4_splat(3.0f));
  LANES(float, 4, scaled, f);
  DIFFER(int32_t, 4, wasm_i32x4_trunc_sat_f32x4(scaled),
         f[i] >= 2147483648.0f   ? INT32_MAX
         : f[i] < -2147483648.0f ? INT32_MIN
                                 : (int32_t)f[i]);
  DIFFER(uint32_t, 4, wasm_u32x4_trunc_sat_f32x4(scaled),
         f[i] >= 4294967296.0f ? UINT32_MAX
         : f[i] <= 0           ? 0
                               : (uint32_t)f[i]);
  DIFFER(float, 4, wasm_f32x4_convert_u32x4(a), (float)(uint32_t)x[i]);
  DIFFER(double, 2, wasm_f64x2_promote_low_f32x4(scaled), (double)f[i]);
  DIFFER(float, 4, wasm_f32x4_demote_f64x2_zero(wasm_f64x2_convert_low_u32x4(a)),
         i < 2 ? (float)(double)(uint32_t)x[i] : 0);
  wrong += wasm_f32x4_extract_lane(wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_splat(NAN)), 0) != 0;
  return wrong;
}

static int tests(v128_t a, v128_t b) {
  int wrong = 0;
  LANES(uint8_t, 16, a, x);
  unsigned mask = 0;
  int all = 1, any = 0;
  for (int i = 0; i < 16; i++) {
    mask |= (unsigned)(x[i] >> 7) << i;
    all &= x[i] != 0;
    any |= x[i] != 0;
  }
  wrong += wasm_i8x16_bitmask(a) != mask;
  wrong += wasm_i8x16_all_true(a) != all;
  wrong += wasm_v128_any_true(a) != any;
  wrong += wasm_v128_any_true(wasm_v128_xor(a, a)) != 0;
  wrong += wasm_i32x4_all_true(wasm_i32x4_eq(a, a)) != 1;
  wrong += wasm_i64x2_bitmask(wasm_i64x2_ne(b, b)) != 0;
  return wrong;
}

static int memory(v128_t a) {
  int wrong = 0;
  uint8_t buffer[40];
  for (int i = 0; i < 40; i++) buffer[i] = (uint8_t)next();
  wasm_v128_store(buffer + 3, a);
  LANES(uint8_t, 16, a, x);
  wrong += memcmp(buffer + 3, x, 16) != 0;
  DIFFER(int16_t, 8, wasm_i16x8_load8x8(buffer + 5), (int8_t)x[i + 2]);
  DIFFER(uint8_t, 16, wasm_v128_load8_splat(buffer + 7), x[4]);
  DIFFER(uint8_t, 16, wasm_v128_load32_zero(buffer + 3), i < 4 ? x[i] : 0);
  DIFFER(uint8_t, 16, wasm_v128_load8_lane(buffer + 4, wasm_i8x16_splat(1), 15), i == 15 ? x[1] : 1);
  wasm_v128_store16_lane(buffer + 30, a, 6);
  wrong += memcmp(buffer + 30, x + 12, 2) != 0;
  return wrong;
}

int main(void) {
  int wrong[8] = {0};
  for (int round = 0; round < 500; round++) {
    v128_t a = random_vector(), b = random_vector();
    wrong[0] += integer(a, b);
    wrong[1] += saturating(a, b);
    wrong[2] += widening(a, b);
    wrong[3] += shuffles(a, b);
    wrong[4] += floats(a, b);
    wrong[5] += conversions(a);
    wrong[6] += tests(a, b);
    wrong[7] += memory(a);
  }
  const char* names[] = {"integer", "saturating",  "widening", "shuffles",
                         "floats",  "conversions", "tests",    "memory"};
  for (int i = 0; i < 8; i++) printf("%s %d\n", names[i], wrong[i]);
  return 0;
}
