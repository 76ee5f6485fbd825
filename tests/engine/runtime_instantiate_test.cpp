// Instantiation: its order, imports, segments, limits. Code of the modules themselves hardly runs here.
#include "tests/engine/runtime_util.h"

namespace tenon {
namespace {

using namespace std::string_view_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::World;

TEST(RuntimeInstantiate, CallsAnExportedHostFunctionThroughTheStore) {
  World w;
  FuncRef* add = w.store.new_host_func(w.func_type({kI32, kI32}, {kI32}), [](Store&, std::span<Slot> s) {
    s[0].u32_ = s[0].u32_ + s[1].u32_;
    return Status::ok;
  });
  w.linker.define("host", "add", add);
  Instance& i = w.load(
      R"((module (import "host" "add" (func $a (param i32 i32) (result i32))) (export "f" (func $a))))");
  Slot slots[2] = {{.u64_ = 40}, {.u64_ = 2}};
  ASSERT_EQ(w.store.call(w.get<FuncRef*>(i, "f"), slots), Status::ok);
  EXPECT_EQ(slots[0].u32_, 42u);
}

TEST(RuntimeInstantiate, EvaluatesGlobalsInOrderWithExtendedConstants) {
  World w;
  Instance& i = w.load(R"((module
    (global $a i32 (i32.const 5))
    (global (export "b") i64 (i64.mul (i64.const 3) (i64.sub (i64.const 10) (i64.const 4))))
    (global (export "c") (mut i32) (i32.add (global.get $a) (i32.const -7)))
    (global (export "d") v128 (v128.const i64x2 1 2))
    (global (export "e") f32 (f32.const -0.5))))");
  EXPECT_EQ(w.get<Global*>(i, "b")->cell->lo.i64_, 18);
  EXPECT_EQ(w.get<Global*>(i, "c")->cell->lo.i32_, -2);
  EXPECT_EQ(w.get<Global*>(i, "d")->cell->hi.u64_, 2u);
  EXPECT_EQ(w.get<Global*>(i, "e")->cell->lo.f32_, -0.5f);
}

TEST(RuntimeInstantiate, WritesActiveSegmentsAndDropsThem) {
  World w;
  Instance& i = w.load(R"((module
    (memory (export "m") 1) (table (export "t") 4 funcref) (func $f)
    (elem (i32.const 1) $f $f)
    (data (i32.const 3) "abc") (data $p "passive")))");
  EXPECT_EQ(std::memcmp(w.get<Memory*>(i, "m")->desc().base + 3, "abc", 4), 0);
  Table* t = w.get<Table*>(i, "t");
  EXPECT_EQ(t->desc().elements[0], kNullRef);
  EXPECT_EQ(t->desc().elements[1], reinterpret_cast<u64>(i.func(FuncIdx{0})));
  EXPECT_EQ(t->desc().elements[2], t->desc().elements[1]);
  EXPECT_TRUE(i.data(DataIdx{0}).empty());
  EXPECT_EQ(i.data(DataIdx{1}).size(), 7u);
  EXPECT_TRUE(i.elements(ElemIdx{0}).empty());
}

// Spec: exec/modules. Segments take effect one by one; what was written before a trap stays.
TEST(RuntimeInstantiate, KeepsTheEffectsOfSegmentsBeforeATrap) {
  World w;
  Memory* memory = w.store.new_memory({{1, 1}}).value();
  Table* table = w.store.new_table({kFuncRef, {4, {}}}, kNullRef).value();
  w.linker.define("h", "m", memory);
  w.linker.define("h", "t", table);
  auto failed = w.try_load(R"((module
    (import "h" "m" (memory 1)) (import "h" "t" (table 2 funcref)) (func $f)
    (elem (i32.const 0) $f)
    (data (i32.const 0) "x") (data (i32.const 65535) "yz")))");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().category, ErrorCategory::trap);
  EXPECT_THAT(failed.error().message, StartsWith("out of bounds memory access"));
  EXPECT_EQ(memory->desc().base[0], 'x');
  EXPECT_EQ(memory->desc().base[65535], 0);
  // The function in the table lives on with the store.
  EXPECT_EQ(reinterpret_cast<FuncRef*>(table->desc().elements[0])->index, 0u);
}

TEST(RuntimeInstantiate, RunsElementSegmentsBeforeDataSegments) {
  World w;
  Memory* memory = w.store.new_memory({{1, 1}}).value();
  w.linker.define("h", "m", memory);
  auto failed = w.try_load(R"((module
    (import "h" "m" (memory 1)) (table 1 funcref) (func $f)
    (data (i32.const 0) "x") (elem (i32.const 1) $f)))");
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, StartsWith("out of bounds table access"));
  EXPECT_EQ(memory->desc().base[0], 0) << "the data segment must not have run";
}

TEST(RuntimeInstantiate, SegmentOffsetsDoNotWrapAround) {
  World w;
  EXPECT_FALSE(w.try_load(R"((module (memory 1) (data (i32.const -1) "ab")))"));
  EXPECT_FALSE(w.try_load(R"((module (memory i64 1) (data (i64.const -1) "ab")))"));
  EXPECT_FALSE(w.try_load(R"((module (table 1 funcref) (func $f) (elem (i32.const -1) $f $f)))"));
  EXPECT_FALSE(w.try_load(R"((module (memory 1) (data (i32.const 65537) "")))"));
  EXPECT_TRUE(w.try_load(R"((module (memory 1) (data (i32.const 65536) "")))"));
}

TEST(RuntimeInstantiate, StartFunctionMayBeAnImportAndItsTrapIsTheResult) {
  World w;
  int calls = 0;
  w.linker.define("h", "start", w.store.new_host_func(w.func_type({}, {}), [&](Store& s, std::span<Slot>) {
    ++calls;
    return s.raise(TrapCode::host_error, "not today");
  }));
  auto failed = w.try_load(R"((module (import "h" "start" (func $s)) (start $s)))");
  ASSERT_FALSE(failed);
  EXPECT_EQ(calls, 1);
  EXPECT_THAT(failed.error().message, HasSubstr("not today"));
}

TEST(RuntimeInstantiate, ConstantExpressionsMakeGcObjects) {
  World w;
  w.store.heap().set_stress(true);
  Instance& i = w.load(R"((module
    (type $p (struct (field i32) (field (mut i8))))
    (type $a (array (ref $p)))
    (global $first (ref $p) (struct.new $p (i32.const 7) (i32.const 300)))
    (global (export "a") (ref $a) (array.new_fixed $a 2 (global.get $first) (struct.new_default $p)))
    (global (export "i") i31ref (ref.i31 (i32.const -1)))
    (table (export "t") 3 (ref $a) (array.new $a (struct.new_default $p) (i32.const 2)))
    (elem $e anyref (item (struct.new_default $p)) (item (ref.null any)))))");
  w.store.heap().collect();
  Object* a = as_object(w.get<Global*>(i, "a")->cell->lo.ref);
  ASSERT_EQ(a->length, 2u);
  Object* p = as_object(*reinterpret_cast<u64*>(array_element(a, 0, 8)));
  EXPECT_EQ(*reinterpret_cast<i32*>(p->payload()), 7);
  EXPECT_EQ(p->payload()[4], 300 - 256);
  EXPECT_EQ(i31_get_s(w.get<Global*>(i, "i")->cell->lo.ref), -1);
  Table* t = w.get<Table*>(i, "t");
  EXPECT_NE(t->desc().elements[2], kNullRef);
  EXPECT_EQ(i.elements(ElemIdx{0}).size(), 2u);
  EXPECT_EQ(w.store.heap().stats().objects, 6u);
}

struct ImportCase {
  const char *name, *wanted;
  bool links;
};
class RuntimeImports : public ::testing::TestWithParam<ImportCase> {};

// Spec: valid/matching. The exporter below is what all cases import from.
TEST_P(RuntimeImports, MatchBySubtyping) {
  World w;
  Instance& exporter = w.load(R"((module
    (type $base (sub (func (result anyref)))) (type $derived (sub $base (func (result i31ref))))
    (func (export "f") (param i32) (result i64) (unreachable))
    (func (export "derived") (type $derived) (unreachable))
    (table (export "t") 2 5 funcref) (memory (export "m") 1 3) (memory (export "shared") 1 3 shared)
    (memory (export "m64") i64 1)
    (global (export "g") (ref func) (ref.func 0)) (global (export "gm") (mut i32) (i32.const 0))
    (tag (export "e") (param i32)) (elem declare func 0)))");
  w.linker.define_instance("x", exporter);
  auto result = w.try_load(std::string("(module (type $base (sub (func (result anyref)))) "
                                       "(type $derived (sub $base (func (result i31ref)))) ") +
                           GetParam().wanted + ")");
  EXPECT_EQ(result.has_value(), GetParam().links) << (result ? "" : result.error().message);
  if (!result) {
    EXPECT_EQ(result.error().category, ErrorCategory::unlinkable);
    const bool unknown = GetParam().wanted == "(import \"x\" \"nothing\" (func))"sv;
    EXPECT_THAT(result.error().message, StartsWith(unknown ? "unknown import" : "incompatible import type"));
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, RuntimeImports,
    ::testing::Values(ImportCase{"func", R"((import "x" "f" (func (param i32) (result i64))))", true},
                      ImportCase{"func_result", R"((import "x" "f" (func (param i32) (result i32))))", false},
                      ImportCase{"func_as_global", R"((import "x" "f" (global i32)))", false},
                      ImportCase{"func_super", R"((import "x" "derived" (func (type $base))))", true},
                      ImportCase{"unknown", R"((import "x" "nothing" (func)))", false},
                      ImportCase{"table", R"((import "x" "t" (table 1 funcref)))", true},
                      ImportCase{"table_max", R"((import "x" "t" (table 1 4 funcref)))", false},
                      ImportCase{"table_min", R"((import "x" "t" (table 3 funcref)))", false},
                      ImportCase{"table_type", R"((import "x" "t" (table 1 externref)))", false},
                      ImportCase{"memory", R"((import "x" "m" (memory 1 3)))", true},
                      ImportCase{"memory_min", R"((import "x" "m" (memory 2)))", false},
                      ImportCase{"memory_shared", R"((import "x" "m" (memory 1 3 shared)))", false},
                      ImportCase{"shared_memory", R"((import "x" "shared" (memory 1 3 shared)))", true},
                      ImportCase{"memory_index", R"((import "x" "m64" (memory 1)))", false},
                      ImportCase{"memory64", R"((import "x" "m64" (memory i64 0)))", true},
                      ImportCase{"global_subtype", R"((import "x" "g" (global funcref)))", true},
                      ImportCase{"global_mut", R"((import "x" "gm" (global i32)))", false},
                      ImportCase{"global_same", R"((import "x" "gm" (global (mut i32))))", true},
                      ImportCase{"tag", R"((import "x" "e" (tag (param i32))))", true},
                      ImportCase{"tag_type", R"((import "x" "e" (tag (param i64))))", false}),
    [](const auto& info) { return info.param.name; });

// What was exported with size 1 has grown: imports match by the present size.
TEST(RuntimeInstantiate, ImportsMatchByCurrentSize) {
  World w;
  Memory* m = w.store.new_memory({{1, 4}}).value();
  w.linker.define("h", "m", m);
  EXPECT_FALSE(w.try_load(R"((module (import "h" "m" (memory 2))))"));
  EXPECT_EQ(m->grow(1), 1u);
  EXPECT_TRUE(w.try_load(R"((module (import "h" "m" (memory 2))))"));
}

TEST(RuntimeInstantiate, LimitsOfTheStoreAreNamedErrors) {
  StoreLimits limits;
  limits.memory_bytes = 2 << 16;
  limits.table_elements = 10;
  limits.instances = 2;
  World w(limits);
  auto big = w.try_load("(module (memory 3))");
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().category, ErrorCategory::limit);
  EXPECT_THAT(big.error().message, HasSubstr("131072"));
  auto table = w.try_load("(module (table 11 funcref))");
  ASSERT_FALSE(table);
  EXPECT_THAT(table.error().message, HasSubstr("10 elements"));
  auto third = w.try_load("(module)");
  ASSERT_FALSE(third);
  EXPECT_THAT(third.error().message, HasSubstr("more than 2 instances"));
}

TEST(RuntimeInstantiate, RefusesModulesOfAnotherEngine) {
  World a, b;
  auto result = a.store.instantiate(testing::compile(*b.engine, "(module)"), {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().category, ErrorCategory::usage);
}

TEST(RuntimeInstantiate, ThousandInstancesLiveAtOnce) {
  World w;
  auto module = testing::compile(*w.engine, R"((module (memory 1) (data (i32.const 0) "x")))");
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(w.store.instantiate(module, {}));
}

TEST(RuntimeTrap, BacktraceNamesFunctions) {
  World w;
  auto module = testing::compile(*w.engine, "(module (func $outer) (func $inner) (func))");
  w.store.raise(TrapCode::integer_divide_by_zero);
  w.store.trap().frames = {
      {module.get(), FuncIdx{1}, 0x1f}, {module.get(), FuncIdx{2}, 0x2a}, {module.get(), FuncIdx{0}, 5}};
  const Error e = w.store.trap_error(Status::trap);
  EXPECT_EQ(e.category, ErrorCategory::trap);
  EXPECT_EQ(e.offset, 0x1fu);
  EXPECT_THAT(e.message, StartsWith("integer divide by zero\n"));
  EXPECT_THAT(e.message, HasSubstr("0x00001f inner"));
  EXPECT_THAT(e.message, HasSubstr("func[2]"));
}

TEST(RuntimeTrap, EndlessHostRecursionTrapsAndTheStoreGoesOn) {
  World w;
  FuncRef* self = nullptr;
  int depth = 0;
  self = w.store.new_host_func(w.func_type({}, {}), [&](Store& s, std::span<Slot>) {
    ++depth;
    Slot none[1];
    return s.call(self, none);
  });
  Slot none[1];
  EXPECT_EQ(w.store.call(self, none), Status::trap);
  EXPECT_EQ(w.store.trap().code, TrapCode::stack_exhausted);
  EXPECT_GT(depth, 100);
  const int first = depth;
  EXPECT_EQ(w.store.call(self, none), Status::trap);
  EXPECT_NEAR(depth, 2 * first, first / 10);
}

TEST(RuntimeTrap, PendingTailCallsRunWithoutNesting) {
  World w;
  u32 left = 100'000;
  FuncRef* next = nullptr;
  next = w.store.new_host_func(w.func_type({kI64}, {kI64}), [&](Store& s, std::span<Slot> slots) {
    if (left-- == 0) return Status::ok;
    Slot* args = s.transfer(1);
    args[0].u64_ = slots[0].u64_ + 1;
    s.context().pending_callee = next;
    return Status::tail_call;
  });
  Slot slots[1] = {{.u64_ = 5}};
  ASSERT_EQ(w.store.call(next, slots), Status::ok);
  EXPECT_EQ(slots[0].u64_, 100'005u);
  EXPECT_EQ(w.store.context().value_top, w.store.context().value_base);
}

}  // namespace
}  // namespace tenon
