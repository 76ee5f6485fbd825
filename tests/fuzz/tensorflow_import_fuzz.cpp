// Bytes → TensorFlow graph or SavedModel → graph → compiled: two lengths, then the model, the variables' index and their
// data. Nothing may crash, hang or take memory without bound; every refusal says why.
#include <algorithm>
#include <cstring>

#include "tests/fuzz/model.h"
#include "wasi-nn/formats/tf_importer.h"

using namespace tenon;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto rest = std::as_bytes(std::span(data, size));
  const auto take = [&](size_t length) {
    const auto part = rest.first(std::min(length, rest.size()));
    rest = rest.subspan(part.size());
    return part;
  };
  uint16_t lengths[2] = {};
  const auto header = take(sizeof lengths);
  std::memcpy(lengths, header.data(), header.size());
  nn::ModelSource source = fuzz::small_model(take(lengths[0]));
  source.parts.push_back({"index", take(lengths[1]), nullptr});
  source.parts.push_back({"data", rest, nullptr});
  fuzz::require_reason(fuzz::compiled(source, nn::import_tensorflow));
  return 0;
}
