// A guest's open descriptors. Entries are shared so that a descriptor closed by one thread stays valid for
// the call that another is in.
#pragma once
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "wasi/types.h"
#include "wasi/unique_fd.h"
#include "wasi/wasi.h"

namespace tenon::wasi {

// A preopened directory, as every descriptor opened through it remembers it.
struct Mount {
  dev_t dev = 0;
  ino_t ino = 0;
  bool read_only = false;
};

struct FdEntry {
  UniqueFd host;  // none for a stream
  Filetype type = Filetype::unknown;
  std::atomic<u64> rights_base = 0, rights_inheriting = 0;
  std::atomic<u16> flags = 0;
  // The open file description is the host's too (a standard stream), so its flags must not be changed.
  bool shared_with_host = false;
  bool is_fifo = false;  // writing may raise SIGPIPE
  StdioReader reader;    // streams: one of the two
  StdioWriter writer;
  std::shared_ptr<const Mount> mount;       // how it was reached; none for streams and sockets
  std::optional<std::string> preopen_name;  // a preopen's name for the guest
  std::mutex position;                      // held over a seek and what relies on it

  bool is_stream() const { return reader || writer; }
  bool is_directory() const { return type == Filetype::directory; }
  bool is_socket() const { return type == Filetype::socket_stream || type == Filetype::socket_dgram; }
  bool read_only_mount() const { return mount && mount->read_only; }
  bool has_flag(Fdflag f) const { return Fdflags(flags.load(std::memory_order_relaxed)).has(f); }
  // badf where read or write is missing, as POSIX says for the wrong access mode; notcapable for other
  // rights.
  Expect<void> require(Rights rights) const;
};
using EntryRef = std::shared_ptr<FdEntry>;

// Rights that mean something for a descriptor of this kind, and those its children may have.
struct RightsPair {
  Rights base, inheriting;
};
RightsPair applicable_rights(Filetype type, bool seekable);
inline constexpr Rights kReadWriteRights = Right::fd_read | Right::fd_write;

// The guest's view of a host file; sockets are told apart by asking the descriptor.
Filetype filetype_of(mode_t mode, int fd);

class FdTable {
 public:
  explicit FdTable(u32 max) : max_(max) {}
  // badf if it isn't open.
  Expect<EntryRef> get(Fd fd) const;
  // At the lowest free number; mfile when the table is full.
  Expect<Fd> insert(EntryRef entry);
  Expect<void> close(Fd fd);
  // `to` is closed and `from` takes its number. Both must be open.
  Expect<void> renumber(Fd from, Fd to);

 private:
  mutable std::mutex mutex_;
  std::vector<EntryRef> entries_;
  u32 max_;
};

}  // namespace tenon::wasi
