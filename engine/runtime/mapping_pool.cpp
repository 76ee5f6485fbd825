// See mapping_pool.h.
#include "engine/runtime/mapping_pool.h"

#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "engine/brief_lock.h"

namespace tenon {
namespace {

constexpr u64 kHostPage = 4096;

// Threads, in eight groups, get back what they gave: memory that another processor has in its cache is slow to zero and to
// use. Which group a mapping belongs to stands below the page size in its key.
u64 owned(u64 mapped) {
  constexpr u64 kGroups = 8;
  static std::atomic<u64> threads = 0;
  thread_local const u64 number = threads.fetch_add(1, std::memory_order_relaxed);
  return mapped | number % kGroups;
}
u64 mapped_bytes(u64 owned) { return owned & ~(kHostPage - 1); }

// Up to here writing zeros is faster than giving pages back and faulting them in again.
constexpr u64 kZeroByHand = u64{256} << 10;

bool clear(const Mapping& m) {
  if (m.committed <= kZeroByHand) {
    std::memset(m.base, 0, m.committed);
    return true;
  }
  return madvise(m.base, m.committed, MADV_DONTNEED) == 0;
}

}  // namespace

MappingPool::~MappingPool() {
  for (const auto& [key, bases] : free_)
    for (u8* base : bases) munmap(base, mapped_bytes(std::get<0>(key)));
}

std::optional<Mapping> MappingPool::take(u64 mapped, u64 committed, Contents contents) {
  const BriefLock lock(mutex_);
  const auto found = free_.find(Key{owned(mapped), committed, contents});
  if (found == free_.end() || found->second.empty()) return std::nullopt;
  u8* const base = found->second.back();
  found->second.pop_back();
  --kept_[static_cast<size_t>(contents)];
  return Mapping{base, mapped, committed};
}

void MappingPool::give(Mapping m, Contents contents) {
  bool keep = false;
  {
    const BriefLock lock(mutex_);
    u32& kept = kept_[static_cast<size_t>(contents)];
    if (kept < room_for(contents)) {
      ++kept;  // a place for it, while it is cleared without the lock
      keep = true;
    }
  }
  if (!keep) {
    munmap(m.base, m.mapped);
    return;
  }
  const bool ready = contents == Contents::left || clear(m);
  const BriefLock lock(mutex_);
  if (ready) {
    free_[Key{owned(m.mapped), m.committed, contents}].push_back(m.base);
    return;
  }
  --kept_[static_cast<size_t>(contents)];
  munmap(m.base, m.mapped);
}

}  // namespace tenon
