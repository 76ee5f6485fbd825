// Files of packed weights; see weight_cache.h. Layout: Header, the identity's text, an index of entries, then their bytes at
// multiples of 64. All numbers are little-endian as in memory; a file of another machine does not match its identity.
#include "wasi-nn/weight_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

#include "engine/private_folder.h"

namespace tenon::nn {
namespace {

constexpr char kMagic[8] = {'T', 'N', 'W', 'E', 'I', 'G', 'H', '1'};
constexpr std::string_view kSuffix = ".tnw";
constexpr size_t kAlign = 64;
constexpr uint64_t kWorthKeeping = 256 << 10;         // packing less than this takes less time than looking
constexpr uint64_t kFolderBytes = uint64_t{4} << 30;  // the files not written for longest go first

struct Header {
  char magic[8];
  uint64_t checksum;  // of all of the index and the identity
  uint64_t file_bytes;
  uint32_t identity_bytes;
  uint32_t entries;
  uint64_t index_bytes;
};
struct IndexEntry {  // then its key
  uint64_t offset, bytes;
  int64_t dims[kernels::Dims::kMaxRank];
  uint32_t key_bytes;
  uint8_t type, rank;
  uint8_t padding[2];
};

constexpr uint64_t align_up(uint64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

// FNV-1a over 64-bit words.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t at = 0; at < text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min<size_t>(8, text.size() - at));
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 29;
  }
  return hash ^ text.size();
}

// Makes room for `bytes` more.
void evict(int folder, uint64_t bytes) {
  struct File {
    std::string name;
    uint64_t size;
    timespec written;
  };
  std::vector<File> files;
  const int list_fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* list = list_fd < 0 ? nullptr : fdopendir(list_fd);
  if (!list) return;
  while (const dirent* entry = readdir(list)) {
    struct stat st = {};
    if (!std::string_view(entry->d_name).ends_with(kSuffix)) continue;
    if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    files.push_back({entry->d_name, static_cast<uint64_t>(st.st_size), st.st_mtim});
    bytes += files.back().size;
  }
  closedir(list);
  std::ranges::sort(files, [](const File& a, const File& b) { return a.written.tv_sec < b.written.tv_sec; });
  for (const File& file : files) {
    if (bytes <= kFolderBytes) return;
    if (unlinkat(folder, file.name.c_str(), 0) == 0) bytes -= file.size;
  }
}

// Appends to a file that nobody sees yet.
class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) {}
  void put(const void* data, size_t size) {
    const auto* at = static_cast<const std::byte*>(data);
    while (ok_ && size > 0) {
      const ssize_t n = write(fd_, at, size);
      ok_ = n > 0;
      if (!ok_) return;
      at += n;
      size -= static_cast<size_t>(n);
      written_ += static_cast<uint64_t>(n);
    }
  }
  void pad() {
    constexpr std::byte kZeros[kAlign] = {};
    put(kZeros, align_up(written_) - written_);
  }
  bool ok() const { return ok_; }

 private:
  int fd_;
  bool ok_ = true;
  uint64_t written_ = 0;
};

struct Mapping {
  void* at;
  size_t size;
  ~Mapping() { munmap(at, size); }
};

}  // namespace

std::string default_weight_cache_folder() { return cache_folder("tenon/nn").value_or(""); }

std::shared_ptr<WeightCache> WeightCache::open(const std::string& folder,
                                               const std::vector<std::string>& model_files,
                                               const std::string& variant) {
  std::string place, state;
  for (const std::string& file : model_files) {
    struct stat st = {};
    if (folder.empty() || stat(file.c_str(), &st) != 0) return nullptr;
    place += fmt::format("{} {} ", st.st_dev, st.st_ino);
    state += fmt::format("size {} mtime {}.{} ctime {}.{} ", st.st_size, st.st_mtim.tv_sec,
                         st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
  }
  place += variant;
  std::shared_ptr<WeightCache> cache(new WeightCache);
  const auto opened = open_private_folder(folder, true);
  if (!opened) return nullptr;
  cache->folder_ = *opened;
  cache->name_ = fmt::format("{:016x}{}", hash_of(place), kSuffix);
  cache->identity_ = fmt::format("{} {}{}", place, state, kernels::backend_identity());
  const Descriptor fd(openat(cache->folder_, cache->name_.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (fd && !cache->read(fd.get())) cache->entries_.clear();
  return cache;
}

WeightCache::~WeightCache() {
  if (folder_ >= 0) close(folder_);
}

// False when the file is not what this model needs, or damaged.
bool WeightCache::read(int fd) {
  struct stat st = {};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !only_ours(st)) return false;
  const auto size = static_cast<uint64_t>(st.st_size);
  Header header;
  if (size < sizeof header || pread(fd, &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header))
    return false;
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.file_bytes != size) return false;
  if (header.identity_bytes != identity_.size() || header.index_bytes > size - sizeof header ||
      header.identity_bytes > size - sizeof header - header.index_bytes)
    return false;
  void* at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) return false;
  const auto owner = std::make_shared<const Mapping>(at, size);
  const auto* base = static_cast<const char*>(at);
  const std::string_view checked(base + sizeof header, header.identity_bytes + header.index_bytes);
  if (hash_of(checked) != header.checksum || !checked.starts_with(identity_)) return false;
  std::string_view index = checked.substr(header.identity_bytes);
  for (uint32_t i = 0; i < header.entries; ++i) {
    IndexEntry entry;
    if (index.size() < sizeof entry) return false;
    std::memcpy(&entry, index.data(), sizeof entry);
    index.remove_prefix(sizeof entry);
    if (entry.key_bytes > index.size() || entry.rank > kernels::Dims::kMaxRank) return false;
    if (entry.offset > size || entry.bytes > size - entry.offset) return false;
    const auto dims = kernels::Dims::from(std::span(entry.dims, entry.rank));
    if (!dims) return false;
    entries_[std::string(index.substr(0, entry.key_bytes))] =
        Entry{static_cast<kernels::DataType>(entry.type), *dims,
              std::as_bytes(std::span(base + entry.offset, entry.bytes)), owner};
    index.remove_prefix(entry.key_bytes);
  }
  return true;
}

std::optional<kernels::Tensor> WeightCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return std::nullopt;
  auto tensor = kernels::Tensor::view(it->second.type, it->second.dims, it->second.bytes, it->second.owner);
  if (!tensor) return std::nullopt;
  return *std::move(tensor);
}

void WeightCache::add(const std::string& key, const kernels::Tensor& tensor) {
  const std::lock_guard lock(mutex_);
  if (closed_ || tensor.type() == kernels::DataType::string) return;
  if (added_bytes_ + tensor.bytes().size() > max_bytes_) return;
  const auto keep = std::make_shared<const kernels::Tensor>(tensor);
  if (entries_.emplace(key, Entry{tensor.type(), tensor.dims(), keep->bytes(), keep}).second)
    added_bytes_ += tensor.bytes().size();
}

void WeightCache::save() {
  const std::lock_guard lock(mutex_);
  const bool write = !closed_ && added_bytes_ >= kWorthKeeping;
  closed_ = true;
  if (!write) {
    entries_.clear();
    return;
  }
  std::string index;
  uint64_t offset = sizeof(Header) + identity_.size();
  for (const auto& [key, entry] : entries_) offset += sizeof(IndexEntry) + key.size();
  offset = align_up(offset);
  for (const auto& [key, entry] : entries_) {
    IndexEntry row = {};
    row.offset = offset;
    row.bytes = entry.bytes.size();
    std::ranges::copy(entry.dims, row.dims);
    row.key_bytes = static_cast<uint32_t>(key.size());
    row.type = static_cast<uint8_t>(entry.type);
    row.rank = static_cast<uint8_t>(entry.dims.size());
    index.append(reinterpret_cast<const char*>(&row), sizeof row).append(key);
    offset = align_up(offset + entry.bytes.size());
  }
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.checksum = hash_of(identity_ + index);
  header.file_bytes = offset;
  header.identity_bytes = static_cast<uint32_t>(identity_.size());
  header.entries = static_cast<uint32_t>(entries_.size());
  header.index_bytes = index.size();
  evict(folder_, offset);
  static std::atomic<uint32_t> counter = 0;
  const std::string temporary = fmt::format("tmp-{}-{}", getpid(), counter.fetch_add(1));
  const Descriptor fd(openat(folder_, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd) {
    Writer out(fd.get());
    out.put(&header, sizeof header);
    out.put(identity_.data(), identity_.size());
    out.put(index.data(), index.size());
    out.pad();
    for (const auto& [key, entry] : entries_) {
      out.put(entry.bytes.data(), entry.bytes.size());
      out.pad();
    }
    if (!out.ok() || renameat(folder_, temporary.c_str(), folder_, name_.c_str()) != 0)
      unlinkat(folder_, temporary.c_str(), 0);
  }
  entries_.clear();
}

}  // namespace tenon::nn
