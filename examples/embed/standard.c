/* wasm.h in C: what runs here unchanged runs on other engines, and the other way round. */
#include <stdio.h>

#include "wasm.h"

/* (module (import "" "twice" (func $twice (param i32) (result i32)))
 *   (func (export "f") (param i32) (result i32) (i32.add (call $twice (local.get 0)) (i32.const 1)))) */
static const char kModule[] =
    "\0asm\1\0\0\0\1\6\1\x60\1\x7f\1\x7f\2\x0a\1\0\5twice\0\0\3\2\1\0\7\5\1\1"
    "f"
    "\0\1\x0a\x0b\1\x09\0\x20\0\x10\0\x41\1\x6a\x0b";

static wasm_trap_t* twice(const wasm_val_vec_t* args, wasm_val_vec_t* results) {
  results->data[0].kind = WASM_I32;
  results->data[0].of.i32 = 2 * args->data[0].of.i32;
  return NULL;
}

int main(void) {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  wasm_byte_vec_t binary;
  wasm_byte_vec_new(&binary, sizeof kModule - 1, kModule);
  wasm_module_t* module = wasm_module_new(store, &binary);
  wasm_byte_vec_delete(&binary);
  if (!module) return fprintf(stderr, "not a module\n"), 1;

  wasm_functype_t* type = wasm_functype_new_1_1(wasm_valtype_new_i32(), wasm_valtype_new_i32());
  wasm_func_t* callback = wasm_func_new(store, type, twice);
  wasm_functype_delete(type);
  wasm_extern_t* externs[] = {wasm_func_as_extern(callback)};
  wasm_extern_vec_t imports = WASM_ARRAY_VEC(externs), exports;
  wasm_instance_t* instance = wasm_instance_new(store, module, &imports, NULL);
  if (!instance) return fprintf(stderr, "not an instance\n"), 1;
  wasm_instance_exports(instance, &exports);

  wasm_val_t values[] = {WASM_I32_VAL(20)}, result[] = {WASM_INIT_VAL};
  wasm_val_vec_t args = WASM_ARRAY_VEC(values), results = WASM_ARRAY_VEC(result);
  wasm_trap_t* trap = wasm_func_call(wasm_extern_as_func(exports.data[0]), &args, &results);
  if (!trap) printf("f(20) = %d\n", (int)result[0].of.i32);

  wasm_trap_delete(trap);
  wasm_extern_vec_delete(&exports);
  wasm_instance_delete(instance);
  wasm_func_delete(callback);
  wasm_module_delete(module);
  wasm_store_delete(store);
  wasm_engine_delete(engine);
  return trap != NULL;
}
