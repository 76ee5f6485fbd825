// WAMR's legacy module wasi_nn: dimensions behind a record, no length of the data, sizes in elements. Argument: the name
// of the digits model, which is also loaded from bytes that are none.
// args: digits
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// expect: garbage: refused
// expect: no such name: 8
// expect: set_input: 0
// expect: a type of today's numbers: 1
// expect: compute: 0
// expect: too small: 7, needs 10
// expect: get_output: 0, 10 elements
// expect: sum is one: yes
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("wasi_nn"), import_name(name)))

typedef struct {
  const void* buf;
  uint32_t size;
} array;
typedef struct {
  const array* dimensions;
  uint32_t type;
  const void* data;
} tensor;

IMPORT("load") int32_t load(const array* builders, uint32_t encoding, uint32_t target, uint32_t* graph);
IMPORT("load_by_name") int32_t load_by_name(const char* name, uint32_t length, uint32_t* graph);
IMPORT("init_execution_context") int32_t init_execution_context(uint32_t graph, uint32_t* context);
IMPORT("set_input") int32_t set_input(uint32_t context, uint32_t index, const tensor* tensor);
IMPORT("compute") int32_t compute(uint32_t context);
IMPORT("get_output") int32_t get_output(uint32_t context, uint32_t index, void* buffer, uint32_t* size);

int main(int argc, char** argv) {
  uint32_t graph, context;
  const array garbage = {"what is this?", 13}, builders = {&garbage, 1};
  printf("garbage: %s\n", load(&builders, 1, 0, &graph) == 0 ? "loaded" : "refused");
  printf("no such name: %d\n", (int)load_by_name("?", 1, &graph));
  if (argc < 2 || load_by_name(argv[1], (uint32_t)strlen(argv[1]), &graph) != 0) return 2;
  if (init_execution_context(graph, &context) != 0) return 3;

  static float image[64], p[10];
  for (int i = 0; i < 64; i++) image[i] = (float)(i % 16) / 16;
  const uint32_t dims[4] = {1, 1, 8, 8};
  const array shape = {dims, 4};
  tensor input = {&shape, 1, image};
  printf("set_input: %d\n", (int)set_input(context, 0, &input));
  input.type = 4;
  printf("a type of today's numbers: %d\n", (int)set_input(context, 0, &input));
  printf("compute: %d\n", (int)compute(context));
  uint32_t size = 9;
  const int small = (int)get_output(context, 0, p, &size);
  printf("too small: %d, needs %u\n", small, size);
  const int error = (int)get_output(context, 0, p, &size);
  printf("get_output: %d, %u elements\n", error, size);
  float sum = 0;
  for (int i = 0; i < 10; i++) sum += p[i];
  printf("sum is one: %s\n", fabsf(sum - 1) < 1e-4f ? "yes" : "no");
  return 0;
}
