// Memory: open addressing with 65,536 places.
#include "kernels.h"
enum { kPlaces = 65536 };
static u32 keys[kPlaces], values[kPlaces];
KERNEL(hashmap) {
  u32 sum = 0, seed = 1;
  for (u32 i = 0; i < kPlaces; ++i) keys[i] = 0;
  for (u32 i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    u32 key = (seed >> 8) % 40000 + 1, at = (key * 2654435761u) >> 16;
    while (keys[at] != 0 && keys[at] != key) at = (at + 1) % kPlaces;
    if (keys[at] == 0) {
      keys[at] = key;
      values[at] = i;
    } else {
      sum += values[at]++;
    }
  }
  return sum;
}
