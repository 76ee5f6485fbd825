// sock_accept, sock_recv, sock_send, sock_shutdown.
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "wasi/errno.h"
#include "wasi/iovecs.h"
#include "wasi/preview1.h"

namespace tenon::wasi {

Expect<Fd> sock_accept(WasiContext& context, Fd fd, Fdflags flags) {
  TRY_ASSIGN(const EntryRef listener, context.socket(fd, Right::sock_accept));
  if (flags.without(Fdflag::nonblock).any()) return std::unexpected(Errno::inval);
  TRY(context.ready(*listener, POLLIN));
  const bool nonblock = flags.has(Fdflag::nonblock);
  auto entry = std::make_shared<FdEntry>();
  entry->host = UniqueFd(
      ::accept4(listener->host.get(), nullptr, nullptr, SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0)));
  if (!entry->host) return host_error();
  entry->type = Filetype::socket_stream;
  entry->flags = flags.bits;
  const Rights rights =
      applicable_rights(entry->type, false).base & Rights(listener->rights_inheriting.load());
  entry->rights_base = rights.without(Right::sock_accept).bits;
  return context.fds.insert(std::move(entry));
}

Expect<std::tuple<Size, Roflags>> sock_recv(WasiContext& context, GuestMemory memory, Fd fd,
                                            GuestIovecs guest, Riflags flags) {
  TRY_ASSIGN(const EntryRef socket, context.socket(fd, Right::fd_read));
  HostIovecs iovs;
  TRY(iovs.load(memory, guest));
  TRY(context.ready(*socket, POLLIN));
  msghdr message{};
  message.msg_iov = iovs.data();
  message.msg_iovlen = static_cast<size_t>(iovs.count());
  int host_flags = MSG_CMSG_CLOEXEC;
  if (flags.has(Riflag::recv_peek)) host_flags |= MSG_PEEK;
  if (flags.has(Riflag::recv_waitall)) host_flags |= MSG_WAITALL;
  const ssize_t n = ::recvmsg(socket->host.get(), &message, host_flags);
  if (n < 0) return host_error();
  const Roflags out = message.msg_flags & MSG_TRUNC ? Roflags(Roflag::recv_data_truncated) : Roflags();
  return std::tuple{static_cast<Size>(n), out};
}

Expect<Size> sock_send(WasiContext& context, GuestMemory memory, Fd fd, GuestIovecs guest, Siflags) {
  TRY_ASSIGN(const EntryRef socket, context.socket(fd, Right::fd_write));
  HostIovecs iovs;
  TRY(iovs.load(memory, guest));
  TRY(context.ready(*socket, POLLOUT));
  msghdr message{};
  message.msg_iov = iovs.data();
  message.msg_iovlen = static_cast<size_t>(iovs.count());
  const ssize_t n = ::sendmsg(socket->host.get(), &message, MSG_NOSIGNAL);
  if (n < 0) return host_error();
  return static_cast<Size>(n);
}

Expect<> sock_shutdown(WasiContext& context, Fd fd, Sdflags how) {
  TRY_ASSIGN(const EntryRef socket, context.socket(fd, Right::sock_shutdown));
  if (!how.any()) return std::unexpected(Errno::inval);
  const int host = how.has(Sdflag::rd) && how.has(Sdflag::wr) ? SHUT_RDWR
                   : how.has(Sdflag::rd)                      ? SHUT_RD
                                                              : SHUT_WR;
  if (::shutdown(socket->host.get(), host) < 0) return host_error();
  return {};
}

}  // namespace tenon::wasi
