// Memories, tables, and bulk operations on them.
#include <sys/mman.h>

#include <atomic>
#include <thread>

#include "engine/runtime/bulk.h"
#include "engine/runtime/wait.h"
#include "tests/engine/runtime_util.h"

namespace tenon {
namespace {

using testing::World;

StoreLimits no_reservation() {
  StoreLimits limits;
  limits.memory_reservation = 0;
  return limits;
}

TEST(RuntimeMemory, ReservesAndGrowsInPlace) {
  auto m = Memory::create({{1, 10}}, {}).value();
  EXPECT_GE(m->desc().reserved, kGuardedReservation);
  EXPECT_TRUE(m->never_moves());
  u8* base = m->desc().base;
  base[65535] = 7;
  EXPECT_EQ(m->grow(9), 1u);
  EXPECT_EQ(m->desc().base, base);
  base[10 * 65536 - 1] = 8;
  EXPECT_EQ(m->grow(1), std::nullopt);
  EXPECT_EQ(m->grow(~u64{0}), std::nullopt);
  EXPECT_EQ(m->grow(0), 10u);
}

TEST(RuntimeMemory, MovesWhereReservationIsRefused) {
  auto m = Memory::create({{1, {}}}, no_reservation()).value();
  EXPECT_EQ(m->desc().reserved, 0u);
  EXPECT_FALSE(m->never_moves());
  std::memset(m->desc().base, 0x5a, 65536);
  for (u64 pages = 1; pages < 200; ++pages) ASSERT_EQ(m->grow(1), pages);
  EXPECT_EQ(m->desc().base[65535], 0x5a);
  EXPECT_EQ(m->desc().base[65536], 0);
  m->desc().base[200 * 65536 - 1] = 1;
}

TEST(RuntimeMemory, SixtyFourBitMemoriesStartSmallAndRefuseWhatNoMachineHas) {
  auto m = Memory::create({.limits = {1, {}}, .is64 = true}, {}).value();
  EXPECT_EQ(m->grow(1000), 1u);
  m->desc().base[1001 * 65536 - 1] = 1;
  EXPECT_EQ(m->grow(u64{1} << 47), std::nullopt);
  EXPECT_EQ(m->grow(~u64{0}), std::nullopt);
  EXPECT_EQ(m->pages(), 1001u);
  auto huge = Memory::create({.limits = {u64{1} << 47, {}}, .is64 = true}, {});
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().category, ErrorCategory::limit);
}

TEST(RuntimeMemory, PooledMappingsComeBackZeroedAndInTheirFirstForm) {
  auto pool = std::make_shared<MappingPool>(2);
  const MemoryType type{{1, 100}};
  auto m = Memory::create(type, {}, pool).value();
  u8* const base = m->desc().base;
  std::memset(base, 0x5a, 65536);
  ASSERT_EQ(m->grow(9), 1u);
  std::memset(base, 0x5a, 10 * 65536);
  m.reset();
  m = Memory::create(type, {}, pool).value();
  EXPECT_EQ(m->desc().base, base) << "the same address space";
  EXPECT_EQ(m->length(), 65536u);
  EXPECT_GE(m->desc().reserved, kGuardedReservation);
  for (u64 i = 0; i < 65536; ++i) ASSERT_EQ(base[i], 0);
  ASSERT_EQ(m->grow(1), 1u);
  for (u64 i = 65536; i < 2 * 65536; ++i) ASSERT_EQ(base[i], 0) << "and what it grows by";
  auto other = Memory::create({{2, 100}}, {}, pool).value();
  EXPECT_NE(other->desc().base, base);
}

TEST(RuntimeMemory, PoolsKeepSoManyAndNoMoreAndNoOthers) {
  MappingPool pool(2);
  const auto map = [] {
    return Mapping{
        static_cast<u8*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
        8192, 8192};
  };
  for (int i = 0; i < 3; ++i) pool.give(map(), MappingPool::Contents::zeroed);
  EXPECT_FALSE(pool.take(4096, 4096, MappingPool::Contents::zeroed));
  EXPECT_FALSE(pool.take(8192, 8192, MappingPool::Contents::left));
  for (int i = 0; i < 2; ++i) {
    const auto m = pool.take(8192, 8192, MappingPool::Contents::zeroed);
    ASSERT_TRUE(m);
    munmap(m->base, m->mapped);
  }
  EXPECT_FALSE(pool.take(8192, 8192, MappingPool::Contents::zeroed)) << "the third was unmapped";
}

TEST(RuntimeMemory, CustomPagesHaveExactLengths) {
  MemoryType type{{100, 5000}};
  type.page_shift = 0;
  auto m = Memory::create(type, {}).value();
  EXPECT_EQ(m->length(), 100u);
  EXPECT_LT(m->desc().reserved, kGuardedReservation) << "compiled code must check bounds";
  EXPECT_TRUE(m->never_moves());
  EXPECT_EQ(m->grow(4900), 100u);
  EXPECT_EQ(m->grow(1), std::nullopt);
}

TEST(RuntimeMemory, EmptyMemoryAcceptsEmptyRanges) {
  auto m = Memory::create({{0, {}}}, no_reservation()).value();
  const GuestMemory g{m->desc().base, m->length()};
  EXPECT_NE(g.at(0, 0), nullptr);
  EXPECT_EQ(g.at(0, 1), nullptr);
}

TEST(RuntimeMemory, GuestMemoryRejectsRangesThatWrapAround) {
  u8 bytes[16];
  const GuestMemory g{bytes, sizeof bytes};
  EXPECT_EQ(g.at(16, 0), bytes + 16);
  EXPECT_EQ(g.at(17, 0), nullptr);
  EXPECT_EQ(g.at(~u64{0}, 2), nullptr);
  EXPECT_EQ(g.at(2, ~u64{0}), nullptr);
  EXPECT_EQ(g.at(8, 9), nullptr);
}

TEST(RuntimeMemory, SharedMemoriesGrowFromManyThreadsWithoutMoving) {
  auto m = Memory::create({.limits = {0, 400}, .shared = true}, {}).value();
  u8* base = m->desc().base;
  std::atomic<int> grown = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) grown += m->grow(1).has_value();
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(grown, 400);
  EXPECT_EQ(m->pages(), 400u);
  EXPECT_EQ(m->desc().base, base);
}

TEST(RuntimeTable, GrowsToItsLimitOnly) {
  auto t = Table::create({kFuncRef, {2, 5}}, 77, {}).value();
  EXPECT_EQ(t->grow(3, 88), 2u);
  EXPECT_EQ(t->desc().elements[1], 77u);
  EXPECT_EQ(t->desc().elements[4], 88u);
  EXPECT_EQ(t->grow(1, 0), std::nullopt);
  EXPECT_EQ(t->grow(~u64{0}, 0), std::nullopt);
}

constexpr const char* kBulkModule = R"((module
  (memory (export "m") 1) (memory (export "n") 1)
  (table (export "t") 4 externref) (table (export "u") 4 externref)
  (data "0123456789") (elem externref (item (ref.null extern)) (item (ref.null extern)))))";

TEST(RuntimeBulk, MemoryOperationsCheckBeforeTheyWrite) {
  World w;
  Instance& i = w.load(kBulkModule);
  VMContext* vm = i.vm();
  u8 *m = i.memory(MemoryIdx{0})->desc().base, *n = i.memory(MemoryIdx{1})->desc().base;
  EXPECT_EQ(memory_init(vm, 0, 0, 10, 2, 5), TrapCode::none);
  EXPECT_EQ(std::memcmp(m + 10, "23456", 6), 0);
  EXPECT_EQ(memory_init(vm, 0, 0, 0, 8, 3), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(memory_init(vm, 0, 0, 0, 0xffff'ffff, 2), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(m[0], 0);
  EXPECT_EQ(memory_copy(vm, 1, 0, 0, 10, 5), TrapCode::none);
  EXPECT_EQ(std::memcmp(n, "23456", 5), 0);
  EXPECT_EQ(memory_copy(vm, 0, 0, 11, 10, 5), TrapCode::none) << "overlapping";
  EXPECT_EQ(std::memcmp(m + 10, "223456", 6), 0);
  EXPECT_EQ(memory_copy(vm, 0, 0, ~u64{0}, 0, 2), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(memory_copy(vm, 0, 0, 0, 65536, 0), TrapCode::none);
  EXPECT_EQ(memory_copy(vm, 0, 0, 0, 65537, 0), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(memory_fill(vm, 0, 65530, 0x1ff, 6), TrapCode::none);
  EXPECT_EQ(m[65535], 0xff);
  EXPECT_EQ(memory_fill(vm, 0, 65530, 1, 7), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(m[65530], 0xff);
  EXPECT_EQ(memory_fill(vm, 0, 1, 1, ~u64{0}), TrapCode::memory_out_of_bounds);
  data_drop(vm, 0);
  EXPECT_EQ(memory_init(vm, 0, 0, 0, 0, 0), TrapCode::none);
  EXPECT_EQ(memory_init(vm, 0, 0, 0, 0, 1), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(memory_grow(vm, 0, 2), 1u);
  EXPECT_EQ(memory_size(vm, 0), 3u);
  EXPECT_EQ(memory_grow(vm, 0, 65536), ~u64{0});
}

TEST(RuntimeBulk, TableOperationsCheckBeforeTheyWrite) {
  World w;
  Instance& i = w.load(kBulkModule);
  VMContext* vm = i.vm();
  const u64* t = i.table(TableIdx{0})->desc().elements;
  const u64* u = i.table(TableIdx{1})->desc().elements;
  EXPECT_EQ(table_fill(vm, 0, 1, make_i31(9), 3), TrapCode::none);
  EXPECT_EQ(t[0], kNullRef);
  EXPECT_EQ(t[3], make_i31(9));
  EXPECT_EQ(table_fill(vm, 0, 2, 0, 3), TrapCode::table_out_of_bounds);
  EXPECT_EQ(table_copy(vm, 1, 0, 0, 1, 3), TrapCode::none);
  EXPECT_EQ(u[2], make_i31(9));
  EXPECT_EQ(table_copy(vm, 1, 0, 2, 0, 3), TrapCode::table_out_of_bounds);
  EXPECT_EQ(table_copy(vm, 1, 0, ~u64{0}, 0, 2), TrapCode::table_out_of_bounds);
  EXPECT_EQ(table_init(vm, 1, 0, 0, 0, 2), TrapCode::none);
  EXPECT_EQ(u[0], kNullRef);
  EXPECT_EQ(table_init(vm, 1, 0, 0, 1, 2), TrapCode::table_out_of_bounds);
  elem_drop(vm, 0);
  EXPECT_EQ(table_init(vm, 1, 0, 0, 0, 1), TrapCode::table_out_of_bounds);
  EXPECT_EQ(table_grow(vm, 0, 2, make_i31(1)), 4u);
  EXPECT_EQ(i.table(TableIdx{0})->desc().elements[5], make_i31(1));
  EXPECT_EQ(table_grow(vm, 0, ~u64{0}, 0), ~u64{0});
}

constexpr const char* kSharedModule = R"((module (memory 1 1 shared) (memory 1)))";

TEST(RuntimeWait, WakesWhoWaitsOnTheSameAddress) {
  World a, b;
  Instance& first = a.load(kSharedModule);
  // The same memory in a second store, as another thread has it.
  auto shared = a.store.shared_memory(first.memory(MemoryIdx{0}));
  ASSERT_NE(shared, nullptr);
  b.linker.define("h", "m", b.store.share_memory(shared));
  Instance& second = b.load(R"((module (import "h" "m" (memory 1 1 shared))))");
  u32 waited = 99, woken = 0;
  std::thread sleeper([&] { EXPECT_EQ(atomic_wait32(first.vm(), 0, 64, 0, -1, &waited), TrapCode::none); });
  while (woken == 0) {
    u32 other = 0;
    ASSERT_EQ(atomic_notify(second.vm(), 0, 68, 10, &other), TrapCode::none);
    EXPECT_EQ(other, 0u) << "another address";
    ASSERT_EQ(atomic_notify(second.vm(), 0, 64, 10, &woken), TrapCode::none);
  }
  sleeper.join();
  EXPECT_EQ(woken, 1u);
  EXPECT_EQ(waited, static_cast<u32>(WaitResult::ok));
}

TEST(RuntimeWait, ComparesTimesOutAndTraps) {
  World w;
  Instance& i = w.load(kSharedModule);
  u32 r = 99;
  EXPECT_EQ(atomic_wait32(i.vm(), 0, 0, 1, -1, &r), TrapCode::none);
  EXPECT_EQ(r, static_cast<u32>(WaitResult::not_equal));
  EXPECT_EQ(atomic_wait64(i.vm(), 0, 8, 0, 1'000'000, &r), TrapCode::none);
  EXPECT_EQ(r, static_cast<u32>(WaitResult::timed_out));
  EXPECT_EQ(atomic_wait64(i.vm(), 0, 4, 0, 0, &r), TrapCode::unaligned_atomic);
  EXPECT_EQ(atomic_wait32(i.vm(), 0, 65536, 0, 0, &r), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(atomic_wait32(i.vm(), 0, ~u64{3}, 0, 0, &r), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(atomic_wait32(i.vm(), 1, 0, 0, 0, &r), TrapCode::expected_shared_memory);
  EXPECT_EQ(atomic_notify(i.vm(), 1, 0, 1, &r), TrapCode::none);
  EXPECT_EQ(r, 0u);
}

TEST(RuntimeWait, AnInterruptEndsTheWait) {
  World w;
  Instance& i = w.load(kSharedModule);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    w.store.interrupt();
  });
  u32 r = 0;
  EXPECT_EQ(atomic_wait32(i.vm(), 0, 0, 0, -1, &r), TrapCode::interrupted);
  other.join();
}

}  // namespace
}  // namespace tenon
