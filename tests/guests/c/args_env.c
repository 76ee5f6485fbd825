// Arguments and environment arrive as given; the result of main is the exit code.
// args: alpha 'two words' '' ünïcödé
// env: TENON_COLOUR=dark blue
// env: TENON_EMPTY=
// exit: 7
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  printf("%d\n", argc);
  for (int i = 1; i < argc; i++) printf("%d [%s] %zu\n", i, argv[i], strlen(argv[i]));
  const char* names[] = {"TENON_COLOUR", "TENON_EMPTY", "TENON_ABSENT"};
  for (int i = 0; i < 3; i++) {
    const char* value = getenv(names[i]);
    printf("%s = %s\n", names[i], value ? value : "(unset)");
  }
  return 7;
}
