// Runs a model on stored tensors and compares its outputs with stored ones, all through wasi-nn.
//   golden MODEL DIFFERENCE (in|out):FILE:TYPE:DIMS...
// MODEL is a name that the host knows, or else a file. TYPE is f32, u8, i32 or i64, DIMS like 1x3x224x224.
// Inputs and outputs are in the model's order. f32 outputs may differ by DIFFERENCE, or by 1e-5 of the
// largest expected value; other types must be equal.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn.h"

static void fail(const char* what, const char* why) {
  printf("FAILED %s: %s\n", what, why);
  exit(1);
}

static void check(const char* call, int32_t error) {
  char text[32];
  snprintf(text, sizeof text, "wasi-nn error %d", (int)error);
  if (error != WASI_NN_SUCCESS) fail(call, text);
}

static uint8_t* read_file(const char* path, uint32_t* size) {
  FILE* file = fopen(path, "rb");
  if (!file) fail(path, "cannot open");
  fseek(file, 0, SEEK_END);
  *size = (uint32_t)ftell(file);
  rewind(file);
  uint8_t* data = malloc(*size + 1);
  if (!data || fread(data, 1, *size, file) != *size) fail(path, "cannot read");
  fclose(file);
  return data;
}

static wasi_nn_graph load_model(const char* model) {
  wasi_nn_graph graph;
  int32_t error = wasi_nn_load_by_name(model, (uint32_t)strlen(model), &graph);
  if (error == WASI_NN_NOT_FOUND) {
    uint32_t size;
    uint8_t* data = read_file(model, &size);
    wasi_nn_builder builder = {data, size};
    error = wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph);
    memset(data, 0xee, size);  // the host may not rely on these bytes any longer
    free(data);
  }
  check("load", error);
  return graph;
}

// One argument, taken apart.
struct item {
  int is_input;
  char* file;
  uint8_t type;
  uint32_t dims[8], rank, size;
};

static struct item parse(char* argument) {
  struct item item = {0};
  const char* kind = strtok(argument, ":");
  item.file = strtok(NULL, ":");
  const char* type = strtok(NULL, ":");
  char* dims = strtok(NULL, ":");
  if (!kind || !item.file || !type || !dims) fail("argument", "not KIND:FILE:TYPE:DIMS");
  item.is_input = strcmp(kind, "in") == 0;
  item.type = !strcmp(type, "f32")   ? WASI_NN_F32
              : !strcmp(type, "u8")  ? WASI_NN_U8
              : !strcmp(type, "i32") ? WASI_NN_I32
                                     : WASI_NN_I64;
  item.size = item.type == WASI_NN_U8 ? 1 : item.type == WASI_NN_I64 ? 8 : 4;
  for (char* d = strtok(dims, "x"); d && item.rank < 8; d = strtok(NULL, "x")) {
    item.dims[item.rank++] = (uint32_t)strtoul(d, NULL, 10);
    item.size *= item.dims[item.rank - 1];
  }
  return item;
}

static void set_input(wasi_nn_context context, uint32_t index, const struct item* item) {
  uint32_t size;
  uint8_t* data = read_file(item->file, &size);
  if (size != item->size) fail(item->file, "not the size of its shape");
  wasi_nn_tensor tensor = {item->dims, item->rank, item->type, data, size};
  check("set_input", wasi_nn_set_input(context, index, &tensor));
  memset(data, 0xee, size);  // snapshot semantics: the input was taken already
  free(data);
}

static void compare(wasi_nn_context context, uint32_t index, const struct item* item, double difference) {
  uint32_t size, written = 0;
  uint8_t* expected = read_file(item->file, &size);
  if (size != item->size) fail(item->file, "not the size of its shape");
  uint8_t* got = malloc(size + 1);
  memset(got, 0x55, size + 1);
  check("get_output", wasi_nn_get_output(context, index, got, size, &written));
  if (written != size) fail(item->file, "the output has another size");
  if (got[size] != 0x55) fail(item->file, "written past the end of the buffer");
  if (item->type != WASI_NN_F32) {
    if (memcmp(got, expected, size) != 0) fail(item->file, "values differ");
    printf("output %u: %u bytes equal\n", index, size);
    return;
  }
  const float *a = (const float*)got, *b = (const float*)expected;
  double largest = 0, worst = 0;
  for (uint32_t i = 0; i < size / 4; i++) {
    double d = fabs((double)a[i] - (double)b[i]);
    if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
    if (fabs((double)b[i]) > largest) largest = fabs((double)b[i]);
  }
  double allowed = fmax(difference, 1e-5 * largest);
  printf("output %u: %u values, largest difference %g, allowed %g\n", index, size / 4, worst, allowed);
  if (worst > allowed) fail(item->file, "values differ");
  free(got);
  free(expected);
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  wasi_nn_context context;
  check("init_execution_context", wasi_nn_init_execution_context(load_model(argv[1]), &context));
  double difference = strtod(argv[2], NULL);
  struct item items[64];
  int count = 0;
  for (int i = 3; i < argc && count < 64; i++) items[count++] = parse(argv[i]);
  uint32_t inputs = 0, outputs = 0;
  for (int i = 0; i < count; i++)
    if (items[i].is_input) set_input(context, inputs++, &items[i]);
  check("compute", wasi_nn_compute(context));
  for (int i = 0; i < count; i++)
    if (!items[i].is_input) compare(context, outputs++, &items[i], difference);
  printf("ok\n");
  return 0;
}
