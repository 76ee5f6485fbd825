// A cursor over bytes of a module that reads the binary format's primitives (spec: binary/values). Errors
// stick: after the first, ok() is false, every read gives zero and the cursor stands at the end; the first
// error is kept.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "engine/base.h"
#include "engine/errors.h"

namespace tenon {

class ByteReader {
 public:
  // `base` is the offset of the first byte in the module, for errors.
  ByteReader(std::span<const u8> bytes, u64 base)
      : begin_(bytes.data()), pos_(begin_), end_(begin_ + bytes.size()), base_(base) {}

  bool ok() const { return !error_.has_value(); }
  const std::optional<Error>& error() const { return error_; }
  bool at_end() const { return pos_ == end_; }
  u64 remaining() const { return static_cast<u64>(end_ - pos_); }
  u64 offset() const { return base_ + static_cast<u64>(pos_ - begin_); }
  const u8* position() const { return pos_; }
  // The next byte without taking it; only when !at_end().
  u8 peek() const { return *pos_; }
  void skip(u64 count) { pos_ += count; }  // count <= remaining()

  u8 byte() {
    if (pos_ == end_) [[unlikely]]
      return static_cast<u8>(fail(Err::unexpected_end));
    return *pos_++;
  }
  // LEB128, one byte inline since nearly all are.
  u32 read_u32() {
    if (pos_ != end_ && *pos_ < 0x80) [[likely]]
      return *pos_++;
    return static_cast<u32>(unsigned_leb(32));
  }
  u64 read_u64() {
    if (pos_ != end_ && *pos_ < 0x80) [[likely]]
      return *pos_++;
    return unsigned_leb(64);
  }
  i32 read_s32() {
    if (pos_ != end_ && *pos_ < 0x80) [[likely]]
      return one_byte_signed();
    return static_cast<i32>(signed_leb(32));
  }
  i64 read_s33() {
    if (pos_ != end_ && *pos_ < 0x80) [[likely]]
      return one_byte_signed();
    return signed_leb(33);
  }
  i64 read_s64() {
    if (pos_ != end_ && *pos_ < 0x80) [[likely]]
      return one_byte_signed();
    return signed_leb(64);
  }
  // Little-endian, `size` at most 8.
  u64 fixed(u32 size);
  // `count` bytes, viewed. sized_bytes() reads the count first.
  std::span<const u8> bytes(u64 count);
  std::span<const u8> sized_bytes() { return bytes(count()); }
  // A length and that many bytes of UTF-8 (spec: binary/values, Names).
  std::string_view name();
  // A length in bytes or the count of a vector, whose elements take at least one byte each: more than there
  // can be is an error, so that containers may reserve what min(count, remaining()) allows.
  u32 count();

  // Records the error (the first one wins) at the current or given offset and moves to the end. Returns 0.
  u64 fail(Err e);
  u64 fail(Error error);
  u64 fail_at(Err e, u64 offset);

 private:
  i32 one_byte_signed() { return static_cast<i32>(static_cast<u32>(*pos_++) << 25) >> 25; }
  u64 unsigned_leb(int bits);
  i64 signed_leb(int bits);

  const u8 *begin_, *pos_, *end_;
  u64 base_;
  std::optional<Error> error_;
};

// True for well-formed UTF-8: no overlong forms, surrogates or values past U+10FFFF.
bool is_utf8(std::span<const u8> bytes);

}  // namespace tenon
