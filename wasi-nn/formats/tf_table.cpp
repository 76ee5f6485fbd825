// Blocks, entries, checksums and Snappy; see tf_table.h.
#include "wasi-nn/formats/tf_table.h"

#include <array>
#include <cstring>
#include <optional>

namespace tenon::nn::tf {
namespace {

using kernels::ErrorCode;
using kernels::fail;

constexpr size_t kFooterSize = 48;
constexpr size_t kTrailerSize = 5;  // of a block: type, checksum
constexpr uint64_t kMagic = 0xdb4775248b80fb57;
// A Snappy element of 2 bytes gives at most 64.
constexpr uint64_t kSnappyRatio = 64;
// Keys share prefixes, so that a small file can hold long ones; those of checkpoints need far less.
constexpr uint64_t kKeyRatio = 64;

template <typename... Args>
std::unexpected<kernels::Error> bad(fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::invalid_encoding, format, std::forward<Args>(args)...);
}

template <typename T>
T little(const char* p) {
  T value = 0;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// Reads numbers and pieces off the front of a view.
struct Cursor {
  std::string_view rest;

  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest.front());
      rest.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }
  std::optional<std::string_view> take(uint64_t size) {
    if (size > rest.size()) return std::nullopt;
    const std::string_view piece = rest.substr(0, size);
    rest.remove_prefix(size);
    return piece;
  }
};

struct Handle {
  uint64_t offset = 0;
  uint64_t size = 0;
};

Result<Handle> read_handle(Cursor& cursor) {
  const auto offset = cursor.varint();
  const auto size = cursor.varint();
  if (!offset || !size) return bad("a block handle is cut off");
  return Handle{*offset, *size};
}

// Entries of one block. A block ends with the restart points, which only searches need.
class BlockReader {
 public:
  static Result<BlockReader> of(std::string_view block) {
    if (block.size() < 4) return bad("a block of {} bytes", block.size());
    const uint64_t restarts = little<uint32_t>(block.data() + block.size() - 4);
    if (restarts > block.size() / 4 - 1)
      return bad("{} restart points in a block of {} bytes", restarts, block.size());
    return BlockReader(block.substr(0, block.size() - 4 * (restarts + 1)));
  }

  bool done() const { return cursor_.rest.empty(); }
  const std::string& key() const { return key_; }

  // Moves to the next entry and gives its value.
  Result<std::string_view> next() {
    const auto shared = cursor_.varint();
    const auto own = cursor_.varint();
    const auto size = cursor_.varint();
    if (!shared || !own || !size || *shared > key_.size())
      return bad("an entry after key '{}' is damaged", key_);
    const auto tail = cursor_.take(*own);
    const auto value = cursor_.take(*size);
    if (!tail || !value) return bad("the entry after key '{}' is cut off", key_);
    key_.resize(*shared);
    key_.append(*tail);
    return *value;
  }

 private:
  explicit BlockReader(std::string_view entries) : cursor_{entries} {}

  Cursor cursor_;
  std::string key_;
};

class TableReader {
 public:
  TableReader(std::string_view file, const TableVisitor& visit)
      : file_(file), visit_(visit), key_budget_(file.size() * kKeyRatio) {}

  Result<void> read() {
    if (file_.size() < kFooterSize)
      return bad("{} bytes, a table has at least {}", file_.size(), kFooterSize);
    const std::string_view footer = file_.substr(file_.size() - kFooterSize);
    if (little<uint64_t>(footer.data() + kFooterSize - 8) != kMagic)
      return bad("no table: its last bytes are wrong");
    Cursor cursor{footer};
    TENON_TRY(read_handle(cursor));  // the meta index, which TensorFlow leaves empty
    const Handle index = TENON_TRY(read_handle(cursor));
    std::string storage;
    auto blocks = TENON_TRY(BlockReader::of(TENON_TRY(block(index, storage))));
    while (!blocks.done()) {
      Cursor entry{TENON_TRY(blocks.next())};
      TENON_TRY(read_data_block(TENON_TRY(read_handle(entry))));
    }
    return {};
  }

 private:
  Result<void> read_data_block(const Handle& handle) {
    // Blocks lie one after the other: a block that is listed twice would be read twice.
    if (handle.offset < end_of_last_)
      return bad("the block at {} begins before the last one's end", handle.offset);
    std::string storage;
    auto entries = TENON_TRY(BlockReader::of(TENON_TRY(block(handle, storage))));
    end_of_last_ = handle.offset + handle.size;
    while (!entries.done()) {
      const std::string_view value = TENON_TRY(entries.next());
      const uint64_t cost = entries.key().size();
      if (cost > key_budget_) return bad("longer keys than a file of {} bytes may hold", file_.size());
      key_budget_ -= cost;
      TENON_TRY(visit_(entries.key(), std::as_bytes(std::span(value))));
    }
    return {};
  }

  // The contents of a block: a view of the file, or of `storage` when it was compressed.
  Result<std::string_view> block(const Handle& handle, std::string& storage) const {
    const uint64_t room = file_.size() - kFooterSize;
    if (handle.offset > room || handle.size > room - handle.offset ||
        kTrailerSize > room - handle.offset - handle.size) {
      return bad("a block of {} bytes at {} of a file of {}", handle.size, handle.offset, file_.size());
    }
    const std::string_view with_type = file_.substr(handle.offset, handle.size + 1);
    const auto stored = little<uint32_t>(file_.data() + handle.offset + handle.size + 1);
    if (masked_crc32c(std::as_bytes(std::span(with_type))) != stored) {
      return bad("the block at {} has a wrong checksum", handle.offset);
    }
    const std::string_view contents = with_type.substr(0, handle.size);
    switch (with_type.back()) {
      case 0: return contents;
      case 1: storage = TENON_TRY(snappy_uncompress(contents)); return std::string_view(storage);
      default: return bad("the block at {} is compressed in an unknown way", handle.offset);
    }
  }

  std::string_view file_;
  const TableVisitor& visit_;
  uint64_t key_budget_;
  uint64_t end_of_last_ = 0;
};

// Remainders of the reversed polynomial for one byte.
constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

// A copy from what was written before; it may overlap what it writes.
Result<void> copy_back(std::string& out, uint64_t offset, uint64_t length, uint64_t size) {
  if (offset == 0 || offset > out.size() || length > size - out.size()) {
    return bad("compressed data: {} bytes from {} back at {} of {}", length, offset, out.size(), size);
  }
  for (uint64_t i = 0; i < length; ++i) out.push_back(out[out.size() - offset]);
  return {};
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint64_t crc = 0xffffffff;
  size_t i = 0;
#ifdef __SSE4_2__
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    crc = __builtin_ia32_crc32di(crc, word);
  }
#endif
  for (; i < bytes.size(); ++i) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ std::to_integer<uint64_t>(bytes[i])) & 0xff];
  }
  return static_cast<uint32_t>(crc) ^ 0xffffffff;
}

uint32_t masked_crc32c(std::span<const std::byte> bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

Result<void> read_table(std::span<const std::byte> file, const TableVisitor& visit) {
  return TableReader({reinterpret_cast<const char*>(file.data()), file.size()}, visit).read();
}

Result<std::string> snappy_uncompress(std::string_view compressed) {
  Cursor cursor{compressed};
  const auto size = cursor.varint();
  if (!size || *size > compressed.size() * kSnappyRatio) return bad("compressed data of an impossible size");
  std::string out;
  out.reserve(*size);
  while (!cursor.rest.empty()) {
    const auto tag = static_cast<uint8_t>(cursor.rest.front());
    cursor.rest.remove_prefix(1);
    const unsigned kind = tag & 3;
    if (kind == 0) {  // literal bytes; lengths from 61 on follow in 1 to 4 bytes
      uint64_t length = tag >> 2;
      if (length >= 60) {
        const auto bytes = cursor.take(length - 59);
        if (!bytes) return bad("compressed data is cut off");
        uint32_t value = 0;
        std::memcpy(&value, bytes->data(), bytes->size());
        length = value;
      }
      const auto literal = cursor.take(++length);
      if (!literal || length > *size - out.size()) return bad("compressed data is cut off or too long");
      out.append(*literal);
      continue;
    }
    const size_t width = kind == 1 ? 1 : kind == 2 ? 2 : 4;  // of the offset
    const auto bytes = cursor.take(width);
    if (!bytes) return bad("compressed data is cut off");
    uint32_t offset = 0;
    std::memcpy(&offset, bytes->data(), width);
    if (kind == 1) {
      TENON_TRY(copy_back(out, offset | (tag >> 5) << 8, 4 + ((tag >> 2) & 7), *size));
    } else {
      TENON_TRY(copy_back(out, offset, 1 + (tag >> 2), *size));
    }
  }
  if (out.size() != *size) return bad("{} bytes instead of {} were compressed", out.size(), *size);
  return out;
}

}  // namespace tenon::nn::tf
