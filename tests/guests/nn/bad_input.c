// What a careless or hostile guest passes to wasi-nn: every call gives an error, and the guest goes on and
// gets the right answer at the end. Argument: the name of the digits model.
// args: digits
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// expect: unknown name: 8
// expect: name past the end of memory: refused
// expect: garbage as model: refused
// expect: empty model: refused
// expect: no builders: refused
// expect: builder past the end of memory: refused
// expect: builder whose end wraps around: refused
// expect: encoding 77: refused
// expect: graph handle out of range: refused
// expect: result pointer past the end of memory: refused
// expect: compute without input: refused
// expect: get_output before compute: refused
// expect: context handle out of range: refused
// expect: input index 1: refused
// expect: wrong type: refused
// expect: unknown type: refused
// expect: wrong rank: refused
// expect: wrong dimensions: refused
// expect: dimensions whose product overflows: refused
// expect: bytes that disagree with dimensions: refused
// expect: data past the end of memory: refused
// expect: dimensions past the end of memory: refused
// expect: tensor record past the end of memory: refused
// expect: valid input: 0
// expect: compute: 0
// expect: output index 1: refused
// expect: buffer too small: 7
// expect: needed: 40
// expect: buffer past the end of memory: refused
// expect: buffer still untouched: yes
// expect: get_output: 0
// expect: written: 40
// expect: sum is one: yes
// expect: again, the same: yes
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wasi_nn.h"

static void refused(const char* what, int32_t error) {
  printf("%s: %s\n", what, error ? "refused" : "ACCEPTED");
}

static int32_t set(wasi_nn_context context, uint32_t index, const uint32_t* dims, uint32_t rank, uint8_t type,
                   const void* data, uint32_t size) {
  wasi_nn_tensor tensor = {dims, rank, type, data, size};
  return wasi_nn_set_input(context, index, &tensor);
}

static void bad_loads(void) {
  wasi_nn_graph graph;
  const uint8_t* far = (const uint8_t*)0xffffff00u;
  printf("unknown name: %d\n", (int)wasi_nn_load_by_name("nobody", 6, &graph));
  refused("name past the end of memory", wasi_nn_load_by_name((const char*)far, 64, &graph));
  static uint8_t garbage[4096];
  for (uint32_t i = 0; i < sizeof garbage; i++) garbage[i] = (uint8_t)(i * 2654435761u >> 13);
  wasi_nn_builder builder = {garbage, sizeof garbage};
  refused("garbage as model", wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph));
  builder.size = 0;
  refused("empty model", wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph));
  refused("no builders", wasi_nn_load(&builder, 0, WASI_NN_ONNX, WASI_NN_CPU, &graph));
  builder = (wasi_nn_builder){far, 64};
  refused("builder past the end of memory", wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph));
  builder = (wasi_nn_builder){far, 0x1000};
  refused("builder whose end wraps around", wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph));
  builder = (wasi_nn_builder){garbage, sizeof garbage};
  refused("encoding 77", wasi_nn_load(&builder, 1, 77, WASI_NN_CPU, &graph));
}

static void bad_tensors(wasi_nn_context context, const float* image) {
  const uint32_t dims[] = {1, 1, 8, 8}, short_dims[] = {8, 8}, other[] = {1, 1, 4, 16},
                 huge[] = {65536, 65536, 65536, 65536};
  const void* far = (const void*)0xfffffff0u;
  refused("input index 1", set(context, 1, dims, 4, WASI_NN_F32, image, 256));
  refused("wrong type", set(context, 0, dims, 4, WASI_NN_I32, image, 256));
  refused("unknown type", set(context, 0, dims, 4, 99, image, 256));
  refused("wrong rank", set(context, 0, short_dims, 2, WASI_NN_F32, image, 256));
  refused("wrong dimensions", set(context, 0, other, 4, WASI_NN_F32, image, 256));
  refused("dimensions whose product overflows", set(context, 0, huge, 4, WASI_NN_F32, image, 0));
  refused("bytes that disagree with dimensions", set(context, 0, dims, 4, WASI_NN_F32, image, 252));
  refused("data past the end of memory", set(context, 0, dims, 4, WASI_NN_F32, far, 256));
  refused("dimensions past the end of memory",
          set(context, 0, (const uint32_t*)far, 5, WASI_NN_F32, image, 256));
  refused("tensor record past the end of memory", wasi_nn_set_input(context, 0, (const wasi_nn_tensor*)far));
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  bad_loads();
  wasi_nn_graph graph;
  wasi_nn_context context, other;
  if (wasi_nn_load_by_name(argv[1], (uint32_t)strlen(argv[1]), &graph) != 0) return 3;
  refused("graph handle out of range", wasi_nn_init_execution_context(graph + 12345, &other));
  refused("result pointer past the end of memory",
          wasi_nn_init_execution_context(graph, (wasi_nn_context*)0xfffffffcu));
  if (wasi_nn_init_execution_context(graph, &context) != 0) return 4;

  float p[11], q[10];
  uint32_t written = 0;
  for (int i = 0; i < 11; i++) p[i] = -7.0f;
  refused("compute without input", wasi_nn_compute(context));
  refused("get_output before compute", wasi_nn_get_output(context, 0, p, 40, &written));
  refused("context handle out of range", wasi_nn_compute(context + 12345));

  float image[64];
  for (int i = 0; i < 64; i++) image[i] = (float)(i % 9) / 9.0f;
  bad_tensors(context, image);
  const uint32_t dims[] = {1, 1, 8, 8};
  printf("valid input: %d\n", (int)set(context, 0, dims, 4, WASI_NN_F32, image, 256));
  printf("compute: %d\n", (int)wasi_nn_compute(context));

  refused("output index 1", wasi_nn_get_output(context, 1, p, 40, &written));
  printf("buffer too small: %d\n", (int)wasi_nn_get_output(context, 0, p, 39, &written));
  printf("needed: %u\n", written);
  refused("buffer past the end of memory", wasi_nn_get_output(context, 0, (void*)0xfffffff0u, 40, &written));
  int untouched = 1;
  for (int i = 0; i < 11; i++) untouched &= p[i] == -7.0f;
  printf("buffer still untouched: %s\n", untouched ? "yes" : "no");

  printf("get_output: %d\n", (int)wasi_nn_get_output(context, 0, p, sizeof p, &written));
  printf("written: %u\n", written);
  float sum = 0;
  for (int i = 0; i < 10; i++) sum += p[i];
  printf("sum is one: %s\n", fabsf(sum - 1) < 1e-5f && p[10] == -7.0f ? "yes" : "no");
  wasi_nn_compute(context);
  wasi_nn_get_output(context, 0, q, sizeof q, &written);
  printf("again, the same: %s\n", memcmp(p, q, sizeof q) == 0 ? "yes" : "no");
  return 0;
}
