// Reads FlatBuffers with every offset checked. Knows no schema; tables are read by the number of a field, as the order
// in a schema gives it (https://flatbuffers.dev/internals/).
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"

namespace tenon::nn::flatbuffer {

using kernels::Result;

class Table;

// A file that is being read. The first fault is kept, what follows it reads as absent: callers look once, at the end of
// a message. Offsets only point forward, so tables cannot form a loop; that they may share bytes is bounded by a budget
// that grows with the file.
class Buffer {
 public:
  explicit Buffer(std::span<const std::byte> bytes) : bytes_(bytes), budget_(8 * bytes.size() + 4096) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  Table root();
  // invalid_encoding with the place of the first fault.
  Result<void> check() const;

 private:
  friend class Table;
  // A scalar at `at`; 0 beyond the end, which is a fault.
  template <typename T>
  T read(size_t at) {
    T value{};
    if (!has(at, sizeof(T))) {
      fault(at, "lies outside of the file");
    } else {
      std::memcpy(&value, bytes_.data() + at, sizeof(T));
    }
    return value;
  }
  bool has(size_t at, size_t size) const { return at <= bytes_.size() && size <= bytes_.size() - at; }
  // What the offset at `at` points to; 0 after a fault.
  size_t follow(size_t at);
  // First byte and element count of the vector at `at`; none after a fault.
  std::pair<size_t, size_t> vector(size_t at, size_t element);
  bool spend(size_t bytes, size_t at);
  void fault(size_t at, std::string_view what);

  std::span<const std::byte> bytes_;
  uint64_t budget_;
  std::string fault_;
};

// A table, or the absence of one: then all its fields are absent.
class Table {
 public:
  Table() = default;
  explicit operator bool() const { return buffer_ != nullptr; }

  template <typename T>
  T scalar(unsigned field, T fallback = {}) const {
    const size_t at = find(field, sizeof(T));
    return at == 0 ? fallback : buffer_->read<T>(at);
  }
  Table table(unsigned field) const;
  std::string_view text(unsigned field) const;
  std::span<const std::byte> bytes(unsigned field) const;
  std::vector<Table> tables(unsigned field) const;
  template <typename T>
  std::vector<T> numbers(unsigned field) const {
    const auto [first, count] = vector(field, sizeof(T));
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), buffer_->bytes_.data() + first, count * sizeof(T));
    return values;
  }

 private:
  friend class Buffer;
  Table(Buffer* buffer, size_t at);
  // Where a field lies; 0 when the table has none.
  size_t find(unsigned field, size_t size) const;
  std::pair<size_t, size_t> vector(unsigned field, size_t element) const;

  Buffer* buffer_ = nullptr;
  size_t at_ = 0, vtable_ = 0;
  uint16_t fields_end_ = 0;  // bytes of the vtable
  uint16_t size_ = 0;        // bytes of the table itself
};

}  // namespace tenon::nn::flatbuffer
