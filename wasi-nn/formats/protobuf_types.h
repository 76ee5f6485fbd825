// Types of fields that structs of protobuf messages are made of, beside std's; protobuf.h fills them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace tenon::nn::protobuf {

// A repeated fixed-width field. One packed chunk (the usual form) stays a view; anything else is gathered.
template <typename T>
struct FixedList {
  std::string_view packed;  // little-endian elements; meaningful if `loose` is empty
  std::vector<T> loose;

  size_t size() const { return loose.empty() ? packed.size() / sizeof(T) : loose.size(); }
  std::span<const std::byte> bytes() const {
    return loose.empty() ? std::as_bytes(std::span(packed)) : std::as_bytes(std::span(loose));
  }
};

// A fixed32 field; plain integers are varints.
struct Fixed32 {
  uint32_t value = 0;
};

}  // namespace tenon::nn::protobuf
