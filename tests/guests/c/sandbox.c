// Nothing outside the preopened folder can be reached: by dots, by absolute paths, or by symbolic links.
// dir: yes
// native: no
// expect: inside: ok
// expect: ../outside.txt: refused
// expect: sub/../../outside.txt: refused
// expect: /etc/passwd: refused
// expect: symlink ../: refused or harmless
// expect: create ../made.txt: refused
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void attempt(const char* path) {
  FILE* file = fopen(path, "r");
  printf("%s: %s\n", path, file ? "OPENED" : "refused");
  if (file) fclose(file);
}

int main(void) {
  FILE* file = fopen("inside.txt", "w");
  printf("inside: %s\n", file ? "ok" : "failed");
  if (file) fclose(file);
  mkdir("sub", 0755);
  attempt("../outside.txt");
  attempt("sub/../../outside.txt");
  attempt("/etc/passwd");
  // Making such a link may be refused or allowed; following it out of the folder may not be allowed.
  symlink("..", "up");
  file = fopen("up/outside.txt", "r");
  printf("symlink ../: %s\n", file ? "OPENED" : "refused or harmless");
  int fd = open("../made.txt", O_CREAT | O_WRONLY, 0644);
  printf("create ../made.txt: %s\n", fd >= 0 ? "CREATED" : "refused");
  return 0;
}
