/* tenon.h in C: a module from a file, a host function, a call by name. */
#include <stdio.h>
#include <string.h>

#include "tenon.h"

static int failed(tenon_error_t* error) {
  if (!error) return 0;
  fprintf(stderr, "%s\n", tenon_error_message(error));
  tenon_error_delete(error);
  return 1;
}

static tenon_error_t* log_text(void* env, tenon_caller_t* caller, const tenon_val_t* args, size_t arg_count,
                               tenon_val_t* results, size_t result_count) {
  (void)env, (void)arg_count, (void)results, (void)result_count;
  const uint32_t at = (uint32_t)args[0].of.i32, size = (uint32_t)args[1].of.i32;
  const uint8_t* text = tenon_caller_memory(caller, at, size);
  if (!text) return tenon_error_new("log: outside of the memory", 26);
  printf("guest says: %.*s\n", (int)size, (const char*)text);
  return NULL;
}

/* usage: hello guest.wat */
int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const uint8_t params[] = {TENON_I32, TENON_I32};
  const tenon_val_t args[] = {{.kind = TENON_I32, .of = {.i32 = 7}}, {.kind = TENON_I32, .of = {.i32 = 2}}};
  tenon_val_t result;
  tenon_extern_t divide;
  tenon_module_t* module = NULL;
  tenon_store_t* store = NULL;
  tenon_instance_t* instance = NULL;
  tenon_engine_t* engine = tenon_engine_new(NULL);
  tenon_linker_t* linker = tenon_linker_new(engine);
  tenon_wasi_t* wasi = tenon_wasi_new();

  int status =
      failed(tenon_module_new_from_file(engine, argv[1], &module)) ||
      failed(tenon_store_new(engine, &store)) ||
      failed(tenon_linker_define_func(linker, "host", "log", params, 2, NULL, 0, log_text, NULL, NULL)) ||
      failed(tenon_linker_define_wasi(linker, wasi)) ||
      failed(tenon_linker_instantiate(linker, store, module, &instance));
  if (!status && tenon_instance_get(instance, "divide", strlen("divide"), &divide)) {
    status = failed(tenon_func_call(&divide, args, 2, &result, 1));
    if (!status) printf("7 / 2 = %d\n", (int)result.of.i32);
  }
  tenon_wasi_delete(wasi);
  tenon_linker_delete(linker);
  tenon_module_delete(module);
  tenon_store_delete(store);
  tenon_engine_delete(engine);
  return status;
}
