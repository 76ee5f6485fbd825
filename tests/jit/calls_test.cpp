// Calls between compiled code, the host and the interpreter, and traps that cross them.
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

using testing::ElementsAre;

// A host that the guests below import as "h".
struct Host {
  explicit Host(Store& store) {
    auto& types = store.types();
    define("mix", store.new_host_func(
                      types.add_func_type({kI32, kF64, kI64, kF32, kV128}, {kF64, kI64, kV128, kI32}),
                      [](Store&, std::span<Slot> s) {
                        const Slot in[6] = {s[0], s[1], s[2], s[3], s[4], s[5]};
                        s[0].f64_ = in[1].f64_ * 2;
                        s[1].i64_ = in[2].i64_ + in[0].i32_;
                        s[2] = in[5];
                        s[3] = in[4];
                        s[4].i32_ = static_cast<i32>(in[3].f32_);
                        return Status::ok;
                      }));
    define("trap", store.new_host_func(types.add_func_type({}, {}), [](Store& s, std::span<Slot>) {
      return s.raise(TrapCode::host_error, "no");
    }));
    define("exit", store.new_host_func(types.add_func_type({kI32}, {}), [](Store& s, std::span<Slot> slots) {
      return s.raise_exit(slots[0].i32_);
    }));
    // Calls the guest's export "callback" with its argument, and gives the status as the result.
    define("call_back",
           store.new_host_func(types.add_func_type({kI32}, {kI32}), [this](Store& s, std::span<Slot> slots) {
             Slot arg[1] = {slots[0]};
             auto callback = std::get<FuncRef*>(*instance->find_export("callback"));
             const Status status = s.call(callback, arg);
             slots[0].u32_ = swallow ? static_cast<u32>(status) : arg[0].u32_;
             return swallow ? Status::ok : status;
           }));
  }
  void define(std::string name, FuncRef* f) { linker.define("h", std::move(name), f); }
  Linker linker;
  Instance* instance = nullptr;
  bool swallow = false;
};

class Calls : public testing::TestWithParam<u32> {
 protected:
  Calls() : engine_(std::make_shared<Engine>()), store_(engine_) {
    JitOptions options;
    options.opt_level = static_cast<u8>(GetParam());
    options.verify_ir = true;
    options.notice = [this](const std::string& text) { notices_.push_back(text); };
    options.max_function_weight = 2000;
    store_.set_compiler(std::move(*create_compiler(store_, options)));
    host_.emplace(store_);
  }
  Instance& add(std::string_view wat, const std::string& name = "") {
    auto module = engine_->compile(Guest::assemble(wat));
    EXPECT_TRUE(module) << module.error().message;
    auto instance = host_->linker.instantiate(store_, *module);
    EXPECT_TRUE(instance) << instance.error().message;
    host_->instance = *instance;
    if (!name.empty()) host_->linker.define_instance(name, **instance);
    return **instance;
  }
  Status call(Instance& i, std::string_view name, std::vector<u64> args = {}) {
    slots_.assign(32, Slot{});
    for (size_t n = 0; n < args.size(); ++n) slots_[n].u64_ = args[n];
    const Status status = store_.call(std::get<FuncRef*>(*i.find_export(name)), slots_.data());
    trace_.clear();
    for (const TraceFrame& f : store_.trap().frames) trace_.push_back(f.module->function_name(f.function));
    return status;
  }

  std::shared_ptr<Engine> engine_;
  Store store_;
  std::optional<Host> host_;
  std::vector<Slot> slots_;
  std::vector<std::string> trace_, notices_;
};
INSTANTIATE_TEST_SUITE_P(OptLevels, Calls, testing::Values(0u, 2u));

TEST_P(Calls, HostFunctionsTakeAndGiveEveryType) {
  Instance& i = add(R"((import "h" "mix" (func $mix (param i32 f64 i64 f32 v128) (result f64 i64 v128 i32)))
    (func (export "f") (result f64 i64 v128 i32)
      (call $mix (i32.const -3) (f64.const 1.5) (i64.const 10) (f32.const 7.9) (v128.const i64x2 11 22)))
    (table funcref (elem $mix)) (type $t (func (param i32 f64 i64 f32 v128) (result f64 i64 v128 i32)))
    (func (export "indirect") (result f64 i64 v128 i32)
      (call_indirect (type $t) (i32.const -3) (f64.const 1.5) (i64.const 10) (f32.const 7.9)
        (v128.const i64x2 11 22) (i32.const 0))))");
  for (const char* name : {"f", "indirect"}) {
    ASSERT_EQ(call(i, name), Status::ok);
    EXPECT_EQ(slots_[0].f64_, 3.0);
    EXPECT_EQ(slots_[1].i64_, 7);
    EXPECT_EQ(slots_[2].u64_, 22u);
    EXPECT_EQ(slots_[3].u64_, 11u);
    EXPECT_EQ(slots_[4].i32_, 7);
  }
}

TEST_P(Calls, ExceptionsPassThroughHostFrames) {
  Instance& i =
      add(R"((import "h" "call_back" (func $call_back (param i32) (result i32))) (tag $e (param i32))
    (func (export "callback") (param i32) (result i32) (throw $e (i32.add (local.get 0) (i32.const 1))))
    (func (export "f") (param i32) (result i32)
      (block $h (result i32) (try_table (catch $e $h) (drop (call $call_back (local.get 0)))) (i32.const 0))))");
  for (u32 n = 0; n < 10; ++n) {
    ASSERT_EQ(call(i, "f", {n}), Status::ok);
    EXPECT_EQ(slots_[0].u32_, n + 1);
  }
  EXPECT_EQ(call(i, "callback", {1}), Status::exception);
}

TEST_P(Calls, TrapAndExitOfAHostEndTheGuestWithABacktrace) {
  Instance& i = add(R"((import "h" "trap" (func $trap)) (import "h" "exit" (func $exit (param i32)))
    (func $inner (call $trap)) (func $f (export "f") (call $inner) (unreachable))
    (func (export "exit") (call $exit (i32.const 7)) (unreachable)))");
  EXPECT_EQ(call(i, "f"), Status::trap);
  EXPECT_EQ(store_.trap().code, TrapCode::host_error);
  EXPECT_THAT(trace_, ElementsAre("inner", "f"));
  EXPECT_EQ(call(i, "exit"), Status::exit);
  EXPECT_EQ(store_.trap().exit_code, 7);
}

TEST_P(Calls, ATrapBehindAHostFrameReachesBothActivations) {
  Instance& i = add(R"((import "h" "call_back" (func $call_back (param i32) (result i32)))
    (memory 1)
    (func $callback (export "callback") (param i32) (result i32) (i32.load (local.get 0)))
    (func $f (export "f") (param i32) (result i32) (i32.add (call $call_back (local.get 0)) (i32.const 100))))");
  EXPECT_EQ(call(i, "f", {16}), Status::ok);
  EXPECT_EQ(slots_[0].u32_, 100u);
  EXPECT_EQ(call(i, "f", {65536}), Status::trap);
  EXPECT_EQ(store_.trap().code, TrapCode::memory_out_of_bounds);
  EXPECT_THAT(trace_, ElementsAre("callback", "f"));
  host_->swallow = true;  // the host may also go on
  EXPECT_EQ(call(i, "f", {65536}), Status::ok);
  EXPECT_EQ(slots_[0].u32_, 100u + static_cast<u32>(Status::trap));
}

TEST_P(Calls, RecursionThroughTheHostExhaustsTheStack) {
  Instance& i = add(R"((import "h" "call_back" (func $call_back (param i32) (result i32)))
    (func $callback (export "callback") (param i32) (result i32) (call $call_back (local.get 0))))");
  EXPECT_EQ(call(i, "callback", {1}), Status::trap);
  EXPECT_EQ(store_.trap().code, TrapCode::stack_exhausted);
}

TEST_P(Calls, ModulesCallEachOtherAndShareMemory) {
  add(R"((memory (export "m") 1) (global (export "g") (mut i32) (i32.const 5))
    (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
    (func $div (export "div") (param i32) (result i32) (i32.div_u (i32.const 10) (local.get 0))))",
      "a");
  Instance& b = add(R"((import "a" "m" (memory 1)) (import "a" "g" (global $g (mut i32)))
    (import "a" "store" (func $store (param i32 i32))) (import "a" "div" (func $div (param i32) (result i32)))
    (func (export "f") (param i32) (result i32)
      (call $store (i32.const 8) (local.get 0))
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (i32.add (i32.load (i32.const 8)) (global.get $g)))
    (func $g (export "g") (param i32) (result i32) (call $div (local.get 0))))");
  EXPECT_EQ(call(b, "f", {30}), Status::ok);
  EXPECT_EQ(slots_[0].u32_, 36u);
  EXPECT_EQ(call(b, "g", {0}), Status::trap);
  EXPECT_THAT(trace_, ElementsAre("div", "g"));
}

// Functions beyond the budget are interpreted; compiled ones call them and are called by them.
std::string padding() {
  std::string nops;
  for (int i = 0; i < 2000; ++i) nops += " nop";
  return nops;
}

TEST_P(Calls, FunctionsBeyondTheBudgetAreInterpreted) {
  Instance& i = add(R"(
    (table funcref (elem $big)) (type $t (func (param i32) (result i32 i64 f32)))
    (func $small (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func $big (type $t) )" +
                    padding() + R"( (call $small (local.get 0)) (i64.const 4) (f32.const 0.5))
    (func (export "direct") (param i32) (result i32 i64 f32) (call $big (local.get 0)))
    (func (export "indirect") (param i32) (result i32 i64 f32)
      (call_indirect (type $t) (local.get 0) (i32.const 0)))
    (func (export "tail") (param i32) (result i32 i64 f32) (return_call $big (local.get 0))))");
  ASSERT_EQ(notices_.size(), 1u);
  EXPECT_THAT(notices_[0], testing::HasSubstr("big is beyond the compiler's budget"));
  for (const char* name : {"direct", "indirect", "tail"}) {
    ASSERT_EQ(call(i, name, {21}), Status::ok) << name;
    EXPECT_EQ(slots_[0].u32_, 42u);
    EXPECT_EQ(slots_[1].u64_, 4u);
    EXPECT_EQ(slots_[2].f32_, 0.5f);
  }
}

TEST_P(Calls, TrapsCrossTiers) {
  Instance& i = add(R"((memory 1)
    (func $load (param i32) (result i32) (i32.load (local.get 0)))
    (func $big (param i32) (result i32) )" +
                    padding() + R"( (call $load (local.get 0)))
    (func $top (export "f") (param i32) (result i32) (i32.add (call $big (local.get 0)) (i32.const 1))))");
  EXPECT_EQ(call(i, "f", {0}), Status::ok);
  EXPECT_EQ(call(i, "f", {70000}), Status::trap);
  EXPECT_THAT(trace_, ElementsAre("load", "big", "top"));
}

TEST_P(Calls, ExceptionsPassCompiledFrames) {
  Instance& i = add(R"((tag $e (param i32))
    (func $throw (param i32) (throw $e (local.get 0)))
    (func $through (param i32) (result i32) (call $throw (local.get 0)) (i32.const 0))
    (func (export "catch") (param i32) (result i32)
      (block $h (result i32)
        (try_table (result i32) (catch $e $h) (call $through (local.get 0)))
        (return)))
    (func (export "uncaught") (drop (call $through (i32.const 1)))))");
  EXPECT_EQ(call(i, "catch", {77}), Status::ok);
  EXPECT_EQ(slots_[0].u32_, 77u);
  EXPECT_EQ(call(i, "uncaught"), Status::exception);
}

// Code that would keep LLVM busy for minutes runs in the interpreter instead.
TEST_P(Calls, CodeThatExplodesInTheCompilerIsInterpreted) {
  std::string types, table, chain, drops;
  for (int n = 0; n < 500; ++n) types += " i32";
  for (int n = 0; n < 20'000; ++n) table += " 0";
  for (int n = 0; n < 20'000; ++n) chain += " call $wide";
  for (int n = 0; n < 499; ++n) drops += " drop";
  std::string zeros;
  for (int n = 0; n < 500; ++n) zeros += " i32.const 7";
  JitOptions options;
  std::vector<std::string> notices;
  options.notice = [&](const std::string& text) { notices.push_back(text); };
  Guest::Options guest;
  guest.jit = options;
  Guest g(
      "(type $t (func (param" + types + ") (result" + types + ")))" + "(func $wide (type $t)" +
          [] {
            std::string gets;
            for (int n = 0; n < 500; ++n) gets += " local.get " + std::to_string(n);
            return gets;
          }() +
          ")" + "(func (export \"switch\") (param i32) (result i32) (block (result" + types + ")" + zeros +
          " local.get 0 br_table" + table + ")" + drops + ")" + "(func (export \"chain\") (result i32)" +
          zeros + chain + drops + ")",
      guest);
  ASSERT_TRUE(g.ok());
  EXPECT_EQ(notices.size(), 1u);
  EXPECT_EQ(g.call("switch", {5}).as_u32(), 7u);
  EXPECT_EQ(g.call("chain").as_u32(), 7u);
}

// An intrinsic: a host function that always returns is called without slots.
constexpr ValType kIntrinsicParams[] = {kI32, kI64, kF32, kF64};
constexpr ValType kIntrinsicResult[] = {kI32};
int native_calls = 0;
u32 intrinsic(HostFunc* host, u32 a, u64 b, f32 c, f64 d) {
  ++native_calls;
  return a + static_cast<u32>(b) + static_cast<u32>(c) + static_cast<u32>(d) + *static_cast<u32*>(host->data);
}
Status intrinsic_array(FuncRef* self, Slot* s) {
  s[0].u32_ = intrinsic(static_cast<HostFunc*>(self->code), s[0].u32_, s[1].u64_, s[2].f32_, s[3].f64_);
  return Status::ok;
}

TEST_P(Calls, IntrinsicsAreCalledDirectly) {
  static const HostFuncDesc desc{"x",
                                 "intrinsic",
                                 kIntrinsicParams,
                                 kIntrinsicResult,
                                 &intrinsic_array,
                                 reinterpret_cast<void*>(&intrinsic)};
  u32 data = 1000;
  host_->linker.define(desc, &data);
  Instance& i = add(R"((import "x" "intrinsic" (func $i (param i32 i64 f32 f64) (result i32)))
    (memory (export "memory") 1)
    (func (export "f") (param i32) (result i32)
      (call $i (local.get 0) (i64.const 20) (f32.const 300) (f64.const 4000))))");
  native_calls = 0;
  ASSERT_EQ(call(i, "f", {1}), Status::ok);
  EXPECT_EQ(slots_[0].u32_, 5321u);
  EXPECT_EQ(native_calls, 1);
}

TEST_P(Calls, StartFunctionRunsCompiled) {
  Instance& i = add(R"((global $g (mut i32) (i32.const 0)) (func $s (global.set $g (i32.const 9))) (start $s)
    (func (export "get") (result i32) (global.get $g)))");
  EXPECT_EQ(call(i, "get"), Status::ok);
  EXPECT_EQ(slots_[0].u32_, 9u);
}

TEST_P(Calls, ManyModulesComeAndGo) {
  for (int n = 0; n < 20; ++n) {
    Guest g("(memory 1) (func (export \"f\") (param i32) (result i32) (i32.load (local.get 0)))",
            Guest::at_level(GetParam()));
    EXPECT_EQ(g.call("f", {65536}).trap, TrapCode::memory_out_of_bounds);
    EXPECT_EQ(g.call("f", {0}).as_u32(), 0u);
  }
}

}  // namespace
}  // namespace tenon::jit
