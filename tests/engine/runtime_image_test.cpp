// Copy-on-write images of initial memories: they must not be told from copied segments.
#include <fstream>

#include "engine/runtime/memory_image.h"
#include "tests/engine/runtime_util.h"

namespace tenon {
namespace {

using ::testing::StartsWith;
using testing::World;

constexpr u32 kBig = 70'000;  // bytes: enough for an image

std::string segment(std::string_view place, char fill, u32 bytes = kBig) {
  return fmt::format("(data {} \"{}\")", place, std::string(bytes, fill));
}

std::string with_memory(const std::string& rest) { return "(module (memory (export \"m\") 4) " + rest + ")"; }

const u8* bytes_of(World& w, Instance& i, std::string_view memory = "m") {
  return w.get<Memory*>(i, memory)->desc().base;
}

size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  return static_cast<size_t>(std::count(std::istreambuf_iterator<char>(maps), {}, '\n'));
}

TEST(RuntimeImage, InstancesBeginAlikeAndKeepTheirWritesToThemselves) {
  World w;
  auto module = testing::compile(*w.engine, with_memory(segment("(i32.const 100)", 'a')));
  Store other(w.engine);
  Instance& first = **w.store.instantiate(module, {});
  ASSERT_EQ(MemoryImages::of(*module).segments(), 1u);
  u8* base = w.get<Memory*>(first, "m")->desc().base;
  base[100] = 'x';
  base[0] = 'y';
  for (Store* store : {&w.store, &other}) {
    Instance& next = **store->instantiate(module, {});
    const u8* bytes = bytes_of(w, next);
    EXPECT_EQ(bytes[0], 0);
    EXPECT_EQ(bytes[99], 0);
    EXPECT_EQ(std::string(bytes + 100, bytes + 100 + kBig), std::string(kBig, 'a'));
    EXPECT_EQ(bytes[100 + kBig], 0);
    EXPECT_TRUE(next.data(DataIdx{0}).empty()) << "active segments drop themselves";
  }
  EXPECT_EQ(base[100], 'x');
}

TEST(RuntimeImage, MemoriesGrowBehindTheirImage) {
  World w;
  Instance& i = w.load(with_memory(segment("(i32.const 0)", 'a', 4 << 16)));
  Memory* memory = w.get<Memory*>(i, "m");
  ASSERT_EQ(memory->grow(3), 4u);
  EXPECT_EQ(memory->desc().base[(4 << 16) - 1], 'a');
  EXPECT_EQ(memory->desc().base[4 << 16], 0);
  memory->desc().base[(7 << 16) - 1] = 1;
}

TEST(RuntimeImage, LaterSegmentsOverwriteEarlierOnesAndPassiveOnesStay) {
  World w;
  Instance& i = w.load(with_memory(segment("(i32.const 0)", 'a') + segment("$p", 'p', 10) +
                                   segment("(i32.const 5)", 'b', 2) + segment("(i32.const 6)", 'c', 2)));
  EXPECT_EQ(std::string(bytes_of(w, i), bytes_of(w, i) + 10), "aaaaabccaa");
  EXPECT_EQ(i.data(DataIdx{1}).size(), 10u);
  EXPECT_EQ(MemoryImages::of(i.module()).segments(), 4u);
}

TEST(RuntimeImage, EveryOwnMemoryHasItsOwn) {
  World w;
  Instance& i =
      w.load(R"((module (memory $own (export "m") 4) (memory $small (export "s") i64 1) (memory $none 0))" +
             segment("(memory $own) (i32.const 0)", 'a') +
             segment("(memory $small) (i64.const 65530)", 'b', 6) + ")");
  EXPECT_EQ(MemoryImages::of(i.module()).images().size(), 2u);
  EXPECT_EQ(bytes_of(w, i)[0], 'a');
  EXPECT_EQ(bytes_of(w, i, "s")[65529], 0);
  EXPECT_EQ(bytes_of(w, i, "s")[65535], 'b');
}

// What cannot be in an image is copied, and so is what comes after it, in order.
TEST(RuntimeImage, SegmentsWithoutAConstantPlaceEndTheImage) {
  World w;
  w.linker.define("h", "at", w.store.new_global({kI32}, {{.u64_ = 2}, {}}).value());
  Instance& i = w.load("(module (global $at (import \"h\" \"at\") i32) (memory (export \"m\") 4)" +
                       segment("(i32.const 0)", 'a') + segment("(global.get $at)", 'b', 2) +
                       segment("(i32.const 3)", 'c', 2) + ")");
  EXPECT_EQ(MemoryImages::of(i.module()).segments(), 1u);
  EXPECT_EQ(std::string(bytes_of(w, i), bytes_of(w, i) + 6), "aabcca");
}

TEST(RuntimeImage, ThereIsNoneForLittleScatteredImportedSharedOrMovingMemory) {
  World w;
  w.linker.define("h", "m", w.store.new_memory({{4, {}}}).value());
  std::string scattered;
  for (u32 i = 0; i < 1000; ++i) scattered += segment(fmt::format("(i32.const {})", i * 65536), 'a', 80);
  for (const std::string& wat :
       {with_memory(segment("(i32.const 0)", 'a', 1000)),
        "(module (memory (export \"m\") 1000)" + scattered + ")",
        "(module (import \"h\" \"m\" (memory 4)) (export \"m\" (memory 0))" + segment("(i32.const 0)", 'a') +
            ")",
        "(module (memory (export \"m\") 4 4 shared)" + segment("(i32.const 0)", 'a') + ")"}) {
    Instance& i = w.load(wat);
    EXPECT_EQ(MemoryImages::of(i.module()).segments(), 0u);
    EXPECT_EQ(bytes_of(w, i)[10], 'a');
  }
  StoreLimits moving;
  moving.memory_reservation = 0;
  World m(moving);
  Instance& i = m.load(with_memory(segment("(i32.const 0)", 'a')));
  Memory* memory = m.get<Memory*>(i, "m");
  ASSERT_TRUE(memory->grow(1000));
  EXPECT_EQ(memory->desc().base[10], 'a');
  EXPECT_TRUE(i.data(DataIdx{0}).empty());
}

// Spec: exec/modules. The function that the element segment left in the table sees what was written.
TEST(RuntimeImage, SegmentsBeforeATrapAreWrittenAndLaterOnesAreNot) {
  const std::string head = R"((module (import "h" "t" (table 1 funcref)) (memory 4)
    (func $sum (result i32) (i32.add (i32.load8_u (i32.const 0)) (i32.load8_u (i32.const 200000))))
    (elem (i32.const 0) $sum))";
  const auto sum_after = [&](const std::string& rest, std::string_view error) {
    World w;
    Table* table = w.store.new_table({kFuncRef, {1, {}}}, kNullRef).value();
    w.linker.define("h", "t", table);
    const auto failed = w.try_load(head + rest + ")");
    EXPECT_FALSE(failed);
    if (!failed) {
      EXPECT_THAT(failed.error().message, StartsWith(error));
    }
    Slot result[1];
    EXPECT_EQ(w.store.call(reinterpret_cast<FuncRef*>(table->desc().elements[0]), result), Status::ok);
    return result[0].u32_;
  };
  const std::string first = segment("(i32.const 0)", 'A'), last = segment("(i32.const 200000)", 'B', 10);
  EXPECT_EQ(sum_after(first + segment("(i32.const 262144)", 'C', 1) + last, "out of bounds memory access"),
            u32{'A'});
  EXPECT_EQ(sum_after(first + segment("(i32.const -1)", 'C', 2) + last, "out of bounds memory access"),
            u32{'A'});
  EXPECT_EQ(sum_after(first + last + "(elem (i32.const 1) $sum)", "out of bounds table access"), 0u)
      << "element segments come first";
}

TEST(RuntimeImage, AnInstanceTakesThreeMappings) {
#if defined(TENON_SANITIZED)
  GTEST_SKIP() << "a sanitizer makes mappings of its own";
#endif
  World w;
  auto module = testing::compile(*w.engine, with_memory(segment("(i32.const 70000)", 'a')));
  ASSERT_TRUE(w.store.instantiate(module, {}));
  const size_t before = mappings();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(w.store.instantiate(module, {}));
  EXPECT_LE(mappings(), before + 3 * 1000 + 10) << "and a few of the allocator's";
}

}  // namespace
}  // namespace tenon
