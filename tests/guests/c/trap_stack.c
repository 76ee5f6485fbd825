// Endless recursion traps instead of ending the process.
// native: no
// expect: going down
// trap: call stack exhausted
#include <stdio.h>
static volatile int sink;
__attribute__((noinline)) static int down(int n) {
  sink = n;
  if (sink == -1) return 0;  // never: the stack ends long before
  return down(n + 1) + sink;
}
int main(void) {
  puts("going down");
  fflush(stdout);
  return down(0);
}
