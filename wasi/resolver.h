// Paths inside a directory: whatever a guest's path says, what is opened lies below the directory it started
// from. Knows host descriptors and Linux, nothing of guests' descriptors or rights.
#pragma once
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "wasi/types.h"
#include "wasi/unique_fd.h"
#include "wasi/wasi.h"

namespace tenon::wasi {

// A guest's path as a host string. Errors: noent (empty), inval (NUL inside), ilseq (not UTF-8), nametoolong,
// perm (absolute).
Expect<std::string> checked_path(std::string_view guest);
// Whether the bytes are UTF-8 as Unicode defines it: no surrogates, nothing overlong.
bool is_utf8(std::string_view s);

// The directory that a path's last component is in, for calls that act on a name (mkdirat, unlinkat, …).
struct ParentDir {
  UniqueFd owned;
  int fd = -1;       // owned, or the directory that resolution started from
  std::string name;  // one component, never ".."; keeps trailing slashes
  bool trailing_slash = false;
};

struct OpenedPath {
  UniqueFd fd;
  struct stat stat;
};

class PathResolver {
 public:
  // Does this kernel (and its seccomp filter) have openat2?
  static bool kernel_can();
  // `automatic` chooses by kernel_can().
  explicit PathResolver(PathResolution mode);

  // open(2) of a checked path below `dir`; O_NOFOLLOW in flags is about the last component. Symbolic links
  // may lead anywhere below `dir`; absolute ones and those that climb above it give perm. `home` is the file
  // system (st_dev) the guest was given: procfs mounted below it is refused with perm, since /proc/self is
  // the host.
  Expect<OpenedPath> open(int dir, dev_t home, const std::string& path, int flags, mode_t mode = 0) const;
  Expect<ParentDir> parent(int dir, dev_t home, const std::string& path) const;

 private:
  Expect<UniqueFd> open_below(int dir, const std::string& path, int flags, mode_t mode) const;
  bool kernel_;
};

// True for a descriptor on procfs.
bool on_procfs(int fd);

}  // namespace tenon::wasi
