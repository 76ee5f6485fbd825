// INT_MIN / -1 traps with its own reason.
// native: no
// expect: -1073741824
// trap: integer overflow
#include <limits.h>
#include <stdio.h>
__attribute__((noinline)) static int divide(int a, int b) { return a / b; }
int main(int argc, char** argv) {
  printf("%d\n", divide(INT_MIN, argc + 1));
  fflush(stdout);
  printf("%d\n", divide(INT_MIN, -argc));
  return 0;
}
