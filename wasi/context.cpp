// Makes a context from its configuration: standard streams, preopened directories, listeners.
#include "wasi/context.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "wasi/errno.h"

namespace tenon::wasi {
namespace {

Error os_error(std::string what) {
  const int e = errno;
  return {e == ENOENT ? ErrorCategory::not_found : ErrorCategory::io,
          fmt::format("{}: {}", what, std::strerror(e)),
          {}};
}
Error usage(std::string message) { return {ErrorCategory::usage, std::move(message), {}}; }

Result<void> add_strings(const WasiConfig& config, WasiContext& context) {
  for (const std::string& arg : config.args) {
    if (arg.find('\0') != arg.npos) return std::unexpected(usage("an argument holds a NUL byte"));
    context.args.add(arg);
  }
  for (const auto& [name, value] : config.env) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != name.npos ||
        value.find('\0') != value.npos)
      return std::unexpected(usage("an environment variable's name is empty or holds '=' or a NUL byte"));
    context.env.add(name + "=" + value);
  }
  if ((context.args.bytes.size() | context.env.bytes.size()) >> 31)
    return std::unexpected(usage("arguments or environment exceed 2 GiB"));
  return {};
}

Fdflags flags_from_host(int host_flags) {
  Fdflags flags;
  if (host_flags & O_APPEND) flags = flags | Fdflag::append;
  if (host_flags & O_NONBLOCK) flags = flags | Fdflag::nonblock;
  return flags;
}

// A descriptor of the host's, duplicated for the guest.
Result<EntryRef> adopt(int fd, Rights access, const std::string& what) {
  auto entry = std::make_shared<FdEntry>();
  entry->host = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  struct stat st;
  if (!entry->host || ::fstat(entry->host.get(), &st) < 0) return std::unexpected(os_error(what));
  if (S_ISDIR(st.st_mode)) return std::unexpected(usage(what + ": is a directory"));
  const int host_flags = ::fcntl(entry->host.get(), F_GETFL);
  const bool seekable = !S_ISCHR(st.st_mode) && ::lseek(entry->host.get(), 0, SEEK_CUR) >= 0;
  entry->type = filetype_of(st.st_mode, entry->host.get());
  entry->is_fifo = S_ISFIFO(st.st_mode);
  entry->flags = flags_from_host(host_flags).bits;
  entry->shared_with_host = true;
  const Rights all = applicable_rights(entry->type, seekable).base;
  Rights usable = access;
  if ((host_flags & O_ACCMODE) == O_RDONLY) usable = usable.without(Right::fd_write);
  if ((host_flags & O_ACCMODE) == O_WRONLY) usable = usable.without(Right::fd_read);
  entry->rights_base = (all.without(kReadWriteRights) | (all & usable)).bits;
  return entry;
}

EntryRef stream(StdioReader reader, StdioWriter writer) {
  auto entry = std::make_shared<FdEntry>();
  Rights rights = applicable_rights(entry->type, false).base;
  entry->rights_base = rights.without(reader ? Right::fd_write : Right::fd_read).bits;
  entry->reader = std::move(reader);
  entry->writer = std::move(writer);
  return entry;
}

StdioReader reader_of(std::string text) {
  return [text = std::move(text), at = size_t{0}](std::span<u8> out) mutable -> i64 {
    const size_t n = std::min(out.size(), text.size() - at);
    std::memcpy(out.data(), text.data() + at, n);
    at += n;
    return static_cast<i64>(n);
  };
}

bool is_closed(int fd) { return ::fcntl(fd, F_GETFD) < 0 && errno == EBADF; }

// A standard stream that the host itself has closed is as StdioNull.
Result<EntryRef> open_stdin(StdioInput& input) {
  if (auto* host = std::get_if<StdioFd>(&input); host && !is_closed(host->fd))
    return adopt(host->fd, Right::fd_read, "stdin");
  if (auto* text = std::get_if<std::string>(&input)) return stream(reader_of(std::move(*text)), {});
  if (auto* reader = std::get_if<StdioReader>(&input); reader && *reader)
    return stream(std::move(*reader), {});
  return stream([](std::span<u8>) -> i64 { return 0; }, {});
}

Result<EntryRef> open_output(StdioOutput& output, const char* name) {
  if (auto* host = std::get_if<StdioFd>(&output); host && !is_closed(host->fd))
    return adopt(host->fd, Right::fd_write, name);
  if (auto* text = std::get_if<std::string*>(&output); text && *text)
    return stream({}, [to = *text](std::span<const u8> bytes) -> i64 {
      to->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return static_cast<i64>(bytes.size());
    });
  if (auto* writer = std::get_if<StdioWriter>(&output); writer && *writer)
    return stream({}, std::move(*writer));
  return stream({}, [](std::span<const u8> bytes) { return static_cast<i64>(bytes.size()); });
}

Result<EntryRef> open_preopen(const Preopen& preopen) {
  const std::string what = fmt::format("cannot preopen '{}'", preopen.host_path);
  if (preopen.guest_name.empty() || preopen.guest_name.find('\0') != preopen.guest_name.npos)
    return std::unexpected(usage(what + ": its name for the guest is empty or holds a NUL byte"));
  auto entry = std::make_shared<FdEntry>();
  entry->host = UniqueFd(::open(preopen.host_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat st;
  if (!entry->host || ::fstat(entry->host.get(), &st) < 0) return std::unexpected(os_error(what));
  if (on_procfs(entry->host.get()))
    return std::unexpected(usage(what + ": procfs would give the guest the host process itself"));
  auto mount = std::make_shared<Mount>();
  mount->dev = st.st_dev;
  mount->ino = st.st_ino;
  mount->read_only = preopen.read_only;
  entry->mount = std::move(mount);
  entry->type = Filetype::directory;
  entry->preopen_name = preopen.guest_name;
  const RightsPair rights = applicable_rights(Filetype::directory, false);
  entry->rights_base = rights.base.bits;
  entry->rights_inheriting = rights.inheriting.bits;
  return entry;
}

Result<EntryRef> open_listener(int fd) {
  TRY_ASSIGN(EntryRef entry, adopt(fd, kReadWriteRights, "listening socket"));
  int listening = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(entry->host.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
    return std::unexpected(usage("a preopened socket must be listening"));
  const Rights rights = Right::sock_accept | Right::fd_fdstat_set_flags | Right::fd_filestat_get |
                        Right::poll_fd_readwrite | Right::fd_read;
  entry->rights_base = rights.bits;
  entry->rights_inheriting = applicable_rights(Filetype::socket_stream, false).base.bits;
  return entry;
}

}  // namespace

Expect<EntryRef> WasiContext::any(Fd fd, Rights rights) const {
  TRY_ASSIGN(EntryRef entry, fds.get(fd));
  TRY(entry->require(rights));
  return entry;
}

Expect<EntryRef> WasiContext::file(Fd fd, Rights rights, Errno wrong_kind) const {
  TRY_ASSIGN(EntryRef entry, fds.get(fd));
  if (entry->is_directory()) return std::unexpected(wrong_kind);
  TRY(entry->require(rights));
  return entry;
}

Expect<EntryRef> WasiContext::directory(Fd fd, Rights rights) const {
  TRY_ASSIGN(EntryRef entry, fds.get(fd));
  if (!entry->is_directory()) return std::unexpected(Errno::notdir);
  TRY(entry->require(rights));
  return entry;
}

Expect<EntryRef> WasiContext::socket(Fd fd, Rights rights) const {
  TRY_ASSIGN(EntryRef entry, fds.get(fd));
  if (!entry->is_socket()) return std::unexpected(Errno::notsock);
  TRY(entry->require(rights));
  return entry;
}

Expect<void> WasiContext::ready(const FdEntry& entry, short events) const {
  const bool nonblock = entry.has_flag(Fdflag::nonblock);
  if (entry.type == Filetype::regular_file || (nonblock && !entry.shared_with_host)) return {};
  if (!nonblock && !cancel_) return {};
  pollfd wait[2] = {{entry.host.get(), events, 0}, {cancel_.get(), POLLIN, 0}};
  if (::poll(wait, 2, nonblock ? 0 : -1) < 0) return host_error();
  if (wait[1].revents) return std::unexpected(Errno::canceled);
  if (!wait[0].revents) return std::unexpected(Errno::again);
  return {};
}

Result<void> WasiContext::make_cancellable() {
  cancel_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!cancel_) return std::unexpected(os_error("eventfd"));
  return {};
}

void cancel_wasi(WasiContext& context) {
  const u64 one = 1;
  // Fails only when there is no descriptor, or when it says "cancelled" already.
  (void)!::write(context.cancel_fd(), &one, sizeof one);
}

Result<std::shared_ptr<WasiContext>> make_wasi_context(WasiConfig config) {
  if (config.path_resolution == PathResolution::kernel && !PathResolver::kernel_can())
    return std::unexpected(
        Error{ErrorCategory::unsupported, "this kernel has no openat2; use another path resolution", {}});
  auto context = std::make_shared<WasiContext>(config.max_fds, config.path_resolution);
  TRY(add_strings(config, *context));
  if (config.cancellable) TRY(context->make_cancellable());
  const auto add = [&](Result<EntryRef> entry) -> Result<void> {
    if (!entry) return std::unexpected(std::move(entry.error()));
    if (context->fds.insert(std::move(*entry))) return {};
    return std::unexpected(usage("more preopens and listeners than the guest may have descriptors"));
  };
  TRY(add(open_stdin(config.stdin_)));
  TRY(add(open_output(config.stdout_, "stdout")));
  TRY(add(open_output(config.stderr_, "stderr")));
  for (const Preopen& preopen : config.preopens) TRY(add(open_preopen(preopen)));
  for (int fd : config.listeners) TRY(add(open_listener(fd)));
  return context;
}

}  // namespace tenon::wasi
