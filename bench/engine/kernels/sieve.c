// Bytes and loops: primes below 2^18.
#include "kernels.h"
enum { kLimit = 1 << 18 };
static u8 composite[kLimit];
KERNEL(sieve) {
  u32 count = 0;
  for (u32 round = 0; round < n; ++round) {
    count = 0;
    for (u32 i = 2; i < kLimit; ++i) composite[i] = 0;
    for (u32 i = 2; i < kLimit; ++i) {
      if (composite[i]) continue;
      count += i ^ round;
      for (u32 j = i + i; j < kLimit; j += i) composite[j] = 1;
    }
  }
  return count;
}
