// Integer division by zero traps.
// native: no
// expect: 14
// trap: integer divide by zero
#include <stdio.h>
#include <stdlib.h>
__attribute__((noinline)) static unsigned divide(unsigned a, unsigned b) { return a / b; }
int main(int argc, char** argv) {
  printf("%u\n", divide(100, 7));
  fflush(stdout);
  printf("%u\n", divide(100, (unsigned)(argc - 1)));
  return 0;
}
