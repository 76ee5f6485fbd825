// A store that begins inside the memory and ends outside it traps; the last aligned word does not.
// native: no
// expect: last word 7
// trap: out of bounds memory access
#include <stdio.h>
__attribute__((noinline)) static void poke(unsigned address, int value) { *(volatile int*)address = value; }
int main(void) {
  unsigned end = (unsigned)__builtin_wasm_memory_size(0) * 65536u;
  poke(end - 4, 7);
  printf("last word %d\n", *(volatile int*)(end - 4));
  fflush(stdout);
  poke(end - 3, 7);
  puts("after");
  return 0;
}
