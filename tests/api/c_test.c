/* tenon.h from C99: compiled as such, and called from c_link_test.cpp so that every function used here links.
 */
#include "tenon.h"

int tenon_c_roundtrip(void) {
  static const unsigned char kModule[] = {0, 'a', 's',  'm', 1, 0, 0, 0,    1,    5,   1, 0x60,
                                          0, 1,   0x7f, 3,   2, 1, 0, 7,    5,    1,   1, 'f',
                                          0, 0,   10,   6,   1, 4, 0, 0x41, 0x2a, 0x0b};
  tenon_engine_t* engine = tenon_engine_new(NULL);
  tenon_module_t* module = NULL;
  tenon_store_t* store = NULL;
  tenon_linker_t* linker = tenon_linker_new(engine);
  tenon_instance_t* instance = NULL;
  tenon_extern_t func;
  tenon_val_t result;
  tenon_error_t* error = tenon_module_new(engine, kModule, sizeof kModule, &module);
  if (!error) error = tenon_store_new(engine, &store);
  if (!error) error = tenon_linker_instantiate(linker, store, module, &instance);
  result.of.i32 = -1;
  if (!error && tenon_instance_get(instance, "f", 1, &func))
    error = tenon_func_call(&func, NULL, 0, &result, 1);
  if (error) result.of.i32 = -2;
  tenon_error_delete(error);
  tenon_store_delete(store);
  tenon_linker_delete(linker);
  tenon_module_delete(module);
  tenon_engine_delete(engine);
  return result.of.i32;
}
