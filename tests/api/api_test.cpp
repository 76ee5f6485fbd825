// libtenon as an embedder has it: the shared library and tenon.hpp, nothing else.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <thread>

#include "from_text.h"
#include "tenon.hpp"

namespace {

using namespace tenon;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct ApiTest : ::testing::Test {
  Engine engine;
  Linker linker{engine};
  Store store = std::move(Store::make(engine).value());

  Instance load(const std::string& wat) {
    Module module = std::move(from_text(engine, wat).value());
    return linker.instantiate(store, module).value();
  }
};

TEST_F(ApiTest, TypedFunctionsCallAndCheckTheirTypes) {
  const Instance i = load(R"((module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "swap") (param i64 f64) (result f64 i64) (local.get 1) (local.get 0))
    (func (export "nop"))))");
  auto add = i.get<int32_t(int32_t, int32_t)>("add");
  ASSERT_TRUE(add);
  EXPECT_EQ((*add)(40, 2).value(), 42);
  auto swap = i.get<std::tuple<double, int64_t>(int64_t, double)>("swap");
  ASSERT_TRUE(swap);
  EXPECT_EQ((*swap)(-7, 0.5).value(), std::tuple(0.5, int64_t{-7}));
  EXPECT_TRUE((*i.get<void()>("nop"))());
  EXPECT_FALSE((i.get<int64_t(int32_t, int32_t)>("add")));
  EXPECT_FALSE((i.get<int32_t(int32_t)>("add")));
  EXPECT_FALSE((i.get<void()>("missing")));
}

TEST_F(ApiTest, BoxedCallsCheckArgumentsAgainstTheType) {
  const Instance i = load(R"((module (func (export "f") (param i32) (result i32) (local.get 0))))");
  const Func f = *i.func("f");
  tenon_val_t arg{};
  arg.kind = TENON_I64;
  auto wrong = f.call({&arg, 1});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind(), TENON_ERROR_USAGE);
  EXPECT_THAT(wrong.error().message(), HasSubstr("argument 0 must be i32"));
  EXPECT_FALSE(f.call({}));
  arg.kind = TENON_I32;
  arg.of.i32 = -3;
  EXPECT_EQ(f.call({&arg, 1}).value().at(0).of.i32, -3);
}

TEST_F(ApiTest, AliasesAreSecondNames) {
  ASSERT_TRUE(linker.func("env", "one", [] { return int32_t{1}; }));
  ASSERT_TRUE(linker.alias("env", "one", "other", "name"));
  ASSERT_TRUE(linker.func("env", "one", [] { return int32_t{2}; }));
  const Instance i = load(R"((module (import "other" "name" (func $a (result i32)))
    (import "env" "one" (func $b (result i32)))
    (func (export "f") (result i32) (i32.add (i32.mul (i32.const 10) (call $a)) (call $b)))))");
  EXPECT_EQ((*i.get<int32_t()>("f"))().value(), 12);
  auto missing = linker.alias("env", "nothing", "a", "b");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind(), TENON_ERROR_NOT_FOUND);
}

TEST_F(ApiTest, StandardInputComesFromACallback) {
  struct Input {
    std::string rest = "abcdefgh";
    int calls = 0;
  } input;
  Wasi wasi;
  wasi.input(
      [](void* env, void* bytes, size_t size) -> int64_t {
        auto& in = *static_cast<Input*>(env);
        ++in.calls;
        if (in.rest == "wrong") return static_cast<int64_t>(size) + 1;
        const size_t n = std::min({size, in.rest.size(), size_t{3}});
        in.rest.copy(static_cast<char*>(bytes), n);
        in.rest.erase(0, n);
        return static_cast<int64_t>(n);
      },
      &input);
  ASSERT_TRUE(linker.wasi(wasi));
  const Instance i = load(R"((module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "read") (result i32 i32)
      (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
      (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
      (i32.load (i32.const 8)))))");
  const auto read = *i.get<std::tuple<int32_t, int32_t>()>("read");
  EXPECT_EQ(read().value(), std::tuple(0, 3));
  EXPECT_EQ(std::string(reinterpret_cast<char*>(i.memory("memory")->bytes().data()) + 64, 3), "abc");
  EXPECT_EQ(read().value(), std::tuple(0, 3));
  EXPECT_EQ(read().value(), std::tuple(0, 2));
  EXPECT_EQ(read().value(), std::tuple(0, 0)) << "the end";
  input.rest = "wrong";
  EXPECT_NE(std::get<0>(read().value()), 0) << "more than was asked for";
}

#ifdef TENON_THREAD_SANITIZER
constexpr int kMany = 1'000;  // its shadow memory has no room for more mappings
#else
constexpr int kMany = 10'000;
#endif

TEST(ApiScale, ManyInstancesLiveAtOnceInStoresOfTheirOwnAndInOne) {
  const Engine engine;
  const Module module = std::move(from_text(engine, R"((module (memory 1) (global $g (mut i32) (i32.const 0))
    (func (export "add") (param i32) (result i32)
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get 0))) (i32.load (i32.const 8)))))")
                                      .value());
  Linker linker(engine);
  std::vector<Store> stores;
  std::vector<Instance> instances;
  for (int i = 0; i < kMany; ++i) {
    if (i < kMany / 2 || i == kMany / 2) stores.push_back(std::move(Store::make(engine).value()));
    auto instance = linker.instantiate(stores.back(), module);
    ASSERT_TRUE(instance) << i << ": " << instance.error().message();
    instances.push_back(*instance);
  }
  for (int round = 1; round <= 2; ++round)
    for (int i = 0; i < kMany; ++i) {
      const auto sum = (*instances[static_cast<size_t>(i)].get<int32_t(int32_t)>("add"))(i);
      ASSERT_EQ(*const_cast<Result<int32_t>&>(sum), round * i);
    }
}

TEST(ApiScale, InstancesFromThePoolStartFresh) {
  const Engine engine;
  const Module module =
      std::move(from_text(engine, R"((module (memory (export "memory") 1) (data (i32.const 4) "x")
    (func (export "dirty") (result i32)
      (local $old i32) (local.set $old (i32.load (i32.const 1000)))
      (i32.store (i32.const 1000) (i32.const 7)) (i32.store8 (i32.const 4) (i32.const 0))
      (drop (memory.grow (i32.const 3))) (i32.store (i32.const 200000) (i32.const 9))
      (local.get $old))))")
                    .value());
  Linker linker(engine);
  for (int i = 0; i < 200; ++i) {
    const Store store = std::move(Store::make(engine).value());
    const Instance instance = linker.instantiate(store, module).value();
    EXPECT_EQ(instance.memory("memory")->bytes().size(), 65536u);
    EXPECT_EQ(instance.memory("memory")->bytes()[4], 'x');
    ASSERT_EQ((*instance.get<int32_t()>("dirty"))().value(), 0);
  }
}

TEST_F(ApiTest, TrapsCarryCodeMessageAndBacktrace) {
  const Instance i = load(R"((module
    (func $inner (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
    (func $outer (export "f") (param i32) (result i32) (i32.add (i32.const 1) (call $inner (local.get 0))))))");
  auto f = i.get<int32_t(int32_t)>("f");
  auto trapped = (*f)(0);
  ASSERT_FALSE(trapped);
  EXPECT_EQ(trapped.error().kind(), TENON_ERROR_TRAP);
  EXPECT_EQ(trapped.error().message(), "integer divide by zero");
  EXPECT_GE(trapped.error().trap_code(), 0);
  const auto frames = trapped.error().backtrace();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(view(frames[0].function), "inner");
  EXPECT_EQ(view(frames[1].function), "outer");
  EXPECT_GT(frames[1].module_offset, frames[0].module_offset);
  EXPECT_EQ((*f)(1).value(), 2) << "the instance goes on";
}

// A host may turn a trap down and go on: what comes next is told with its own frames only.
TEST_F(ApiTest, EachErrorHasItsOwnBacktrace) {
  std::function<bool()> works;
  ASSERT_TRUE(linker.func("host", "ignore", [&works] { EXPECT_FALSE(works()); }));
  const Instance i = load(R"((module (import "host" "ignore" (func $ignore)) (tag $e)
    (func $deep (export "deep") (call $trap)) (func $trap unreachable)
    (func $throw (export "throw") (throw $e))
    (func $after (export "after") (call $ignore) (throw $e))
    (func (export "fine"))))");
  works = [&i] { return static_cast<bool>((*i.get<void()>("deep"))()); };
  const auto frames_of = [&](const char* name) {
    std::vector<std::string> names;
    auto failed = (*i.get<void()>(name))();
    EXPECT_FALSE(failed) << name;
    if (!failed)
      for (const tenon_frame_t& f : failed.error().backtrace()) names.emplace_back(view(f.function));
    return names;
  };
  EXPECT_THAT(frames_of("deep"), ElementsAre("trap", "deep"));
  EXPECT_TRUE((*i.get<void()>("fine"))());
  EXPECT_THAT(frames_of("throw"), ElementsAre("throw"));
  EXPECT_THAT(frames_of("deep"), ElementsAre("trap", "deep"));
  EXPECT_THAT(frames_of("throw"), ElementsAre("throw"));
  EXPECT_THAT(frames_of("after").back(), "after");
  EXPECT_THAT(frames_of("throw"), ElementsAre("throw"))
      << "nothing is left of a trap that the host turned down";
}

TEST_F(ApiTest, HostFunctionsAreLambdas) {
  int calls = 0;
  ASSERT_TRUE(linker.func("env", "mul", [&calls](int64_t a, float b) { return ++calls, double(a) * b; }));
  ASSERT_TRUE(linker.func("env", "tick", [&calls] { ++calls; }));
  const Instance i = load(R"((module
    (import "env" "mul" (func $mul (param i64 f32) (result f64))) (import "env" "tick" (func $tick))
    (func (export "f") (result f64) (call $tick) (call $mul (i64.const 6) (f32.const 1.5)))))");
  EXPECT_EQ((*i.get<double()>("f"))().value(), 9.0);
  EXPECT_EQ(calls, 2);
}

TEST_F(ApiTest, BoxedHostFunctionsTakeVectorsAndAnswerForTheirTypes) {
  static int finalized;
  finalized = 0;
  const uint8_t params[] = {TENON_V128, TENON_I64}, results[] = {TENON_V128, TENON_I32}, none[] = {TENON_REF};
  const auto answer = [](void* env, tenon_caller_t*, const tenon_val_t* args, size_t arg_count,
                         tenon_val_t* out, size_t) -> tenon_error_t* {
    if (*static_cast<bool*>(env)) out[1].kind = TENON_I64;
    out[0] = args[0];
    out[0].of.v128[15] = static_cast<uint8_t>(args[1].of.i64);
    out[1].of.i32 = static_cast<int32_t>(arg_count);
    return nullptr;
  };
  bool lies = false;
  ASSERT_EQ(tenon_linker_define_func(linker.get(), "env", "f", params, 2, results, 2, answer, &lies,
                                     [](void*) { ++finalized; }),
            nullptr);
  tenon_error_t* refused = tenon_linker_define_func(linker.get(), "env", "g", none, 1, nullptr, 0, answer,
                                                    &lies, [](void*) { ++finalized; });
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(tenon_error_kind(refused), TENON_ERROR_USAGE);
  tenon_error_delete(refused);
  EXPECT_EQ(finalized, 0) << "what was refused stays the caller's";
  const Instance i = load(R"((module (import "env" "f" (func $f (param v128 i64) (result v128 i32)))
    (func (export "f") (result i32 i32)
      (local $n i32)
      (call $f (v128.const i8x16 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16) (i64.const 77))
      (local.set $n) (i8x16.extract_lane_u 15) (local.get $n))))");
  const auto f = *i.get<std::tuple<int32_t, int32_t>()>("f");
  EXPECT_EQ(f().value(), std::tuple(77, 2));
  lies = true;
  auto trapped = f();
  ASSERT_FALSE(trapped);
  EXPECT_THAT(trapped.error().message(), HasSubstr("result 1 of env.f must be i32"));
}

TEST_F(ApiTest, HostFunctionsFailWithAMessageOrEndTheGuest) {
  ASSERT_TRUE(linker.func("env", "fail", []() -> Result<void> { return Error("the disk is on fire"); }));
  ASSERT_TRUE(linker.func("env", "leave", [](int32_t s) -> Result<void> { return Error::exit(s); }));
  const Instance i = load(R"((module
    (import "env" "fail" (func $fail)) (import "env" "leave" (func $leave (param i32)))
    (func (export "f") (call $fail)) (func (export "g") (call $leave (i32.const 7)) (unreachable))))");
  auto failed = (*i.get<void()>("f"))();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind(), TENON_ERROR_TRAP);
  EXPECT_THAT(failed.error().message(), HasSubstr("the disk is on fire"));
  auto left = (*i.get<void()>("g"))();
  ASSERT_FALSE(left);
  EXPECT_EQ(left.error().kind(), TENON_ERROR_EXIT);
  EXPECT_EQ(left.error().exit_status(), 7);
}

TEST_F(ApiTest, HostFunctionsThatThrowTrap) {
  ASSERT_TRUE(linker.func("h", "throw", [](int32_t what) -> int32_t {
    if (what == 0) throw std::runtime_error("thrown by the host");
    if (what == 1) throw 1;
    return 7;
  }));
  const Instance i = load(R"((module (import "h" "throw" (func $f (param i32) (result i32)))
    (func (export "f") (param i32) (result i32) (call $f (local.get 0)))))");
  const auto f = *i.get<int32_t(int32_t)>("f");
  auto standard = f(0), other = f(1);
  ASSERT_FALSE(standard);
  EXPECT_EQ(standard.error().kind(), TENON_ERROR_TRAP);
  EXPECT_THAT(std::string(standard.error().message()), HasSubstr("thrown by the host"));
  ASSERT_FALSE(other);
  EXPECT_THAT(std::string(other.error().message()), HasSubstr("no std::exception"));
  EXPECT_EQ(f(2).value(), 7);
}

TEST_F(ApiTest, HostFunctionsSeeOnlyTheCallersMemory) {
  std::string logged;
  ASSERT_TRUE(linker.func("env", "log", [&](Caller c, uint32_t p, uint32_t n) -> Result<void> {
    const auto bytes = c.memory(p, n);
    if (!bytes) return Error("log: pointer out of bounds");
    logged.append(bytes->begin(), bytes->end());
    return {};
  }));
  const Instance i = load(R"((module
    (import "env" "log" (func $log (param i32 i32))) (memory (export "memory") 1) (data (i32.const 65531) "hello")
    (func (export "f") (param i32 i32) (call $log (local.get 0) (local.get 1)))))");
  auto f = i.get<void(uint32_t, uint32_t)>("f");
  EXPECT_TRUE((*f)(65531, 5));
  EXPECT_EQ(logged, "hello");
  for (auto [p, n] : {std::pair(65532u, 5u), {0xffff'ffffu, 1u}, {0u, 0xffff'ffffu}, {0xffff'fff0u, 0x20u}}) {
    auto bad = (*f)(p, n);
    ASSERT_FALSE(bad);
    EXPECT_THAT(bad.error().message(), HasSubstr("out of bounds"));
  }
  EXPECT_EQ(logged, "hello");
}

TEST_F(ApiTest, HostFunctionsMayCallBackIntoTheGuest) {
  std::optional<TypedFunc<int32_t(int32_t)>> fact;
  ASSERT_TRUE(linker.func("env", "fact", [&](int32_t n) -> Result<int32_t> {
    if (n <= 1) return 1;
    return (*fact)(n);
  }));
  const Instance i = load(R"((module (import "env" "fact" (func $f (param i32) (result i32)))
    (func (export "fact") (param i32) (result i32)
      (i32.mul (local.get 0) (call $f (i32.sub (local.get 0) (i32.const 1)))))))");
  fact.emplace(i.get<int32_t(int32_t)>("fact").value());
  EXPECT_EQ((*fact)(10).value(), 3628800);
}

TEST_F(ApiTest, ErrorsNameKindAndPlace) {
  const uint8_t garbage[] = {0, 'a', 's', 'm', 2, 0, 0, 0};
  auto malformed = Module::from_bytes(engine, garbage);
  ASSERT_FALSE(malformed);
  EXPECT_EQ(malformed.error().kind(), TENON_ERROR_MALFORMED);
  EXPECT_TRUE(malformed.error().offset());
  auto invalid = from_text(engine, "(module (func (result i32)))");
  ASSERT_FALSE(invalid);
  EXPECT_EQ(invalid.error().kind(), TENON_ERROR_INVALID);
  auto text = from_text(engine, "(module\n  (func (i32.bogus)))");
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().message(), HasSubstr("2:")) << "line and column";
  auto missing = Module::from_file(engine, "/nowhere/x.wasm");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind(), TENON_ERROR_NOT_FOUND);
  auto module = from_text(engine, R"((module (import "a" "b" (func))))");
  ASSERT_TRUE(module);
  auto unlinkable = linker.instantiate(store, *module);
  ASSERT_FALSE(unlinkable);
  EXPECT_EQ(unlinkable.error().kind(), TENON_ERROR_UNLINKABLE);
  EXPECT_THAT(unlinkable.error().message(), StartsWith("unknown import"));
}

TEST_F(ApiTest, MemoryAndGlobalsAreChecked) {
  const Instance i = load(R"((module (memory (export "m") 1 2)
    (global (export "g") (mut i64) (i64.const 5)) (global (export "c") i32 (i32.const 1))))");
  const Memory m = *i.memory("m");
  EXPECT_EQ(m.bytes().size(), 65536u);
  const uint8_t data[] = {1, 2, 3};
  uint8_t back[3] = {};
  EXPECT_TRUE(m.write(65533, data));
  EXPECT_TRUE(m.read(65533, back));
  EXPECT_THAT(back, ::testing::ElementsAre(1, 2, 3));
  EXPECT_FALSE(m.write(65534, data));
  EXPECT_FALSE(m.read(UINT64_MAX, back));
  EXPECT_EQ(m.grow(1), 1u);
  EXPECT_EQ(m.grow(1), std::nullopt);
  const Global g = *i.global("g");
  tenon_val_t v = g.get();
  EXPECT_EQ(v.of.i64, 5);
  v.of.i64 = 6;
  EXPECT_TRUE(g.set(v));
  EXPECT_EQ(g.get().of.i64, 6);
  v.kind = TENON_I32;
  EXPECT_FALSE(g.set(v));
  EXPECT_FALSE(i.global("c")->set(v));
  EXPECT_FALSE(i.memory("g"));
}

TEST(Api, ObjectsMayBeDeletedInAnyOrder) {
  int finalized = 0;
  struct Counter {
    int* n;
    explicit Counter(int* n) : n(n) {}
    Counter(Counter&& o) noexcept : n(std::exchange(o.n, nullptr)) {}
    ~Counter() {
      if (n) ++*n;
    }
    int32_t operator()() const { return 5; }
  };
  std::optional<Store> store;
  std::optional<TypedFunc<int32_t()>> f;
  {
    Engine engine;
    Linker linker(engine);
    ASSERT_TRUE(linker.func("h", "f", Counter(&finalized)));
    store.emplace(std::move(Store::make(engine).value()));
    Module module = std::move(
        from_text(
            engine,
            R"((module (import "h" "f" (func $f (result i32))) (func (export "f") (result i32) (call $f))))")
            .value());
    f.emplace(linker.instantiate(*store, module)->get<int32_t()>("f").value());
  }
  EXPECT_EQ(finalized, 0) << "the store still needs it";
  EXPECT_EQ((*f)().value(), 5);
  store.reset();
  EXPECT_EQ(finalized, 1);
}

TEST(Api, DefinitionsOfAStoreDoNotReachAnother) {
  Engine engine;
  Linker linker(engine);
  Store a = std::move(Store::make(engine).value()), b = std::move(Store::make(engine).value());
  Module m = std::move(from_text(engine, R"((module (memory (export "m") 1)))").value());
  const Instance i = linker.instantiate(a, m).value();
  ASSERT_TRUE(linker.instance("x", i));
  auto refused = linker.instantiate(b, m);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), TENON_ERROR_USAGE);
}

TEST(Api, DefinitionsOfAStoreThatEndedReachNoOtherAtItsPlace) {
  const Engine engine;
  const Module m = std::move(from_text(engine, R"((module (memory (export "m") 1)))").value());
  const Module wants = std::move(from_text(engine, R"((module (import "x" "m" (memory 1))))").value());
  Linker linker(engine);
  {
    Store ended = std::move(Store::make(engine).value());
    const Instance i = linker.instantiate(ended, m).value();
    ASSERT_TRUE(linker.instance("x", i));
    EXPECT_TRUE(linker.instantiate(ended, wants));
  }
  std::vector<Store> stores;  // one of them gets the memory of the one that ended
  for (int i = 0; i < 20; ++i) {
    stores.push_back(std::move(Store::make(engine).value()));
    auto refused = linker.instantiate(stores.back(), wants);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind(), TENON_ERROR_USAGE);
  }
}

TEST(Api, ModulesOfAnotherEngineAreRefused) {
  const Engine engine, other;
  const Module stranger = std::move(from_text(other, R"((module (func (export "f"))))").value());
  Linker linker(engine);
  Store store = std::move(Store::make(engine).value());
  EXPECT_FALSE(linker.instantiate(store, stranger));
}

TEST(Api, FilesThatAreNoModulesAreErrorsWithTheirName) {
  const Engine engine;
  const std::string path = ::testing::TempDir() + "/api-large-" + std::to_string(getpid());
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(ftruncate(fd, off_t{1} << 40), 0);  // takes no room on the disk
  close(fd);
  auto large = Module::from_file(engine, path);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().kind(), TENON_ERROR_LIMIT);
  EXPECT_THAT(std::string(large.error().message()), HasSubstr(path));
  unlink(path.c_str());
  for (const char* none : {"", "/", "/no/such/file", "/dev/null"})
    EXPECT_FALSE(Module::from_file(engine, none)) << none;
}

#ifndef TENON_SANITIZED  // whose allocators end the program
[[noreturn]] void load_without_memory(const std::string& bytes) {
  const Engine engine;
  const rlimit little{.rlim_cur = size_t{64} << 20,
                      .rlim_max = size_t{64} << 20};  // less than what is in use
  setrlimit(RLIMIT_AS, &little);
  auto module = Module::from_bytes(engine, {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  std::_Exit(!module && module.error().kind() == TENON_ERROR_LIMIT ? 0 : 1);
}

TEST(ApiDeathTest, MemoryThatIsNotThereIsAnError) {
  const std::string bytes(size_t{256} << 20, '\0');
  EXPECT_EXIT(load_without_memory(bytes), ::testing::ExitedWithCode(0), "");
}
#endif

TEST(Api, ConfigurationLimitsAndFeatures) {
  Config config;
  config.max_memory(65536);
  EXPECT_TRUE(config.feature("simd", false));
  auto unknown = config.feature("telepathy", true);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind(), TENON_ERROR_NOT_FOUND);
  Engine engine(config);
  EXPECT_FALSE(from_text(engine, "(module (func (drop (v128.const i64x2 0 0))))"));
  Module big = std::move(from_text(engine, "(module (memory 2))").value());
  Linker linker(engine);
  Store store = std::move(Store::make(engine).value());
  auto refused = linker.instantiate(store, big);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), TENON_ERROR_LIMIT);
}

constexpr const char* kLoop = R"((module (func (export "f") (loop $l (br $l)))))";

TEST(Api, NansAreCanonicalAndTheProcessorIsChosenWhereTheConfigurationSaysSo) {
  for (const tenon_tier_t tier : {TENON_TIER_INTERP, TENON_TIER_JIT, TENON_TIER_AOT}) {
    Config config;
    config.tier(tier).deterministic_nans().deterministic_relaxed_simd();
    ASSERT_TRUE(config.cpu("x86-64-v2"));
    EXPECT_EQ(config.cpu("pdp-11").error().kind(), TENON_ERROR_USAGE);
    Engine engine(config);
    Linker linker(engine);
    Store store = std::move(Store::make(engine).value());
    Module m = std::move(from_text(engine, R"((module (func (export "f") (param i64) (result i64)
      (i64.reinterpret_f64 (f64.sqrt (f64.reinterpret_i64 (local.get 0)))))))")
                             .value());
    auto f = linker.instantiate(store, m)->get<int64_t(int64_t)>("f");
    ASSERT_TRUE(f);
    EXPECT_EQ((*f)(-0x0007'ffff'ffff'ff00).value(), 0x7ff8'0000'0000'0000);  // a NaN with a payload
  }
}

TEST(Api, TheStackHasTheSizeThatWasAskedFor) {
  const auto depth = [](uint64_t bytes) {
    Config config;
    config.tier(TENON_TIER_INTERP).max_stack(bytes);
    const Engine engine(config);
    const Module module = std::move(from_text(engine, R"((module (global $n (mut i32) (i32.const 0))
      (func $f (export "f") (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $f) (call $f))
      (func (export "n") (result i32) (global.get $n))))")
                                        .value());
    Store store = std::move(Store::make(engine).value());
    const Instance i = Linker(engine).instantiate(store, module).value();
    auto overflow = (*i.get<void()>("f"))();
    EXPECT_FALSE(overflow);
    EXPECT_THAT(overflow.error().message(), HasSubstr("call stack exhausted"));
    return (*i.get<int32_t()>("n"))().value();
  };
  const int32_t least = depth(0), small = depth(100'000), large = depth(400'000);
  EXPECT_GT(least, 0);
  EXPECT_GT(small, least);
  EXPECT_GT(large, 3 * small);
}

TEST(Api, FuelStopsALoop) {
  Engine engine(Config().fuel());
  Linker linker(engine);
  Store store = std::move(Store::make(engine).value());
  store.set_fuel(100'000);
  Module m = std::move(from_text(engine, kLoop).value());
  auto f = linker.instantiate(store, m)->get<void()>("f");
  auto stopped = (*f)();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().message(), "all fuel consumed");
  EXPECT_EQ(store.fuel(), 0u);
}

TEST_F(ApiTest, AnotherThreadInterruptsALoop) {
  const Instance i = load(kLoop);
  auto f = i.get<void()>("f");
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    store.interrupt();
  });
  auto stopped = (*f)();
  other.join();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().message(), "interrupted");
}

TEST(Api, InspectionListsTheModulesParts) {
  Engine engine;
  Module m = std::move(from_text(engine, R"((module
    (import "env" "f" (func (param i32))) (import "env" "m" (memory 1))
    (func (export "simd") (result v128) (v128.const i64x2 0 0))
    (func (export "tail") (return_call 0 (i32.const 1))) (table (export "t") 1 funcref)))")
                           .value());
  const auto imports = m.imports();
  ASSERT_EQ(imports.size(), 2u);
  EXPECT_EQ(view(imports[0].module), "env");
  EXPECT_EQ(view(imports[0].name), "f");
  EXPECT_EQ(imports[1].kind, TENON_EXTERN_MEMORY);
  EXPECT_THAT(view(imports[1].type), StartsWith("memory 1"));
  const auto exports = m.exports();
  ASSERT_EQ(exports.size(), 3u);
  EXPECT_EQ(exports[1].index, 2u);
  std::vector<std::string> features;
  for (const tenon_name_t f : m.features()) features.emplace_back(view(f));
  EXPECT_THAT(features, ::testing::ElementsAre("simd", "tail-call"));
  uint64_t end = 8;
  for (const tenon_section_t& s : m.sections()) {
    EXPECT_GT(s.offset, end);
    end = s.offset + s.size;
  }
  EXPECT_EQ(end, m.size());
}

TEST_F(ApiTest, WasiOutputGoesToTheHost) {
  std::string out;
  Wasi wasi;
  wasi.arg("prog").arg("second");
  wasi.output(
      [](void* env, int fd, const void* p, size_t n) {
        if (fd == 1) static_cast<std::string*>(env)->append(static_cast<const char*>(p), n);
      },
      &out);
  ASSERT_TRUE(linker.wasi(wasi));
  const Instance i = load(R"((module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (data (i32.const 8) "\10\00\00\00\03\00\00\00hi\n")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))
      (call $exit (i32.const 3)))))");
  auto ended = (*i.get<void()>("_start"))();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind(), TENON_ERROR_EXIT);
  EXPECT_EQ(ended.error().exit_status(), 3);
  EXPECT_EQ(out, "hi\n");
}

TEST(Api, ModulesAreSharedByThreads) {
  Engine engine;
  Module m = std::move(
      from_text(
          engine,
          R"((module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))))")
          .value());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int n = 0; n < 50; ++n) {
        Linker linker(engine);
        Store store = std::move(Store::make(engine).value());
        auto f = linker.instantiate(store, m)->get<int32_t(int32_t)>("f");
        EXPECT_EQ((*f)(t).value(), t * t);
      }
    });
  for (auto& t : threads) t.join();
}

// In the compiler's constructors, in its first function, in a later one: exit() may find it anywhere.
TEST(ApiDeathTest, AProcessMayExitWhileItsFunctionsAreCompiled) {
  std::string wat = "(module";
  for (int f = 0; f < 40; ++f)
    wat += R"((func (export "f)" + std::to_string(f) +
           R"(") (param i32) (result i32)
      (loop $l (result i32) (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (if (result i32) (local.get 0) (then (br $l)) (else (i32.const 7))))))";
  wat += ")";
  for (const int calls : {1, 2, 5, 10, 20, 40})
    EXPECT_EXIT(
        {
          Engine engine;
          Module module = std::move(from_text(engine, wat).value());
          Linker linker(engine);
          Store store = std::move(Store::make(engine).value());
          Instance instance = linker.instantiate(store, module).value();
          for (int f = 0; f < calls; ++f)
            (*instance.get<int32_t(int32_t)>("f" + std::to_string(f)))(2'000'000).value();
          std::exit(0);
        },
        ::testing::ExitedWithCode(0), "");
}

}  // namespace
