// A guest for tests of WASI functions: a plain buffer as its memory, calls through the array entries that
// engines use, a fresh directory as what is preopened. No engine runs here.
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "wasi/errno.h"
#include "wasi/wasi.h"

namespace tenon::wasi {

inline void PrintTo(Errno e, std::ostream* out) { *out << errno_name(e); }

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenon-wasi-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Guest {
 public:
  static constexpr u32 kMemory = 1 << 20;
  explicit Guest(WasiConfig config) : memory_(kMemory) {
    auto context = make_wasi_context(std::move(config));
    if (!context) throw std::runtime_error(context.error().message);
    context_ = *context;
    memory_desc_ = {memory_.data(), memory_.size(), memory_.size()};
  }

  // Calls a function with raw Wasm scalars: u32 or u64 as the signature has them.
  template <class... A>
  Errno call(std::string_view name, A... args) {
    const HostFuncDesc& desc = find(name);
    EXPECT_EQ(desc.params.size(), sizeof...(A)) << name;
    HostFunc host{nullptr, nullptr, &memory_desc_, context_.get(), &desc, {}};
    host.ref.code = &host;
    Slot slots[sizeof...(A) + 1];
    [[maybe_unused]] size_t i = 0;
    ((slots[i++].u64_ = static_cast<u64>(args)), ...);
    EXPECT_EQ(desc.array_entry(&host.ref, slots), Status::ok) << name;
    return static_cast<Errno>(slots[0].u32_);
  }
  static const HostFuncDesc& find(std::string_view name) {
    for (const HostFuncDesc& d : wasi_functions())
      if (d.name == name) return d;
    throw std::runtime_error("no function " + std::string(name));
  }

  // Memory: a bump allocator from 1024 on.
  u32 alloc(u32 size) {
    const u32 at = top_;
    top_ += (size + 15) & ~15u;
    if (top_ > kMemory) throw std::runtime_error("guest memory exhausted");
    return at;
  }
  u32 put(std::string_view bytes) {
    const u32 at = alloc(static_cast<u32>(bytes.size()));
    std::memcpy(&memory_[at], bytes.data(), bytes.size());
    return at;
  }
  template <class T>
  u32 put_value(const T& v) {
    return put({reinterpret_cast<const char*>(&v), sizeof v});
  }
  template <class T>
  T get(u32 at) const {
    T v;
    std::memcpy(&v, &memory_.at(at), sizeof v);
    return v;
  }
  std::string text(u32 at, u32 size) const { return {reinterpret_cast<const char*>(&memory_.at(at)), size}; }
  u8* bytes() { return memory_.data(); }
  MemoryDesc& memory_desc() { return memory_desc_; }
  WasiContext* context() { return context_.get(); }

  // Shorthands that tests use all the time.
  struct OpenOptions {
    u16 oflags = 0;
    u64 rights = kAllRights, inheriting = kAllRights;
    u16 fdflags = 0;
    u32 lookup = 1;
  };
  static constexpr u64 kRead = static_cast<u64>(Right::fd_read), kWrite = static_cast<u64>(Right::fd_write);
  static constexpr u16 kCreat = 1, kDirectory = 2, kExcl = 4, kTrunc = 8;

  Errno open(u32 dir, std::string_view path, OpenOptions o, u32* fd = nullptr) {
    const u32 out = alloc(4);
    const Errno e = call("path_open", dir, o.lookup, put(path), path.size(), o.oflags, o.rights, o.inheriting,
                         o.fdflags, out);
    if (fd) *fd = e == Errno::success ? get<u32>(out) : ~0u;
    return e;
  }
  Errno open(u32 dir, std::string_view path, u32* fd = nullptr) {
    return open(dir, path, {.rights = ~kWrite}, fd);
  }
  Errno open_dir(u32 dir, std::string_view path, u32* fd = nullptr) {
    return open(dir, path, {.oflags = kDirectory, .rights = ~kWrite}, fd);
  }
  // One path argument and nothing else.
  Errno on_path(std::string_view function, u32 dir, std::string_view path) {
    return call(function, dir, put(path), path.size());
  }
  Errno write(u32 fd, std::string_view data, u32* written = nullptr) {
    const u32 iov = put_value(Iovec{put(data), static_cast<u32>(data.size())}), out = alloc(4);
    const Errno e = call("fd_write", fd, iov, 1, out);
    if (written) *written = get<u32>(out);
    return e;
  }
  Errno read(u32 fd, std::string* data, u32 size = 4096) {
    const u32 buffer = alloc(size), iov = put_value(Iovec{buffer, size}), out = alloc(4);
    const Errno e = call("fd_read", fd, iov, 1, out);
    if (e == Errno::success && data) *data = text(buffer, get<u32>(out));
    return e;
  }
  Errno stat(u32 dir, std::string_view path, Filestat* st = nullptr, bool follow = true) {
    const u32 out = alloc(sizeof(Filestat));
    const Errno e = call("path_filestat_get", dir, follow, put(path), path.size(), out);
    if (e == Errno::success && st) *st = get<Filestat>(out);
    return e;
  }
  Errno symlink(std::string_view target, u32 dir, std::string_view path) {
    return call("path_symlink", put(target), target.size(), dir, put(path), path.size());
  }
  Errno rename(u32 from_dir, std::string_view from, u32 to_dir, std::string_view to) {
    return call("path_rename", from_dir, put(from), from.size(), to_dir, put(to), to.size());
  }
  Errno link(u32 from_dir, std::string_view from, u32 to_dir, std::string_view to, u32 flags = 0) {
    return call("path_link", from_dir, flags, put(from), from.size(), to_dir, put(to), to.size());
  }
  Fdstat fdstat(u32 fd) {
    const u32 out = alloc(sizeof(Fdstat));
    EXPECT_EQ(call("fd_fdstat_get", fd, out), Errno::success);
    return get<Fdstat>(out);
  }
  struct DirEntry {
    Dirent head;
    std::string name;
  };
  // All entries through a buffer of the given size.
  std::vector<DirEntry> list(u32 fd, u32 buffer_size = 4096) {
    std::vector<DirEntry> out;
    const u32 buffer = alloc(buffer_size), used_at = alloc(4);
    u64 cookie = 0;
    while (true) {
      EXPECT_EQ(call("fd_readdir", fd, buffer, buffer_size, cookie, used_at), Errno::success);
      const u32 used = get<u32>(used_at);
      u32 at = 0;
      while (at + sizeof(Dirent) <= used) {
        const auto head = get<Dirent>(buffer + at);
        if (at + sizeof(Dirent) + head.namlen > used) break;
        out.push_back({head, text(buffer + at + sizeof(Dirent), head.namlen)});
        cookie = head.next;
        at += sizeof(Dirent) + head.namlen;
      }
      if (used < buffer_size || at == 0) return out;
    }
  }

 private:
  std::vector<u8> memory_;
  MemoryDesc memory_desc_;
  std::shared_ptr<WasiContext> context_;
  u32 top_ = 1024;
};

// A guest with the directory `box` as descriptor 3, inside a folder that also holds what it must not reach.
class BoxTest : public ::testing::TestWithParam<PathResolution> {
 protected:
  static constexpr u32 kBox = 3;
  void SetUp() override {
    if (param() == PathResolution::kernel && !kernel_has_openat2())
      GTEST_SKIP() << "no openat2 on this kernel";
    std::filesystem::create_directory(box());
    std::filesystem::create_directory(outside());
    write_file(outside() / "secret", "secret");
    restart({});
  }
  // A new guest; `config` gets the box as its first preopen, silent standard streams and the tested
  // resolution.
  void restart(WasiConfig config, bool read_only = false) {
    config.preopens.insert(config.preopens.begin(), {box().string(), "box", read_only});
    config.path_resolution = param();
    config.stdin_ = StdioNull{};
    config.stdout_ = StdioNull{};
    config.stderr_ = StdioNull{};
    guest_ = std::make_unique<Guest>(std::move(config));
  }
  virtual PathResolution param() const { return GetParam(); }
  static bool kernel_has_openat2() {
    WasiConfig config;
    config.path_resolution = PathResolution::kernel;
    config.stdin_ = StdioNull{};
    return make_wasi_context(std::move(config)).has_value();
  }
  std::filesystem::path box() const { return temp_.path() / "box"; }
  std::filesystem::path outside() const { return temp_.path() / "outside"; }
  Guest& guest() { return *guest_; }

  static void write_file(const std::filesystem::path& path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::string read_file(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

 private:
  TempDir temp_;
  std::unique_ptr<Guest> guest_;
};

// For what does not depend on how paths are resolved.
class FdTest : public BoxTest {
 protected:
  PathResolution param() const override { return PathResolution::automatic; }
};

inline std::string resolution_name(const ::testing::TestParamInfo<PathResolution>& info) {
  return info.param == PathResolution::kernel ? "Kernel" : "Walk";
}
inline const auto kBothResolutions = ::testing::Values(PathResolution::kernel, PathResolution::walk);

}  // namespace tenon::wasi
