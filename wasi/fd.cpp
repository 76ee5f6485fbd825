// Functions on an open descriptor that move no data: attributes, flags, rights, position, preopens.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "wasi/errno.h"
#include "wasi/filestat.h"
#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

constexpr u64 kMaxOffset = static_cast<u64>(INT64_MAX);  // off_t's

Expect<> check(int result) {
  if (result < 0) return host_error();
  return {};
}

Expect<Filesize> seek(const FdEntry& entry, off_t offset, int whence) {
  if (entry.is_stream()) return std::unexpected(Errno::spipe);
  const off_t at = ::lseek(entry.host.get(), offset, whence);
  if (at < 0) return host_error();
  return static_cast<Filesize>(at);
}

}  // namespace

Expect<> fd_advise(WasiContext& context, Fd fd, Filesize offset, Filesize len, Advice advice) {
  constexpr int kAdvice[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                             POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
  TRY_ASSIGN(const EntryRef entry, context.file(fd, Right::fd_advise));
  if (offset > kMaxOffset || len > kMaxOffset) return std::unexpected(Errno::inval);
  const int error = ::posix_fadvise(entry->host.get(), static_cast<off_t>(offset), static_cast<off_t>(len),
                                    kAdvice[static_cast<u8>(advice)]);
  if (error) return std::unexpected(from_host_errno(error));
  return {};
}

Expect<> fd_allocate(WasiContext& context, Fd fd, Filesize offset, Filesize len) {
  TRY_ASSIGN(const EntryRef entry, context.file(fd, Right::fd_allocate));
  if (len == 0 || offset > kMaxOffset) return std::unexpected(Errno::inval);
  if (len > kMaxOffset - offset) return std::unexpected(Errno::fbig);
  return check(::fallocate(entry->host.get(), 0, static_cast<off_t>(offset), static_cast<off_t>(len)));
}

Expect<> fd_close(WasiContext& context, Fd fd) { return context.fds.close(fd); }

Expect<> fd_datasync(WasiContext& context, Fd fd) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd));
  if (!entry->is_directory()) TRY(entry->require(Right::fd_datasync));
  return check(::fdatasync(entry->host.get()));
}

Expect<> fd_sync(WasiContext& context, Fd fd) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd, Right::fd_sync));
  return check(::fsync(entry->host.get()));
}

Expect<Fdstat> fd_fdstat_get(WasiContext& context, Fd fd) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd));
  Fdstat stat{};
  stat.filetype = entry->type;
  stat.flags = Fdflags(entry->flags.load());
  stat.rights_base = Rights(entry->rights_base.load());
  stat.rights_inheriting = Rights(entry->rights_inheriting.load());
  return stat;
}

Expect<> fd_fdstat_set_flags(WasiContext& context, Fd fd, Fdflags flags) {
  constexpr Fdflags kChangeable = Fdflags(Fdflag::append) | Fdflags(Fdflag::nonblock);
  TRY_ASSIGN(const EntryRef entry, context.any(fd, Right::fd_fdstat_set_flags));
  // Linux can't change how an open file synchronises.
  const Fdflags old(entry->flags.load());
  if (flags.without(kChangeable) != old.without(kChangeable)) return std::unexpected(Errno::inval);
  if (!entry->shared_with_host && entry->host) {
    int host = ::fcntl(entry->host.get(), F_GETFL);
    if (host < 0) return host_error();
    host &= ~(O_APPEND | O_NONBLOCK);
    if (flags.has(Fdflag::append)) host |= O_APPEND;
    if (flags.has(Fdflag::nonblock)) host |= O_NONBLOCK;
    TRY(check(::fcntl(entry->host.get(), F_SETFL, host)));
  }
  entry->flags = flags.bits;
  return {};
}

Expect<> fd_fdstat_set_rights(WasiContext& context, Fd fd, Rights base, Rights inheriting) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd));
  if (!Rights(entry->rights_base.load()).contains(base) ||
      !Rights(entry->rights_inheriting.load()).contains(inheriting))
    return std::unexpected(Errno::notcapable);
  // `and`, so that of two threads that both take rights away neither gives one back.
  entry->rights_base &= base.bits;
  entry->rights_inheriting &= inheriting.bits;
  return {};
}

Expect<Filestat> fd_filestat_get(WasiContext& context, Fd fd) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd, Right::fd_filestat_get));
  if (entry->is_stream()) return Filestat{};
  struct stat st;
  if (::fstat(entry->host.get(), &st) < 0) return host_error();
  return to_filestat(st, entry->host.get());
}

Expect<> fd_filestat_set_size(WasiContext& context, Fd fd, Filesize size) {
  TRY_ASSIGN(const EntryRef entry, context.file(fd, Right::fd_filestat_set_size));
  if (entry->read_only_mount()) return std::unexpected(Errno::rofs);
  if (size > kMaxOffset) return std::unexpected(Errno::inval);
  return check(::ftruncate(entry->host.get(), static_cast<off_t>(size)));
}

Expect<> fd_filestat_set_times(WasiContext& context, Fd fd, Timestamp atim, Timestamp mtim, Fstflags flags) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd, Right::fd_filestat_set_times));
  if (entry->read_only_mount()) return std::unexpected(Errno::rofs);
  TRY_ASSIGN(const auto times, to_timespecs(atim, mtim, flags));
  return check(::futimens(entry->host.get(), times.data()));
}

Expect<Prestat> fd_prestat_get(WasiContext& context, Fd fd) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd));
  if (!entry->preopen_name) return std::unexpected(Errno::badf);
  Prestat prestat{};
  prestat.name_len = static_cast<Size>(entry->preopen_name->size());
  return prestat;
}

Expect<> fd_prestat_dir_name(WasiContext& context, Fd fd, GuestSpan<u8> path) {
  TRY_ASSIGN(const EntryRef entry, context.any(fd));
  if (!entry->preopen_name) return std::unexpected(Errno::notdir);
  const std::string& name = *entry->preopen_name;
  if (path.size() < name.size()) return std::unexpected(Errno::nametoolong);
  std::memcpy(path.bytes().data(), name.data(), name.size());
  return {};
}

Expect<> fd_renumber(WasiContext& context, Fd from, Fd to) { return context.fds.renumber(from, to); }

Expect<Filesize> fd_seek(WasiContext& context, Fd fd, Filedelta offset, Whence whence) {
  constexpr int kWhence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
  // Asking where it stands needs only the right to tell.
  const bool tells = whence == Whence::cur && offset == 0;
  TRY_ASSIGN(const EntryRef entry, context.file(fd, {}));
  if (entry->is_stream() || entry->is_fifo || entry->is_socket()) return std::unexpected(Errno::spipe);
  TRY(entry->require(tells ? Right::fd_tell : Right::fd_seek));
  return seek(*entry, offset, kWhence[static_cast<u8>(whence)]);
}

Expect<Filesize> fd_tell(WasiContext& context, Fd fd) { return fd_seek(context, fd, 0, Whence::cur); }

}  // namespace tenon::wasi
