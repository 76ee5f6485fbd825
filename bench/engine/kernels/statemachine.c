// Branch tables: a lexer of generated text.
#include "kernels.h"
static u8 text[4096];
KERNEL(statemachine) {
  u32 seed = 7, words = 0, numbers = 0, strings = 0, others = 0;
  for (u32 i = 0; i < sizeof text; ++i) {
    seed = seed * 1103515245u + 12345u;
    text[i] = "ab cd12 3\"x\" ef;\n(9)"[(seed >> 16) % 20];
  }
  for (u32 round = 0; round < n; ++round) {
    u32 state = 0;
    for (u32 i = 0; i < sizeof text; ++i) {
      u8 c = text[i];
      switch (state) {
        case 0:
          if (c >= 'a' && c <= 'z')
            state = 1;
          else if (c >= '0' && c <= '9')
            state = 2;
          else if (c == '"')
            state = 3;
          else if (c == ';')
            state = 4;
          else
            ++others;
          break;
        case 1:
          if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            ++words;
            state = 0;
          }
          break;
        case 2:
          if (c < '0' || c > '9') {
            ++numbers;
            state = 0;
          }
          break;
        case 3:
          if (c == '"') {
            ++strings;
            state = 5;
          }
          break;
        case 4:
          if (c == '\n') state = 0;
          break;
        default: state = c == ' ' ? 0 : 1;
      }
    }
  }
  return words + numbers * 3 + strings * 7 + others;
}
