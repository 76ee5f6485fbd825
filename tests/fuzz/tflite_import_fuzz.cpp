// Bytes → TensorFlow Lite model → graph → compiled. Nothing may crash, hang or take memory without bound; every refusal
// says why.
#include "tests/fuzz/model.h"
#include "wasi-nn/formats/tflite_importer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace fuzz = tenon::fuzz;
  const auto source = fuzz::small_model(std::as_bytes(std::span(data, size)));
  fuzz::require_reason(fuzz::compiled(source, tenon::nn::import_tflite));
  return 0;
}
