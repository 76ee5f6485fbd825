// LEB128 of more than one byte, names and vectors' counts; the rest is inline in the header.
#include "engine/binary/byte_reader.h"

#include <cstring>

namespace tenon {

u64 ByteReader::fail(Err e) { return fail(make_error(e, offset())); }
u64 ByteReader::fail_at(Err e, u64 offset) { return fail(make_error(e, offset)); }
u64 ByteReader::fail(Error error) {
  if (!error_) error_ = std::move(error);
  pos_ = end_;
  return 0;
}

// Unused bits of the last byte must be zero, and there are at most ceil(bits/7) bytes (spec: binary/values,
// Integers).
u64 ByteReader::unsigned_leb(int bits) {
  const u64 start = offset();
  u64 value = 0;
  for (int shift = 0;; shift += 7) {
    const int left = bits - shift;
    if (left <= 0) return fail_at(Err::integer_too_long, start);
    if (pos_ == end_) return fail(Err::unexpected_end);
    const u8 b = *pos_++;
    if (left < 7 && (b & 0x7f) >> left != 0) return fail_at(Err::integer_too_large, start);
    value |= u64{b & 0x7fu} << shift;
    if (b < 0x80) return value;
  }
}

// The unused bits must repeat the sign.
i64 ByteReader::signed_leb(int bits) {
  const u64 start = offset();
  u64 value = 0;
  for (int shift = 0;; shift += 7) {
    const int left = bits - shift;
    if (left <= 0) return static_cast<i64>(fail_at(Err::integer_too_long, start));
    if (pos_ == end_) return static_cast<i64>(fail(Err::unexpected_end));
    const u8 b = *pos_++;
    if (left < 7) {
      const u8 mask = static_cast<u8>((0x7f << (left - 1)) & 0x7f);
      if ((b & mask) != 0 && (b & mask) != mask)
        return static_cast<i64>(fail_at(Err::integer_too_large, start));
    }
    value |= u64{b & 0x7fu} << shift;
    if (b < 0x80) {
      if ((b & 0x40) != 0 && shift + 7 < 64) value |= ~u64{0} << (shift + 7);
      return static_cast<i64>(value);
    }
  }
}

u64 ByteReader::fixed(u32 size) {
  if (remaining() < size) return fail_at(Err::unexpected_end, base_ + static_cast<u64>(end_ - begin_));
  u64 value = 0;
  for (u32 i = 0; i < size; ++i) value |= u64{pos_[i]} << (8 * i);
  pos_ += size;
  return value;
}

std::span<const u8> ByteReader::bytes(u64 count) {
  if (remaining() < count) {
    fail_at(Err::unexpected_end, base_ + static_cast<u64>(end_ - begin_));
    return {};
  }
  std::span<const u8> result(pos_, count);
  pos_ += count;
  return result;
}

std::string_view ByteReader::name() {
  const u64 start = offset();
  std::span<const u8> b = sized_bytes();
  if (!is_utf8(b)) {
    fail_at(Err::bad_utf8, start);
    return {};
  }
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

u32 ByteReader::count() {
  const u64 start = offset(), before = remaining();
  const u32 n = read_u32();
  if (n > before) return static_cast<u32>(fail_at(Err::length_out_of_bounds, start));
  return n;
}

bool is_utf8(std::span<const u8> bytes) {
  size_t i = 0;
  const size_t n = bytes.size();
  const auto continues = [&](size_t at) { return at < n && (bytes[at] & 0xc0) == 0x80; };
  while (i < n) {
    const u8 b = bytes[i];
    if (b < 0x80) {
      ++i;
    } else if (b >= 0xc2 && b <= 0xdf) {
      if (!continues(i + 1)) return false;
      i += 2;
    } else if (b >= 0xe0 && b <= 0xef) {
      if (!continues(i + 1) || !continues(i + 2)) return false;
      if (b == 0xe0 && bytes[i + 1] < 0xa0) return false;  // overlong
      if (b == 0xed && bytes[i + 1] > 0x9f) return false;  // surrogate
      i += 3;
    } else if (b >= 0xf0 && b <= 0xf4) {
      if (!continues(i + 1) || !continues(i + 2) || !continues(i + 3)) return false;
      if (b == 0xf0 && bytes[i + 1] < 0x90) return false;  // overlong
      if (b == 0xf4 && bytes[i + 1] > 0x8f) return false;  // past U+10FFFF
      i += 4;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace tenon
