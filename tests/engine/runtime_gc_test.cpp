// The heap: allocation, tracing, roots, casts, limits.
#include "engine/runtime/bulk.h"
#include "tests/engine/runtime_util.h"

namespace tenon {
namespace {

using testing::World;

// Types by index: 0 node (ref null node, i32), 1 sub of node, 2 array of anyref, 3 array of i16, 4 func, 5
// vectors.
constexpr const char* kTypes = R"((module
  (rec (type $node (sub (struct (field (mut (ref null $node))) (field (mut i32))))))
  (type $wide (sub $node (struct (field (mut (ref null $node))) (field (mut i32)) (field i64))))
  (type $any (array (mut anyref))) (type $bytes (array (mut i16))) (type $f (func))
  (type $vec (array (mut v128)))
  (global (export "root") (mut anyref) (ref.null any)) (table (export "t") 2 anyref) (func $fn (type $f))
  (data "abcdefgh") (elem anyref (item (ref.i31 (i32.const 3))) (item (ref.null any)))))";

struct GcTest : ::testing::Test {
  World w;
  Instance& i = w.load(kTypes);
  Heap& heap = w.store.heap();
  TypeId type(u32 index) { return i.module().types[index]; }
  u64& root() { return w.get<Global*>(i, "root")->cell->lo.ref; }
  // Not inlined, so that no stale copy stays in this frame.
  __attribute__((noinline)) void chain(u32 n) {
    for (u32 k = 0; k < n; ++k) {
      Object* o = heap.new_struct(type(0));
      ASSERT_NE(o, nullptr);
      *reinterpret_cast<u64*>(o->payload()) = root();
      root() = o->ref();
    }
  }
};

TEST_F(GcTest, FreesWhatIsUnreachableAndKeepsTheRest) {
  chain(10'000);
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 10'000u);
  root() = kNullRef;
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 0u);
  EXPECT_EQ(heap.stats().freed, 10'000u);
  EXPECT_EQ(heap.stats().bytes, 0u);
}

TEST_F(GcTest, CollectsCycles) {
  chain(2);
  Object* first = as_object(root());
  Object* second = as_object(*reinterpret_cast<u64*>(first->payload()));
  *reinterpret_cast<u64*>(second->payload()) = first->ref();
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 2u);
  root() = kNullRef;
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 0u);
}

TEST_F(GcTest, LongChainsDoNotRecurse) {
  chain(1'000'000);
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 1'000'000u);
}

TEST_F(GcTest, TablesElementsHandlesAndTheExceptionAreRoots) {
  w.get<Table*>(i, "t")->desc().elements[1] = heap.new_struct(type(0))->ref();
  const u32 handle = heap.root(heap.new_struct(type(0))->ref());
  Tag* tag = w.store.new_tag(w.func_type({kI32, ValType::ref(AbstractHeap::any, true)}, {}));
  const Slot args[2] = {{.u64_ = 5}, {.ref = heap.new_struct(type(0))->ref()}};
  w.store.context().exception = exception_new(i.vm(), tag, args);
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 4u);
  EXPECT_EQ(exception_args(as_object(w.store.context().exception))[0].u32_, 5u);
  w.store.context().exception = kNullRef;
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 2u);
  heap.unroot(handle);
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 1u);
}

TEST_F(GcTest, InteriorPointersOnTheValueStackKeepObjectsAlive) {
  StoreContext& c = w.store.context();
  Object* a = heap.new_array(type(3), 100);
  c.value_base[0].u64_ = a->ref() + 57;
  c.value_base[1].u64_ =
      reinterpret_cast<u64>(array_element(heap.new_array(type(3), 4), 4, 2));  // one past the end
  c.value_base[2].u64_ = heap.new_array(type(2), 5000)->ref() + 30'000;        // a large object
  c.value_top = c.value_base + 3;
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 3u);
  c.value_top = c.value_base;
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 0u);
}

TEST_F(GcTest, ReferencesInFramesOfHostFunctionsStayAlive) {
  heap.set_stress(true);
  FuncRef* f = w.store.new_host_func(w.func_type({}, {}), [&](Store& s, std::span<Slot>) {
    u64 held[2] = {heap.new_struct(type(0))->ref(), heap.new_struct(type(0))->ref()};
    __asm__ volatile("" : : "r"(held) : "memory");
    heap.collect();
    EXPECT_GE(heap.stats().objects, 2u);
    __asm__ volatile("" : : "r"(held) : "memory");
    return Status::ok;
  });
  Slot none[1];
  EXPECT_EQ(w.store.call(f, none), Status::ok);
}

TEST_F(GcTest, StressModeSurvivesDeepStructures) {
  heap.set_stress(true);
  chain(300);
  EXPECT_EQ(heap.stats().objects, 300u);
  EXPECT_GE(heap.stats().collections, 299u);
  u32 length = 0;
  for (u64 r = root(); r != kNullRef; r = *reinterpret_cast<u64*>(as_object(r)->payload())) {
    ASSERT_EQ(as_object(r)->type, type(0).value);
    ++length;
  }
  EXPECT_EQ(length, 300u);
}

TEST_F(GcTest, ReusesMemoryOfEverySize) {
  for (u32 round = 0; round < 3; ++round)
    for (u32 length = 0; length < 40'000; length = length * 3 / 2 + 1) {
      Object* o = heap.new_array(type(2), length);
      ASSERT_NE(o, nullptr);
      ASSERT_EQ(o->length, length);
      for (u32 k = 0; k < length; ++k)
        ASSERT_EQ(*reinterpret_cast<u64*>(array_element(o, k, 8)), 0u) << "zeroed";
      std::memset(o->payload(), 0xff, u64{length} * 8);
      std::memset(o->payload(), 0x01, u64{length} * 8);  // i31s
    }
  heap.collect();
  EXPECT_EQ(heap.stats().objects, 0u);
}

TEST(RuntimeGcLimit, AllocationFailsWithATrapAndTheHeapRecovers) {
  StoreLimits limits;
  limits.gc_heap_bytes = 1 << 20;
  World w(limits);
  Instance& i = w.load(kTypes);
  const u32 any = i.module().types[2].value;
  EXPECT_EQ(array_new(i.vm(), any, 0xffff'ffff), kNullRef);
  EXPECT_EQ(w.store.trap().code, TrapCode::out_of_memory);
  u64& root = w.get<Global*>(i, "root")->cell->lo.ref;
  u32 made = 0;
  while (const u64 o = array_new(i.vm(), any, 1000)) {
    *reinterpret_cast<u64*>(as_object(o)->payload()) = root;
    root = o;
    ASSERT_LT(++made, 200u);
  }
  EXPECT_GT(made, 50u);
  root = kNullRef;
  EXPECT_NE(array_new(i.vm(), any, 1000), kNullRef);
}

TEST_F(GcTest, FinalizersRunOnceWhenHostValuesDie) {
  static int finalized = 0;
  finalized = 0;
  root() = heap.new_host(42, [](u64 v) { finalized += static_cast<int>(v); })->ref();
  heap.collect();
  EXPECT_EQ(finalized, 0);
  EXPECT_EQ(host_value(as_object(root())), 42u);
  root() = kNullRef;
  heap.collect();
  heap.collect();
  EXPECT_EQ(finalized, 42);
}

TEST_F(GcTest, CastsFollowTheDeclaredHierarchy) {
  const TypeRegistry& types = w.store.types();
  const u64 node = heap.new_struct(type(0))->ref(), wide = heap.new_struct(type(1))->ref();
  const u64 array = heap.new_array(type(2), 1)->ref(), i31 = make_i31(5), host = heap.new_host(1)->ref();
  const u64 func = reinterpret_cast<u64>(i.func(FuncIdx{0}));
  auto is = [&](u64 ref, HeapType t) { return ref_test(types, ref, t, false); };
  EXPECT_TRUE(is(wide, HeapType(type(0))));
  EXPECT_TRUE(is(wide, HeapType(type(1))));
  EXPECT_FALSE(is(node, HeapType(type(1))));
  EXPECT_FALSE(is(array, HeapType(type(0))));
  EXPECT_FALSE(is(i31, HeapType(type(0))));
  EXPECT_TRUE(is(node, AbstractHeap::struct_));
  EXPECT_TRUE(is(node, AbstractHeap::eq));
  EXPECT_FALSE(is(node, AbstractHeap::array));
  EXPECT_TRUE(is(array, AbstractHeap::array));
  EXPECT_TRUE(is(i31, AbstractHeap::i31));
  EXPECT_TRUE(is(i31, AbstractHeap::eq));
  EXPECT_FALSE(is(i31, AbstractHeap::struct_));
  EXPECT_FALSE(is(host, AbstractHeap::eq));
  EXPECT_TRUE(is(host, AbstractHeap::any));
  EXPECT_TRUE(is(host, AbstractHeap::extern_));
  EXPECT_FALSE(is(node, AbstractHeap::none));
  EXPECT_TRUE(is(func, HeapType(type(4))));
  EXPECT_TRUE(is(func, AbstractHeap::func));
  EXPECT_FALSE(is(func, AbstractHeap::nofunc));
  EXPECT_TRUE(ref_test(types, kNullRef, AbstractHeap::none, true));
  EXPECT_FALSE(ref_test(types, kNullRef, AbstractHeap::any, false));
}

TEST_F(GcTest, ArrayOperationsCheckBounds) {
  VMContext* vm = i.vm();
  const u64 a = array_new_data(vm, type(3).value, 0, 2, 3);
  ASSERT_NE(a, kNullRef);
  EXPECT_EQ(std::memcmp(as_object(a)->payload(), "cdefgh", 6), 0);
  EXPECT_EQ(array_new_data(vm, type(3).value, 0, 3, 3), kNullRef);
  EXPECT_EQ(w.store.trap().code, TrapCode::memory_out_of_bounds);
  EXPECT_EQ(array_new_data(vm, type(3).value, 0, 0, 0x8000'0004), kNullRef);
  const u64 e = array_new_elem(vm, type(2).value, 0, 0, 2);
  EXPECT_EQ(*reinterpret_cast<u64*>(as_object(e)->payload()), make_i31(3));
  EXPECT_EQ(array_new_elem(vm, type(2).value, 0, 1, 2), kNullRef);
  EXPECT_EQ(w.store.trap().code, TrapCode::table_out_of_bounds);
  EXPECT_EQ(array_copy(vm, a, 1, a, 0, 2), TrapCode::none);
  EXPECT_EQ(std::memcmp(as_object(a)->payload(), "cdcdef", 6), 0);
  EXPECT_EQ(array_copy(vm, a, 2, a, 0, 2), TrapCode::array_out_of_bounds);
  EXPECT_EQ(array_copy(vm, a, 0, kNullRef, 0, 0), TrapCode::null_array_reference);
  const Slot x{.u64_ = 0x4142};
  EXPECT_EQ(array_fill(vm, a, 0xffff'ffff, &x, 2), TrapCode::array_out_of_bounds);
  EXPECT_EQ(array_fill(vm, a, 1, &x, 2), TrapCode::none);
  EXPECT_EQ(std::memcmp(as_object(a)->payload(), "cdBABA", 6), 0);
  EXPECT_EQ(array_init_data(vm, 0, a, 0, 0, 3), TrapCode::none);
  EXPECT_EQ(array_init_data(vm, 0, a, 0, 6, 2), TrapCode::memory_out_of_bounds);
  EXPECT_EQ(array_init_elem(vm, 0, e, 1, 0, 1), TrapCode::none);
  EXPECT_EQ(array_init_elem(vm, 0, e, 0, 1, 2), TrapCode::table_out_of_bounds);
}

TEST(RuntimeGc, PackedFieldsExtendAsAsked) {
  const FieldType i8_field{kI32, Packed::i8, true}, i16_field{kI32, Packed::i16, true};
  u8 bytes[2];
  const Slot in{.u64_ = 0xffff'ff80};
  store_field(bytes, i8_field, &in);
  Slot out{};
  load_field(bytes, i8_field, true, &out);
  EXPECT_EQ(out.i32_, -128);
  load_field(bytes, i8_field, false, &out);
  EXPECT_EQ(out.u32_, 128u);
  store_field(bytes, i16_field, &in);
  load_field(bytes, i16_field, true, &out);
  EXPECT_EQ(out.i32_, -128);
  load_field(bytes, i16_field, false, &out);
  EXPECT_EQ(out.u32_, 0xff80u);
}

}  // namespace
}  // namespace tenon
