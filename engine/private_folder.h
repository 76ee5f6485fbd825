// Folders of caches: below the user's cache folder, the user's own, closed to others. Names, contents and eviction are the
// caches' business.
#pragma once
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "engine/error.h"

namespace tenon {

// Owns a file descriptor; negative: none.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Nobody but the owner may have written what is in the file.
bool only_ours(const struct stat& st);

// The folder `name` below $XDG_CACHE_HOME or $HOME/.cache; not_found when the environment names neither (XDG Base Directory
// Specification: relative paths are invalid and to be ignored).
Result<std::string> cache_folder(std::string_view name);

// Opens a folder, makes it first with what leads to it when `create`. It is checked through the descriptor, so that nobody
// can exchange it in between: it must belong to the user and be closed to all others (mode 0700). The caller owns the
// descriptor. Errors: io, with the system's reason; unsupported for a folder that others may read.
Result<int> open_private_folder(const std::string& path, bool create);

}  // namespace tenon
