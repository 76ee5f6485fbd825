// Calls: Fibonacci numbers the slow way.
#include "kernels.h"
static __attribute__((noinline)) u32 fib(u32 n) {
  if (n < 2) return n;
  return fib(n - 1) + fib(n - 2);
}
KERNEL(recursion) { return fib(n); }
