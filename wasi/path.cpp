// Functions on paths. What is looked up is opened inside the sandbox (resolver.h) and then asked; what
// changes a name acts on that one component in its open parent directory, and never follows it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "wasi/errno.h"
#include "wasi/filestat.h"
#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

Expect<> check(int result) {
  if (result < 0) return host_error();
  return {};
}

// A name to change: the directory that the guest named, checked for writing, and the resolved parent in it.
struct Place {
  EntryRef dir;
  ParentDir parent;
  const char* name() const { return parent.name.c_str(); }
};

enum class Use : bool { look, change };

Expect<Place> place(const WasiContext& context, Fd fd, GuestPath guest, Right right, Use use) {
  TRY_ASSIGN(EntryRef dir, context.directory(fd, right));
  TRY_ASSIGN(const std::string path, checked_path(guest.view()));
  if (use == Use::change && dir->read_only_mount()) return std::unexpected(Errno::rofs);
  TRY_ASSIGN(ParentDir parent, context.resolver.parent(dir->host.get(), dir->mount->dev, path));
  return Place{std::move(dir), std::move(parent)};
}

// Opens what a path names without opening it for use (O_PATH), e.g. to ask for its attributes.
Expect<OpenedPath> look_up(const WasiContext& context, const FdEntry& dir, GuestPath guest, int flags) {
  TRY_ASSIGN(const std::string path, checked_path(guest.view()));
  return context.resolver.open(dir.host.get(), dir.mount->dev, path, O_PATH | flags);
}

// One component that names an entry of the directory itself.
bool is_plain_name(const std::string& path) {
  return path.find('/') == path.npos && path != "." && path != "..";
}

int nofollow_flag(Lookupflags flags) { return flags.has(Lookupflag::symlink_follow) ? 0 : O_NOFOLLOW; }

// The host's name of an O_PATH descriptor, for calls that can't take the descriptor itself.
std::string proc_name(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

// A name with a slash at its end means the directory that it leads to. Calls that look at the last component
// would then follow a symbolic link, wherever to, so that case is answered here: an error, or "it is a
// directory".
Expect<> must_be_directory(const WasiContext& context, const FdEntry& dir, GuestPath guest) {
  TRY(look_up(context, dir, guest, O_DIRECTORY));
  return {};
}

// path_open: what the guest asked for, in the host's terms.
int open_flags(Oflags oflags, Rights base, Fdflags fdflags, Lookupflags lookup) {
  int flags = O_NOCTTY | nofollow_flag(lookup);
  if (oflags.has(Oflag::directory)) flags |= O_DIRECTORY;
  if (base.has(Right::fd_write)) flags |= base.has(Right::fd_read) ? O_RDWR : O_WRONLY;
  if (oflags.has(Oflag::creat)) flags |= O_CREAT;
  if (oflags.has(Oflag::excl)) flags |= O_EXCL;
  if (oflags.has(Oflag::trunc)) flags |= O_TRUNC;
  if (fdflags.has(Fdflag::append)) flags |= O_APPEND;
  if (fdflags.has(Fdflag::dsync)) flags |= O_DSYNC;
  if (fdflags.has(Fdflag::nonblock)) flags |= O_NONBLOCK;
  if (fdflags.has(Fdflag::rsync) || fdflags.has(Fdflag::sync)) flags |= O_SYNC;
  return flags;
}

// Whether this directory may hand on what is asked for.
Expect<> check_open(const FdEntry& dir, Oflags oflags, Rights base) {
  const Rights inheriting(dir.rights_inheriting.load());
  if (oflags.has(Oflag::creat)) TRY(dir.require(Right::path_create_file));
  if (oflags.has(Oflag::trunc)) TRY(dir.require(Right::path_filestat_set_size));
  if (!inheriting.contains(base & kReadWriteRights)) return std::unexpected(Errno::notcapable);
  return {};
}

// A read-only directory: what exists can be opened for reading, with or without `creat`.
Expect<> check_read_only(Oflags oflags, Rights base, int& flags) {
  if (oflags.has(Oflag::trunc) || base.has(Right::fd_write)) return std::unexpected(Errno::rofs);
  flags &= ~(O_CREAT | O_EXCL);
  return {};
}

EntryRef new_entry(OpenedPath opened, const FdEntry& dir, Rights base, Rights inheriting, Fdflags fdflags) {
  auto entry = std::make_shared<FdEntry>();
  const bool seekable = S_ISREG(opened.stat.st_mode) || S_ISBLK(opened.stat.st_mode);
  entry->type = filetype_of(opened.stat.st_mode, -1);
  entry->is_fifo = S_ISFIFO(opened.stat.st_mode);
  entry->flags = fdflags.bits;
  entry->mount = dir.mount;
  const Rights allowed(dir.rights_inheriting.load());
  const RightsPair applicable = applicable_rights(entry->type, seekable);
  entry->rights_base = (base & allowed & applicable.base).bits;
  entry->rights_inheriting = (inheriting & allowed & applicable.inheriting).bits;
  entry->host = std::move(opened.fd);
  return entry;
}

}  // namespace

Expect<> path_create_directory(WasiContext& context, Fd fd, GuestPath path) {
  TRY_ASSIGN(const Place at, place(context, fd, path, Right::path_create_directory, Use::change));
  return check(::mkdirat(at.parent.fd, at.name(), 0777));
}

Expect<Filestat> path_filestat_get(WasiContext& context, Fd fd, Lookupflags flags, GuestPath path) {
  TRY_ASSIGN(const EntryRef dir, context.directory(fd, Right::path_filestat_get));
  TRY_ASSIGN(const std::string name, checked_path(path.view()));
  // One component that is no link and no mount needs no resolution: one system call instead of three.
  struct stat st;
  if (is_plain_name(name) && ::fstatat(dir->host.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISLNK(st.st_mode) && st.st_dev == dir->mount->dev)
    return to_filestat(st, -1);
  TRY_ASSIGN(const OpenedPath opened,
             context.resolver.open(dir->host.get(), dir->mount->dev, name, O_PATH | nofollow_flag(flags)));
  return to_filestat(opened.stat, -1);
}

Expect<> path_filestat_set_times(WasiContext& context, Fd fd, Lookupflags flags, GuestPath path,
                                 Timestamp atim, Timestamp mtim, Fstflags which) {
  TRY_ASSIGN(const EntryRef dir, context.directory(fd, Right::path_filestat_set_times));
  TRY_ASSIGN(const auto times, to_timespecs(atim, mtim, which));
  if (dir->read_only_mount()) return std::unexpected(Errno::rofs);
  TRY_ASSIGN(const OpenedPath opened, look_up(context, *dir, path, nofollow_flag(flags)));
  if (::utimensat(opened.fd.get(), "", times.data(), AT_EMPTY_PATH) == 0) return {};
  // Before Linux 5.8 there is no AT_EMPTY_PATH here; /proc then names the same file, but not a link itself.
  if (errno != EINVAL || S_ISLNK(opened.stat.st_mode)) return host_error();
  return check(::utimensat(AT_FDCWD, proc_name(opened.fd.get()).c_str(), times.data(), 0));
}

Expect<> path_link(WasiContext& context, Fd old_fd, Lookupflags flags, GuestPath old_path, Fd new_fd,
                   GuestPath new_path) {
  // As other engines: a link to what a symbolic link leads to is not made.
  if (flags.has(Lookupflag::symlink_follow)) return std::unexpected(Errno::inval);
  // Use::change for the source too: a link elsewhere would make a read-only directory's file writable.
  TRY_ASSIGN(const Place from, place(context, old_fd, old_path, Right::path_link_source, Use::change));
  TRY_ASSIGN(const Place to, place(context, new_fd, new_path, Right::path_link_target, Use::change));
  if (from.parent.trailing_slash) {
    TRY(must_be_directory(context, *from.dir, old_path));
    return std::unexpected(Errno::perm);
  }
  return check(::linkat(from.parent.fd, from.name(), to.parent.fd, to.name(), 0));
}

Expect<Fd> path_open(WasiContext& context, Fd fd, Lookupflags lookup, GuestPath guest, Oflags oflags,
                     Rights base, Rights inheriting, Fdflags fdflags) {
  TRY_ASSIGN(const EntryRef dir, context.directory(fd, Right::path_open));
  TRY_ASSIGN(const std::string path, checked_path(guest.view()));
  if (oflags.has(Oflag::directory) && (oflags.has(Oflag::creat) || oflags.has(Oflag::trunc)))
    return std::unexpected(Errno::inval);
  TRY(check_open(*dir, oflags, base));
  int flags = open_flags(oflags, base, fdflags, lookup);
  if (dir->read_only_mount()) TRY(check_read_only(oflags, base, flags));
  auto opened = context.resolver.open(dir->host.get(), dir->mount->dev, path, flags, 0666);
  if (!opened) {
    const bool would_create = dir->read_only_mount() && oflags.has(Oflag::creat);
    return std::unexpected(would_create && opened.error() == Errno::noent ? Errno::rofs : opened.error());
  }
  return context.fds.insert(new_entry(std::move(*opened), *dir, base, inheriting, fdflags));
}

Expect<Size> path_readlink(WasiContext& context, Fd fd, GuestPath path, GuestSpan<u8> buf) {
  TRY_ASSIGN(const Place at, place(context, fd, path, Right::path_readlink, Use::look));
  if (at.parent.trailing_slash) {
    TRY(must_be_directory(context, *at.dir, path));
    return std::unexpected(Errno::inval);
  }
  char text[PATH_MAX];
  const ssize_t n = ::readlinkat(at.parent.fd, at.name(), text, sizeof text);
  if (n < 0) return host_error();
  // An absolute target is a host path, which the guest could not use anyway.
  if (n > 0 && text[0] == '/') return std::unexpected(Errno::perm);
  const Size size = std::min(static_cast<Size>(n), buf.size());
  std::memcpy(buf.bytes().data(), text, size);
  return size;
}

Expect<> path_remove_directory(WasiContext& context, Fd fd, GuestPath path) {
  TRY_ASSIGN(const Place at, place(context, fd, path, Right::path_remove_directory, Use::change));
  return check(::unlinkat(at.parent.fd, at.name(), AT_REMOVEDIR));
}

Expect<> path_rename(WasiContext& context, Fd fd, GuestPath old_path, Fd new_fd, GuestPath new_path) {
  TRY_ASSIGN(const Place from, place(context, fd, old_path, Right::path_rename_source, Use::change));
  TRY_ASSIGN(const Place to, place(context, new_fd, new_path, Right::path_rename_target, Use::change));
  return check(::renameat(from.parent.fd, from.name(), to.parent.fd, to.name()));
}

Expect<> path_symlink(WasiContext& context, GuestPath target, Fd fd, GuestPath new_path) {
  TRY_ASSIGN(const std::string text, checked_path(target.view()));
  TRY_ASSIGN(const Place at, place(context, fd, new_path, Right::path_symlink, Use::change));
  return check(::symlinkat(text.c_str(), at.parent.fd, at.name()));
}

Expect<> path_unlink_file(WasiContext& context, Fd fd, GuestPath path) {
  TRY_ASSIGN(const Place at, place(context, fd, path, Right::path_unlink_file, Use::change));
  return check(::unlinkat(at.parent.fd, at.name(), 0));
}

}  // namespace tenon::wasi
