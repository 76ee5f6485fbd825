// A parking lot: sleeping threads by address, in hashed buckets. One for the process, since shared memories
// cross stores.
#include "engine/runtime/wait.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>

#include "engine/runtime/store.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPoll = std::chrono::milliseconds(20);  // how often a sleeper looks for an interrupt

struct Waiter {
  const u8* address;
  std::condition_variable wake;
  bool notified = false;
};
struct Bucket {
  std::mutex mutex;
  std::list<Waiter*> waiters;  // in order of arrival
};

Bucket& bucket_of(const u8* address) {
  static std::array<Bucket, 64> buckets;
  return buckets[reinterpret_cast<u64>(address) / 4 * 0x9e3779b97f4a7c15 >> 58];
}

template <class T>
TrapCode check(VMContext* vm, u32 memory, u64 address, u8** at) {
  Memory* m = vm->instance->memory(MemoryIdx{memory});
  const u64 length = m->length();
  if (address % sizeof(T) != 0) return TrapCode::unaligned_atomic;
  if (length < sizeof(T) || address > length - sizeof(T)) return TrapCode::memory_out_of_bounds;
  *at = m->desc().base + address;
  return TrapCode::none;
}

template <class T>
TrapCode atomic_wait(VMContext* vm, u32 memory, u64 address, T expected, i64 timeout, u32* result) {
  u8* at = nullptr;
  if (const TrapCode code = check<T>(vm, memory, address, &at); code != TrapCode::none) return code;
  if (!vm->instance->memory(MemoryIdx{memory})->type().shared) return TrapCode::expected_shared_memory;
  const auto start = Clock::now();
  const bool forever = timeout < 0 || timeout > i64{1} << 60;
  const auto deadline = forever ? Clock::time_point::max() : start + std::chrono::nanoseconds(timeout);
  Bucket& bucket = bucket_of(at);
  std::unique_lock lock(bucket.mutex);
  // Under the bucket's lock, so that a notify after the store that changed the value is not missed.
  if (__atomic_load_n(reinterpret_cast<T*>(at), __ATOMIC_SEQ_CST) != expected) {
    *result = static_cast<u32>(WaitResult::not_equal);
    return TrapCode::none;
  }
  Waiter self{at, {}, false};
  const auto place = bucket.waiters.insert(bucket.waiters.end(), &self);
  bool interrupted = false;
  while (!self.notified && !interrupted && Clock::now() < deadline) {
    self.wake.wait_until(lock, std::min(deadline, Clock::now() + kPoll));
    interrupted = __atomic_load_n(&vm->store->interrupt, __ATOMIC_RELAXED) != 0;
  }
  bucket.waiters.erase(place);
  if (interrupted && !self.notified) return TrapCode::interrupted;
  *result = static_cast<u32>(self.notified ? WaitResult::ok : WaitResult::timed_out);
  return TrapCode::none;
}

}  // namespace

TrapCode atomic_wait32(VMContext* vm, u32 memory, u64 address, u32 expected, i64 timeout, u32* result) {
  return atomic_wait<u32>(vm, memory, address, expected, timeout, result);
}

TrapCode atomic_wait64(VMContext* vm, u32 memory, u64 address, u64 expected, i64 timeout, u32* result) {
  return atomic_wait<u64>(vm, memory, address, expected, timeout, result);
}

TrapCode atomic_notify(VMContext* vm, u32 memory, u64 address, u32 count, u32* result) {
  u8* at = nullptr;
  if (const TrapCode code = check<u32>(vm, memory, address, &at); code != TrapCode::none) return code;
  Bucket& bucket = bucket_of(at);
  const std::lock_guard lock(bucket.mutex);
  u32 woken = 0;
  for (Waiter* w : bucket.waiters) {
    if (woken == count) break;
    if (w->address != at || w->notified) continue;
    w->notified = true;
    w->wake.notify_one();
    ++woken;
  }
  *result = woken;
  return TrapCode::none;
}

}  // namespace tenon
