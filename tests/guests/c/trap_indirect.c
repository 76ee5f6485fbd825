// A call through a pointer of another type traps.
// native: no
// expect: 5
// trap: indirect call type mismatch
#include <stdio.h>
static int five(void) { return 5; }
int main(void) {
  int (*volatile right)(void) = five;
  printf("%d\n", right());
  fflush(stdout);
  double (*volatile wrong)(double) = (double (*)(double))right;
  printf("%g\n", wrong(1));
  return 0;
}
