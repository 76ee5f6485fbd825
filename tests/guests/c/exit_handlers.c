// exit runs handlers in reverse order, flushes stdout and gives its code to the host.
// exit: 42
#include <stdio.h>
#include <stdlib.h>

static void first(void) { printf("registered first, runs last\n"); }
static void second(void) { printf("registered second, runs first\n"); }

static void deep(int n) {
  if (n == 0) exit(42);
  deep(n - 1);
  printf("never printed\n");
}

int main(void) {
  atexit(first);
  atexit(second);
  printf("no newline at the end of this buffer; ");
  deep(20);
  return 0;
}
