// The rules for folders of caches.
#include "engine/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace tenon {
namespace {

std::unexpected<Error> system_error(const std::string& what) {
  return std::unexpected(Error{ErrorCategory::io, fmt::format("{}: {}", what, std::strerror(errno)), {}});
}

}  // namespace

bool only_ours(const struct stat& st) {
  return st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Result<std::string> cache_folder(std::string_view name) {
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg == '/')
    return fmt::format("{}/{}", xdg, name);
  if (const char* home = std::getenv("HOME"); home && *home == '/')
    return fmt::format("{}/.cache/{}", home, name);
  return std::unexpected(Error{ErrorCategory::not_found, "neither XDG_CACHE_HOME nor HOME is set", {}});
}

Result<int> open_private_folder(const std::string& path, bool create) {
  if (create) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
      mkdir(path.substr(0, slash).c_str(), 0700);
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("cannot create " + path);
  }
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open " + path);
  struct stat st{};
  if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
    close(fd);
    return std::unexpected(
        Error{ErrorCategory::unsupported,
              fmt::format("{} must belong to you and be closed to others (mode 0700)", path),
              {}});
  }
  return fd;
}

}  // namespace tenon
