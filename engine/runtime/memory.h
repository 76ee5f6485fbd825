// Linear memories: address space reserved, pages committed on growth. Bounds checks are the accessors'
// business (interpreter, compiled code, bulk.h, GuestMemory).
#pragma once
#include <memory>
#include <mutex>
#include <optional>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/module.h"
#include "engine/runtime/limits.h"
#include "engine/runtime/mapping_pool.h"
#include "engine/runtime/vm.h"

namespace tenon {

// A memory instance (spec: exec/runtime). 32-bit memories with 64 KiB pages reserve kGuardedReservation, so
// that no 32-bit access can leave the reservation; memory64 reserves what it may grow to, up to 64 GiB, and
// moves beyond; shared memories reserve all they may grow to and never move. Where the system refuses, the
// mapping has just the memory's size (reserved = 0) and moves on growth. Only shared memories may be used by
// several threads.
class Memory {
 public:
  // Errors: limit (the minimum exceeds `limits`, or the system has no address space left).
  // Address space comes from `pool` and goes back there, where there is one; shared memories have their own.
  static Result<std::unique_ptr<Memory>> create(const MemoryType& type, const StoreLimits& limits,
                                                std::shared_ptr<MappingPool> pool = {});
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  const MemoryType& type() const { return type_; }
  MemoryDesc& desc() { return desc_; }
  u64 length() const { return __atomic_load_n(&desc_.length, __ATOMIC_ACQUIRE); }
  u64 pages() const { return length() >> type_.page_shift; }
  bool never_moves() const { return desc_.reserved != 0 && max_bytes_ <= desc_.reserved; }
  // Lays an image (memory_image.h) over the first `bytes`, a multiple of the system's page size within the
  // length, of a memory that never moves and that nobody has written to. On failure all is zero, as before;
  // error limit: not even that.
  Result<bool> map_image(int fd, u64 bytes);
  // The old size in pages, or nothing when it can't grow (spec: memory.grow gives −1).
  std::optional<u64> grow(u64 delta_pages);

 private:
  Memory() = default;
  bool map(u64 bytes, u64 limit);
  bool take_pooled(u64 bytes, u64 reserved, u64 min_bytes);
  void give_pooled();
  bool commit(u64 bytes);
  bool move_to(u64 bytes);

  MemoryType type_;
  MemoryDesc desc_{};
  u64 max_bytes_ = 0;
  u64 committed_ = 0;  // bytes with access, a multiple of the system's page size
  u64 mapped_ = 0;     // bytes of address space
  std::shared_ptr<MappingPool> pool_;
  u64 pooled_ = 0;  // bytes that were committed at first; what the pool gets back is of this form
  std::mutex grow_;
};

}  // namespace tenon
