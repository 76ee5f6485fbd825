// fd_readdir.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "wasi/errno.h"
#include "wasi/preview1.h"

namespace tenon::wasi {
namespace {

// What getdents64 gives (its man page; the C library declares none for it).
struct HostDirent {
  u64 ino;
  i64 next;
  u16 record_length;
  u8 type;
  char name[];
};

Filetype filetype_of_entry(int dir, const HostDirent& d) {
  switch (d.type) {
    case DT_BLK: return Filetype::block_device;
    case DT_CHR: return Filetype::character_device;
    case DT_DIR: return Filetype::directory;
    case DT_REG: return Filetype::regular_file;
    case DT_LNK: return Filetype::symbolic_link;
    case DT_SOCK: return Filetype::socket_stream;
    case DT_UNKNOWN: {  // some file systems don't say
      struct stat st;
      if (::fstatat(dir, d.name, &st, AT_SYMLINK_NOFOLLOW) == 0) return filetype_of(st.st_mode, -1);
      return Filetype::unknown;
    }
    default: return Filetype::unknown;
  }
}

// The guest's buffer, filled as far as it goes: the last entry may be cut off.
class DirentWriter {
 public:
  explicit DirentWriter(std::span<u8> out) : out_(out) {}
  bool full() const { return used_ == out_.size(); }
  Size used() const { return static_cast<Size>(used_); }
  void put(const Dirent& entry, std::string_view name) {
    put_bytes(&entry, sizeof entry);
    put_bytes(name.data(), name.size());
  }

 private:
  void put_bytes(const void* from, size_t size) {
    const size_t n = std::min(size, out_.size() - used_);
    std::memcpy(out_.data() + used_, from, n);
    used_ += n;
  }
  std::span<u8> out_;
  size_t used_ = 0;
};

// The number of ".." as the guest may know it: a preopened directory has no parent but itself.
u64 parent_ino(const FdEntry& dir, u64 host_ino) {
  struct stat st;
  if (::fstat(dir.host.get(), &st) < 0) return 0;
  const bool is_root = st.st_dev == dir.mount->dev && st.st_ino == dir.mount->ino;
  return is_root ? st.st_ino : host_ino;
}

void put_entry(DirentWriter& writer, const FdEntry& dir, const HostDirent& d) {
  const std::string_view name(d.name);
  if (!is_utf8(name)) return;
  Dirent entry{};
  entry.next = static_cast<u64>(d.next);
  entry.ino = name == ".." ? parent_ino(dir, d.ino) : d.ino;
  entry.namlen = static_cast<u32>(name.size());
  entry.type = filetype_of_entry(dir.host.get(), d);
  writer.put(entry, name);
}

}  // namespace

Expect<Size> fd_readdir(WasiContext& context, Fd fd, GuestSpan<u8> buf, Dircookie cookie) {
  TRY_ASSIGN(const EntryRef dir, context.directory(fd, Right::fd_readdir));
  const std::lock_guard lock(dir->position);
  if (::lseek(dir->host.get(), static_cast<off_t>(cookie), SEEK_SET) < 0) return host_error();
  DirentWriter writer(buf.bytes());
  alignas(HostDirent) char records[16 << 10];
  while (!writer.full()) {
    const long n = ::syscall(SYS_getdents64, dir->host.get(), records, sizeof records);
    if (n < 0 && errno != ENOENT) return host_error();
    if (n <= 0) break;  // ENOENT: the directory was removed, so it has no entries any more
    for (long at = 0; at < n && !writer.full();) {
      const auto* d = reinterpret_cast<const HostDirent*>(records + at);
      put_entry(writer, *dir, *d);
      at += d->record_length;
    }
  }
  return writer.used();
}

}  // namespace tenon::wasi
