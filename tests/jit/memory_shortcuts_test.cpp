// Memory instructions that compiled code does in a way of its own: small copies and fills, bounds checks that
// earlier ones imply.
#include <optional>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr u32 kInterpreter = 4;

class MemoryShortcuts : public testing::TestWithParam<u32> {
 protected:
  Guest& guest(std::string_view wat) {
    Guest::Options o = GetParam() == kInterpreter ? Guest::interpreter() : Guest::at_level(GetParam());
    guest_.emplace(wat, std::move(o));
    EXPECT_TRUE(guest_->ok()) << guest_->error()->message;
    return *guest_;
  }
  std::optional<Guest> guest_;
};

TEST_P(MemoryShortcuts, SmallCopiesAndFillsAreLikeLargeOnes) {
  Guest& g = guest(R"((module (memory 1)
    (data (i32.const 0) "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    (func (export "copy") (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 31)))
    (func (export "nothing") (param i32 i32) (memory.copy (local.get 0) (local.get 1) (i32.const 0)))
    (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (local.get 1) (i32.const 29)))
    (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0)))))");
  auto text = [&](u32 from, u32 size) {
    std::string out;
    for (u32 i = 0; i < size; ++i) out += static_cast<char>(g.call("at", {from + i}).as_u32());
    return out;
  };
  EXPECT_EQ(g.call("copy", {3, 0}).status, Status::ok);  // the ranges overlap
  EXPECT_EQ(text(0, 36), "abcabcdefghijklmnopqrstuvwxyz0123489");
  EXPECT_EQ(g.call("fill", {1, 0x178}).status, Status::ok);
  EXPECT_EQ(text(0, 32), "a" + std::string(29, 'x') + "12");
  // Nothing is written when the end lies outside.
  EXPECT_EQ(g.call("fill", {65536 - 28, 'z'}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("copy", {65536 - 30, 0}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("copy", {0, 65536 - 30}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("copy", {0xffff'fff0, 0}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("at", {65535}).as_u32(), 0u);
  EXPECT_EQ(g.call("nothing", {65536, 65536}).status, Status::ok);
  EXPECT_EQ(g.call("nothing", {65537, 0}).trap, TrapCode::memory_out_of_bounds);
}

TEST_P(MemoryShortcuts, ChecksThatAreLeftOutWereImplied) {
  Guest& g = guest(R"((module (memory i64 1 4)
    (func (export "down") (param i64) (result i64)
      (i64.add (i64.load offset=16 (local.get 0)) (i64.load8_u (local.get 0))))
    (func (export "up") (param i64) (result i64)
      (i64.store (local.get 0) (i64.const 1))
      (i64.load offset=16 (local.get 0)))
    (func (export "changed") (param i64) (result i64) (local $x i64)
      (drop (i64.load offset=16 (local.get 0)))
      (local.set 0 (i64.add (local.get 0) (i64.const 32)))
      (i64.load (local.get 0)))
    (func (export "grown") (param i64) (result i64)
      (drop (memory.grow (i64.const 1)))
      (i64.load offset=65536 (local.get 0)))
    (func (export "huge") (param i64) (result i64) (i64.load offset=0xffffffffffffffff (local.get 0)))
    (func (export "at") (param i64) (result i64) (i64.load (local.get 0)))))");
  constexpr u64 kEnd = 65536;
  EXPECT_EQ(g.call("down", {kEnd - 24}).status, Status::ok);
  for (const u64 past : {kEnd - 23, kEnd, ~u64{0}, ~u64{0} - 23, u64{1} << 63})
    EXPECT_EQ(g.call("down", {past}).trap, TrapCode::memory_out_of_bounds) << past;
  EXPECT_EQ(g.call("up", {kEnd - 16}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("at", {kEnd - 16}).as_u64(), 1u);  // the store came before the trap
  EXPECT_EQ(g.call("changed", {kEnd - 24}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("changed", {kEnd - 40}).status, Status::ok);
  EXPECT_EQ(g.call("huge", {1}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("grown", {8}).status, Status::ok);
  EXPECT_EQ(g.call("grown", {2 * kEnd}).trap, TrapCode::memory_out_of_bounds);
}

// One check for several loads: the one that traps is the one that is reported, and what comes between is seen.
TEST_P(MemoryShortcuts, WidenedChecksTrapWhereTheAccessIs) {
  constexpr const char* kModule = R"((module (memory i64 1 4) (global $g (export "g") (mut i64) (i64.const 0))
    (func (export "loads") (param i64) (result i64)
      (i64.add (i64.load (local.get 0))
        (i64.add (i64.load offset=8 (local.get 0))
          (i64.add (i64.load8_u offset=40 (local.get 0)) (i64.load offset=16 (local.get 0))))))
    (func (export "divided") (param i64 i64) (result i64)
      (i64.add (i64.load (local.get 0))
        (i64.add (i64.div_u (i64.const 7) (local.get 1)) (i64.load offset=16 (local.get 0)))))
    (func (export "global") (param i64) (result i64)
      (drop (i64.load (local.get 0)))
      (global.set $g (i64.add (global.get $g) (i64.const 1)))
      (i64.load offset=16 (local.get 0)))
    (func (export "branch") (param i64 i32) (result i64)
      (drop (i64.load (local.get 0)))
      (if (local.get 1) (then (return (i64.const 3))))
      (i64.load offset=16 (local.get 0)))
    (func (export "two") (param i64 i64) (result i64)
      (i64.add (i64.load (local.get 0))
        (i64.add (i64.load offset=8 (local.get 1))
          (i64.add (i64.load offset=16 (local.get 0)) (i64.load offset=24 (local.get 1))))))
    (func (export "get") (result i64) (global.get $g))))";
  Guest reference(kModule, Guest::interpreter());
  Guest& g = guest(kModule);
  constexpr u64 kEnd = 65536;
  constexpr std::pair<const char*, size_t> kFunctions[] = {{"loads", 1},  {"divided", 2}, {"global", 1},
                                                           {"branch", 2}, {"two", 2},     {"get", 0}};
  for (u64 at = kEnd - 44; at <= kEnd + 1; ++at)
    for (const u64 second : {u64{0}, u64{1}, kEnd - 30, kEnd - 10})
      for (const auto& [name, params] : kFunctions) {
        std::vector<u64> args{at, second};
        args.resize(params);
        const Outcome want = reference.call(name, args), got = g.call(name, args);
        ASSERT_EQ(got.status, want.status) << name << " " << at << " " << second;
        ASSERT_EQ(got.trap, want.trap) << name << " " << at << " " << second;
        ASSERT_EQ(got.offsets, want.offsets) << name << " " << at << " " << second;
        if (want.status == Status::ok) ASSERT_EQ(got.as_u64(), want.as_u64()) << name << " " << at;
      }
}

INSTANTIATE_TEST_SUITE_P(Levels, MemoryShortcuts, testing::Values(0u, 1u, 2u, 3u, kInterpreter));

}  // namespace
}  // namespace tenon::jit
