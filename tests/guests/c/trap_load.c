// A load past the end of memory traps, even when its result is never used.
// native: no
// expect: before
// trap: out of bounds memory access
#include <stdio.h>
__attribute__((noinline)) static int peek(const volatile int* p) { return *p; }
int main(void) {
  puts("before");
  fflush(stdout);
  peek((const int*)0xfffffff0u);
  puts("after");
  return 0;
}
