// Whole files for the developers' commands, with errors in words.
#pragma once
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "text.h"

namespace tenon::cli {

// Nothing, after saying so, when it can't be read.
inline std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  if (file) return bytes;
  complain(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  return std::nullopt;
}

// The exit status.
inline int write_file(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (file.flush()) return 0;
  complain(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  return kFailed;
}

}  // namespace tenon::cli
