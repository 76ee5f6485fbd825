/* setjmp for guests: wasi-libc of Debian 12 has none. The compiler (-mllvm -wasm-enable-sjlj) turns the two calls into
 * WebAssembly exceptions and calls of setjmp.c. No signal masks. */
#ifndef TENON_COMPAT_SETJMP_H
#define TENON_COMPAT_SETJMP_H

typedef struct {
  void *function, *thrown[2];
  unsigned label;
} jmp_buf[1];

int setjmp(jmp_buf) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf, int);
#define setjmp setjmp

#endif
