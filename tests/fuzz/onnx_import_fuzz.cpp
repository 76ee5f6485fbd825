// Bytes → ONNX model → graph, nothing more. Nothing may crash, hang or take memory without bound; every refusal says
// why. What follows, compiling and computing, is onnx_fuzz.cpp's.
#include "tests/fuzz/model.h"
#include "wasi-nn/formats/onnx_importer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = tenon::fuzz;
  fuzz::require_reason(tenon::nn::import_onnx(fuzz::small_model(std::as_bytes(std::span(data, size)))));
  return 0;
}
