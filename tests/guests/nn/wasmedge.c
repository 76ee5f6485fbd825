// WasmEdge's additions to wasi_ephemeral_nn, and its numbers of errors, which an import of one of them chooses.
// args: digits
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// expect: no such name: 103
// expect: with a configuration: 0
// expect: compute_single: 6
// expect: get_output_single: 6
// expect: fini_single: 6
// expect: finalize_execution_context: 0
// expect: again: 1
// expect: unload: 0
// expect: again: 1
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))

IMPORT("load_by_name") int32_t load_by_name(const char* name, uint32_t length, uint32_t* graph);
IMPORT("load_by_name_with_config")
int32_t load_by_name_with_config(const char* name, uint32_t length, const char* config, uint32_t size,
                                 uint32_t* graph);
IMPORT("init_execution_context") int32_t init_execution_context(uint32_t graph, uint32_t* context);
IMPORT("compute_single") int32_t compute_single(uint32_t context);
IMPORT("get_output_single")
int32_t get_output_single(uint32_t context, uint32_t index, void* buffer, uint32_t size, uint32_t* written);
IMPORT("fini_single") int32_t fini_single(uint32_t context);
IMPORT("unload") int32_t unload(uint32_t graph);
IMPORT("finalize_execution_context") int32_t finalize_execution_context(uint32_t context);

int main(int argc, char** argv) {
  uint32_t graph, context, written;
  char buffer[16];
  const char* config = "{\"n-predict\":16}";
  if (argc < 2) return 2;
  printf("no such name: %d\n", (int)load_by_name("?", 1, &graph));
  printf("with a configuration: %d\n",
         (int)load_by_name_with_config(argv[1], (uint32_t)strlen(argv[1]), config, (uint32_t)strlen(config),
                                       &graph));
  if (init_execution_context(graph, &context) != 0) return 3;
  printf("compute_single: %d\n", (int)compute_single(context));
  printf("get_output_single: %d\n", (int)get_output_single(context, 0, buffer, sizeof buffer, &written));
  printf("fini_single: %d\n", (int)fini_single(context));
  for (int i = 0; i < 2; i++)
    printf("%s: %d\n", i ? "again" : "finalize_execution_context", (int)finalize_execution_context(context));
  for (int i = 0; i < 2; i++) printf("%s: %d\n", i ? "again" : "unload", (int)unload(graph));
  return 0;
}
