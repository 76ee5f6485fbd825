// wasi-nn for guests in C and C++: the module wasi_ephemeral_nn with exactly the ABI of wasi-nn.witx, and the two of
// WasmEdge's additions that release handles. Declarations only; the engine is the implementation. On wasm64 pointers
// and sizes are 64 bits (tensors are records of 40 bytes), which the standard leaves open.
#ifndef WASI_NN_H
#define WASI_NN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WASI_NN_IMPORT(name) __attribute__((import_module("wasi_ephemeral_nn"), import_name(name)))

// What every function returns ($nn_errno).
enum wasi_nn_error {
  WASI_NN_SUCCESS = 0,
  WASI_NN_INVALID_ARGUMENT = 1,
  WASI_NN_INVALID_ENCODING = 2,
  WASI_NN_MISSING_MEMORY = 3,
  WASI_NN_BUSY = 4,
  WASI_NN_RUNTIME_ERROR = 5,
  WASI_NN_UNSUPPORTED_OPERATION = 6,
  WASI_NN_TOO_LARGE = 7,
  WASI_NN_NOT_FOUND = 8,
};

// $tensor_type
enum wasi_nn_type {
  WASI_NN_F16 = 0,
  WASI_NN_F32 = 1,
  WASI_NN_F64 = 2,
  WASI_NN_U8 = 3,
  WASI_NN_I32 = 4,
  WASI_NN_I64 = 5,
};

// $graph_encoding
enum wasi_nn_encoding {
  WASI_NN_OPENVINO = 0,
  WASI_NN_ONNX = 1,
  WASI_NN_TENSORFLOW = 2,
  WASI_NN_PYTORCH = 3,
  WASI_NN_TENSORFLOWLITE = 4,
  WASI_NN_AUTODETECT = 5,
};

// $execution_target
enum wasi_nn_target { WASI_NN_CPU = 0, WASI_NN_GPU = 1, WASI_NN_TPU = 2 };

// Lengths and sizes in memory.
#ifdef __wasm64__
typedef uint64_t wasi_nn_size;
#else
typedef uint32_t wasi_nn_size;
#endif

typedef uint32_t wasi_nn_graph;
typedef uint32_t wasi_nn_context;

// A byte array of the model (ONNX: one, the file).
typedef struct {
  const uint8_t* data;
  wasi_nn_size size;
} wasi_nn_builder;

// A tensor: dense, row-major, little-endian. `dims` are `rank` 32-bit lengths; `size` is the length of `data`
// in bytes. The engine reads `data` before wasi_nn_set_input returns; it may be reused afterwards.
typedef struct {
  const uint32_t* dims;
  wasi_nn_size rank;
  uint8_t type;  // enum wasi_nn_type
  const uint8_t* data;
  wasi_nn_size size;
} wasi_nn_tensor;

#ifdef __wasm32__
typedef char wasi_nn_tensor_has_20_bytes[sizeof(wasi_nn_tensor) == 20 ? 1 : -1];
#endif
#ifdef __wasm64__
typedef char wasi_nn_tensor_has_40_bytes[sizeof(wasi_nn_tensor) == 40 ? 1 : -1];
#endif

// Loads a model from `count` byte arrays.
WASI_NN_IMPORT("load")
int32_t wasi_nn_load(const wasi_nn_builder* builders, wasi_nn_size count, uint32_t encoding, uint32_t target,
                     wasi_nn_graph* graph);

// Finds a model that the host was started with (tenon run --nn-graph NAME=FILE); WASI_NN_NOT_FOUND otherwise.
WASI_NN_IMPORT("load_by_name")
int32_t wasi_nn_load_by_name(const char* name, wasi_nn_size name_length, wasi_nn_graph* graph);

WASI_NN_IMPORT("init_execution_context")
int32_t wasi_nn_init_execution_context(wasi_nn_graph graph, wasi_nn_context* context);

WASI_NN_IMPORT("set_input")
int32_t wasi_nn_set_input(wasi_nn_context context, uint32_t index, const wasi_nn_tensor* tensor);

WASI_NN_IMPORT("compute")
int32_t wasi_nn_compute(wasi_nn_context context);

// Writes output `index` to `buffer` of `capacity` bytes and its size in bytes to `written`. With
// WASI_NN_TOO_LARGE nothing is stored in `buffer` and Tenon writes the size that is needed.
WASI_NN_IMPORT("get_output")
int32_t wasi_nn_get_output(wasi_nn_context context, uint32_t index, void* buffer, wasi_nn_size capacity,
                           wasi_nn_size* written);

// WasmEdge's: release a graph (its contexts go on) or a context.
WASI_NN_IMPORT("unload")
int32_t wasi_nn_unload(wasi_nn_graph graph);
WASI_NN_IMPORT("finalize_execution_context")
int32_t wasi_nn_finalize_execution_context(wasi_nn_context context);

#undef WASI_NN_IMPORT

#ifdef __cplusplus
}
#endif

#endif  // WASI_NN_H
