// A byte-code machine in one large switch (br_table), which sieves primes and turns a shift register.
#include <stdint.h>
#include <stdio.h>

enum {
  kPush,
  kPop,
  kDup,
  kSwap,
  kOver,
  kAdd,
  kSub,
  kMul,
  kMod,
  kLess,
  kEqual,
  kNot,
  kAnd,
  kOr,
  kXor,
  kShiftLeft,
  kShiftRight,
  kLoad,
  kStore,
  kJump,
  kJumpIfZero,
  kPrint,
  kIncrement,
  kDecrement,
  kNegate,
  kGetLocal,
  kSetLocal,
  kHalt
};

static int32_t memory[4096];

static uint32_t run(const int32_t* code) {
  int32_t stack[64], locals[8] = {0}, *top = stack;
  uint32_t steps = 0, check = 0;
  for (int32_t pc = 0;;) {
    int32_t op = code[pc++];
    steps++;
    check = (check << 5 | check >> 27) ^ (uint32_t)op;
    switch (op) {
      case kPush: *top++ = code[pc++]; break;
      case kPop: top--; break;
      case kDup:
        top[0] = top[-1];
        top++;
        break;
      case kSwap: {
        int32_t t = top[-1];
        top[-1] = top[-2];
        top[-2] = t;
        break;
      }
      case kOver:
        top[0] = top[-2];
        top++;
        break;
      case kAdd:
        top--;
        top[-1] += top[0];
        break;
      case kSub:
        top--;
        top[-1] -= top[0];
        break;
      case kMul:
        top--;
        top[-1] *= top[0];
        break;
      case kMod:
        top--;
        top[-1] %= top[0];
        break;
      case kLess:
        top--;
        top[-1] = top[-1] < top[0];
        break;
      case kEqual:
        top--;
        top[-1] = top[-1] == top[0];
        break;
      case kNot: top[-1] = !top[-1]; break;
      case kAnd:
        top--;
        top[-1] &= top[0];
        break;
      case kOr:
        top--;
        top[-1] |= top[0];
        break;
      case kXor:
        top--;
        top[-1] ^= top[0];
        break;
      case kShiftLeft:
        top--;
        top[-1] = (int32_t)((uint32_t)top[-1] << top[0]);
        break;
      case kShiftRight:
        top--;
        top[-1] >>= top[0];
        break;
      case kLoad: top[-1] = memory[top[-1]]; break;
      case kStore:
        top -= 2;
        memory[top[1]] = top[0];
        break;
      case kJump: pc = code[pc]; break;
      case kJumpIfZero: pc = *--top ? pc + 1 : code[pc]; break;
      case kPrint: printf("%d ", *--top); break;
      case kIncrement: top[-1]++; break;
      case kDecrement: top[-1]--; break;
      case kNegate: top[-1] = -top[-1]; break;
      case kGetLocal: *top++ = locals[code[pc++]]; break;
      case kSetLocal: locals[code[pc++]] = *--top; break;
      case kHalt: printf("\nsteps %u\n", steps); return check;
      default: printf("bad opcode %d\n", op); return 0;
    }
  }
}

// Marks the composite numbers below 1000 in memory. Locals: 0 the candidate, 1 its multiple.
static const int32_t sieve[] = {
    /*  0 */ kPush,     2, kSetLocal,  0,
    /*  4 */ kGetLocal, 0, kPush,      1000,      kLess,       kJumpIfZero, 51,
    /* 11 */ kGetLocal, 0, kLoad,      kNot,      kJumpIfZero, 44,
    /* 17 */ kGetLocal, 0, kDup,       kMul,      kSetLocal,   1,
    /* 23 */ kGetLocal, 1, kPush,      1000,      kLess,       kJumpIfZero, 44,
    /* 30 */ kPush,     1, kGetLocal,  1,         kStore,
    /* 35 */ kGetLocal, 1, kGetLocal,  0,         kAdd,        kSetLocal,   1,  kJump, 23,
    /* 44 */ kGetLocal, 0, kIncrement, kSetLocal, 0,           kJump,       4,
    /* 51 */ kHalt,
};

// A thousand steps of a shift register. Locals: 0 the counter, 1 the register.
static const int32_t shift_register[] = {
    /*  0 */ kPush,
    12345,
    kSetLocal,
    1,
    kPush,
    1000,
    kSetLocal,
    0,
    /*  8 */ kGetLocal,
    0,
    kJumpIfZero,
    41,
    /* 12 */ kGetLocal,
    1,
    kDup,
    kPush,
    13,
    kShiftLeft,
    kXor,
    kDup,
    kPush,
    17,
    kShiftRight,
    kXor,
    /* 24 */ kDup,
    kPush,
    5,
    kShiftLeft,
    kXor,
    kPush,
    0x7fffffff,
    kAnd,
    kSetLocal,
    1,
    /* 34 */ kGetLocal,
    0,
    kDecrement,
    kSetLocal,
    0,
    kJump,
    8,
    /* 41 */ kGetLocal,
    1,
    kPrint,
    kHalt,
};

int main(void) {
  printf("%08x\n", run(sieve));
  int count = 0, last = 0;
  for (int i = 2; i < 1000; i++)
    if (!memory[i]) count++, last = i;
  printf("%d primes, last %d\n", count, last);
  printf("%08x\n", run(shift_register));
  const int32_t bad[] = {kPush, 1, 99};
  printf("%08x\n", run(bad));
  return 0;
}
