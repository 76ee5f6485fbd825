// A fast 64-bit hash for finding cache entries and damage. Not for security: who wants a collision finds one,
// so whoever looks something up by it compares the contents too.
#pragma once
#include <cstring>
#include <span>

#include "engine/base.h"

namespace tenon {

// Multiplies and rotates in four lanes, 32 bytes at a time. The same on every machine (little-endian).
class Hasher {
 public:
  void add(std::span<const u8> bytes) {
    length_ += bytes.size();
    while (bytes.size() >= kBlock) {
      block(bytes.data());
      bytes = bytes.subspan(kBlock);
    }
    if (bytes.empty()) return;
    u8 last[kBlock] = {};
    std::memcpy(last, bytes.data(), bytes.size());
    block(last);
  }
  void add(u64 value) { add({reinterpret_cast<const u8*>(&value), sizeof value}); }
  u64 finish() const {
    u64 h = length_ * kPrime1;
    for (const u64 lane : lanes_) h = mix(h ^ lane) + kPrime2;
    h ^= h >> 33;
    h *= kPrime2;
    return h ^ (h >> 29);
  }

 private:
  static constexpr size_t kBlock = 32;
  static constexpr u64 kPrime1 = 0x9e37'79b1'85eb'ca87, kPrime2 = 0xc2b2'ae3d'27d4'eb4f;
  static u64 mix(u64 v) {
    v *= kPrime2;
    v = v << 31 | v >> 33;
    return v * kPrime1;
  }
  void block(const u8* at) {
    for (u64& lane : lanes_) {
      u64 word;
      std::memcpy(&word, at, sizeof word);
      lane = mix(lane ^ word) + kPrime1;
      at += sizeof word;
    }
  }
  u64 lanes_[4] = {kPrime1, kPrime2, kPrime1 ^ kPrime2, kPrime1 + kPrime2};
  u64 length_ = 0;
};

inline u64 hash_of(std::span<const u8> bytes) {
  Hasher h;
  h.add(bytes);
  return h.finish();
}

}  // namespace tenon
