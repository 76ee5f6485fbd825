// Opening, mapping and reading files; see mapped_file.h.
#include "wasi-nn/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace tenon::nn {
namespace {

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::unexpected<kernels::Error> failed(const std::string& path, int error) {
  return kernels::fail(kernels::ErrorCode::not_found, "{}: {}", path, std::string(strerror(error)));
}

// "a/b/c" → {a, b, c}; an error for anything that could leave the folder.
Result<std::vector<std::string>> components(std::string_view relative) {
  std::vector<std::string> parts;
  const bool odd = relative.empty() || relative.front() == '/' || relative.find('\0') != relative.npos;
  for (size_t at = 0; !odd && at <= relative.size();) {
    const size_t slash = std::min(relative.find('/', at), relative.size());
    const std::string_view part = relative.substr(at, slash - at);
    if (part == "..")
      return kernels::fail(kernels::ErrorCode::invalid_argument, "'{}' leaves the model's folder", relative);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    at = slash + 1;
  }
  if (odd || parts.empty())
    return kernels::fail(kernels::ErrorCode::invalid_argument, "'{}' is no path below the model's folder",
                         relative);
  return parts;
}

}  // namespace

MappedFile::~MappedFile() {
  if (!data_) return;
  if (access_ == FileAccess::kMap) {
    munmap(data_, size_);
  } else {
    delete[] data_;
  }
}

Result<std::shared_ptr<const MappedFile>> MappedFile::from_fd(int fd, const std::string& path,
                                                              FileAccess access) {
  struct stat info = {};
  if (fstat(fd, &info) != 0) return failed(path, errno);
  if (!S_ISREG(info.st_mode))
    return kernels::fail(kernels::ErrorCode::not_found, "{}: not a regular file", path);
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->access_ = access;
  const size_t size = static_cast<size_t>(info.st_size);
  if (size == 0) return file;
  if (access == FileAccess::kMap) {
    void* p = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return failed(path, errno);
    file->data_ = static_cast<std::byte*>(p);
    file->size_ = size;
    return file;
  }
  file->data_ = new (std::nothrow) std::byte[size];
  if (!file->data_) return failed(path, ENOMEM);
  while (file->size_ < size) {
    const ssize_t n = read(fd, file->data_ + file->size_, size - file->size_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(path, errno);
    if (n == 0) break;  // the file shrank meanwhile: what is there counts
    file->size_ += static_cast<size_t>(n);
  }
  return file;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path, FileAccess access) {
  // O_NONBLOCK: opening a named pipe must not hang before fstat can refuse it.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return failed(path, errno);
  return from_fd(fd.get(), path, access);
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open_below(const std::string& folder,
                                                                 std::string_view relative,
                                                                 FileAccess access) {
  auto parts = components(relative);
  if (!parts) return std::unexpected(parts.error());
  const std::string shown = folder + "/" + std::string(relative);
  Fd at(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  for (size_t i = 0; at.ok() && i < parts->size(); ++i) {
    const bool last = i + 1 == parts->size();
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY);
    at = Fd(openat(at.get(), (*parts)[i].c_str(), flags));
  }
  if (!at.ok() && errno == ELOOP)
    return kernels::fail(kernels::ErrorCode::invalid_argument, "'{}' goes through a symbolic link", relative);
  if (!at.ok()) return failed(shown, errno);
  return from_fd(at.get(), shown, access);
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace tenon::nn
