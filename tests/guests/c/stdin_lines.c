// Reads stdin line by line to its end.
// stdin: the quick brown fox
// stdin:
// stdin: jumps over
#include <ctype.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  char line[64];
  int lines = 0, letters = 0;
  while (fgets(line, sizeof line, stdin)) {
    lines++;
    for (char* c = line; *c; c++) {
      letters += isalpha((unsigned char)*c) != 0;
      *c = (char)toupper((unsigned char)*c);
    }
    printf("%d: %s", lines, line);
  }
  printf("%d lines, %d letters, at end: %d\n", lines, letters, feof(stdin) != 0);
  return 0;
}
