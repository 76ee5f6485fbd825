/* POSIX functions that WASI has no meaning for, so that programs which mention them compile. Included before each
 * source (-include). They do nothing and say so, but for file modes and owners: there are none that a change could
 * break, and programs give up when it fails. */
#ifndef TENON_COMPAT_POSIX_H
#define TENON_COMPAT_POSIX_H
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <utime.h>

#ifndef L_tmpnam
#define L_tmpnam 20
#endif
#ifndef F_RDLCK
enum { F_RDLCK, F_WRLCK, F_UNLCK, F_GETLK = 1000, F_SETLK, F_SETLKW }; /* fcntl refuses them: EINVAL */
#endif

static inline int chmod(const char* path, mode_t mode) { return (void)path, (void)mode, 0; }
static inline int chown(const char* path, uid_t user, gid_t group) {
  return (void)path, (void)user, (void)group, 0;
}
static inline int fchmod(int fd, mode_t mode) { return (void)fd, (void)mode, 0; }
static inline int fchown(int fd, uid_t user, gid_t group) { return (void)fd, (void)user, (void)group, 0; }
static inline uid_t getuid(void) { return 0; }
static inline uid_t geteuid(void) { return 0; }
static inline mode_t umask(mode_t mode) { return (void)mode, 0; }

static inline void* compat_refuse(void) {
  errno = ENOSYS;
  return NULL;
}
static inline FILE* popen(const char* command, const char* mode) {
  return (void)command, (void)mode, (FILE*)compat_refuse();
}
static inline int pclose(FILE* file) { return (void)file, compat_refuse(), -1; }
/* Those that wasi-libc declares but does not have. */
#define system(command) ((void)(command), compat_refuse(), -1)
#define tmpfile() ((FILE*)compat_refuse())
#define tmpnam(buffer) ((void)(buffer), (char*)compat_refuse())

#endif
