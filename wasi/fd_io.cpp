// Reading and writing through descriptors: files, pipes, terminals, sockets and the embedder's streams.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <climits>

#include "wasi/errno.h"
#include "wasi/iovecs.h"
#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

// Keeps a write to a broken pipe from killing the host process: SIGPIPE is blocked in this thread, and taken
// back if the write raised it.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &old_);
  }
  ~SigpipeGuard() {
    const int saved = errno;
    if (saved == EPIPE && !was_pending_) {
      const timespec none{};
      while (sigtimedwait(&sigpipe_, nullptr, &none) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &old_, nullptr);
    errno = saved;
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;

 private:
  sigset_t sigpipe_, old_;
  bool was_pending_;
};

Expect<Size> moved(ssize_t n) {
  if (n < 0) return host_error();
  return static_cast<Size>(n);
}

Expect<Size> stream_result(i64 n, size_t asked) {
  if (n < 0) return std::unexpected(from_host_errno(n < INT_MIN ? 0 : static_cast<int>(-n)));
  return static_cast<Size>(std::min<u64>(static_cast<u64>(n), asked));
}

Expect<Size> read_stream(FdEntry& entry, std::span<iovec> iovs) {
  const std::lock_guard lock(entry.position);
  for (const iovec& v : iovs)
    if (v.iov_len) return stream_result(entry.reader({static_cast<u8*>(v.iov_base), v.iov_len}), v.iov_len);
  return 0;
}

Expect<Size> write_stream(FdEntry& entry, std::span<iovec> iovs) {
  const std::lock_guard lock(entry.position);
  Size total = 0;
  for (const iovec& v : iovs) {
    if (!v.iov_len) continue;
    const Expect<Size> n =
        stream_result(entry.writer({static_cast<const u8*>(v.iov_base), v.iov_len}), v.iov_len);
    if (!n) return total ? Expect<Size>(total) : n;
    total += *n;
    if (*n < v.iov_len) break;
  }
  return total;
}

Expect<Size> write_host(FdEntry& entry, HostIovecs& iovs) {
  if (entry.is_socket()) {
    msghdr message{};
    message.msg_iov = iovs.data();
    message.msg_iovlen = static_cast<size_t>(iovs.count());
    return moved(::sendmsg(entry.host.get(), &message, MSG_NOSIGNAL));
  }
  if (entry.is_fifo) {
    const SigpipeGuard guard;
    return moved(::writev(entry.host.get(), iovs.data(), iovs.count()));
  }
  return moved(::writev(entry.host.get(), iovs.data(), iovs.count()));
}

// What pread and pwrite check alike. Without the right to seek there is no position to give.
Expect<EntryRef> positioned(WasiContext& context, Fd fd, Right right, Errno wrong_kind, Filesize offset) {
  TRY_ASSIGN(EntryRef entry, context.file(fd, right, wrong_kind));
  if (entry->is_stream() || entry->is_fifo || entry->is_socket()) return std::unexpected(Errno::spipe);
  TRY(entry->require(Right::fd_seek));
  if (offset > static_cast<u64>(INT64_MAX)) return std::unexpected(Errno::inval);
  return entry;
}

}  // namespace

Expect<Size> fd_read(WasiContext& context, GuestMemory memory, Fd fd, GuestIovecs guest) {
  TRY_ASSIGN(const EntryRef entry, context.file(fd, Right::fd_read, Errno::isdir));
  HostIovecs iovs;
  TRY(iovs.load(memory, guest));
  if (entry->reader) return read_stream(*entry, iovs.span());
  TRY(context.ready(*entry, POLLIN));
  return moved(::readv(entry->host.get(), iovs.data(), iovs.count()));
}

Expect<Size> fd_write(WasiContext& context, GuestMemory memory, Fd fd, GuestIovecs guest) {
  TRY_ASSIGN(const EntryRef entry, context.file(fd, Right::fd_write));
  HostIovecs iovs;
  TRY(iovs.load(memory, guest));
  if (entry->writer) return write_stream(*entry, iovs.span());
  TRY(context.ready(*entry, POLLOUT));
  return write_host(*entry, iovs);
}

Expect<Size> fd_pread(WasiContext& context, GuestMemory memory, Fd fd, GuestIovecs guest, Filesize offset) {
  TRY_ASSIGN(const EntryRef entry, positioned(context, fd, Right::fd_read, Errno::isdir, offset));
  HostIovecs iovs;
  TRY(iovs.load(memory, guest));
  return moved(::preadv(entry->host.get(), iovs.data(), iovs.count(), static_cast<off_t>(offset)));
}

Expect<Size> fd_pwrite(WasiContext& context, GuestMemory memory, Fd fd, GuestIovecs guest, Filesize offset) {
  TRY_ASSIGN(const EntryRef entry, positioned(context, fd, Right::fd_write, Errno::badf, offset));
  HostIovecs iovs;
  TRY(iovs.load(memory, guest));
  return moved(::pwritev(entry->host.get(), iovs.data(), iovs.count(), static_cast<off_t>(offset)));
}

}  // namespace tenon::wasi
