// Writing jit-PID.dump.
#include "engine/native/jitdump.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>

#include "engine/module.h"
#include "engine/native/code_object.h"
#include "engine/native/code_source.h"

namespace tenon {
namespace {

struct FileHeader {
  u32 magic = 0x4a69'5444, version = 1, size = sizeof(FileHeader), machine = EM_X86_64, padding = 0, pid;
  u64 timestamp, flags = 0;
};
enum class RecordId : u32 { load = 0, debug_info = 2 };
struct RecordHeader {
  RecordId id;
  u32 size;
  u64 timestamp;
};
struct LoadRecord {
  RecordHeader header;
  u32 pid, tid;
  u64 address, code_address, code_size, index;
  // name, 0, code
};
struct DebugRecord {
  RecordHeader header;
  u64 address, count;
  // count times: DebugEntry, file's name, 0
};
struct DebugEntry {
  u64 address;
  u32 line, column;
};
u64 now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
}

class Dump {
 public:
  Result<void> open() {
    const char* folder = std::getenv("JITDUMPDIR");
    const std::string path = fmt::format("{}/jit-{}.dump", folder && *folder ? folder : ".", getpid());
    fd_ = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
    // perf finds the file by this mapping, which it records.
    void* marker = fd_ < 0 ? MAP_FAILED
                           : mmap(nullptr, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_READ | PROT_EXEC,
                                  MAP_PRIVATE, fd_, 0);
    if (marker == MAP_FAILED) {
      const int error = errno;
      close();
      return std::unexpected(
          Error{ErrorCategory::io, fmt::format("cannot write {}: {}", path, std::strerror(error)), {}});
    }
    const FileHeader header{.pid = static_cast<u32>(getpid()), .timestamp = now()};
    append(header);
    flush();
    return {};
  }

  void add(const CodeObject& code) {
    const std::lock_guard lock(mutex_);
    if (fd_ < 0) return;
    for (const CodeFunction& f : code.functions()) add(code, f);
    flush();
  }

 private:
  template <class T>
  void append(const T& value) {
    buffer_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void append_text(std::string_view text) {
    buffer_.append(text);
    buffer_.push_back('\0');
  }

  void add(const CodeObject& code, const CodeFunction& f) {
    const std::string name = code.module().function_name(FuncIdx{f.func});
    const u64 address = reinterpret_cast<u64>(code.address(f.begin)), size = f.end - f.begin;
    add_lines(code_source(code, f), address);
    append(LoadRecord{{RecordId::load, static_cast<u32>(sizeof(LoadRecord) + name.size() + 1 + size), now()},
                      static_cast<u32>(getpid()),
                      static_cast<u32>(gettid()),
                      address,
                      address,
                      size,
                      index_++});
    append_text(name);
    buffer_.append(static_cast<const char*>(code.address(f.begin)), size);
  }

  // In front of the function's code.
  void add_lines(const std::vector<CodeSource>& rows, u64 address) {
    if (rows.empty()) return;
    size_t size = sizeof(DebugRecord);
    for (const CodeSource& row : rows) size += sizeof(DebugEntry) + row.source.file.size() + 1;
    append(DebugRecord{{RecordId::debug_info, static_cast<u32>(size), now()}, address, rows.size()});
    for (const CodeSource& row : rows) {
      append(DebugEntry{row.address, row.source.line, 0});
      append_text(row.source.file);
    }
  }

  void flush() {
    for (size_t done = 0; done < buffer_.size();) {
      const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        close();
        break;
      }
      done += static_cast<size_t>(n);
    }
    buffer_.clear();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  std::mutex mutex_;
  int fd_ = -1;
  u64 index_ = 0;
  std::string buffer_;
};

Dump& dump() {
  static Dump* const instance = new Dump;  // compiling threads may outlive main()
  return *instance;
}

}  // namespace

Result<void> open_jitdump() { return dump().open(); }
void write_jitdump(const CodeObject& code) { dump().add(code); }

}  // namespace tenon
