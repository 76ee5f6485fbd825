// Recursion: deep, mutual, doubly recursive, with live values across calls.
#include <stdint.h>
#include <stdio.h>

static int ackermann(int m, int n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

static int is_odd(int n);
__attribute__((noinline)) static int is_even(int n) { return n == 0 ? 1 : is_odd(n - 1); }
__attribute__((noinline)) static int is_odd(int n) { return n == 0 ? 0 : is_even(n - 1); }

__attribute__((noinline)) static double fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

// Eight values live over the call, of four types.
__attribute__((noinline)) static int64_t spread(int n, int64_t a, double b, float c, int d) {
  if (n == 0) return a + (int64_t)b + (int64_t)c + d;
  int64_t below = spread(n - 1, a + 1, b * 1.5, c + 0.5f, d ^ n);
  return below * 3 + a + (int64_t)b + (int64_t)c + d + n;
}

static int moves = 0;
static void hanoi(int n, int from, int to, int via) {
  if (n == 0) return;
  hanoi(n - 1, from, via, to);
  moves++;
  hanoi(n - 1, via, to, from);
}

static int solutions = 0;
static void queens(int row, unsigned columns, unsigned left, unsigned right) {
  if (row == 8) {
    solutions++;
    return;
  }
  for (unsigned c = 0; c < 8; c++)
    if (!((columns | left | right) >> c & 1))
      queens(row + 1, columns | 1u << c, (left | 1u << c) << 1, (right | 1u << c) >> 1);
}

int main(void) {
  printf("ackermann %d\n", ackermann(2, 300));
  printf("even %d odd %d\n", is_even(5000), is_odd(5001));
  printf("fib %.0f\n", fib(24));
  printf("spread %lld\n", (long long)spread(25, 7, 1.25, 0.5f, 99));
  hanoi(14, 1, 3, 2);
  printf("hanoi %d\n", moves);
  queens(0, 0, 0, 0);
  printf("queens %d\n", solutions);
  return 0;
}
