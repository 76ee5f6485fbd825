/* No users in WASI. */
#ifndef TENON_COMPAT_PWD_H
#define TENON_COMPAT_PWD_H
#include <stddef.h>
#include <sys/types.h>

struct passwd {
  char *pw_name, *pw_dir;
};
static inline struct passwd* getpwuid(uid_t user) { return (void)user, (struct passwd*)NULL; }

#endif
