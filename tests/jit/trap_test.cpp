// Traps: each code, their backtraces, their order with loads, stores and calls, at every optimisation level.
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

using testing::ElementsAre;

class Traps : public testing::TestWithParam<u32> {
 protected:
  Guest guest(std::string_view wat) { return Guest(wat, Guest::at_level(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(OptLevels, Traps, testing::Range(0u, 4u));

TEST_P(Traps, ArithmeticCodes) {
  Guest g = guest(R"(
    (func (export "unreachable") (unreachable))
    (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
    (func (export "divu") (param i64 i64) (result i64) (i64.div_u (local.get 0) (local.get 1)))
    (func (export "rem") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
    (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
    (func (export "dropped") (param i32 i32) (drop (i32.rem_u (local.get 0) (local.get 1)))))");
  EXPECT_EQ(g.call("unreachable").trap, TrapCode::unreachable);
  EXPECT_EQ(g.call("div", {1, 0}).trap, TrapCode::integer_divide_by_zero);
  EXPECT_EQ(g.call("div", {0x8000'0000, 0xffff'ffff}).trap, TrapCode::integer_overflow);
  EXPECT_EQ(g.call("div", {0x8000'0000, 1}).as_u32(), 0x8000'0000u);
  EXPECT_EQ(g.call("divu", {1, 0}).trap, TrapCode::integer_divide_by_zero);
  EXPECT_EQ(g.call("rem", {0x8000'0000, 0xffff'ffff}).as_u32(), 0u);
  EXPECT_EQ(g.call("rem", {7, 0}).trap, TrapCode::integer_divide_by_zero);
  EXPECT_EQ(g.call("trunc", {std::bit_cast<u64>(2147483648.0)}).trap, TrapCode::integer_overflow);
  EXPECT_EQ(g.call("trunc", {std::bit_cast<u64>(-2147483648.9)}).as_u32(), 0x8000'0000u);
  EXPECT_EQ(g.call("trunc", {0x7ff8'0000'0000'0000}).trap, TrapCode::invalid_conversion);
  EXPECT_EQ(g.call("dropped", {1, 0}).trap, TrapCode::integer_divide_by_zero);
}

TEST_P(Traps, UnusedLoadOutOfBoundsTraps) {
  Guest g = guest(R"((memory 1) (func (export "f") (param i32) (drop (i32.load (local.get 0)))))");
  EXPECT_EQ(g.call("f", {65532}).status, Status::ok);
  EXPECT_EQ(g.call("f", {65533}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("f", {0xffff'ffff}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("f", {0}).status, Status::ok);
}

TEST_P(Traps, EveryLoadAndStoreTrapsPastTheEnd) {
  struct Access {
    std::string text, params, before, after;
    u32 width;
  };
  std::vector<Access> all;
  for (const char* t : {"i32", "i64", "f32", "f64", "v128"}) {
    const std::string type = t;
    const u32 width = type == "v128" ? 16 : type[1] == '3' ? 4 : 8;
    all.push_back({type + ".load", "", "", "", width});
    all.push_back({type + ".store", " " + type, "", "", width});
  }
  for (const char* t : {"i32", "i64"})
    for (u32 w : {8, 16, 32}) {
      if (w == 32 && t[1] == '3') continue;
      for (const char* s : {"_s", "_u"})
        all.push_back({t + (".load" + std::to_string(w)) + s, "", "", "", w / 8});
      all.push_back({t + (".store" + std::to_string(w)), std::string(" ") + t, "", "", w / 8});
    }
  for (const char* e : {"8x8_s", "8x8_u", "16x4_s", "16x4_u", "32x2_s", "32x2_u", "64_splat", "64_zero"})
    all.push_back({std::string("v128.load") + e, "", "", "", 8});
  all.push_back({"v128.load8_splat", "", "", "", 1});
  all.push_back({"v128.load16_splat", "", "", "", 2});
  all.push_back({"v128.load32_splat", "", "", "", 4});
  all.push_back({"v128.load32_zero", "", "", "", 4});
  for (u32 w : {8, 16, 32, 64}) {
    all.push_back({"v128.load" + std::to_string(w) + "_lane", " v128", "", " 1", w / 8});
    all.push_back({"v128.store" + std::to_string(w) + "_lane", " v128", "", " 1", w / 8});
  }
  std::string wat = "(memory 1)";
  for (size_t i = 0; i < all.size(); ++i) {
    const Access& a = all[i];
    const std::string access =
        "(" + a.text + a.after + " (local.get 0)" + (a.params.empty() ? "" : "(local.get 1)") + ")";
    const bool loads = a.text.find("load") != std::string::npos;
    wat += "(func (export \"" + std::to_string(i) + "\") (param i32" + a.params + ")" +
           (loads ? "(drop " + access + ")" : access) + ")";
  }
  Guest g = guest(wat);
  ASSERT_TRUE(g.ok());
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string name = std::to_string(i);
    const std::vector<u64> zeros(all[i].params.empty() ? 0 : all[i].params == " v128" ? 2 : 1);
    auto args = [&](u64 address) {
      std::vector<u64> v{address};
      v.insert(v.end(), zeros.begin(), zeros.end());
      return v;
    };
    EXPECT_EQ(g.call(name, args(65536 - all[i].width)).status, Status::ok) << all[i].text;
    const Outcome past = g.call(name, args(65536 - all[i].width + 1));
    EXPECT_EQ(past.trap, TrapCode::memory_out_of_bounds) << all[i].text;
    ASSERT_EQ(past.offsets.size(), 1u) << all[i].text;
    EXPECT_NE(past.offsets[0], 0u) << all[i].text;
    EXPECT_EQ(g.call(name, args(0xffff'ffff)).trap, TrapCode::memory_out_of_bounds) << all[i].text;
  }
}

TEST_P(Traps, StoreBeforeATrapIsVisibleAndOneAfterIsNot) {
  Guest g = guest(R"((memory (export "m") 1)
    (func (export "load") (param i32)
      (i32.store (i32.const 0) (i32.const 1)) (i32.store (i32.const 4) (i32.const 1))
      (drop (i32.load (local.get 0)))
      (i32.store (i32.const 4) (i32.const 2)) (i32.store (i32.const 8) (i32.const 3)))
    (func (export "store") (param i32)
      (i32.store (i32.const 0) (i32.const 1)) (i32.store (local.get 0) (i32.const 7))
      (i32.store (i32.const 0) (i32.const 2)))
    (func (export "div") (param i32) (result i32)
      (i32.store (i32.const 0) (i32.const 1))
      (i32.div_u (i32.const 1) (local.get 0))
      (i32.store (i32.const 0) (i32.const 2)))
    (global $g (mut i32) (i32.const 0))
    (func (export "global") (param i32)
      (global.set $g (i32.const 1)) (drop (i32.load (local.get 0))) (global.set $g (i32.const 2)))
    (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "get_global") (result i32) (global.get $g))
    (func (export "clear") (memory.fill (i32.const 0) (i32.const 0) (i32.const 64))))");
  EXPECT_EQ(g.call("load", {0xffff'0000}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("get", {0}).as_u32(), 1u);
  EXPECT_EQ(g.call("get", {4}).as_u32(), 1u);
  EXPECT_EQ(g.call("get", {8}).as_u32(), 0u);
  EXPECT_EQ(g.call("clear").status, Status::ok);
  EXPECT_EQ(g.call("store", {65533}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("get", {0}).as_u32(), 1u);
  EXPECT_EQ(g.call("clear").status, Status::ok);
  EXPECT_EQ(g.call("div", {0}).trap, TrapCode::integer_divide_by_zero);
  EXPECT_EQ(g.call("get", {0}).as_u32(), 1u);
  EXPECT_EQ(g.call("global", {65535}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("get_global").as_u32(), 1u);
}

TEST_P(Traps, LoopWritesUpToTheTrap) {
  Guest g = guest(R"((memory 1)
    (func (export "fill") (param i32)
      (loop $l
        (i32.store8 (local.get 0) (i32.const 7))
        (local.set 0 (i32.add (local.get 0) (i32.const 1)))
        (br $l)))
    (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0))))");
  EXPECT_EQ(g.call("fill", {65000}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("get", {64999}).as_u32(), 0u);
  EXPECT_EQ(g.call("get", {65000}).as_u32(), 7u);
  EXPECT_EQ(g.call("get", {65535}).as_u32(), 7u);
}

TEST_P(Traps, FirstOfTwoTrapsWins) {
  Guest g = guest(R"((memory 1)
    (func (export "a") (param i32 i32) (result i32)
      (i32.add (i32.load (local.get 0)) (i32.div_u (i32.const 1) (local.get 1))))
    (func (export "b") (param i32 i32) (result i32)
      (i32.add (i32.div_u (i32.const 1) (local.get 1)) (i32.load (local.get 0)))))");
  EXPECT_EQ(g.call("a", {70000, 0}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("b", {70000, 0}).trap, TrapCode::integer_divide_by_zero);
}

TEST_P(Traps, BacktraceNamesFunctionsInnermostFirst) {
  const std::string wat = R"((memory 1)
    (func $inner (param i32) (result i32) (i32.load (local.get 0)))
    (func $middle (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 1)))
    (func $outer (export "f") (param i32) (result i32) (i32.add (call $middle (local.get 0)) (i32.const 1)))
    (func $div (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
    (func $g (export "g") (param i32) (result i32) (i32.add (call $div (local.get 0)) (i32.const 1))))";
  Guest g = guest(wat);
  const Outcome fault = g.call("f", {65536});
  EXPECT_THAT(fault.trace, ElementsAre("inner", "middle", "outer"));
  const Outcome check = g.call("g", {0});
  EXPECT_THAT(check.trace, ElementsAre("div", "g"));
  // Each offset is of the instruction: a load, calls, a division.
  const std::vector<u8> bytes = Guest::assemble(wat);
  ASSERT_EQ(fault.offsets.size(), 3u);
  EXPECT_EQ(bytes[fault.offsets[0]], 0x28);
  EXPECT_EQ(bytes[fault.offsets[1]], 0x10);
  EXPECT_EQ(bytes[fault.offsets[2]], 0x10);
  ASSERT_EQ(check.offsets.size(), 2u);
  EXPECT_EQ(bytes[check.offsets[0]], 0x6e);
  EXPECT_EQ(bytes[check.offsets[1]], 0x10);
}

TEST_P(Traps, EndlessRecursionExhaustsTheStack) {
  Guest g = guest(R"(
    (func $f (export "f") (param i64) (result i64) (call $f (i64.add (local.get 0) (i64.const 1))))
    (func $mutual (export "mutual") (call $other)) (func $other (call $mutual))
    (func (export "fine") (result i32) (i32.const 42)))");
  const Outcome r = g.call("f", {0});
  EXPECT_EQ(r.trap, TrapCode::stack_exhausted);
  EXPECT_GT(r.trace.size(), 1000u);
  EXPECT_EQ(g.call("mutual").trap, TrapCode::stack_exhausted);
  EXPECT_EQ(g.call("fine").as_u32(), 42u);  // the store goes on
}

TEST_P(Traps, IndirectCalls) {
  Guest g = guest(R"(
    (type $i (func (result i32))) (type $l (func (result i64)))
    (table 4 funcref) (elem (i32.const 0) $a $b)
    (func $a (type $i) (i32.const 11)) (func $b (type $l) (i64.const 12))
    (func (export "f") (param i32) (result i32) (call_indirect (type $i) (local.get 0))))");
  EXPECT_EQ(g.call("f", {0}).as_u32(), 11u);
  EXPECT_EQ(g.call("f", {1}).trap, TrapCode::indirect_call_type_mismatch);
  EXPECT_EQ(g.call("f", {2}).trap, TrapCode::uninitialized_element);
  EXPECT_EQ(g.call("f", {4}).trap, TrapCode::undefined_element);
  EXPECT_EQ(g.call("f", {0xffff'ffff}).trap, TrapCode::undefined_element);
}

TEST_P(Traps, BulkOperationsAndTables) {
  Guest g = guest(R"((memory 1) (table $t 2 10 externref) (data $d "abc")
    (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
    (func (export "copy") (param i32 i32) (memory.copy (i32.const 0) (local.get 0) (local.get 1)))
    (func (export "init") (param i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get 0)))
    (func (export "drop") (data.drop $d))
    (func (export "get") (param i32) (result externref) (table.get $t (local.get 0)))
    (func (export "set") (param i32) (table.set $t (local.get 0) (ref.null extern)))
    (func (export "grow") (param i32) (result i32) (table.grow $t (ref.null extern) (local.get 0)))
    (func (export "size") (result i32) (table.size $t))
    (func (export "byte") (result i32) (i32.load8_u (i32.const 2))))");
  EXPECT_EQ(g.call("fill", {65536, 0}).status, Status::ok);
  EXPECT_EQ(g.call("fill", {65535, 2}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("copy", {65000, 1000}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("init", {3}).status, Status::ok);
  EXPECT_EQ(g.call("byte").as_u32(), u32{'c'});
  EXPECT_EQ(g.call("init", {4}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("drop").status, Status::ok);
  EXPECT_EQ(g.call("init", {1}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("get", {2}).trap, TrapCode::table_out_of_bounds);
  EXPECT_EQ(g.call("grow", {3}).as_u32(), 2u);
  EXPECT_EQ(g.call("get", {4}).status, Status::ok);
  EXPECT_EQ(g.call("set", {5}).trap, TrapCode::table_out_of_bounds);
  EXPECT_EQ(g.call("grow", {6}).as_u32(), ~0u);
  EXPECT_EQ(g.call("size").as_u32(), 5u);
}

TEST_P(Traps, MemoryGrowsUnderCompiledCode) {
  Guest g = guest(R"((memory 1 3)
    (func (export "f") (param i32) (result i32)
      (drop (memory.grow (i32.const 1)))
      (i32.store (local.get 0) (i32.const 9))
      (i32.add (i32.load (local.get 0)) (memory.size))))");
  EXPECT_EQ(g.call("f", {65536}).as_u32(), 11u);
  EXPECT_EQ(g.call("f", {65536 * 2}).as_u32(), 12u);
  EXPECT_EQ(g.call("f", {65536 * 3}).trap, TrapCode::memory_out_of_bounds);
}

TEST_P(Traps, ExplicitChecksWhereMemoryIsNotGuarded) {
  Guest::Options options = Guest::at_level(GetParam());
  options.limits.memory_reservation = 0;  // memories move when they grow
  const std::string wat = R"((memory 1)
    (func (export "load") (param i32) (result i32) (i32.load offset=8 (local.get 0)))
    (func (export "grow_and_load") (param i32) (result i32)
      (i32.store (i32.const 0) (i32.const 5))
      (drop (memory.grow (i32.const 10)))
      (i32.add (i32.load (i32.const 0)) (i32.load (local.get 0)))))";
  Guest g(wat, options);
  EXPECT_EQ(g.call("load", {65524}).status, Status::ok);
  EXPECT_EQ(g.call("load", {65525}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("load", {0xffff'fff8}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("grow_and_load", {600'000}).as_u32(), 5u);
}

TEST_P(Traps, Memory64AndSmallPages) {
  Guest g = guest(R"((memory i64 1) (memory $small 10 20 (pagesize 1))
    (func (export "load") (param i64) (result i32) (i32.load offset=0xffff (local.get 0)))
    (func (export "far") (param i64) (result i32) (i32.load offset=0xffffffffffffffff (local.get 0)))
    (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
    (func (export "small") (param i32) (result i32) (i32.load16_u $small (local.get 0))))");
  EXPECT_EQ(g.call("load", {0}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("load", {~u64{0}}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("load", {u64{1} << 63}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("far", {1}).trap, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("grow", {1}).as_u64(), 1u);
  EXPECT_EQ(g.call("load", {0}).status, Status::ok);
  EXPECT_EQ(g.call("small", {8}).status, Status::ok);
  EXPECT_EQ(g.call("small", {9}).trap, TrapCode::memory_out_of_bounds);
}

TEST_P(Traps, InterruptAndFuelWhenAsked) {
  Guest::Options options = Guest::at_level(GetParam());
  options.jit.interrupts = true;
  options.jit.fuel = true;
  Guest g(R"((func (export "spin") (loop (br 0))) (func (export "fine") (result i32) (i32.const 1)))",
          options);
  g.store().context().fuel = 100'000;
  EXPECT_EQ(g.call("spin").trap, TrapCode::out_of_fuel);
  g.store().context().fuel = 1'000'000'000;
  g.store().interrupt();
  EXPECT_EQ(g.call("spin").trap, TrapCode::interrupted);
  g.store().clear_interrupt();
  EXPECT_EQ(g.call("fine").as_u32(), 1u);
}

}  // namespace
}  // namespace tenon::jit
