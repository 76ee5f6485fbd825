/* What clang makes of setjmp and longjmp (compat/setjmp.h). A function that calls setjmp catches __c_longjmp and asks
 * __wasm_setjmp_test which of its own setjmp calls is meant; 0 means that of another function. */
#include <stdint.h>

struct Jump {
  void* function; /* identifies the activation that called setjmp */
  struct Thrown {
    struct Jump* target;
    int value;
  } thrown;
  uint32_t label;
};

__asm__(
    ".globl __c_longjmp\n"
    ".tagtype __c_longjmp i32\n"
    "__c_longjmp:\n");

void __wasm_setjmp(struct Jump* jump, uint32_t label, void* function) {
  jump->function = function;
  jump->label = label;
}

uint32_t __wasm_setjmp_test(struct Jump* jump, void* function) {
  return jump->function == function ? jump->label : 0;
}

_Noreturn void __wasm_longjmp(struct Jump* jump, int value) {
  jump->thrown.target = jump;
  jump->thrown.value = value == 0 ? 1 : value;
  __builtin_wasm_throw(1 /* __c_longjmp */, &jump->thrown);
}
