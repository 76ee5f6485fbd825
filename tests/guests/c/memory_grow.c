// A heap that grows to 64 MiB: what was stored stays, and a request that cannot be met fails without harm.
// native: no
// expect: 64 blocks hold what was stored
// expect: grown: yes
// expect: realloc kept 1048576 of 1048576 bytes
// expect: after freeing, the heap is reused: yes
// expect: impossible malloc: refused
// expect: impossible memory.grow: -1
// expect: new page is zero: yes
// expect: overlapping copies: ok
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kBlocks = 64, kSize = 1 << 20 };

static int overlapping(void) {
  uint8_t a[300], b[300];
  for (int shift = -40; shift <= 40; shift++) {
    for (int i = 0; i < 300; i++) a[i] = b[i] = (uint8_t)(i * 13);
    memmove(a + 100 + shift, a + 100, 150);
    uint8_t copy[150];
    for (int i = 0; i < 150; i++) copy[i] = b[100 + i];
    for (int i = 0; i < 150; i++) b[100 + shift + i] = copy[i];
    if (memcmp(a, b, 300) != 0) return 0;
  }
  memset(a + 7, 0xab, 201);
  int sum = 0;
  for (int i = 7; i < 208; i++) sum += a[i] == 0xab;
  return sum == 201;
}

int main(void) {
  size_t before = __builtin_wasm_memory_size(0);
  uint32_t* blocks[kBlocks];
  for (int i = 0; i < kBlocks; i++) {
    blocks[i] = malloc(kSize);
    for (uint32_t j = 0; j < kSize / 4; j += 256) blocks[i][j] = (uint32_t)i * 1000003u + j;
  }
  int good = 0;
  for (int i = 0; i < kBlocks; i++) {
    int right = 1;
    for (uint32_t j = 0; j < kSize / 4; j += 256) right &= blocks[i][j] == (uint32_t)i * 1000003u + j;
    good += right;
  }
  size_t after = __builtin_wasm_memory_size(0);
  printf("%d blocks hold what was stored\n", good);
  printf("grown: %s\n", after - before >= 1000 ? "yes" : "no");

  uint8_t* bytes = malloc(kSize);
  for (int i = 0; i < kSize; i++) bytes[i] = (uint8_t)(i * 31);
  bytes = realloc(bytes, 4 * kSize);
  int kept = 0;
  for (int i = 0; i < kSize; i++) kept += bytes[i] == (uint8_t)(i * 31);
  printf("realloc kept %d of %d bytes\n", kept, kSize);
  free(bytes);
  after = __builtin_wasm_memory_size(0);
  for (int i = 0; i < kBlocks; i++) free(blocks[i]);
  for (int i = 0; i < kBlocks; i++) blocks[i] = malloc(kSize / 2);
  printf("after freeing, the heap is reused: %s\n", __builtin_wasm_memory_size(0) == after ? "yes" : "no");

  volatile size_t huge = 0xfff00000u;
  void* volatile granted = malloc(huge);
  printf("impossible malloc: %s\n", granted ? "GRANTED" : "refused");
  printf("impossible memory.grow: %d\n", (int)__builtin_wasm_memory_grow(0, 65536));
  size_t page = __builtin_wasm_memory_grow(0, 1);
  const uint8_t* fresh = (const uint8_t*)(page * 65536);
  int zero = 1;
  for (int i = 0; i < 65536; i++) zero &= fresh[i] == 0;
  printf("new page is zero: %s\n", zero ? "yes" : "no");
  printf("overlapping copies: %s\n", overlapping() ? "ok" : "WRONG");
  return 0;
}
