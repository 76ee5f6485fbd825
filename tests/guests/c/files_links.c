// Symbolic and hard links, time stamps, gathered reads and writes, holes, a file of a megabyte, long names.
// dir: yes
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void) {
  int fd = open("target.txt", O_CREAT | O_RDWR, 0644);
  struct iovec out[3] = {{"gather", 6}, {"ed ", 3}, {"write", 5}};
  printf("writev %zd\n", writev(fd, out, 3));
  char a[5] = {0}, b[32] = {0};
  lseek(fd, 0, SEEK_SET);
  struct iovec in[2] = {{a, 4}, {b, 31}};
  printf("readv %zd '%s' '%s'\n", readv(fd, in, 2), a, b);
  printf("at end %zd\n", read(fd, b, 31));

  printf("symlink %d\n", symlink("target.txt", "soft"));
  char link_text[64] = {0};
  printf("readlink %zd %s\n", readlink("soft", link_text, sizeof link_text - 1), link_text);
  struct stat st, other;
  printf("lstat %d is a link %d\n", lstat("soft", &st), S_ISLNK(st.st_mode) != 0);
  printf("stat %d size %d\n", stat("soft", &st), (int)st.st_size);
  printf("open refuses links %d\n", open("soft", O_RDONLY | O_NOFOLLOW) < 0);
  printf("link %d\n", link("target.txt", "hard"));
  stat("target.txt", &st);
  stat("hard", &other);
  printf("same file %d, %d names\n", st.st_ino == other.st_ino, (int)other.st_nlink);

  struct timespec times[2] = {{1000000000, 500}, {1234567890, 123456000}};
  printf("utimensat %d\n", utimensat(AT_FDCWD, "hard", times, 0));
  stat("target.txt", &st);
  printf("times %lld %lld.%09ld\n", (long long)st.st_atim.tv_sec, (long long)st.st_mtim.tv_sec,
         (long)st.st_mtim.tv_nsec);
  close(fd);

  fd = open("hole", O_CREAT | O_RDWR | O_TRUNC, 0644);
  printf("seek %lld\n", (long long)lseek(fd, 100000, SEEK_SET));
  printf("write %zd\n", write(fd, "end", 3));
  unsigned char zero = 1;
  printf("pread %zd %d\n", pread(fd, &zero, 1, 50000), zero);
  printf("seek before the start %d\n", lseek(fd, -1, SEEK_SET) < 0 && errno == EINVAL);
  close(fd);

  uint8_t* big = malloc(1 << 20);
  uint32_t check = 0, seed = 7;
  for (int i = 0; i < 1 << 20; i++) big[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
  FILE* file = fopen("big", "wb");
  size_t written = fwrite(big, 1, 1 << 20, file);
  fclose(file);
  file = fopen("big", "rb");
  memset(big, 0, 1 << 20);
  size_t got = fread(big, 1, 1 << 20, file);
  fclose(file);
  for (int i = 0; i < 1 << 20; i++) check = check * 31 + big[i];
  printf("megabyte %zu %zu %08x\n", written, got, check);

  char name[300];
  memset(name, 'n', sizeof name - 1);
  name[299] = 0;
  printf("name of 299 bytes: %d\n", open(name, O_CREAT | O_WRONLY, 0644) < 0 && errno == ENAMETOOLONG);
  name[200] = 0;
  fd = open(name, O_CREAT | O_WRONLY, 0644);
  printf("name of 200 bytes: %d\n", fd >= 0);
  close(fd);
  printf("read from a folder %d\n", (fd = open(".", O_RDONLY)) >= 0 && read(fd, name, 1) < 0);
  printf("file as folder %d\n", open("big/x", O_RDONLY) < 0 && errno == ENOTDIR);
  unlink("soft");
  unlink("hard");
  printf("still there %d\n", access("target.txt", F_OK));
  return 0;
}
