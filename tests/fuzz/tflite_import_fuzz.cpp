// Bytes → TensorFlow Lite model → graph → compiled. Nothing may crash, hang or take memory without bound; every refusal
// says why.
#include <cstdlib>

#include "kernels/plan.h"
#include "wasi-nn/formats/tflite_importer.h"

namespace {

using namespace tenon;

kernels::Result<void> run(const nn::ModelSource& source) {
  auto imported = TENON_TRY(nn::import_tflite(source));
  kernels::CompileOptions options;
  options.limits = source.limits;
  TENON_TRY(kernels::compile(std::move(imported.graph), options));
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  nn::ModelSource source;
  source.bytes = std::as_bytes(std::span(data, size));
  source.limits.max_tensor_bytes = uint64_t{1} << 24;
  source.limits.max_context_bytes = uint64_t{1} << 26;
  const auto result = run(source);
  if (!result && result.error().message.empty()) std::abort();
  return 0;
}
