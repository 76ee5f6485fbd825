// Bytes → ONNX model → graph, nothing more. Nothing may crash, hang or take memory without bound; every refusal says
// why. What follows, compiling and computing, is onnx_fuzz.cpp's.
#include <cstdlib>

#include "wasi-nn/formats/onnx_importer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tenon::nn::ModelSource source;
  source.bytes = std::as_bytes(std::span(data, size));
  source.limits.max_tensor_bytes = uint64_t{1} << 24;
  const auto result = tenon::nn::import_onnx(source);
  if (!result && result.error().message.empty()) std::abort();
  return 0;
}
