// Bytes of a file, mapped read-only or read into memory. Knows nothing of what the bytes mean.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernels/error.h"

namespace tenon::nn {

using kernels::Result;

enum class FileAccess {
  kMap,   // views pages of the file; for files that nobody truncates while they are in use (that would be
          // SIGBUS)
  kRead,  // copies; for files that a guest may write
};

// Owns a file's bytes. Views stay valid for the owner's life; hand out shared_ptr to whoever keeps views.
class MappedFile {
 public:
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Opens a regular file by path. Errors: not_found, with the path and the system's reason.
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path,
                                                        FileAccess access = FileAccess::kMap);

  // Opens `relative` below `folder`: no absolute path, no "..", no symbolic link on the way (the rule for
  // ONNX external data, whose locations come from an untrusted model). Errors: invalid_argument for such
  // paths, else not_found.
  static Result<std::shared_ptr<const MappedFile>> open_below(const std::string& folder,
                                                              std::string_view relative,
                                                              FileAccess access = FileAccess::kMap);

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile() = default;
  static Result<std::shared_ptr<const MappedFile>> from_fd(int fd, const std::string& path,
                                                           FileAccess access);

  std::byte* data_ = nullptr;
  size_t size_ = 0;
  FileAccess access_ = FileAccess::kMap;
};

// Folder part of a path ("." if it has none).
std::string folder_of(const std::string& path);

}  // namespace tenon::nn
