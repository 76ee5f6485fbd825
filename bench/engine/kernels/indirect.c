// Indirect calls: a small bytecode machine.
#include "kernels.h"
static u32 acc, reg;
typedef void (*Step)(u32);
static void op_add(u32 x) { acc += x; }
static void op_xor(u32 x) { acc ^= x * 3; }
static void op_swap(u32 x) {
  u32 t = acc;
  acc = reg + x;
  reg = t;
}
static void op_shift(u32 x) { acc = acc << (x & 7) | acc >> (32 - (x & 7) - 1); }
static Step steps[8] = {op_add, op_xor, op_swap, op_shift, op_add, op_swap, op_xor, op_add};
KERNEL(indirect) {
  volatile u32 start = 1;
  acc = start;
  reg = 5;
  for (u32 i = 0; i < n; ++i) steps[(i ^ acc) & 7](i);
  return acc ^ reg;
}
