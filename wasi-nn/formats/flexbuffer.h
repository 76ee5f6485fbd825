// Reads the numbers of a FlexBuffers map, the form of options of custom operators, with every offset checked. Nested maps,
// vectors and text are not read (https://flatbuffers.dev/internals/#flexbuffers).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernels/error.h"

namespace tenon::nn::flexbuffer {

class Map {
 public:
  /// The map at the root of `bytes`, which outlive it. invalid_encoding: no map is there, or it leaves the bytes.
  static kernels::Result<Map> root(std::span<const std::byte> bytes);

  /// The number or truth value of this key; nothing if the map has none.
  std::optional<double> number(std::string_view key) const;

 private:
  using Bytes = std::span<const std::byte>;
  explicit Map(Bytes bytes) : bytes_(bytes) {}
  std::optional<uint64_t> unsigned_at(size_t at, size_t width) const;
  // Where the offset at `at` points to: offsets count backwards.
  std::optional<size_t> follow(size_t at, size_t width) const;
  std::optional<double> value(size_t at, unsigned type, size_t width) const;
  bool is_key(size_t at, std::string_view key) const;

  Bytes bytes_;
  size_t values_ = 0, width_ = 1, count_ = 0;  // of the map's vector
  size_t keys_ = 0, key_width_ = 1;
};

}  // namespace tenon::nn::flexbuffer
