// The interpreter on small modules: what the official suite does not show (backtraces, stack limits, host
// calls in between, interruption, fuel, operand placement).
#include <gtest/gtest.h>

#include "engine/interp/state.h"
#include "engine/runtime/store.h"
#include "engine/text/wat.h"

namespace tenon {
namespace {

// A store with one instance made from text.
class Guest {
 public:
  explicit Guest(std::string_view wat, EngineOptions options = {}, std::vector<Extern> imports = {}) {
    engine_ = std::make_shared<Engine>(options);
    store_ = std::make_unique<Store>(engine_);
    start(wat, imports);
  }
  Guest(std::string_view wat, StoreLimits limits) {
    engine_ = std::make_shared<Engine>();
    store_ = std::make_unique<Store>(engine_, limits);
    start(wat, {});
  }
  Store& store() { return *store_; }
  Instance& instantiate(std::string_view wat, std::vector<Extern> imports) {
    auto bytes = text::wat_to_wasm(wat);
    EXPECT_TRUE(bytes) << bytes.error().message;
    auto module = engine_->compile(*bytes);
    EXPECT_TRUE(module) << module.error().message;
    auto instance = store_->instantiate(*module, imports);
    EXPECT_TRUE(instance) << instance.error().message;
    return **instance;
  }
  FuncRef* func(std::string_view name) { return std::get<FuncRef*>(*instance_->find_export(name)); }
  // Calls an export of i64 or i32 parameters; the first result.
  Status call(std::string_view name, std::vector<u64> args, u64* result = nullptr) {
    std::vector<Slot> slots(std::max<size_t>(args.size(), 16));
    for (size_t i = 0; i < args.size(); ++i) slots[i].u64_ = args[i];
    const Status status = store_->call(func(name), slots.data());
    if (result) *result = slots[0].u64_;
    return status;
  }
  u32 i32_of(std::string_view name, std::vector<u64> args) {
    u64 r = 0;
    EXPECT_EQ(call(name, std::move(args), &r), Status::ok) << store_->trap_error(Status::trap).message;
    return static_cast<u32>(r);
  }
  TrapCode trap_of(std::string_view name, std::vector<u64> args) {
    EXPECT_EQ(call(name, std::move(args)), Status::trap);
    return store_->trap().code;
  }

 private:
  void start(std::string_view wat, std::vector<Extern> imports) {
    instance_ = &instantiate(wat, std::move(imports));
  }
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<Store> store_;
  Instance* instance_ = nullptr;
};

TEST(Interp, RecursionGivesFibonacci) {
  Guest g(R"((func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2))))))))");
  EXPECT_EQ(g.i32_of("fib", {20}), 6765u);
}

TEST(Interp, TrapCarriesTheFramesFromInnermostOutwards) {
  Guest g(R"((module $m
    (func $inner (param i32) (drop (i32.div_s (i32.const 1) (local.get 0))))
    (func $middle (param i32) (call $inner (local.get 0)))
    (func (export "outer") (param i32) (nop) (call $middle (local.get 0)))))");
  EXPECT_EQ(g.trap_of("outer", {0}), TrapCode::integer_divide_by_zero);
  const auto& frames = g.store().trap().frames;
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].function, FuncIdx{0});
  EXPECT_EQ(frames[1].function, FuncIdx{1});
  EXPECT_EQ(frames[2].function, FuncIdx{2});
  // Offsets are those of the instructions: i32.div_s, call, call.
  const auto bytes = frames[0].module->bytes();
  EXPECT_EQ(bytes[frames[0].offset], 0x6d);
  EXPECT_EQ(bytes[frames[1].offset], 0x10);
  EXPECT_EQ(bytes[frames[2].offset], 0x10);
  // The store goes on.
  EXPECT_EQ(g.call("outer", {1}), Status::ok);
}

TEST(Interp, EndlessRecursionTrapsAndTheStoreGoesOn) {
  Guest g(R"((func $f (export "f") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
             (func (export "ok") (result i32) (i32.const 7)))");
  EXPECT_EQ(g.trap_of("f", {0}), TrapCode::stack_exhausted);
  EXPECT_LE(g.store().trap().frames.size(), 100u);
  EXPECT_EQ(g.i32_of("ok", {}), 7u);
}

TEST(Interp, FrameLargerThanTheValueStackTraps) {
  StoreLimits limits;
  limits.value_stack_bytes = 64 << 10;
  std::string wat = "(func (export \"f\")";
  for (int i = 0; i < 10'000; ++i) wat += "(local i64)";
  Guest g(wat + ")", limits);
  EXPECT_EQ(g.trap_of("f", {}), TrapCode::stack_exhausted);
}

TEST(Interp, FrameOfMoreThan65535SlotsIsRefusedAtItsCall) {
  std::string wat = "(func (export \"f\")";
  for (int i = 0; i < 40'000; ++i) wat += "(local v128)";
  Guest g(wat + ") (func (export \"ok\") (result i32) (i32.const 1))");
  EXPECT_EQ(g.trap_of("f", {}), TrapCode::stack_exhausted);
  EXPECT_NE(g.store().trap().message.find("65535"), std::string::npos);
  EXPECT_EQ(g.i32_of("ok", {}), 1u);
}

TEST(Interp, HostFunctionCallsBackInAndMemoryGrownMeanwhileIsSeen) {
  auto engine_types = std::make_shared<Engine>();
  Guest g(R"((memory (export "m") 1)
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "nothing")))");
  Store& store = g.store();
  const TypeId type = store.types().add_func_type({}, {kI32});
  FuncRef* grow = g.func("grow");
  FuncRef* host = store.new_host_func(
      type, [grow](Store& s, std::span<Slot> slots) { return s.call(grow, slots.data()); });
  auto memory = g.func("grow")->vmctx->instance->find_export("m");
  Instance& other = g.instantiate(R"((import "" "host" (func $host (result i32))) (import "" "m" (memory 1))
    (func (export "f") (result i32) (local i32)
      (local.set 0 (i32.load (i32.const 0)))
      (drop (call $host))
      (i32.store (i32.const 65536) (i32.const 42))
      (i32.load (i32.const 65536))))",
                                  {host, *memory});
  Slot slots[4]{};
  ASSERT_EQ(store.call(std::get<FuncRef*>(*other.find_export("f")), slots), Status::ok)
      << store.trap_error(Status::trap).message;
  EXPECT_EQ(slots[0].u32_, 42u);
}

TEST(Interp, TrapOfAHostFunctionShowsTheWasmFramesAround) {
  Guest g("(func (export \"unused\"))");
  Store& store = g.store();
  FuncRef* host = store.new_host_func(store.types().add_func_type({}, {}), [](Store& s, std::span<Slot>) {
    return s.raise(TrapCode::host_error, "no luck");
  });
  Instance& i =
      g.instantiate(R"((import "" "h" (func $h)) (func $a (call $h)) (func (export "b") (call $a)))", {host});
  Slot slots[4]{};
  EXPECT_EQ(store.call(std::get<FuncRef*>(*i.find_export("b")), slots), Status::trap);
  EXPECT_EQ(store.trap().message, "no luck");
  ASSERT_EQ(store.trap().frames.size(), 2u);
  EXPECT_EQ(store.trap().frames[0].function, FuncIdx{1});
}

TEST(Interp, CallsBetweenInstancesNestAndTrace) {
  Guest g(R"((memory 1) (data (i32.const 0) "\07")
    (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0))))");
  Instance& b = g.instantiate(R"((import "a" "get" (func $get (param i32) (result i32)))
    (memory 1) (data (i32.const 0) "\09")
    (func (export "both") (param i32) (result i32)
      (i32.add (i32.mul (call $get (local.get 0)) (i32.const 100)) (i32.load8_u (i32.const 0)))))",
                              {g.func("get")});
  Slot slots[4]{};
  slots[0].u32_ = 0;
  FuncRef* both = std::get<FuncRef*>(*b.find_export("both"));
  ASSERT_EQ(g.store().call(both, slots), Status::ok);
  EXPECT_EQ(slots[0].u32_, 709u);  // each instance saw its own memory
  slots[0].u32_ = 70'000;
  ASSERT_EQ(g.store().call(both, slots), Status::trap);
  EXPECT_EQ(g.store().trap().frames.size(), 2u);
  EXPECT_NE(g.store().trap().frames[0].module, g.store().trap().frames[1].module);
}

TEST(Interp, TailCallsRunInOneFrame) {
  Guest g(R"((func $odd (param i32) (result i32)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
      (return_call $even (i32.sub (local.get 0) (i32.const 1)) (i64.const 5) (i64.const 6)))
    (func $even (export "even") (param i32 i64 i64) (result i32) (local i64 i64 i64)
      (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
      (return_call $odd (i32.sub (local.get 0) (i32.const 1)))))");
  EXPECT_EQ(g.i32_of("even", {1'000'000, 0, 0}), 1u);
  EXPECT_EQ(g.i32_of("even", {1'000'001, 0, 0}), 0u);
}

TEST(Interp, TailCallToAHostFunctionReturnsItsResult) {
  Guest g("(func (export \"unused\"))");
  Store& store = g.store();
  FuncRef* host =
      store.new_host_func(store.types().add_func_type({kI32}, {kI32}), [](Store&, std::span<Slot> s) {
        s[0].u32_ += 1;
        return Status::ok;
      });
  Instance& i = g.instantiate(R"((import "" "h" (func $h (param i32) (result i32)))
    (func $t (param i32) (result i32) (return_call $h (local.get 0)))
    (func (export "outer") (param i32) (result i32) (i32.mul (call $t (local.get 0)) (i32.const 2)))
    (func (export "direct") (param i32) (result i32) (return_call $h (local.get 0))))",
                              {host});
  Slot slots[4]{};
  slots[0].u32_ = 20;
  ASSERT_EQ(store.call(std::get<FuncRef*>(*i.find_export("outer")), slots), Status::ok);
  EXPECT_EQ(slots[0].u32_, 42u);
  ASSERT_EQ(store.call(std::get<FuncRef*>(*i.find_export("direct")), slots), Status::ok);
  EXPECT_EQ(slots[0].u32_, 43u);
}

TEST(Interp, InterruptStopsALoop) {
  Guest g(R"((func (export "spin") (loop (br 0)))
             (func (export "cond") (local i32) (loop (br_if 0 (i32.eqz (local.get 0)))))
             (func (export "table") (loop (br_table 0 0 (i32.const 3)))))");
  for (const char* name : {"spin", "cond", "table"}) {
    g.store().interrupt();
    EXPECT_EQ(g.trap_of(name, {}), TrapCode::interrupted) << name;
  }
}

TEST(Interp, FuelEndsALoopAndIsNotCountedWhenOff) {
  EngineOptions options;
  options.fuel = true;
  Guest g("(func (export \"spin\") (loop (br 0)))", options);
  g.store().context().fuel = 1000;
  EXPECT_EQ(g.trap_of("spin", {}), TrapCode::out_of_fuel);
  Guest off(
      "(func (export \"f\") (local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) "
      "(i32.const 1))) (i32.const 100)))))");
  off.store().context().fuel = 1;
  EXPECT_EQ(off.call("f", {}), Status::ok);
  EXPECT_EQ(off.store().context().fuel, 1);
}

// Operand placement: values on the stack keep what a local held when it was read.
TEST(Interp, OperandsKeepALocalsOldValue) {
  Guest g(R"((func (export "swap") (param i32 i32) (result i32)
      (local.get 0) (local.set 0 (local.get 1)) (local.set 1)
      (i32.sub (i32.mul (local.get 0) (i32.const 10)) (local.get 1)))
    (func (export "post") (param i32) (result i32)
      (local.get 0)
      (local.set 0 (i32.add (local.get 0) (i32.const 1)))
      (i32.mul (local.get 0)))
    (func (export "tee") (param i32) (result i32)
      (i32.add (local.get 0) (i32.add (local.tee 0 (i32.mul (local.get 0) (i32.const 3))) (local.get 0))))
    (func (export "load") (param i32) (result i32)
      (local.get 0) (local.set 0 (i32.popcnt (local.get 0))) (i32.shl (local.get 0))))");
  EXPECT_EQ(g.i32_of("swap", {1, 2}), 19u);
  EXPECT_EQ(g.i32_of("post", {6}), 42u);
  EXPECT_EQ(g.i32_of("tee", {5}), 35u);
  EXPECT_EQ(g.i32_of("load", {3}), 12u);
}

TEST(Interp, ConditionsKeepTheirSenseWhenFusedWithBranches) {
  Guest g(R"((func (export "nlt") (param f64 f64) (result i32)
      (if (result i32) (i32.eqz (f64.lt (local.get 0) (local.get 1))) (then (i32.const 1)) (else (i32.const 2))))
    (func (export "both") (param i32 i32) (result i32)
      (block (br_if 0 (i32.eqz (i32.eqz (i32.le_u (local.get 0) (local.get 1)))))
        (return (i32.const 10)))
      (i32.const 20))
    (func (export "teed") (param i32) (result i32) (local i32)
      (block (br_if 0 (i32.eqz (local.tee 1 (i32.gt_s (local.get 0) (i32.const 3)))))
        (return (i32.add (local.get 1) (i32.const 100))))
      (local.get 1)))");
  auto bits = [](double d) { return std::bit_cast<u64>(d); };
  EXPECT_EQ(g.i32_of("nlt", {bits(1), bits(2)}), 2u);
  EXPECT_EQ(g.i32_of("nlt", {bits(2), bits(1)}), 1u);
  EXPECT_EQ(g.i32_of("nlt", {bits(2), bits(std::numeric_limits<double>::quiet_NaN())}), 1u);
  EXPECT_EQ(g.i32_of("both", {1, 2}), 20u);
  EXPECT_EQ(g.i32_of("both", {3, 2}), 10u);
  EXPECT_EQ(g.i32_of("teed", {5}), 101u);
  EXPECT_EQ(g.i32_of("teed", {2}), 0u);
}

TEST(Interp, BranchesCarryValuesPastOthersOnTheStack) {
  Guest g(R"((func (export "f") (param i32) (result i32)
    (block (result i32)
      (i32.const 1000)
      (i32.add (i32.const 1) (local.get 0))
      (br_if 0 (i32.gt_u (local.get 0) (i32.const 10)))
      (i32.add)))
    (func (export "table") (param i32) (result i32)
      (block (result i32)
        (i32.const 7)
        (block (result i32)
          (i32.const 8)
          (br_table 0 1 0 (i32.const 5) (local.get 0)))
        (i32.add))))");
  EXPECT_EQ(g.i32_of("f", {20}), 21u);
  EXPECT_EQ(g.i32_of("f", {5}), 1006u);
  EXPECT_EQ(g.i32_of("table", {0}), 12u);
  EXPECT_EQ(g.i32_of("table", {1}), 5u);
  EXPECT_EQ(g.i32_of("table", {9}), 12u);
}

TEST(Interp, AddressesNeverWrapAround) {
  Guest g(R"((memory 1)
    (func (export "far") (param i32) (result i32) (i32.load offset=0xffffffff (local.get 0)))
    (func (export "last") (param i32) (result i32) (i32.load offset=65530 (local.get 0)))
    (func (export "const") (result i32) (i32.load offset=0xfffffff0 (i32.const 0x7fffffff)))
    (func (export "store") (param i32) (i64.store offset=65528 (local.get 0) (i64.const -1))))");
  EXPECT_EQ(g.trap_of("far", {1}), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.trap_of("far", {0xffff'ffff}), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.trap_of("const", {}), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.i32_of("last", {2}), 0u);
  EXPECT_EQ(g.trap_of("last", {3}), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(g.call("store", {0}), Status::ok);
  EXPECT_EQ(g.trap_of("store", {1}), TrapCode::memory_out_of_bounds);
}

TEST(Interp, ExceptionsUnwindThroughFramesToTheirHandler) {
  Guest g(R"((tag $t (param i32 i64)) (tag $u)
    (func $thrower (param i32) (if (local.get 0) (then (throw $t (i32.const 40) (i64.const 2)))) (throw $u))
    (func $between (param i32) (call $thrower (local.get 0)) unreachable)
    (func (export "f") (param i32) (result i32)
      (block $other
        (block $caught (result i32 i64)
          (try_table (catch $t $caught) (catch_all $other) (call $between (local.get 0)))
          unreachable)
        (i32.wrap_i64) (i32.add) (return))
      (i32.const -1))
    (func (export "uncaught") (call $thrower (i32.const 0))))");
  EXPECT_EQ(g.i32_of("f", {1}), 42u);
  EXPECT_EQ(g.i32_of("f", {0}), static_cast<u32>(-1));
  EXPECT_EQ(g.call("uncaught", {}), Status::exception);
  EXPECT_EQ(g.store().trap().frames.size(), 2u);
}

}  // namespace
}  // namespace tenon
