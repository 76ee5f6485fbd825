// Images of compiled code: shared by stores and threads, made piece by piece, the same in every process.
#include <thread>

#include "engine/aot/artefact.h"
#include "engine/native/native_tier.h"
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

std::atomic<int> compilations{0};
Result<CompiledImage> counting_compiler(const CompileRequest& request) {
  ++compilations;
  return compile_image(request);
}

constexpr std::string_view kWat = R"((module
  (type $t (func (param i32) (result i32)))
  (table funcref (elem $twice $square))
  (func $twice (type $t) (i32.mul (local.get 0) (i32.const 2)))
  (func $square (type $t) (i32.mul (local.get 0) (local.get 0)))
  (func (export "both") (param i32) (result i32) (call $square (call $twice (local.get 0))))
  (func (export "choose") (param i32 i32) (result i32)
    (call_indirect (type $t) (local.get 0) (local.get 1)))))";

struct Images : testing::Test {
  std::shared_ptr<Engine> engine = std::make_shared<Engine>();
  std::shared_ptr<const Module> module;
  Images() {
    auto decoded = engine->compile(Guest::assemble(kWat));
    EXPECT_TRUE(decoded);
    module = *decoded;
    compilations = 0;
  }
  NativeOptions options(bool eager) const {
    NativeOptions o;
    o.compile = &counting_compiler;
    o.eager = eager;
    o.verify_ir = true;
    return o;
  }
  static u32 call(Store& store, Instance& instance, std::string_view name, std::vector<u32> args) {
    Slot slots[4] = {};
    for (size_t i = 0; i < args.size(); ++i) slots[i].u32_ = args[i];
    EXPECT_EQ(store.call(std::get<FuncRef*>(*instance.find_export(name)), slots), Status::ok);
    return slots[0].u32_;
  }
  Result<CompiledImage> compile(std::optional<std::vector<FuncIdx>> functions,
                                const Module* of = nullptr) const {
    const Module& m = of ? *of : *module;
    return compile_image({&m, expected_config(m, {}), {}, {}, std::move(functions), {}, {}});
  }
};

TEST_F(Images, OneCompilationServesAllStoresAndThreads) {
  auto run = [this] {
    Store store(engine);
    store.set_compiler(std::make_unique<NativeTier>(store, options(true)));
    auto instance = store.instantiate(module, {});
    ASSERT_TRUE(instance);
    EXPECT_EQ(call(store, **instance, "both", {3}), 36u);
    EXPECT_EQ(call(store, **instance, "choose", {5, 1}), 25u);
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back(run);
  for (std::thread& t : threads) t.join();
  run();
  EXPECT_EQ(compilations, 1);
}

// Functions compiled one by one while the instance lives: each calls whatever the others are by then.
TEST_F(Images, PiecesComeInWhileTheInstanceRuns) {
  Store store(engine);
  auto tier = std::make_unique<NativeTier>(store, options(false));
  NativeTier& native = *tier;
  store.set_compiler(std::move(tier));
  auto made = store.instantiate(module, {});
  ASSERT_TRUE(made);
  Instance& instance = **made;
  ModuleCode::Variant& code = module->code().variant(config_of(instance, {}));
  for (const u32 f : {2u, 1u, 3u, 0u}) {
    EXPECT_EQ(call(store, instance, "both", {3}), 36u);
    EXPECT_EQ(call(store, instance, "choose", {5, 0}), 10u);
    EXPECT_EQ(code.entry(FuncIdx{f}), nullptr);
    std::thread([&] {
      auto image = compile(std::vector{FuncIdx{f}});
      ASSERT_TRUE(image) << image.error().message;
      auto object = CodeObject::load(*module, std::move(image->image));
      ASSERT_TRUE(object) << object.error().message;
      code.publish(*object);
    }).join();
    native.pick_up();
    EXPECT_NE(code.entry(FuncIdx{f}), nullptr);
    EXPECT_EQ(instance.func(FuncIdx{f})->native_entry, code.entry(FuncIdx{f}));
  }
  EXPECT_EQ(call(store, instance, "both", {3}), 36u);
  EXPECT_EQ(call(store, instance, "choose", {5, 1}), 25u);
  EXPECT_EQ(compilations, 0);
}

// Nothing of this process is in the bytes: type numbers differ between the two engines.
TEST_F(Images, AreTheSameInEveryProcess) {
  Engine other;
  ASSERT_TRUE(other.compile(Guest::assemble("(type (func (param f64 f64))) (type (func (result i64)))")));
  auto again = other.compile(Guest::assemble(kWat));
  ASSERT_TRUE(again);
  ASSERT_NE(module->types[0].value, (*again)->types[0].value);
  auto a = compile({}), b = compile({}, again->get());
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->image, b->image);
}

TEST_F(Images, CodeThatTheInstanceDoesNotFitIsLeftAlone) {
  auto memory = engine->compile(Guest::assemble(
      "(module (memory 1) (func (export \"load\") (param i32) (result i32) (i32.load (local.get 0))))"));
  ASSERT_TRUE(memory);
  auto image = compile_image({memory->get(), expected_config(**memory, {}), {}, {}, {}, {}, {}});
  ASSERT_TRUE(image);
  auto object = CodeObject::load(**memory, std::move(image->image));
  ASSERT_TRUE(object);
  (*memory)->code().add(*object);
  StoreLimits limits;
  limits.memory_reservation = 0;  // no guard pages: the code has no checks
  Store guarded(engine), unguarded(engine, limits);
  for (Store* store : {&guarded, &unguarded}) {
    std::vector<std::string> notices;
    NativeOptions options;
    options.notice = [&](const std::string& n) { notices.push_back(n); };
    store->set_compiler(std::make_unique<NativeTier>(*store, options));
    auto instance = store->instantiate(*memory, {});
    ASSERT_TRUE(instance);
    EXPECT_EQ(notices, store == &guarded
                           ? std::vector<std::string>{}
                           : std::vector<std::string>{"compiled code is not used: compiled for guard pages "
                                                      "behind memory 0, which has none"});
    FuncRef* load = std::get<FuncRef*>(*(*instance)->find_export("load"));
    EXPECT_EQ(load->array_entry == &interpret, store == &unguarded);
    Slot slots[1] = {};
    slots[0].u32_ = 65536;
    EXPECT_EQ(store->call(load, slots), Status::trap);
    EXPECT_EQ(store->trap().code, TrapCode::memory_out_of_bounds);
  }
}

TEST_F(Images, GoThroughAnArtefact) {
  auto image = compile({});
  ASSERT_TRUE(image);
  auto object = CodeObject::load(*module, std::move(image->image));
  ASSERT_TRUE(object);
  const auto bytes = write_artefact(module->bytes(), {&*object, 1}, {});
  auto artefact = Artefact::from_bytes(bytes);
  ASSERT_TRUE(artefact) << artefact.error().message;
  auto fresh = std::make_shared<Engine>();
  auto loaded = load_module(*fresh, *artefact);
  ASSERT_TRUE(loaded) << loaded.error().message;
  Store store(fresh);
  store.set_compiler(std::make_unique<NativeTier>(store, NativeOptions{}));
  auto instance = store.instantiate(*loaded, {});
  ASSERT_TRUE(instance);
  EXPECT_NE((*instance)->func(FuncIdx{0})->array_entry, &interpret);
  EXPECT_EQ(call(store, **instance, "both", {4}), 64u);
  EXPECT_EQ(call(store, **instance, "choose", {9, 1}), 81u);
}

TEST_F(Images, NoExecutableMemoryMeansInterpreted) {
  NativeOptions o = options(true);
  std::vector<std::string> notices;
  o.notice = [&](const std::string& n) { notices.push_back(n); };
  o.compile = [](const CompileRequest&) -> Result<CompiledImage> {
    return std::unexpected(Error{ErrorCategory::io, "no executable memory for code", {}});
  };
  Store store(engine);
  store.set_compiler(std::make_unique<NativeTier>(store, o));
  auto instance = store.instantiate(module, {});
  ASSERT_TRUE(instance);
  EXPECT_EQ(call(store, **instance, "both", {3}), 36u);
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_THAT(notices[0], testing::HasSubstr("interpreted"));
}

}  // namespace
}  // namespace tenon::jit
