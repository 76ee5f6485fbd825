// Files and folders below a preopened folder: create, append, seek, truncate, rename, list, stat, remove.
// dir: yes
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char* path) {
  char text[256];
  FILE* file = fopen(path, "r");
  if (!file) {
    printf("%s: %s\n", path, errno == ENOENT ? "ENOENT" : "other error");
    return;
  }
  size_t n = fread(text, 1, sizeof text - 1, file);
  text[n] = 0;
  fclose(file);
  printf("%s (%zu): %s\n", path, n, text);
}

static int by_name(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

static void list(const char* path) {
  DIR* dir = opendir(path);
  if (!dir) {
    printf("cannot list %s\n", path);
    return;
  }
  char* names[32];
  int count = 0;
  for (struct dirent* e; (e = readdir(dir)) && count < 32;)
    if (e->d_name[0] != '.') names[count++] = strdup(e->d_name);
  closedir(dir);
  qsort(names, (size_t)count, sizeof *names, by_name);
  printf("%s:", path);
  for (int i = 0; i < count; i++) printf(" %s", names[i]);
  printf("\n");
}

int main(void) {
  FILE* f = fopen("a.txt", "w");
  fprintf(f, "line one\nline two\n");
  fclose(f);
  show("a.txt");

  f = fopen("a.txt", "a");
  fprintf(f, "appended");
  fclose(f);
  f = fopen("a.txt", "r+");
  fseek(f, 5, SEEK_SET);
  fputs("ONE", f);
  fseek(f, -3, SEEK_END);
  char tail[4] = {0};
  printf("read %zu: %s, at %ld\n", fread(tail, 1, 3, f), tail, ftell(f));
  fclose(f);
  show("a.txt");

  printf("mkdir %d, again %d %d\n", mkdir("sub", 0755), mkdir("sub", 0755), errno == EEXIST);
  printf("rename %d\n", rename("a.txt", "sub/b.txt"));
  show("a.txt");
  show("sub/b.txt");

  int fd = open("sub/c.bin", O_CREAT | O_EXCL | O_RDWR, 0644);
  printf("write %zd\n", write(fd, "0123456789", 10));
  printf("pwrite %zd\n", pwrite(fd, "xy", 2, 4));
  printf("truncate %d\n", ftruncate(fd, 8));
  char data[16] = {0};
  printf("pread %zd %s\n", pread(fd, data, 15, 2), data);
  struct stat st;
  printf("fstat %d %d %d\n", fstat(fd, &st), (int)st.st_size, S_ISREG(st.st_mode) != 0);
  close(fd);
  printf("exclusive again %d %d\n", open("sub/c.bin", O_CREAT | O_EXCL | O_RDWR, 0644), errno == EEXIST);
  printf("stat of a folder %d %d\n", stat("sub", &st), S_ISDIR(st.st_mode) != 0);
  printf("write to a closed descriptor %zd %d\n", write(fd, "!", 1), errno == EBADF);

  list("sub");
  printf("rmdir of a full folder %d\n", rmdir("sub"));
  printf("unlink %d %d\n", unlink("sub/b.txt"), unlink("sub/c.bin"));
  printf("rmdir %d\n", rmdir("sub"));
  list(".");
  return 0;
}
