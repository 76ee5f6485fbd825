// Linear memories on mmap: reserve, commit, move.
#include "engine/runtime/memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

namespace tenon {
namespace {

constexpr u64 kHostPage = 4096;
constexpr u64 kGuard = u64{64} << 10;
constexpr u64 kMaxBytes64 = u64{1} << 46;      // what x86-64 user space can hold at all
constexpr u64 kReservation64 = u64{64} << 30;  // of a memory64 that may grow without a limit
constexpr u64 kMaxSharedBytes = u64{1} << 40;  // shared memories cannot move, so all is reserved

u64 round_up(u64 n, u64 to) { return (n + to - 1) / to * to; }

// n << shift, or all ones when it does not fit.
u64 saturating_shift(u64 n, u32 shift) { return n > (~u64{0} >> shift) ? ~u64{0} : n << shift; }

u64 address_limit(const MemoryType& type) { return type.is64 ? kMaxBytes64 : u64{1} << 32; }

// How much address space this memory wants behind its base.
u64 wanted_reservation(const MemoryType& type, u64 min_bytes, u64 max_bytes) {
  if (!type.is64) return type.page_shift == 16 ? kGuardedReservation : (u64{1} << 32) + kGuard;
  if (type.shared) return round_up(max_bytes, kHostPage) + kGuard;
  return round_up(std::max(min_bytes, std::min(max_bytes, kReservation64)), kHostPage) + kGuard;
}

}  // namespace

Result<std::unique_ptr<Memory>> Memory::create(const MemoryType& type, const StoreLimits& limits,
                                               std::shared_ptr<MappingPool> pool) {
  const u64 min_bytes = saturating_shift(type.limits.min, type.page_shift);
  const u64 type_max = type.limits.max ? saturating_shift(*type.limits.max, type.page_shift) : ~u64{0};
  u64 max_bytes = std::min({type_max, address_limit(type), limits.memory_bytes});
  if (type.shared) max_bytes = std::min(max_bytes, kMaxSharedBytes);
  if (min_bytes > max_bytes)
    return std::unexpected(
        Error{ErrorCategory::limit,
              fmt::format("memory of {} bytes exceeds the limit of {} bytes", min_bytes, max_bytes),
              {}});
  std::unique_ptr<Memory> memory(new Memory);
  memory->type_ = type;
  memory->max_bytes_ = max_bytes >> type.page_shift << type.page_shift;
  const u64 wanted = wanted_reservation(type, min_bytes, memory->max_bytes_);
  if (!type.shared) memory->pool_ = std::move(pool);
  const u64 reserved = memory->max_bytes_ <= wanted ? wanted : 0;
  if (wanted <= limits.memory_reservation && memory->take_pooled(wanted, reserved, min_bytes)) return memory;
  // A shared memory must not move: without the full reservation it cannot grow past what is mapped.
  if (!(wanted <= limits.memory_reservation && memory->map(wanted, reserved))) {
    const u64 exact = round_up(std::max<u64>(type.shared ? memory->max_bytes_ : min_bytes, 1), kHostPage);
    memory->pool_ = nullptr;  // nothing of this size will be asked for
    if (!memory->map(exact, 0))
      return std::unexpected(
          Error{ErrorCategory::limit, fmt::format("no address space for a memory of {} bytes", exact), {}});
    if (type.shared) memory->desc_.reserved = exact;
  }
  if (!memory->commit(min_bytes))
    return std::unexpected(
        Error{ErrorCategory::limit, fmt::format("the system refuses a memory of {} bytes", min_bytes), {}});
  memory->pooled_ = memory->committed_;
  memory->desc_.length = min_bytes;
  return memory;
}

Memory::~Memory() {
  if (!desc_.base) return;
  if (pool_)
    give_pooled();
  else
    munmap(desc_.base, mapped_);
}

bool Memory::take_pooled(u64 bytes, u64 reserved, u64 min_bytes) {
  if (!pool_) return false;
  const auto mapping = pool_->take(bytes, round_up(min_bytes, kHostPage), MappingPool::Contents::zeroed);
  if (!mapping) return false;
  desc_ = {mapping->base, min_bytes, reserved};
  mapped_ = mapping->mapped;
  committed_ = pooled_ = mapping->committed;
  return true;
}

// As it was at first: what it has grown by goes back to the system.
void Memory::give_pooled() {
  u8* const end = desc_.base + pooled_;
  const u64 grown = committed_ - pooled_;
  if (grown != 0 && (madvise(end, grown, MADV_DONTNEED) != 0 || mprotect(end, grown, PROT_NONE) != 0)) {
    munmap(desc_.base, mapped_);
    return;
  }
  pool_->give({desc_.base, mapped_, pooled_}, MappingPool::Contents::zeroed);
}

bool Memory::map(u64 bytes, u64 reserved) {
  void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  desc_.base = static_cast<u8*>(p);
  desc_.reserved = reserved;
  mapped_ = bytes;
  return true;
}

// Makes [0, bytes) accessible.
bool Memory::commit(u64 bytes) {
  const u64 end = round_up(bytes, kHostPage);
  if (end <= committed_) return true;
  if (end > mapped_) return false;
  if (mprotect(desc_.base + committed_, end - committed_, PROT_READ | PROT_WRITE) != 0) return false;
  committed_ = end;
  return true;
}

Result<bool> Memory::map_image(int fd, u64 bytes) {
  const int access = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
  pool_ = nullptr;  // its pages, given back to the system, would show the image again
  if (mmap(desc_.base, bytes, access, flags, fd, 0) != MAP_FAILED) return true;
  // What was mapped there may be gone.
  if (mmap(desc_.base, bytes, access, flags | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return false;
  return std::unexpected(
      Error{ErrorCategory::limit, fmt::format("the system refuses a memory of {} bytes", length()), {}});
}

// A larger mapping with the same contents; only for memories that may move.
bool Memory::move_to(u64 bytes) {
  const u64 size = round_up(std::min(max_bytes_, std::max(bytes, committed_ * 2)), kHostPage) + kGuard;
  void* p = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  if (committed_ != 0 &&
      mremap(desc_.base, committed_, committed_, MREMAP_MAYMOVE | MREMAP_FIXED, p) == MAP_FAILED) {
    munmap(p, size);
    return false;
  }
  if (mapped_ > committed_) munmap(desc_.base + committed_, mapped_ - committed_);
  desc_.base = static_cast<u8*>(p);
  desc_.reserved = 0;
  mapped_ = size;
  pool_ = nullptr;  // nothing of its kind will be asked for
  return true;
}

std::optional<u64> Memory::grow(u64 delta_pages) {
  std::lock_guard lock(grow_);
  const u64 old_bytes = length(), old_pages = old_bytes >> type_.page_shift;
  const u64 max_pages = max_bytes_ >> type_.page_shift;
  if (delta_pages > max_pages - old_pages) return std::nullopt;
  const u64 bytes = (old_pages + delta_pages) << type_.page_shift;
  if (round_up(bytes, kHostPage) > mapped_) {
    if (type_.shared || !move_to(bytes)) return std::nullopt;
  }
  if (!commit(bytes)) return std::nullopt;
  __atomic_store_n(&desc_.length, bytes, __ATOMIC_RELEASE);
  return old_pages;
}

}  // namespace tenon
