// Bytes → OpenVINO IR → graph → compiled: the XML up to the first zero byte, then the weights. Nothing may crash, hang or
// take memory without bound; every refusal says why.
#include <algorithm>

#include "tests/fuzz/model.h"
#include "wasi-nn/formats/openvino_importer.h"

using namespace tenon;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto end = static_cast<size_t>(std::ranges::find(bytes, std::byte{0}) - bytes.begin());
  nn::ModelSource source = fuzz::small_model(bytes.first(end));
  source.parts.push_back({"weights", bytes.subspan(std::min(end + 1, size)), nullptr});
  fuzz::require_reason(fuzz::compiled(source, nn::import_openvino));
  return 0;
}
