// Bytes → TensorFlow graph or SavedModel → graph → compiled: two lengths, then the model, the variables' index and their
// data. Nothing may crash, hang or take memory without bound; every refusal says why.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/plan.h"
#include "wasi-nn/formats/tf_importer.h"

namespace {

using namespace tenon;

kernels::Result<void> run(const nn::ModelSource& source) {
  auto imported = TENON_TRY(nn::import_tensorflow(source));
  kernels::CompileOptions options;
  options.limits = source.limits;
  TENON_TRY(kernels::compile(std::move(imported.graph), options));
  return {};
}

}  // namespace

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
  nn::ModelSource source;
  source.bytes = take(lengths[0]);
  source.parts.push_back({"index", take(lengths[1]), nullptr});
  source.parts.push_back({"data", rest, nullptr});
  source.limits.max_tensor_bytes = uint64_t{1} << 24;
  source.limits.max_context_bytes = uint64_t{1} << 26;
  source.limits.max_nodes = 10000;
  const auto result = run(source);
  if (!result && result.error().message.empty()) std::abort();
  return 0;
}
