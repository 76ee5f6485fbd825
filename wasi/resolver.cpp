// Path resolution by the kernel (openat2), and by a walk that holds each directory open, so that a rename
// during the walk can't lead it elsewhere.
#include "wasi/resolver.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <cerrno>
#include <climits>
#include <vector>

#include "wasi/errno.h"

namespace tenon::wasi {
namespace {

constexpr int kMaxSymlinks = 40;   // as Linux
constexpr int kMaxRetries = 128;   // of openat2 when renames elsewhere disturb it
constexpr size_t kMaxDepth = 256;  // directories that a walk holds open

int sys_openat2(int dir, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<u64>(flags);
  how.mode = flags & O_CREAT ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof how));
}

std::string_view strip_slashes(std::string_view s) {
  while (s.ends_with('/')) s.remove_suffix(1);
  return s;
}

// One resolution: a stack of open directories and the components still to come, the next one last.
class Walk {
 public:
  explicit Walk(int root) : root_(root) {}

  Expect<UniqueFd> open(const std::string& path, int flags, mode_t mode) {
    // O_EXCL never follows a link at the end (open(2)).
    const bool follow = !(flags & O_NOFOLLOW) && (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    TRY(push_components(path));
    while (!rest_.empty()) {
      std::string name = std::move(rest_.back());
      rest_.pop_back();
      if (name == ".") continue;
      if (name == "..") {
        if (dirs_.empty()) return std::unexpected(Errno::perm);
        dirs_.pop_back();
        continue;
      }
      const bool last = rest_.empty();
      if (last && !follow && !must_be_dir_) return open_last(name, flags, mode);
      TRY_ASSIGN(const std::optional<std::string> link, read_link(name));
      if (link) {
        TRY(expand(*link));
        continue;
      }
      if (last) return open_last(name, flags, mode);
      TRY(enter(name));
    }
    // The path ends in a directory that the walk is in already: ".", "..", or a link to such.
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return std::unexpected(Errno::exist);
    if (flags & O_CREAT) return std::unexpected(Errno::isdir);
    return finish(::openat(top(), ".", flags | O_CLOEXEC | O_NOFOLLOW));
  }

 private:
  int top() const { return dirs_.empty() ? root_ : dirs_.back().get(); }

  static Expect<UniqueFd> finish(int fd) {
    if (fd < 0) return host_error();
    return UniqueFd(fd);
  }

  Expect<void> push_components(std::string_view path) {
    if (path.starts_with('/')) return std::unexpected(Errno::perm);
    // Slashes at the end of the text that ends the path ask for a directory.
    if (rest_.empty() && path.ends_with('/')) must_be_dir_ = true;
    for (path = strip_slashes(path); !path.empty(); path = strip_slashes(path)) {
      const size_t slash = path.rfind('/');
      const size_t start = slash == path.npos ? 0 : slash + 1;
      rest_.emplace_back(path.substr(start));
      path = path.substr(0, start);
    }
    return {};
  }

  // A link's text, or nothing when `name` is no symbolic link (or isn't there: what follows will say so).
  Expect<std::optional<std::string>> read_link(const std::string& name) {
    char text[PATH_MAX];
    const ssize_t n = ::readlinkat(top(), name.c_str(), text, sizeof text);
    if (n < 0) {
      if (errno == EINVAL || errno == ENOENT) return std::nullopt;
      return host_error();
    }
    if (n == static_cast<ssize_t>(sizeof text)) return std::unexpected(Errno::nametoolong);
    return std::string(text, static_cast<size_t>(n));
  }

  Expect<void> expand(const std::string& target) {
    if (++links_ > kMaxSymlinks) return std::unexpected(Errno::loop);
    if (target.empty()) return std::unexpected(Errno::noent);
    return push_components(target);
  }

  Expect<void> enter(const std::string& name) {
    if (dirs_.size() >= kMaxDepth) return std::unexpected(Errno::nametoolong);
    const int fd = ::openat(top(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return host_error();
    dirs_.emplace_back(fd);
    return {};
  }

  Expect<UniqueFd> open_last(const std::string& name, int flags, mode_t mode) {
    if (must_be_dir_) {
      if (flags & O_CREAT) return std::unexpected(Errno::isdir);
      flags |= O_DIRECTORY;
    }
    // If a link took the name's place meanwhile, this fails (or opens the link itself, with O_PATH).
    return finish(::openat(top(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
  }

  int root_;
  std::vector<UniqueFd> dirs_;
  std::vector<std::string> rest_;
  bool must_be_dir_ = false;  // the path ends in a slash
  int links_ = 0;
};

}  // namespace

bool is_utf8(std::string_view s) {
  for (size_t i = 0; i < s.size();) {
    const u8 lead = static_cast<u8>(s[i++]);
    if (lead < 0x80) continue;
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || s.size() - i < static_cast<size_t>(more)) return false;
    u32 code = lead & (0x3f >> more);
    for (int k = 0; k < more; k++) {
      const u8 next = static_cast<u8>(s[i++]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    const u32 least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  }
  return true;
}

Expect<std::string> checked_path(std::string_view guest) {
  if (guest.empty()) return std::unexpected(Errno::noent);
  if (guest.size() >= PATH_MAX) return std::unexpected(Errno::nametoolong);
  // A copy first: other threads of the guest may write to its memory.
  std::string path(guest);
  if (path.find('\0') != path.npos) return std::unexpected(Errno::inval);
  if (!is_utf8(path)) return std::unexpected(Errno::ilseq);
  if (path.front() == '/') return std::unexpected(Errno::perm);
  return path;
}

bool on_procfs(int fd) {
  struct statfs fs;
  return ::fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

bool PathResolver::kernel_can() {
  static const bool can = [] {
    UniqueFd fd(sys_openat2(AT_FDCWD, ".", O_PATH | O_CLOEXEC, 0));
    return static_cast<bool>(fd);
  }();
  return can;
}

PathResolver::PathResolver(PathResolution mode)
    : kernel_(mode == PathResolution::kernel || (mode == PathResolution::automatic && kernel_can())) {}

Expect<UniqueFd> PathResolver::open_below(int dir, const std::string& path, int flags, mode_t mode) const {
  if (kernel_) {
    for (int i = 0; i < kMaxRetries; i++) {
      const int fd = sys_openat2(dir, path.c_str(), flags | O_CLOEXEC, mode);
      if (fd >= 0) return UniqueFd(fd);
      if (errno == EXDEV) return std::unexpected(Errno::perm);
      // EAGAIN: a rename somewhere disturbed the kernel's walk through a "..".
      if (errno != EAGAIN) return host_error();
    }
  }
  return Walk(dir).open(path, flags, mode);
}

Expect<OpenedPath> PathResolver::open(int dir, dev_t home, const std::string& path, int flags,
                                      mode_t mode) const {
  TRY_ASSIGN(UniqueFd fd, open_below(dir, path, flags, mode));
  OpenedPath opened{std::move(fd), {}};
  if (::fstat(opened.fd.get(), &opened.stat) < 0) return host_error();
  if (opened.stat.st_dev != home && on_procfs(opened.fd.get())) return std::unexpected(Errno::perm);
  return opened;
}

Expect<ParentDir> PathResolver::parent(int dir, dev_t home, const std::string& path) const {
  const std::string_view trimmed = strip_slashes(path);
  const size_t slash = trimmed.rfind('/');
  const size_t start = slash == trimmed.npos ? 0 : slash + 1;
  const std::string_view name = trimmed.substr(start);
  ParentDir parent;
  parent.trailing_slash = trimmed.size() != path.size();
  std::string folder;
  if (name == "." || name == "..") {
    // Such a name means a directory that may lie anywhere: resolve it all, then act on "." in it.
    folder = path;
    parent.name = ".";
  } else {
    folder = trimmed.substr(0, start);
    parent.name = path.substr(start);
  }
  if (folder.empty()) {
    parent.fd = dir;
    return parent;
  }
  TRY_ASSIGN(OpenedPath opened, open(dir, home, folder, O_PATH | O_DIRECTORY));
  parent.owned = std::move(opened.fd);
  parent.fd = parent.owned.get();
  return parent;
}

}  // namespace tenon::wasi
