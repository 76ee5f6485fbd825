// Address space that stores gave back, ready for the next ones: making and ending an instance then needs no system call,
// and system calls on mappings are what does not scale with threads. Knows nothing of what the mappings are for.
#pragma once
#include <map>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "engine/base.h"

namespace tenon {

// [base, base + committed) is readable and writable, the rest of the mapped bytes is not accessible.
struct Mapping {
  u8* base = nullptr;
  u64 mapped = 0, committed = 0;
};

// Thread-safe. One for each Engine.
class MappingPool {
 public:
  enum class Contents : u8 { zeroed, left };  // `left`: whatever was there before

  explicit MappingPool(u32 most = kDefault) : most_(most) {}
  ~MappingPool();
  MappingPool(const MappingPool&) = delete;
  MappingPool& operator=(const MappingPool&) = delete;

  // A mapping of exactly these sizes that was given back with the same `contents`, or nothing.
  std::optional<Mapping> take(u64 mapped, u64 committed, Contents contents);
  // Keeps it, zeroed if that is wanted, or unmaps it when there are enough.
  void give(Mapping mapping, Contents contents);

  // How many are kept of memories; of other mappings, which keep what is in them, a quarter.
  static constexpr u32 kDefault = 64;

 private:
  using Key = std::tuple<u64, u64, Contents>;
  u32 room_for(Contents contents) const { return contents == Contents::zeroed ? most_ : most_ / 4; }

  const u32 most_;
  std::mutex mutex_;
  u32 kept_[2] = {};  // by Contents
  std::map<Key, std::vector<u8*>> free_;
};

}  // namespace tenon
