// Ways out of a preopened folder, without wasi-libc's path handling between: the errno of each (63: perm).
// dir: yes
// native: no
// expect: open ../outside.txt: 63
// expect: open .: 0
// expect: open sub/../../outside.txt: 63
// expect: open /etc/passwd: 63
// expect: open up/outside.txt: 63
// expect: open deep: 63
// expect: open up/ as a link: 63
// expect: create ../made.txt: 63
// expect: create up/made.txt: 63
// expect: attributes of ..: 63
// expect: attributes of up/: 63
// expect: link to ../outside.txt: 63
// expect: link to up/outside.txt: 63
// expect: rename into ..: 63
// expect: rename from ..: 63
// expect: remove up/outside.txt: 63
// expect: absolute symbolic link: 63
// expect: read link behind up/: 63
// expect: .. of a subdirectory's descriptor: 63
// expect: path that is not UTF-8: 25
// expect: descriptor 4711: 8
// expect: number of ..: that of .
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

enum { kDir = 3 };

static void say(const char* what, __wasi_errno_t e) { printf("%s: %d\n", what, e); }

// For what is allowed.
static void must(__wasi_errno_t e) {
  if (e) say("a call that should succeed", e);
}

static __wasi_errno_t open_at(__wasi_fd_t dir, const char* path, __wasi_lookupflags_t follow,
                              __wasi_oflags_t flags) {
  __wasi_fd_t fd;
  __wasi_rights_t rights = flags & __WASI_OFLAGS_CREAT ? __WASI_RIGHTS_FD_WRITE : __WASI_RIGHTS_FD_READ;
  return __wasi_path_open(dir, follow, path, flags, rights, 0, 0, &fd);
}

static void opens(void) {
  static const char* const kPaths[] = {"../outside.txt", ".",   "sub/../../outside.txt", "/etc/passwd",
                                       "up/outside.txt", "deep"};
  for (size_t i = 0; i < sizeof kPaths / sizeof *kPaths; i++) {
    printf("open ");
    say(kPaths[i], open_at(kDir, kPaths[i], __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, 0));
  }
  say("open up/ as a link", open_at(kDir, "up/", 0, __WASI_OFLAGS_DIRECTORY));
  say("create ../made.txt", open_at(kDir, "../made.txt", 1, __WASI_OFLAGS_CREAT));
  say("create up/made.txt", open_at(kDir, "up/made.txt", 1, __WASI_OFLAGS_CREAT));
}

static void names(void) {
  __wasi_filestat_t st;
  say("attributes of ..", __wasi_path_filestat_get(kDir, 0, "..", &st));
  say("attributes of up/", __wasi_path_filestat_get(kDir, 0, "up/", &st));
  say("link to ../outside.txt", __wasi_path_link(kDir, 0, "../outside.txt", kDir, "in"));
  say("link to up/outside.txt", __wasi_path_link(kDir, 0, "up/outside.txt", kDir, "in"));
  say("rename into ..", __wasi_path_rename(kDir, "sub", kDir, "../sub"));
  say("rename from ..", __wasi_path_rename(kDir, "../outside.txt", kDir, "in"));
  say("remove up/outside.txt", __wasi_path_unlink_file(kDir, "up/outside.txt"));
  say("absolute symbolic link", __wasi_path_symlink("/etc/passwd", kDir, "passwd"));
  __wasi_size_t n;
  uint8_t text[256];
  say("read link behind up/", __wasi_path_readlink(kDir, "up/", text, sizeof text, &n));
}

// The number that a listing gives for a name.
static __wasi_inode_t number_of(const char* name) {
  static uint8_t buffer[4096];
  __wasi_size_t used = 0;
  must(__wasi_fd_readdir(kDir, buffer, sizeof buffer, 0, &used));
  for (__wasi_size_t at = 0; at + sizeof(__wasi_dirent_t) <= used;) {
    __wasi_dirent_t entry;
    memcpy(&entry, buffer + at, sizeof entry);
    at += sizeof entry;
    if (entry.d_namlen == strlen(name) && memcmp(buffer + at, name, entry.d_namlen) == 0) return entry.d_ino;
    at += entry.d_namlen;
  }
  return 0;
}

int main(void) {
  must(__wasi_path_create_directory(kDir, "sub"));
  must(__wasi_path_symlink("..", kDir, "up"));
  must(__wasi_path_symlink("sub/../up/outside.txt", kDir, "deep"));
  opens();
  names();
  __wasi_fd_t sub;
  must(__wasi_path_open(kDir, 0, "sub", __WASI_OFLAGS_DIRECTORY, ~(__wasi_rights_t)__WASI_RIGHTS_FD_WRITE,
                        ~0ull, 0, &sub));
  say(".. of a subdirectory's descriptor", open_at(sub, "../sub", 0, 0));
  say("path that is not UTF-8", open_at(kDir, "\xff", 0, 0));
  say("descriptor 4711", open_at(4711, ".", 0, 0));
  printf("number of ..: %s\n", number_of("..") == number_of(".") ? "that of ." : "another");
  return 0;
}
