// Tenon's extension from a guest in C: names, descriptions, bound tensors, compute with names, messages. Argument: the
// name of the digits model.
// args: digits
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// expect: 1 input, 1 output
// expect: input of 256 bytes, 4 dimensions, the second is 1
// expect: output of 40 bytes
// expect: bound: sum is one: yes
// expect: bound, other input: differs: yes
// expect: as set_input and get_output: yes
// expect: with names: yes
// expect: bound by name and with dimensions: yes
// expect: set and taken by name: yes
// expect: no such name: 1
// expect: the message names the function: yes
// expect: after unbind, compute: 5
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tenon_nn.h"

static float image[64], p[10], q[10], r[10];

static int same(const float* a, const float* b) { return memcmp(a, b, sizeof p) == 0; }
static const char* yes(int is) { return is ? "yes" : "no"; }

int main(int argc, char** argv) {
  wasi_nn_graph graph;
  wasi_nn_context context;
  uint32_t inputs = 0, outputs = 0;
  tenon_nn_info info;
  if (argc < 2 || wasi_nn_load_by_name(argv[1], (uint32_t)strlen(argv[1]), &graph) != 0) return 2;
  if (wasi_nn_init_execution_context(graph, &context) != 0) return 3;
  if (tenon_nn_input_count(graph, &inputs) != 0 || tenon_nn_output_count(context, &outputs) != 0) return 4;
  printf("%u input, %u output\n", inputs, outputs);

  if (tenon_nn_describe(graph, TENON_NN_INPUT, 0, &info) != 0) return 5;
  const int dynamic = info.size == 0;  // the batch may be open
  if (tenon_nn_bind_input(context, 0, image, sizeof image) != 0) return 6;
  if (tenon_nn_bind_output(context, 0, p, sizeof p) != 0) return 7;
  printf("input of %d bytes, %u dimensions, the second is %u\n", dynamic ? 256 : (int)info.size, info.rank,
         info.dims[1]);
  for (int i = 0; i < 64; i++) image[i] = (float)(i % 16) / 16;
  if (wasi_nn_compute(context) != 0) return 8;
  if (tenon_nn_describe(context, TENON_NN_OUTPUT, 0, &info) != 0) return 9;
  printf("output of %d bytes\n", (int)info.size);
  float sum = 0;
  for (int i = 0; i < 10; i++) sum += p[i];
  printf("bound: sum is one: %s\n", yes(fabsf(sum - 1) < 1e-4f));
  memcpy(q, p, sizeof q);
  for (int i = 0; i < 64; i++) image[i] = (float)(i / 8) / 8;
  if (wasi_nn_compute(context) != 0) return 10;
  printf("bound, other input: differs: %s\n", yes(!same(p, q)));

  const uint32_t dims[4] = {1, 1, 8, 8};
  const wasi_nn_tensor tensor = {dims, 4, WASI_NN_F32, (const uint8_t*)image, sizeof image};
  wasi_nn_context plain;
  wasi_nn_size written = 0;
  if (wasi_nn_init_execution_context(graph, &plain) != 0) return 11;
  if (wasi_nn_set_input(plain, 0, &tensor) != 0 || wasi_nn_compute(plain) != 0) return 12;
  if (wasi_nn_get_output(plain, 0, r, sizeof r, &written) != 0) return 13;
  printf("as set_input and get_output: %s\n", yes(written == sizeof r && same(p, r)));

  char in_name[64], out_name[64];
  tenon_nn_named_input named_in = {in_name, 0, tensor};
  tenon_nn_named_output named_out = {out_name, 0, q, sizeof q, 0};
  if (tenon_nn_name(graph, TENON_NN_INPUT, 0, in_name, sizeof in_name, &named_in.name_length) != 0) return 14;
  if (tenon_nn_name(graph, TENON_NN_OUTPUT, 0, out_name, sizeof out_name, &named_out.name_length) != 0)
    return 15;
  if (tenon_nn_compute(plain, &named_in, 1, &named_out, 1) != 0) return 16;
  printf("with names: %s\n", yes(named_out.written == sizeof q && same(p, q)));

  const wasi_nn_size in_size = named_in.name_length, out_size = named_out.name_length;
  memset(q, 0, sizeof q);
  if (tenon_nn_bind_input_by_name(plain, in_name, in_size, r, sizeof r) == 0) return 21;  // of another size
  if (tenon_nn_bind_input_with_dims(plain, 0, dims, 4, image, sizeof image) != 0) return 22;
  if (tenon_nn_bind_input_by_name(plain, in_name, in_size, image, sizeof image) != 0) return 23;
  if (tenon_nn_bind_output_by_name(plain, out_name, out_size, q, sizeof q) != 0) return 24;
  if (wasi_nn_compute(plain) != 0) return 25;
  printf("bound by name and with dimensions: %s\n", yes(same(p, q)));
  if (tenon_nn_unbind(plain, TENON_NN_OUTPUT, 0) != 0) return 26;
  memset(r, 0, sizeof r);
  if (tenon_nn_set_input_by_name(plain, in_name, in_size, &tensor) != 0 || wasi_nn_compute(plain) != 0)
    return 27;
  if (tenon_nn_get_output_by_name(plain, out_name, out_size, r, sizeof r, &written) != 0) return 28;
  printf("set and taken by name: %s\n", yes(same(p, r)));

  printf("no such name: %d\n", (int)tenon_nn_set_input_by_name(plain, "?", 1, &tensor));
  char message[256];
  wasi_nn_size length = 0;
  if (tenon_nn_last_error(message, sizeof message - 1, &length) != 0 || length >= sizeof message) return 17;
  message[length] = 0;
  printf("the message names the function: %s\n", yes(strstr(message, "tenon_nn.set_input_by_name") != NULL));
  if (tenon_nn_unbind(context, TENON_NN_INPUT, 0) != 0) return 18;
  wasi_nn_context fresh;
  if (wasi_nn_init_execution_context(graph, &fresh) != 0) return 19;
  printf("after unbind, compute: %d\n", (int)wasi_nn_compute(fresh));
  if (wasi_nn_finalize_execution_context(plain) != 0 || wasi_nn_unload(graph) != 0) return 20;
  return 0;
}
