// unreachable traps; what was printed before arrives.
// native: no
// expect: before
// trap: unreachable
#include <stdio.h>
int main(void) {
  puts("before");
  fflush(stdout);
  __builtin_trap();
}
