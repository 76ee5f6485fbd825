// struct stat and timestamps between host and guest.
#pragma once
#include <sys/stat.h>

#include <array>
#include <ctime>

#include "wasi/types.h"

namespace tenon::wasi {

// `fd` tells sockets apart, -1 where there is none.
Filestat to_filestat(const struct stat& st, int fd);
// The pair that utimensat takes. Error: inval when a time is both given and "now".
Expect<std::array<timespec, 2>> to_timespecs(Timestamp atim, Timestamp mtim, Fstflags flags);

}  // namespace tenon::wasi
