// The standard C API (wasm.h): objects, values and references, traps, host information, sharing, wrong use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <initializer_list>
#include <string>
#include <thread>
#include <vector>

#include "engine/text/wat.h"
#include "tenon.h"
#include "wasm.h"

namespace {

using ::testing::HasSubstr;

wasm_val_t i32(int32_t v) { return WASM_I32_VAL(v); }
wasm_val_t ref(wasm_ref_t* r) { return WASM_REF_VAL(r); }

std::string text_of(const wasm_trap_t* trap) {
  if (!trap) return "no trap";
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  EXPECT_EQ(message.data[message.size - 1], 0);
  const std::string text(message.data);
  wasm_byte_vec_delete(&message);
  return text;
}
// Of a trap that is deleted here.
std::string taken(wasm_trap_t* trap) {
  const std::string text = text_of(trap);
  wasm_trap_delete(trap);
  return text;
}

wasm_functype_t* functype(std::initializer_list<wasm_valkind_t> params,
                          std::initializer_list<wasm_valkind_t> results) {
  const auto list = [](std::initializer_list<wasm_valkind_t> kinds) {
    std::vector<wasm_valtype_t*> types;
    for (const wasm_valkind_t k : kinds) types.push_back(wasm_valtype_new(k));
    wasm_valtype_vec_t out;
    wasm_valtype_vec_new(&out, types.size(), types.data());
    return out;
  };
  wasm_valtype_vec_t p = list(params), r = list(results);
  return wasm_functype_new(&p, &r);
}

struct WasmStandard : ::testing::Test {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  std::vector<wasm_extern_vec_t> exports_made;
  ~WasmStandard() override {
    for (wasm_extern_vec_t& v : exports_made) wasm_extern_vec_delete(&v);
    wasm_store_delete(store);
    wasm_engine_delete(engine);
  }

  wasm_module_t* module(const std::string& wat, wasm_store_t* in = nullptr) {
    const auto binary = tenon::text::wat_to_wasm(wat);
    if (!binary) ADD_FAILURE() << binary.error().message;
    const wasm_byte_vec_t bytes{binary->size(),
                                const_cast<char*>(reinterpret_cast<const char*>(binary->data()))};
    wasm_module_t* made = wasm_module_new(in ? in : store, &bytes);
    EXPECT_NE(made, nullptr);
    return made;
  }
  wasm_instance_t* instance(const std::string& wat, std::vector<wasm_extern_t*> imports = {},
                            wasm_trap_t** trap = nullptr) {
    wasm_module_t* m = module(wat);
    const wasm_extern_vec_t list{imports.size(), imports.data()};
    wasm_instance_t* made = wasm_instance_new(store, m, &list, trap);
    wasm_module_delete(m);
    return made;
  }
  // Exports of a new instance, borrowed from the test.
  wasm_extern_vec_t exports(const std::string& wat, std::vector<wasm_extern_t*> imports = {}) {
    wasm_trap_t* trap = nullptr;
    wasm_instance_t* made = instance(wat, std::move(imports), &trap);
    EXPECT_NE(made, nullptr) << text_of(trap);
    wasm_extern_vec_t out;
    wasm_instance_exports(made, &out);
    wasm_instance_delete(made);
    return exports_made.emplace_back(out);
  }
  static wasm_func_t* func(const wasm_extern_vec_t& from, size_t i) {
    return wasm_extern_as_func(from.data[i]);
  }
  static wasm_trap_t* call(const wasm_func_t* f, std::vector<wasm_val_t> args, wasm_val_t* results = nullptr,
                           size_t room = 0) {
    const wasm_val_vec_t a{args.size(), args.data()};
    wasm_val_vec_t r{room, results};
    return wasm_func_call(f, &a, &r);
  }
};

TEST_F(WasmStandard, CallsWithEveryKindOfNumber) {
  const auto e = exports(R"((module (func (export "f") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))))");
  std::vector<wasm_val_t> args = {i32(-7), WASM_I64_VAL(1LL << 40), WASM_F32_VAL(1.5F), WASM_F64_VAL(-0.25)};
  wasm_val_t out[4] = {};
  EXPECT_EQ(call(func(e, 0), args, out, 4), nullptr);
  EXPECT_EQ(out[0].kind, WASM_F64);
  EXPECT_EQ(out[0].of.f64, -0.25);
  EXPECT_EQ(out[1].of.f32, 1.5F);
  EXPECT_EQ(out[2].of.i64, 1LL << 40);
  EXPECT_EQ(out[3].of.i32, -7);
  EXPECT_EQ(wasm_func_param_arity(func(e, 0)), 4u);
  EXPECT_EQ(wasm_func_result_arity(func(e, 0)), 4u);
}

TEST_F(WasmStandard, WrongArgumentsAreTrapsThatSayWhy) {
  const auto e = exports(R"((module (func (export "f") (param i32) (result i32) (local.get 0))
    (func (export "v") (param v128)) (func (export "r") (param (ref extern)))
    (func (export "g") (param funcref))))");
  wasm_val_t out[1];
  EXPECT_THAT(taken(call(func(e, 0), {}, out, 1)), HasSubstr("takes 1 arguments, 0 given"));
  EXPECT_THAT(taken(call(func(e, 0), {i32(1), i32(2)}, out, 1)), HasSubstr("takes 1 arguments, 2 given"));
  EXPECT_THAT(taken(call(func(e, 0), {i32(1)})), HasSubstr("room for 0"));
  EXPECT_THAT(taken(call(func(e, 0), {WASM_I64_VAL(1)}, out, 1)), HasSubstr("wrong kind"));
  EXPECT_THAT(taken(call(func(e, 0), {ref(nullptr)}, out, 1)), HasSubstr("wrong kind"));
  EXPECT_THAT(taken(call(func(e, 1), {i32(0)})), HasSubstr("vector"));
  EXPECT_THAT(taken(call(func(e, 2), {ref(nullptr)})), HasSubstr("null"));
  EXPECT_THAT(taken(call(func(e, 2), {i32(1)})), HasSubstr("number"));
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  EXPECT_THAT(taken(call(func(e, 3), {ref(wasm_foreign_as_ref(foreign))})), HasSubstr("function"));
  EXPECT_EQ(call(func(e, 2), {ref(wasm_foreign_as_ref(foreign))}), nullptr);

  wasm_store_t* other = wasm_store_new(engine);
  wasm_foreign_t* stranger = wasm_foreign_new(other);
  EXPECT_THAT(taken(call(func(e, 2), {ref(wasm_foreign_as_ref(stranger))})), HasSubstr("another store"));
  wasm_foreign_delete(stranger);
  wasm_store_delete(other);
  wasm_foreign_delete(foreign);
}

wasm_trap_t* add(void* env, const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  ++*static_cast<int*>(env);
  EXPECT_EQ(results->data[0].kind, WASM_I32);
  results->data[0] = i32(args->data[0].of.i32 + args->data[1].of.i32);
  return nullptr;
}

TEST_F(WasmStandard, GuestsCallCallbacksAndTheirFinalizersRunWithTheStore) {
  int calls = 0;
  static int finalized;
  finalized = 0;
  wasm_functype_t* type = functype({WASM_I32, WASM_I32}, {WASM_I32});
  wasm_func_t* f = wasm_func_new_with_env(store, type, &add, &calls, [](void*) { ++finalized; });
  wasm_functype_delete(type);
  const auto e = exports(R"((module (import "m" "add" (func $add (param i32 i32) (result i32)))
    (export "again" (func $add))
    (func (export "f") (param i32) (result i32) (call $add (local.get 0) (i32.const 5)))))",
                         {wasm_func_as_extern(f)});
  wasm_val_t out[1] = {};
  EXPECT_EQ(call(func(e, 1), {i32(2)}, out, 1), nullptr);
  EXPECT_EQ(out[0].of.i32, 7);
  EXPECT_EQ(call(f, {i32(1), i32(2)}, out, 1), nullptr) << "the host itself";
  EXPECT_EQ(out[0].of.i32, 3);
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(wasm_func_same(f, func(e, 0)));
  EXPECT_FALSE(wasm_func_same(f, func(e, 1)));
  wasm_func_delete(f);
  EXPECT_EQ(finalized, 0) << "the guest has it still";
  wasm_store_delete(std::exchange(store, nullptr));
  EXPECT_EQ(finalized, 0) << "handles keep the store";
  for (wasm_extern_vec_t& v : exports_made) wasm_extern_vec_delete(&v);
  exports_made.clear();
  EXPECT_EQ(finalized, 1);
}

TEST_F(WasmStandard, CallbackTrapsKeepTheirIdentityAndGetATrace) {
  wasm_functype_t* type = functype({}, {});
  wasm_func_t* f = wasm_func_new_with_env(
      store, type,
      [](void* env, const wasm_val_vec_t*, wasm_val_vec_t*) {
        wasm_message_t message;
        wasm_name_new_from_string_nt(&message, "on purpose");
        wasm_trap_t* trap = wasm_trap_new(static_cast<wasm_store_t*>(env), &message);
        wasm_byte_vec_delete(&message);
        wasm_trap_set_host_info(trap, env);
        return trap;
      },
      store, nullptr);
  wasm_functype_delete(type);
  const auto e = exports(R"((module (import "m" "f" (func $f))
    (func $inner (call $f)) (func (export "outer") (call $inner))))",
                         {wasm_func_as_extern(f)});
  wasm_trap_t* trap = call(func(e, 0), {});
  EXPECT_EQ(text_of(trap), "on purpose");
  EXPECT_EQ(wasm_trap_get_host_info(trap), store);
  wasm_frame_vec_t trace;
  wasm_trap_trace(trap, &trace);
  ASSERT_EQ(trace.size, 2u);
  EXPECT_EQ(wasm_frame_func_index(trace.data[0]), 1u);
  EXPECT_EQ(wasm_frame_func_index(trace.data[1]), 2u);
  EXPECT_GT(wasm_frame_module_offset(trace.data[0]), wasm_frame_func_offset(trace.data[0]));
  EXPECT_NE(wasm_frame_instance(trace.data[0]), nullptr);
  wasm_frame_t* origin = wasm_trap_origin(trap);
  EXPECT_EQ(wasm_frame_func_index(origin), 1u);
  wasm_frame_delete(origin);
  wasm_frame_vec_delete(&trace);
  wasm_trap_delete(trap);
  wasm_func_delete(f);
}

TEST_F(WasmStandard, TrapsOfTheGuestNameTheirReason) {
  const auto e = exports(R"((module (func (export "u") unreachable) (func $r (export "r") (call $r))
    (tag $t) (func (export "x") (throw $t))))");
  EXPECT_EQ(taken(call(func(e, 0), {})), "unreachable");
  EXPECT_EQ(taken(call(func(e, 1), {})), "call stack exhausted");
  EXPECT_EQ(taken(call(func(e, 2), {})), "uncaught exception");
  wasm_trap_t* trap = nullptr;
  EXPECT_EQ(instance("(module (func $s unreachable) (start $s))", {}, &trap), nullptr);
  EXPECT_EQ(taken(trap), "unreachable");
  EXPECT_EQ(instance("(module (func $s unreachable) (start $s))", {}, nullptr), nullptr)
      << "nobody asked why";
}

TEST_F(WasmStandard, LinkingFailsWithAReason) {
  const std::string wat = R"((module (import "m" "g" (global i64))))";
  wasm_trap_t* trap = nullptr;
  EXPECT_EQ(instance(wat, {}, &trap), nullptr);
  EXPECT_THAT(taken(trap), HasSubstr("1 imports, 0 were given"));
  wasm_globaltype_t* type = wasm_globaltype_new(wasm_valtype_new_i32(), WASM_CONST);
  const wasm_val_t one = i32(1);
  wasm_global_t* global = wasm_global_new(store, type, &one);
  EXPECT_EQ(instance(wat, {wasm_global_as_extern(global)}, &trap), nullptr);
  EXPECT_THAT(taken(trap), HasSubstr("incompatible import type"));
  EXPECT_EQ(instance(wat, {nullptr}, &trap), nullptr);
  EXPECT_THAT(taken(trap), HasSubstr("import 0 is NULL"));
  wasm_store_t* other = wasm_store_new(engine);
  wasm_global_t* stranger = wasm_global_new(other, type, &one);
  EXPECT_EQ(instance(wat, {wasm_global_as_extern(stranger)}, &trap), nullptr);
  EXPECT_THAT(taken(trap), HasSubstr("another store"));
  wasm_global_delete(stranger);
  wasm_store_delete(other);
  wasm_global_delete(global);
  wasm_globaltype_delete(type);
}

TEST_F(WasmStandard, GlobalsTablesAndMemories) {
  const auto e = exports(R"((module
    (global (export "g") (mut i64) (i64.const 5)) (global (export "c") i32 (i32.const 1))
    (table (export "t") 2 4 funcref) (memory (export "m") 1 3) (func $f (export "f"))
    (elem (table 0) (i32.const 1) func $f) (data (i32.const 3) "abc")))");
  wasm_global_t* g = wasm_extern_as_global(e.data[0]);
  wasm_val_t value = WASM_I64_VAL(9);
  wasm_global_set(g, &value);
  wasm_global_get(g, &value);
  EXPECT_EQ(value.of.i64, 9);
  value = i32(3);
  wasm_global_set(g, &value);
  wasm_global_set(wasm_extern_as_global(e.data[1]), &value);
  wasm_global_get(g, &value);
  EXPECT_EQ(value.of.i64, 9) << "the wrong type changes nothing";
  wasm_global_get(wasm_extern_as_global(e.data[1]), &value);
  EXPECT_EQ(value.of.i32, 1) << "nor does writing a constant";

  wasm_table_t* t = wasm_extern_as_table(e.data[2]);
  EXPECT_EQ(wasm_table_size(t), 2u);
  EXPECT_EQ(wasm_table_get(t, 0), nullptr);
  EXPECT_EQ(wasm_table_get(t, 99), nullptr);
  wasm_ref_t* f = wasm_table_get(t, 1);
  EXPECT_TRUE(wasm_ref_same(f, wasm_func_as_ref(func(e, 4))));
  EXPECT_TRUE(wasm_table_set(t, 0, f));
  EXPECT_FALSE(wasm_table_set(t, 2, f));
  EXPECT_FALSE(wasm_table_set(t, 0, wasm_table_as_ref(t))) << "a table is no function";
  EXPECT_TRUE(wasm_table_grow(t, 2, f));
  EXPECT_FALSE(wasm_table_grow(t, 1, nullptr));
  wasm_ref_delete(f);
  f = wasm_table_get(t, 3);
  EXPECT_NE(wasm_ref_as_func(f), nullptr);
  EXPECT_EQ(wasm_ref_as_memory(f), nullptr);
  wasm_ref_delete(f);

  wasm_memory_t* m = wasm_extern_as_memory(e.data[3]);
  EXPECT_EQ(wasm_memory_size(m), 1u);
  EXPECT_EQ(wasm_memory_data_size(m), MEMORY_PAGE_SIZE);
  EXPECT_EQ(std::string(wasm_memory_data(m) + 3, 3), "abc");
  EXPECT_TRUE(wasm_memory_grow(m, 2));
  EXPECT_FALSE(wasm_memory_grow(m, 1));
  EXPECT_EQ(wasm_memory_data_size(m), 3 * MEMORY_PAGE_SIZE);
  EXPECT_EQ(wasm_extern_as_func(e.data[3]), nullptr);
  EXPECT_EQ(wasm_extern_kind(e.data[3]), WASM_EXTERN_MEMORY);
}

TEST_F(WasmStandard, HostsMakeTablesMemoriesAndGlobalsForGuests) {
  const wasm_limits_t limits = {1, 2}, wrong = {3, 2};
  wasm_memorytype_t* mt = wasm_memorytype_new(&limits);
  wasm_memory_t* memory = wasm_memory_new(store, mt);
  wasm_tabletype_t* tt = wasm_tabletype_new(wasm_valtype_new_externref(), &limits);
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  wasm_table_t* table = wasm_table_new(store, tt, wasm_foreign_as_ref(foreign));
  const auto e = exports(R"((module (import "" "m" (memory 1 2)) (import "" "t" (table 1 2 externref))
    (func (export "get") (result externref) (table.get (i32.const 0)))
    (func (export "store") (i32.store8 (i32.const 9) (i32.const 65)))))",
                         {wasm_memory_as_extern(memory), wasm_table_as_extern(table)});
  EXPECT_EQ(call(func(e, 1), {}), nullptr);
  EXPECT_EQ(wasm_memory_data(memory)[9], 'A');
  wasm_val_t out[1];
  EXPECT_EQ(call(func(e, 0), {}, out, 1), nullptr);
  EXPECT_TRUE(wasm_ref_same(out[0].of.ref, wasm_foreign_as_ref(foreign)));
  wasm_val_delete(&out[0]);

  wasm_memorytype_t* bad = wasm_memorytype_new(&wrong);
  EXPECT_EQ(wasm_memory_new(store, bad), nullptr);
  wasm_tabletype_t* numbers = wasm_tabletype_new(wasm_valtype_new_i32(), &limits);
  EXPECT_EQ(wasm_table_new(store, numbers, nullptr), nullptr);
  EXPECT_EQ(wasm_valtype_new(77), nullptr);
  wasm_tabletype_delete(numbers);
  wasm_memorytype_delete(bad);
  wasm_foreign_delete(foreign);
  wasm_table_delete(table);
  wasm_memory_delete(memory);
  wasm_tabletype_delete(tt);
  wasm_memorytype_delete(mt);
}

constexpr const char* kKeeper = R"((module (global $g (export "g") (mut externref) (ref.null extern))
  (func (export "set") (param externref) (global.set $g (local.get 0)))
  (func (export "get") (result externref) (global.get $g))
  (func (export "i31") (result anyref) (ref.i31 (i32.const 5)))
  (type $s (struct (field i32)))
  (func (export "struct") (result anyref) (struct.new $s (i32.const 3)))
  (func (export "read") (param (ref $s)) (result i32) (struct.get $s 0 (local.get 0)))))";

TEST_F(WasmStandard, EveryObjectOfTheHostPassesThroughGuestsAsItself) {
  const auto e = exports(kKeeper);
  wasm_module_t* m = module("(module)");
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  const std::vector<wasm_ref_t*> refs = {wasm_extern_as_ref(e.data[0]), wasm_extern_as_ref(e.data[1]),
                                         wasm_module_as_ref(m), wasm_foreign_as_ref(foreign)};
  for (wasm_ref_t* r : refs) {
    wasm_ref_set_host_info(r, const_cast<void*>(static_cast<const void*>(&refs)));
    wasm_val_t out[1];
    ASSERT_EQ(call(func(e, 1), {ref(r)}), nullptr);
    ASSERT_EQ(call(func(e, 2), {}, out, 1), nullptr);
    EXPECT_TRUE(wasm_ref_same(out[0].of.ref, r));
    EXPECT_EQ(wasm_ref_get_host_info(out[0].of.ref), &refs);
    wasm_val_t copy;
    wasm_val_copy(&copy, &out[0]);
    wasm_val_delete(&out[0]);
    EXPECT_TRUE(wasm_ref_same(copy.of.ref, r));
    wasm_val_delete(&copy);
  }
  EXPECT_FALSE(wasm_ref_same(refs[2], refs[3]));
  wasm_foreign_delete(foreign);
  wasm_module_delete(m);
}

TEST_F(WasmStandard, GuestsReferencesAreHeldByHandles) {
  const auto e = exports(kKeeper);
  wasm_val_t object[1], again[1], number[1];
  ASSERT_EQ(call(func(e, 4), {}, object, 1), nullptr);
  for (int i = 0; i < 50'000; ++i) {  // enough to collect garbage
    ASSERT_EQ(call(func(e, 4), {}, again, 1), nullptr);
    wasm_val_delete(&again[0]);
  }
  ASSERT_EQ(call(func(e, 5), {object[0]}, number, 1), nullptr);
  EXPECT_EQ(number[0].of.i32, 3);
  ASSERT_EQ(call(func(e, 3), {}, again, 1), nullptr);
  EXPECT_THAT(taken(call(func(e, 5), {again[0]}, number, 1)), HasSubstr("wrong type"));
  wasm_val_delete(&again[0]);
  wasm_val_delete(&object[0]);
}

TEST_F(WasmStandard, HostInformationEndsWithItsObject) {
  static int ended;
  ended = 0;
  const auto end = [](void* data) { ended += *static_cast<int*>(data); };
  int one = 1, ten = 10, hundred = 100;
  wasm_foreign_t* foreign = wasm_foreign_new(store);
  wasm_foreign_set_host_info_with_finalizer(foreign, &ten, end);
  wasm_foreign_set_host_info_with_finalizer(foreign, &one, end);
  EXPECT_EQ(ended, 10) << "replaced";
  wasm_foreign_t* copy = wasm_foreign_copy(foreign);
  wasm_foreign_delete(foreign);
  EXPECT_EQ(wasm_foreign_get_host_info(copy), &one);
  wasm_foreign_delete(copy);

  wasm_module_t* m = module("(module)");
  wasm_module_set_host_info_with_finalizer(m, &hundred, end);
  EXPECT_EQ(ended, 10);
  wasm_module_delete(m);
  EXPECT_EQ(ended, 110) << "the last handle of a module";

  wasm_instance_t* i = instance("(module)");
  EXPECT_EQ(wasm_instance_get_host_info(i), nullptr);
  wasm_instance_set_host_info_with_finalizer(i, &hundred, end);
  wasm_instance_delete(i);
  EXPECT_EQ(ended, 110);
  wasm_store_delete(std::exchange(store, nullptr));
  EXPECT_EQ(ended, 211) << "the store ends the instance and the foreign object";
}

TEST_F(WasmStandard, ReflectionSaysWhatModulesImportAndExport) {
  wasm_module_t* m = module(R"((module (import "a" "f" (func (param i32 externref) (result f64)))
    (import "b" "t" (table 3 funcref)) (memory (export "m") 2 5) (global (export "g") (mut f32) (f32.const 0))
    (tag (export "x"))))");
  wasm_importtype_vec_t imports;
  wasm_module_imports(m, &imports);
  ASSERT_EQ(imports.size, 2u);
  const wasm_name_t* name = wasm_importtype_module(imports.data[0]);
  EXPECT_EQ(std::string(name->data, name->size), "a");
  const wasm_functype_t* f = wasm_externtype_as_functype_const(wasm_importtype_type(imports.data[0]));
  ASSERT_NE(f, nullptr);
  ASSERT_EQ(wasm_functype_params(f)->size, 2u);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_params(f)->data[1]), WASM_EXTERNREF);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_results(f)->data[0]), WASM_F64);
  const wasm_tabletype_t* t = wasm_externtype_as_tabletype_const(wasm_importtype_type(imports.data[1]));
  EXPECT_EQ(wasm_tabletype_limits(t)->min, 3u);
  EXPECT_EQ(wasm_tabletype_limits(t)->max, wasm_limits_max_default);
  wasm_importtype_vec_t copy;
  wasm_importtype_vec_copy(&copy, &imports);
  wasm_importtype_vec_delete(&imports);
  EXPECT_EQ(wasm_externtype_kind(wasm_importtype_type(copy.data[1])), WASM_EXTERN_TABLE);
  wasm_importtype_vec_delete(&copy);

  wasm_exporttype_vec_t exported;
  wasm_module_exports(m, &exported);
  ASSERT_EQ(exported.size, 3u);
  const auto* memory = wasm_externtype_as_memorytype_const(wasm_exporttype_type(exported.data[0]));
  EXPECT_EQ(wasm_memorytype_limits(memory)->max, 5u);
  const auto* g = wasm_externtype_as_globaltype_const(wasm_exporttype_type(exported.data[1]));
  EXPECT_EQ(wasm_globaltype_mutability(g), WASM_VAR);
  EXPECT_EQ(wasm_externtype_as_functype_const(wasm_exporttype_type(exported.data[2])), nullptr) << "a tag";
  wasm_exporttype_vec_delete(&exported);
  wasm_module_delete(m);
}

TEST_F(WasmStandard, ModulesGoThroughBytesAndThreads) {
  wasm_module_t* m = module(R"((module (func (export "f") (result i32) (i32.const 42))))");
  wasm_byte_vec_t bytes;
  wasm_module_serialize(m, &bytes);
  wasm_module_t* again = wasm_module_deserialize(store, &bytes);
  ASSERT_NE(again, nullptr);
  wasm_byte_vec_t once_more;
  wasm_module_serialize(again, &once_more);
  EXPECT_EQ(std::string_view(bytes.data, bytes.size), std::string_view(once_more.data, once_more.size))
      << "the code came along";
  wasm_byte_vec_delete(&once_more);
  wasm_module_delete(again);
  for (const size_t size : {size_t{0}, size_t{5}, bytes.size / 2, bytes.size - 1}) {
    const wasm_byte_vec_t cut{size, bytes.data};
    EXPECT_EQ(wasm_module_deserialize(store, &cut), nullptr) << size;
  }
  bytes.data[20] ^= 1;
  EXPECT_EQ(wasm_module_deserialize(store, &bytes), nullptr) << "another build";
  wasm_byte_vec_delete(&bytes);

  wasm_shared_module_t* shared = wasm_module_share(m);
  wasm_module_delete(m);
  std::atomic<int> sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      wasm_store_t* mine = wasm_store_new(engine);
      wasm_module_t* got = wasm_module_obtain(mine, shared);
      const wasm_extern_vec_t none = WASM_EMPTY_VEC;
      wasm_instance_t* inst = wasm_instance_new(mine, got, &none, nullptr);
      wasm_extern_vec_t found;
      wasm_instance_exports(inst, &found);
      wasm_val_t out[1];
      EXPECT_EQ(call(func(found, 0), {}, out, 1), nullptr);
      sum += out[0].of.i32;
      wasm_extern_vec_delete(&found);
      wasm_store_delete(mine);  // in any order
      wasm_instance_delete(inst);
      wasm_module_delete(got);
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(sum, 168);

  wasm_engine_t* other = wasm_engine_new();
  wasm_store_t* foreign_store = wasm_store_new(other);
  EXPECT_EQ(wasm_module_obtain(foreign_store, shared), nullptr) << "of another engine";
  wasm_store_delete(foreign_store);
  wasm_engine_delete(other);
  wasm_shared_module_delete(shared);
}

TEST_F(WasmStandard, BadBinariesGiveNull) {
  for (const std::string& text :
       {std::string(), std::string("\0asm", 4), std::string("\0asm\1\0\0\0\1", 9)}) {
    const wasm_byte_vec_t bytes{text.size(), const_cast<char*>(text.data())};
    EXPECT_EQ(wasm_module_new(store, &bytes), nullptr);
    EXPECT_FALSE(wasm_module_validate(store, &bytes));
  }
}

TEST_F(WasmStandard, CallbacksCallGuestsAndDeleteWhatRuns) {
  struct Env {
    wasm_func_t* again = nullptr;
    int depth = 0;
  } env;
  wasm_functype_t* type = functype({}, {});
  wasm_func_t* f = wasm_func_new_with_env(
      store, type,
      [](void* data, const wasm_val_vec_t*, wasm_val_vec_t*) -> wasm_trap_t* {
        auto& e = *static_cast<Env*>(data);
        if (++e.depth < 5) return call(e.again, {});
        wasm_func_delete(std::exchange(e.again, nullptr));  // the handle of a function that runs
        return nullptr;
      },
      &env, nullptr);
  wasm_functype_delete(type);
  const auto e = exports(R"((module (import "" "f" (func $f)) (func (export "g") (call $f))))",
                         {wasm_func_as_extern(f)});
  env.again = wasm_func_copy(func(e, 0));
  EXPECT_EQ(call(env.again, {}), nullptr);
  EXPECT_EQ(env.depth, 5);
  wasm_func_delete(f);
}

TEST_F(WasmStandard, ConfigurationTakesTenonsOptions) {
  wasm_config_t* config = wasm_config_new();
  tenon_config_set_max_memory(tenon_wasm_config(config), 65536);
  tenon_config_set_tier(tenon_wasm_config(config), TENON_TIER_INTERP);
  wasm_engine_t* small = wasm_engine_new_with_config(config);
  wasm_store_t* in = wasm_store_new(small);
  wasm_module_t* m = module("(module (memory 2))", in);
  const wasm_extern_vec_t none = WASM_EMPTY_VEC;
  wasm_trap_t* trap = nullptr;
  EXPECT_EQ(wasm_instance_new(in, m, &none, &trap), nullptr);
  EXPECT_THAT(taken(trap), HasSubstr("memory"));
  wasm_module_delete(m);
  wasm_store_delete(in);
  wasm_engine_delete(small);
  wasm_config_delete(wasm_config_new());
}

#ifdef TENON_TEST_JIT
// Code that counts no fuel is nothing for an engine that is asked to: NULL, instead of a slow module.
TEST_F(WasmStandard, BytesOfAnotherEnginesOptionsAreRefused) {
  wasm_module_t* m = module(R"((module (func (export "f") (result i32) (i32.const 42))))");
  wasm_byte_vec_t bytes;
  wasm_module_serialize(m, &bytes);
  wasm_module_delete(m);
  using Change = void (*)(tenon_config_t*);
  const auto accepted = [&](Change change) {
    wasm_config_t* config = wasm_config_new();
    change(tenon_wasm_config(config));
    wasm_engine_t* other = wasm_engine_new_with_config(config);
    wasm_store_t* in = wasm_store_new(other);
    wasm_module_t* got = wasm_module_deserialize(in, &bytes);
    const bool some = got != nullptr;
    if (got) wasm_module_delete(got);
    wasm_store_delete(in);
    wasm_engine_delete(other);
    return some;
  };
  EXPECT_TRUE(accepted([](tenon_config_t*) {}));
  EXPECT_FALSE(accepted([](tenon_config_t* c) { tenon_config_set_fuel(c, true); }));
  EXPECT_FALSE(accepted([](tenon_config_t* c) { tenon_config_set_deterministic_nans(c, true); }));
  EXPECT_FALSE(accepted([](tenon_config_t* c) { tenon_config_set_deterministic_relaxed_simd(c, true); }));
  // Whoever interprets needs no code.
  EXPECT_TRUE(accepted([](tenon_config_t* c) {
    tenon_config_set_fuel(c, true);
    tenon_config_set_tier(c, TENON_TIER_INTERP);
  }));
  wasm_byte_vec_delete(&bytes);
}
#endif

TEST(WasmVectors, CopyOwnAndDelete) {
  wasm_byte_vec_t a, b;
  wasm_name_new_from_string(&a, "name");
  wasm_byte_vec_copy(&b, &a);
  EXPECT_EQ(a.size, 4u);
  EXPECT_NE(a.data, b.data);
  EXPECT_EQ(std::string(b.data, b.size), "name");
  wasm_byte_vec_delete(&a);
  wasm_byte_vec_delete(&b);
  wasm_val_vec_t values;
  wasm_val_vec_new_uninitialized(&values, 3);
  wasm_val_vec_delete(&values);
  wasm_extern_vec_t externs;
  wasm_extern_vec_new_uninitialized(&externs, 2);
  wasm_extern_vec_delete(&externs);
  wasm_functype_t* type = functype({WASM_I32, WASM_F32}, {WASM_FUNCREF});
  wasm_functype_t* copy = wasm_functype_copy(type);
  wasm_functype_delete(type);
  EXPECT_EQ(wasm_valtype_kind(wasm_functype_results(copy)->data[0]), WASM_FUNCREF);
  EXPECT_EQ(wasm_externtype_as_functype(wasm_functype_as_externtype(copy)), copy);
  EXPECT_EQ(wasm_externtype_as_tabletype(wasm_functype_as_externtype(copy)), nullptr);
  wasm_functype_delete(copy);
}

}  // namespace
