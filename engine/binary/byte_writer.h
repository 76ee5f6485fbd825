// Appends the binary format's primitive encodings (spec: binary/values) to a byte vector.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "engine/base.h"

namespace tenon {

class ByteWriter {
 public:
  std::vector<u8> bytes;

  size_t size() const { return bytes.size(); }
  void byte(u8 b) { bytes.push_back(b); }
  void unsigned_leb(u64 v) {
    for (; v >= 0x80; v >>= 7) bytes.push_back(static_cast<u8>(v | 0x80));
    bytes.push_back(static_cast<u8>(v));
  }
  void signed_leb(i64 v) {
    for (; v < -64 || v > 63; v >>= 7) bytes.push_back(static_cast<u8>(v | 0x80));
    bytes.push_back(static_cast<u8>(v & 0x7f));
  }
  void little_endian(u64 v, u32 count) {
    for (u32 i = 0; i < count; ++i) bytes.push_back(static_cast<u8>(v >> (8 * i)));
  }
  void append(std::span<const u8> s) { bytes.insert(bytes.end(), s.begin(), s.end()); }
  void append(const ByteWriter& w) { append(std::span(w.bytes)); }
  void name(std::string_view s) {
    unsigned_leb(s.size());
    bytes.insert(bytes.end(), s.begin(), s.end());
  }
  // A length and then the content.
  void sized(const ByteWriter& content) {
    unsigned_leb(content.size());
    append(content);
  }
};

}  // namespace tenon
