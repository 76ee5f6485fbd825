// printf with the usual conversions.
#include <inttypes.h>
#include <stdio.h>

int main(void) {
  printf("Hello, %s!\n", "guest");
  printf("%d %i %u %x %X %o %c %%\n", -42, 7, 42u, 0xbeef, 0xBEEF, 8, 'z');
  printf("[%5d] [%-5d] [%05d] [%+d] [% d]\n", 42, 42, 42, 42, 42);
  printf("[%10s] [%-10s] [%.3s]\n", "right", "left", "truncated");
  printf("%" PRId64 " %" PRIu64 " %" PRIx64 "\n", INT64_MIN, UINT64_MAX, (uint64_t)0x0123456789abcdef);
  printf("%*d|%-*d|%.*f\n", 6, 12, 6, 12, 2, 3.14159);
  int written = printf("counted\n");
  printf("%d\n", written);
  fprintf(stderr, "to stderr\n");
  return 0;
}
