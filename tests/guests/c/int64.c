// 64-bit and 128-bit integers: arithmetic, division by signs, shifts, rotations, bit counting, sign
// extension.
#include <stdint.h>
#include <stdio.h>

typedef unsigned long long ull;
typedef unsigned __int128 u128;

static void show128(const char* name, u128 v) { printf("%s %016llx%016llx\n", name, (ull)(v >> 64), (ull)v); }

int main(void) {
  volatile int64_t a = 0x123456789abcdefll, b = -987654321ll, m = INT64_MIN;
  volatile uint64_t u = 0xfedcba9876543210ull;
  volatile int n = 77;
  printf("%lld %lld %lld %lld\n", (long long)(a + b), (long long)(a - b), (long long)((ull)a * (ull)b),
         (long long)(a / b));
  printf("%lld %lld %llu %llu\n", (long long)(a % b), (long long)(b / 7), (ull)(u / 1000000007u),
         (ull)(u % 1000000007u));
  printf("%lld %lld %lld\n", (long long)(b % 10), (long long)(m / 3), (long long)(m >> 62));
  printf("%llx %llx %llx\n", (ull)(u << (n & 63)), (ull)(u >> (n & 63)), (ull)((int64_t)u >> 5));
  printf("%llx %llx\n", (ull)(u << 9 | u >> 55), (ull)(u >> 20 | u << 44));
  printf("%d %d %d %d\n", __builtin_clzll(u >> 7), __builtin_ctzll(u), __builtin_popcountll(u),
         __builtin_parityll(u));
  volatile int32_t w = (int32_t)0x80017fffu;
  printf("%d %d %lld %lld\n", (int8_t)w, (int16_t)w, (long long)(int8_t)u, (long long)(int32_t)u);
  printf("%u %d %u %d\n", (unsigned)w / 3u, w / 3, (unsigned)w % 10u, w % 10);
  printf("%d %d %d\n", a < b, (ull)a < (ull)b, m < 0);
  volatile u128 x = ((u128)u << 64) | (ull)a, y = 0x1000000000000001ull;
  show128("mul", x * y);
  show128("shift", x << 67 | x >> 61);
  ull product, sum;
  printf("%d %d\n", __builtin_mul_overflow((ull)u, 2ull, &product),
         __builtin_add_overflow((ull)u, 1ull, &sum));
  uint64_t s = 88172645463325252ull, mix = 0;
  for (int i = 0; i < 1000; i++) {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    mix = mix * 31 + (s % (ull)(i + 1));
  }
  printf("%llu %llu\n", (ull)s, (ull)mix);
  return 0;
}
