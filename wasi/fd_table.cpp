// The descriptor table, and which rights make sense for what kind of descriptor.
#include "wasi/fd_table.h"

#include <sys/socket.h>

namespace tenon::wasi {
namespace {

constexpr Rights kFileRights =
    Right::fd_datasync | Right::fd_read | Right::fd_seek | Right::fd_fdstat_set_flags | Right::fd_sync |
    Right::fd_tell | Right::fd_write | Right::fd_advise | Right::fd_allocate | Right::fd_filestat_get |
    Right::fd_filestat_set_size | Right::fd_filestat_set_times | Right::poll_fd_readwrite;
// What has no position or size: pipes, terminals. A character device without seek and tell is a terminal to
// wasi-libc's isatty.
constexpr Rights kStreamRights = Right::fd_read | Right::fd_write | Right::fd_fdstat_set_flags |
                                 Right::fd_filestat_get | Right::poll_fd_readwrite;
constexpr Rights kDirectoryRights =
    Right::fd_fdstat_set_flags | Right::fd_sync | Right::path_create_directory | Right::path_create_file |
    Right::path_link_source | Right::path_link_target | Right::path_open | Right::fd_readdir |
    Right::path_readlink | Right::path_rename_source | Right::path_rename_target | Right::path_filestat_get |
    Right::path_filestat_set_size | Right::path_filestat_set_times | Right::fd_filestat_get |
    Right::fd_filestat_set_times | Right::path_symlink | Right::path_remove_directory |
    Right::path_unlink_file;
constexpr Rights kSocketRights = kStreamRights | Right::sock_shutdown | Right::sock_accept;

}  // namespace

RightsPair applicable_rights(Filetype type, bool seekable) {
  switch (type) {
    case Filetype::directory: return {kDirectoryRights, kDirectoryRights | kFileRights};
    case Filetype::socket_dgram:
    case Filetype::socket_stream: return {kSocketRights, kSocketRights};
    default: return {seekable ? kFileRights : kStreamRights, {}};
  }
}

Filetype filetype_of(mode_t mode, int fd) {
  switch (mode & S_IFMT) {
    case S_IFBLK: return Filetype::block_device;
    case S_IFCHR: return Filetype::character_device;
    case S_IFDIR: return Filetype::directory;
    case S_IFREG: return Filetype::regular_file;
    case S_IFLNK: return Filetype::symbolic_link;
    case S_IFSOCK: {
      int type = SOCK_STREAM;
      socklen_t size = sizeof type;
      if (fd >= 0) ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
      return type == SOCK_DGRAM ? Filetype::socket_dgram : Filetype::socket_stream;
    }
    default: return Filetype::unknown;  // a pipe, for which preview 1 has no name
  }
}

Expect<void> FdEntry::require(Rights rights) const {
  const Rights missing = rights.without(Rights(rights_base.load(std::memory_order_relaxed)));
  if (!missing.any()) [[likely]]
    return {};
  return std::unexpected((missing & kReadWriteRights).any() ? Errno::badf : Errno::notcapable);
}

Expect<EntryRef> FdTable::get(Fd fd) const {
  const std::lock_guard lock(mutex_);
  const u32 i = static_cast<u32>(fd);
  if (i >= entries_.size() || !entries_[i]) return std::unexpected(Errno::badf);
  return entries_[i];
}

Expect<Fd> FdTable::insert(EntryRef entry) {
  const std::lock_guard lock(mutex_);
  size_t i = 0;
  while (i < entries_.size() && entries_[i]) i++;
  if (i >= max_) return std::unexpected(Errno::mfile);
  if (i == entries_.size()) entries_.emplace_back();
  entries_[i] = std::move(entry);
  return static_cast<Fd>(i);
}

Expect<void> FdTable::close(Fd fd) {
  EntryRef closed;  // goes after the lock, since closing may take long
  const std::lock_guard lock(mutex_);
  const u32 i = static_cast<u32>(fd);
  if (i >= entries_.size() || !entries_[i]) return std::unexpected(Errno::badf);
  closed = std::move(entries_[i]);
  return {};
}

Expect<void> FdTable::renumber(Fd from, Fd to) {
  EntryRef closed;
  const std::lock_guard lock(mutex_);
  const u32 f = static_cast<u32>(from), t = static_cast<u32>(to);
  if (f >= entries_.size() || !entries_[f] || t >= entries_.size() || !entries_[t])
    return std::unexpected(Errno::badf);
  if (f == t) return {};
  closed = std::exchange(entries_[t], std::move(entries_[f]));
  return {};
}

}  // namespace tenon::wasi
