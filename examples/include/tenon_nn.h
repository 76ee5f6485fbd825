// Tenon's extension of wasi-nn for guests in C and C++: module tenon_nn. Bound tensors run an inference with one call and
// without copies; inputs and outputs have names and descriptions; errors have messages. Every function returns enum
// wasi_nn_error; a handle that both graphs and contexts have is a uint32_t. On wasm64 pointers and sizes are 64 bits.
#ifndef TENON_NN_H
#define TENON_NN_H

#include <stdint.h>

#include "wasi_nn.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_NN_IMPORT(name) __attribute__((import_module("tenon_nn"), import_name(name)))

enum tenon_nn_kind { TENON_NN_INPUT = 0, TENON_NN_OUTPUT = 1 };

#define TENON_NN_DYNAMIC UINT32_MAX   // a dimension that an inference decides
#define TENON_NN_UNRANKED UINT32_MAX  // any rank

typedef struct {
  uint32_t type;  // enum wasi_nn_type
  uint32_t rank;
  uint64_t size;  // bytes; 0 while a dimension is dynamic
  uint32_t dims[12];
} tenon_nn_info;

// An input of tenon_nn_compute.
typedef struct {
  const char* name;
  wasi_nn_size name_length;
  wasi_nn_tensor tensor;
} tenon_nn_named_input;

// An output of tenon_nn_compute; `written` is stored by the host.
typedef struct {
  const char* name;
  wasi_nn_size name_length;
  void* buffer;
  wasi_nn_size capacity;
  wasi_nn_size written;
} tenon_nn_named_output;

// `handle` is a graph or a context. A context knows the dimensions of outputs once its inputs are set.
TENON_NN_IMPORT("input_count") int32_t tenon_nn_input_count(uint32_t handle, uint32_t* count);
TENON_NN_IMPORT("output_count") int32_t tenon_nn_output_count(uint32_t handle, uint32_t* count);
TENON_NN_IMPORT("describe")
int32_t tenon_nn_describe(uint32_t handle, uint32_t kind, uint32_t index, tenon_nn_info* info);
// As much of the name as fits; `length` is the whole.
TENON_NN_IMPORT("name")
int32_t tenon_nn_name(uint32_t handle, uint32_t kind, uint32_t index, char* buffer, wasi_nn_size capacity,
                      wasi_nn_size* length);

// From now on wasi_nn_compute reads the input from `data`, until another bind, tenon_nn_unbind or wasi_nn_set_input.
// Dimensions follow from `size`; with several dynamic ones, use tenon_nn_bind_input_with_dims.
TENON_NN_IMPORT("bind_input")
int32_t tenon_nn_bind_input(wasi_nn_context context, uint32_t index, const void* data, wasi_nn_size size);
TENON_NN_IMPORT("bind_input_by_name")
int32_t tenon_nn_bind_input_by_name(wasi_nn_context context, const char* name, wasi_nn_size name_length,
                                    const void* data, wasi_nn_size size);
TENON_NN_IMPORT("bind_input_with_dims")
int32_t tenon_nn_bind_input_with_dims(wasi_nn_context context, uint32_t index, const uint32_t* dims,
                                      wasi_nn_size rank, const void* data, wasi_nn_size size);
// From now on wasi_nn_compute writes the output to `data`; WASI_NN_TOO_LARGE if it does not fit. It may be the range of
// an input.
TENON_NN_IMPORT("bind_output")
int32_t tenon_nn_bind_output(wasi_nn_context context, uint32_t index, void* data, wasi_nn_size size);
TENON_NN_IMPORT("bind_output_by_name")
int32_t tenon_nn_bind_output_by_name(wasi_nn_context context, const char* name, wasi_nn_size name_length,
                                     void* data, wasi_nn_size size);
TENON_NN_IMPORT("unbind") int32_t tenon_nn_unbind(wasi_nn_context context, uint32_t kind, uint32_t index);

TENON_NN_IMPORT("set_input_by_name")
int32_t tenon_nn_set_input_by_name(wasi_nn_context context, const char* name, wasi_nn_size name_length,
                                   const wasi_nn_tensor* tensor);
TENON_NN_IMPORT("get_output_by_name")
int32_t tenon_nn_get_output_by_name(wasi_nn_context context, const char* name, wasi_nn_size name_length,
                                    void* buffer, wasi_nn_size capacity, wasi_nn_size* written);
// Sets all inputs, computes and writes the outputs, in one call.
TENON_NN_IMPORT("compute")
int32_t tenon_nn_compute(wasi_nn_context context, const tenon_nn_named_input* inputs,
                         wasi_nn_size input_count, tenon_nn_named_output* outputs, wasi_nn_size output_count);

// The message of the last call that failed, as much as fits; `length` is the whole.
TENON_NN_IMPORT("last_error")
int32_t tenon_nn_last_error(char* buffer, wasi_nn_size capacity, wasi_nn_size* length);

#undef TENON_NN_IMPORT

#ifdef __cplusplus
}
#endif

#endif  // TENON_NN_H
