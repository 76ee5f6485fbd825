// Calls through pointers: tables of functions of several types, callbacks, a state machine, variadic
// functions.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef int (*binary)(int, int);
static int add(int a, int b) { return a + b; }
static int sub(int a, int b) { return a - b; }
static int mul(int a, int b) { return (int)((unsigned)a * (unsigned)b); }
static int rotate(int a, int b) { return (int)((unsigned)a << (b & 31) | (unsigned)a >> (-b & 31)); }
static binary const operations[] = {add, sub, mul, rotate};

static double half(double x) { return x / 2; }
static double square(double x) { return x * x; }

struct point {
  double x, y;
  int tag;
};
static struct point mirror(struct point p) { return (struct point){p.y, p.x, -p.tag}; }

static void each(const int* values, int n, void (*visit)(int, void*), void* data) {
  for (int i = 0; i < n; i++) visit(values[i], data);
}
static void sum(int v, void* data) { *(int64_t*)data += v; }
static void largest(int v, void* data) {
  if (v > *(int*)data) *(int*)data = v;
}

typedef struct state {
  struct state (*next)(int);
} state;
static int visits[3];
static state start(int), middle(int), end(int);
static state start(int n) { return visits[0]++, (state){n % 2 ? middle : start}; }
static state middle(int n) { return visits[1]++, (state){n % 3 ? start : end}; }
static state end(int n) { return visits[2]++, (state){n % 5 ? middle : start}; }

static double total(int count, ...) {
  va_list list;
  va_start(list, count);
  double result = 0;
  for (int i = 0; i < count; i++) {
    switch (i % 3) {
      case 0: result += va_arg(list, int); break;
      case 1: result += va_arg(list, double); break;
      default: result += (double)va_arg(list, long long);
    }
  }
  va_end(list);
  return result;
}

int main(int argc, char** argv) {
  int value = 12345;
  for (int i = 0; i < 1000; i++) value = operations[(unsigned)(value ^ i) % 4](value, i + argc - 1);
  printf("%d\n", value);
  double (*volatile f)(double) = half;
  double x = f(10);
  f = square;
  printf("%g\n", f(x));
  struct point (*volatile g)(struct point) = mirror;
  struct point p = g((struct point){1.5, 2.5, 9});
  printf("%g %g %d\n", p.x, p.y, p.tag);
  int values[] = {3, 99, -4, 12};
  int64_t sums = 0;
  int most = -1000;
  each(values, 4, sum, &sums);
  each(values, 4, largest, &most);
  printf("%lld %d\n", (long long)sums, most);
  state s = {start};
  for (int i = 0; i < 100; i++) s = s.next(i * 7 + 3);
  printf("%d %d %d\n", visits[0], visits[1], visits[2]);
  printf("%.3f\n", total(6, 1, 2.5, 3ll, 4, 5.25, 1ll << 40));
  return 0;
}
