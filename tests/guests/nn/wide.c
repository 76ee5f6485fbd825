// A guest with a 64-bit memory, without a C library: pointers and sizes are i64, tensors records of 40 bytes. It says
// what went wrong through its exit code.
// host: --nn-graph digits="$root/examples/digits/digits.onnx"
// exit: 42
#include "tenon_nn.h"

__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn)) void proc_exit(
    int32_t);

static float image[64], p[10], q[10];

void _start(void) {
  wasi_nn_graph graph;
  wasi_nn_context context;
  wasi_nn_size written = 0;
  const uint32_t dims[4] = {1, 1, 8, 8};
  const wasi_nn_tensor tensor = {dims, 4, WASI_NN_F32, (const uint8_t*)image, sizeof image};
  const wasi_nn_tensor beyond = {dims, 4, WASI_NN_F32, (const uint8_t*)((uintptr_t)1 << 40), sizeof image};
  for (int i = 0; i < 64; i++) image[i] = (float)(i % 16) / 16;
  if (wasi_nn_load_by_name("digits", 6, &graph) != 0) proc_exit(1);
  if (wasi_nn_load_by_name("digits", (wasi_nn_size)-1, &graph) != WASI_NN_INVALID_ARGUMENT) proc_exit(2);
  if (wasi_nn_init_execution_context(graph, &context) != 0) proc_exit(3);
  if (wasi_nn_set_input(context, 0, &beyond) != WASI_NN_INVALID_ARGUMENT) proc_exit(4);
  if (wasi_nn_set_input(context, 0, &tensor) != 0) proc_exit(5);
  if (wasi_nn_compute(context) != 0) proc_exit(6);
  if (wasi_nn_get_output(context, 0, p, 39, &written) != WASI_NN_TOO_LARGE || written != 40) proc_exit(7);
  if (wasi_nn_get_output(context, 0, p, sizeof p, &written) != 0 || written != 40) proc_exit(8);
  if (tenon_nn_bind_input(context, 0, image, sizeof image) != 0) proc_exit(9);
  if (tenon_nn_bind_output(context, 0, q, sizeof q) != 0) proc_exit(10);
  if (wasi_nn_compute(context) != 0) proc_exit(11);
  for (int i = 0; i < 10; i++)
    if (p[i] != q[i]) proc_exit(12);
  proc_exit(42);
}
