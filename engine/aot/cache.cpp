// CodeCache: the folder and its checks, names, atomic replacement, eviction.
#include "engine/aot/cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "engine/aot/hash.h"
#include "engine/native/module_code.h"
#include "engine/private_folder.h"
#include "engine/runtime/plugin.h"

namespace tenon {
namespace {

constexpr std::string_view kSuffix = ".tna", kTemporary = "tmp-";
constexpr i64 kAbandoned = 3600;  // seconds after which a temporary file has no writer any more

std::unexpected<Error> cache_error(ErrorCategory category, std::string what) {
  return std::unexpected(Error{category, "code cache: " + std::move(what), {}});
}
std::unexpected<Error> system_error(const std::string& what) {
  return cache_error(ErrorCategory::io, fmt::format("{}: {}", what, std::strerror(errno)));
}

std::string entry_name(std::span<const u8> module, const CodeCache::Key& key) {
  Hasher h;
  const std::string_view id = build_id();
  h.add({reinterpret_cast<const u8*>(id.data()), id.size()});
  h.add(key.cpu.bits);
  h.add(key.opt_level);
  h.add(key.features.bits());
  return fmt::format("{:016x}-{:016x}{}", hash_of(module), h.finish(), kSuffix);
}

}  // namespace

CodeCache::~CodeCache() {
  if (folder_fd_ >= 0) close(folder_fd_);
}

void CodeCache::complain(const std::string& what) {
  if (std::exchange(complained_, true)) return;
  const std::string text = what + ": going on without";
  if (options_.notice)
    options_.notice(text);
  else
    fmt::print(stderr, "tenon: {}\n", text);
}

Result<std::string> CodeCache::folder() const {
  if (!options_.folder.empty()) return options_.folder;
  auto found = cache_folder("tenon");
  if (!found) return cache_error(found.error().category, found.error().message);
  return found;
}

// Opened once.
Result<int> CodeCache::open_folder(bool create) {
  if (folder_fd_ >= 0) return folder_fd_;
  TRY_ASSIGN(const std::string path, folder());
  const auto fd = open_private_folder(path, create);
  if (!fd) return cache_error(fd.error().category, fd.error().message);
  return folder_fd_ = *fd;
}

int CodeCache::folder_or_complain() {
  auto fd = open_folder(true);
  if (fd) return *fd;
  complain(fd.error().message);
  return -1;
}

std::shared_ptr<const Artefact> CodeCache::find(std::span<const u8> module, const Key& key) {
  const std::lock_guard lock(mutex_);
  const int folder = folder_or_complain();
  if (folder < 0) return nullptr;
  const std::string name = entry_name(module, key);
  const Descriptor fd(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return nullptr;
  struct stat st{};
  if (fstat(fd.get(), &st) != 0 || !S_ISREG(st.st_mode) || !only_ours(st)) return nullptr;
  auto artefact = Artefact::map(fd.get(), static_cast<u64>(st.st_size));
  if (!artefact) {
    unlinkat(folder, name.c_str(), 0);
    return nullptr;
  }
  // The name is a hash that others can collide with: the contents decide.
  if (!std::ranges::equal((*artefact)->module_bytes(), module)) return nullptr;
  if (time(nullptr) - st.st_mtime > 60) futimens(fd.get(), nullptr);  // used now; needs no write access
  return *artefact;
}

void CodeCache::save(const Module& module, const Key& key) {
  const auto code = module.code().objects();
  const std::lock_guard lock(mutex_);
  if (code.size() <= module.code().objects_saved) return;
  if (folder_or_complain() < 0) return;
  const auto bytes = write_artefact(module.bytes(), code, {key.cpu, key.opt_level});
  if (bytes.size() > options_.max_bytes) return;
  if (auto written = write(entry_name(module.bytes(), key), bytes); !written)
    return complain(written.error().message);
  module.code().objects_saved = static_cast<u32>(code.size());
  evict();
}

// Under another name first: readers see the old file or the new one, whole.
Result<void> CodeCache::write(const std::string& name, std::span<const u8> bytes) {
  static std::atomic<u32> counter{0};
  const std::string temporary = fmt::format("{}{}-{}", kTemporary, getpid(), counter++);
  const Descriptor fd(
      openat(folder_fd_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return system_error("cannot write");
  auto give_up = [&](const char* what) {
    auto error = system_error(what);
    unlinkat(folder_fd_, temporary.c_str(), 0);
    return error;
  };
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return give_up("cannot write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  if (renameat(folder_fd_, temporary.c_str(), folder_fd_, name.c_str()) != 0) return give_up("cannot write");
  return {};
}

Result<std::vector<CodeCache::Entry>> CodeCache::list(int fd) const {
  std::vector<Entry> out;
  const int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // its own position
  DIR* dir = own < 0 ? nullptr : fdopendir(own);
  if (!dir) return system_error("cannot read the folder");
  while (const dirent* e = readdir(dir)) {
    const std::string_view name = e->d_name;
    struct stat st{};
    if (!(name.ends_with(kSuffix) || name.starts_with(kTemporary)) ||
        fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
      continue;
    out.push_back({std::string(name), static_cast<u64>(st.st_size), st.st_mtime});
  }
  closedir(dir);
  std::ranges::sort(out, {}, &Entry::used);
  return out;
}

void CodeCache::evict() {
  auto found = list(folder_fd_);
  if (!found) return;
  u64 total = 0;
  for (const Entry& e : *found) total += e.bytes;
  const i64 now = time(nullptr);
  for (const Entry& e : *found) {
    const bool abandoned = e.file.starts_with(kTemporary) && now - e.used > kAbandoned;
    if (!abandoned && (total <= options_.max_bytes || e.file.starts_with(kTemporary))) continue;
    if (unlinkat(folder_fd_, e.file.c_str(), 0) == 0) total -= e.bytes;
  }
}

Result<std::vector<CodeCache::Entry>> CodeCache::entries() {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const std::string path, folder());
  if (access(path.c_str(), F_OK) != 0) return std::vector<Entry>{};
  TRY_ASSIGN(const int fd, open_folder(false));
  TRY_ASSIGN(auto found, list(fd));
  std::erase_if(found, [](const Entry& e) { return e.file.starts_with(kTemporary); });
  return found;
}

Result<u64> CodeCache::clear() {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const std::string path, folder());
  if (access(path.c_str(), F_OK) != 0) return 0;
  TRY_ASSIGN(const int fd, open_folder(false));
  TRY_ASSIGN(const auto found, list(fd));
  u64 removed = 0;
  for (const Entry& e : found)
    if (unlinkat(fd, e.file.c_str(), 0) == 0)
      ++removed;
    else
      return system_error("cannot remove " + e.file);
  return removed;
}

}  // namespace tenon
