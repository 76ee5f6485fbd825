// See flexbuffer.h.
#include "wasi-nn/formats/flexbuffer.h"

#include <bit>
#include <cstring>

namespace tenon::nn::flexbuffer {
namespace {

// Types of values, with the two bits of their width taken away.
enum Type : unsigned {
  kInteger = 1,
  kUnsigned = 2,
  kReal = 3,
  kIndirectInteger = 6,
  kIndirectUnsigned = 7,
  kIndirectReal = 8,
  kMap = 9,
  kBoolean = 26
};

bool is_width(uint64_t width) { return width == 1 || width == 2 || width == 4 || width == 8; }

}  // namespace

std::optional<uint64_t> Map::unsigned_at(size_t at, size_t width) const {
  if (at > bytes_.size() || width > bytes_.size() - at) return std::nullopt;
  uint64_t value = 0;
  std::memcpy(&value, bytes_.data() + at, width);
  return value;
}

std::optional<size_t> Map::follow(size_t at, size_t width) const {
  const auto offset = unsigned_at(at, width);
  if (!offset || *offset > at) return std::nullopt;
  return at - static_cast<size_t>(*offset);
}

kernels::Result<Map> Map::root(Bytes bytes) {
  const auto damaged = [] {
    return kernels::fail(kernels::ErrorCode::invalid_encoding, "options that are no FlexBuffers map");
  };
  Map map(bytes);
  if (bytes.size() < 3) return damaged();
  const auto width = static_cast<size_t>(bytes.back());
  const auto type = static_cast<unsigned>(bytes[bytes.size() - 2]);
  if (!is_width(width) || type >> 2 != kMap || width + 2 > bytes.size()) return damaged();
  map.width_ = size_t{1} << (type & 3);
  const auto values = map.follow(bytes.size() - 2 - width, width);
  // Before the values: where the keys are, how wide their offsets are, and the count of both.
  if (!values || *values < 3 * map.width_) return damaged();
  map.values_ = *values;
  const auto keys = map.follow(*values - 3 * map.width_, map.width_);
  const auto key_width = map.unsigned_at(*values - 2 * map.width_, map.width_);
  const auto count = map.unsigned_at(*values - map.width_, map.width_);
  const size_t rest = bytes.size() - *values;
  if (!keys || !key_width || !is_width(*key_width) || !count || *count > rest / (map.width_ + 1))
    return damaged();
  map.keys_ = *keys;
  map.key_width_ = static_cast<size_t>(*key_width);
  map.count_ = static_cast<size_t>(*count);
  return map;
}

bool Map::is_key(size_t at, std::string_view key) const {
  const size_t rest = bytes_.size() - at;
  return key.size() < rest && std::memcmp(bytes_.data() + at, key.data(), key.size()) == 0 &&
         bytes_[at + key.size()] == std::byte{0};
}

std::optional<double> Map::value(size_t at, unsigned type, size_t width) const {
  const auto bits = unsigned_at(at, width);
  if (!bits) return std::nullopt;
  switch (type) {
    case kInteger: {
      const auto unused = static_cast<unsigned>(64 - 8 * width);
      return static_cast<double>(static_cast<int64_t>(*bits << unused) >> unused);
    }
    case kUnsigned:
    case kBoolean: return static_cast<double>(*bits);
    case kReal:
      if (width == 8) return std::bit_cast<double>(*bits);
      if (width == 4) return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(*bits)));
      return std::nullopt;
    default: return std::nullopt;
  }
}

std::optional<double> Map::number(std::string_view key) const {
  for (size_t i = 0; i < count_; ++i) {
    const auto at = follow(keys_ + i * key_width_, key_width_);
    if (!at) return std::nullopt;
    if (!is_key(*at, key)) continue;
    const auto packed = unsigned_at(values_ + count_ * width_ + i, 1);
    if (!packed) return std::nullopt;
    const auto type = static_cast<unsigned>(*packed >> 2);
    const size_t place = values_ + i * width_;
    if (type < kIndirectInteger || type > kIndirectReal) return value(place, type, width_);
    const auto target = follow(place, width_);
    if (!target) return std::nullopt;
    return value(*target, type - kIndirectInteger + kInteger, size_t{1} << (*packed & 3));
  }
  return std::nullopt;
}

}  // namespace tenon::nn::flexbuffer
