// The validator's stack of operand types. Unlike a vector it lets a fixed number of entries below the bottom
// be read, so that a whole signature is compared at once, and popped entries stay in place until something is
// pushed.
#pragma once
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "engine/base.h"
#include "engine/types.h"

namespace tenon {

class OperandStack {
 public:
  OperandStack() { grow(kInitial); }
  OperandStack(const OperandStack&) = delete;
  OperandStack& operator=(const OperandStack&) = delete;

  u32 size() const { return size_; }
  ValType operator[](u32 i) const { return data_[i]; }
  ValType back() const { return data_[size_ - 1]; }
  std::span<const ValType> from(u32 i) const { return {data_ + i, size_ - i}; }
  const ValType* end() const { return data_ + size_; }

  void push(ValType t) {
    if (size_ == capacity_) [[unlikely]]
      grow(1);
    data_[size_++] = t;
  }
  void push(std::span<const ValType> types) {
    if (capacity_ - size_ < types.size()) [[unlikely]]
      grow(types.size());
    std::copy(types.begin(), types.end(), data_ + size_);
    size_ += static_cast<u32>(types.size());
  }
  void pop(u32 n = 1) { size_ -= n; }
  void truncate(u32 size) { size_ = size; }
  // Brings popped entries back; nothing may have been pushed in between.
  void restore(u32 size) { size_ = size; }
  void clear() { size_ = 0; }

  // A row of up to four types, right-aligned, as words that compare at once.
  struct Pattern {
    u64 types[2] = {}, mask[2] = {};
  };
  static constexpr u32 kPatternTypes = 4;
  // True when the top entries are exactly the pattern's types; entries below the bottom must be masked out by
  // depth.
  bool top_is(const Pattern& p) const {
    u64 top[2];
    std::memcpy(top, data_ + size_ - kPatternTypes, sizeof top);
    return (((top[0] ^ p.types[0]) & p.mask[0]) | ((top[1] ^ p.types[1]) & p.mask[1])) == 0;
  }
  // Pops `popped` entries, pushes `pushed` of the two given ones.
  void replace(u32 popped, const ValType* two, u32 pushed) {
    size_ -= popped;
    if (capacity_ - size_ < 2) [[unlikely]]
      grow(2);
    std::memcpy(data_ + size_, two, 2 * sizeof(ValType));
    size_ += pushed;
  }

 private:
  static constexpr u32 kInitial = 64;

  void grow(size_t more) {
    buffer_.resize(kPatternTypes + std::max<size_t>(size_ + more, size_t{capacity_} * 2));
    data_ = buffer_.data() + kPatternTypes;
    capacity_ = static_cast<u32>(buffer_.size() - kPatternTypes);
  }

  std::vector<ValType> buffer_;
  ValType* data_ = nullptr;
  u32 size_ = 0, capacity_ = 0;
};

}  // namespace tenon
