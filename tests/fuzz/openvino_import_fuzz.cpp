// Bytes → OpenVINO IR → graph → compiled: the XML up to the first zero byte, then the weights. Nothing may crash, hang or
// take memory without bound; every refusal says why.
#include <algorithm>
#include <cstdlib>

#include "kernels/plan.h"
#include "wasi-nn/formats/openvino_importer.h"

namespace {

using namespace tenon;

kernels::Result<void> run(const nn::ModelSource& source) {
  auto imported = TENON_TRY(nn::import_openvino(source));
  kernels::CompileOptions options;
  options.limits = source.limits;
  TENON_TRY(kernels::compile(std::move(imported.graph), options));
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto end = static_cast<size_t>(std::ranges::find(bytes, std::byte{0}) - bytes.begin());
  nn::ModelSource source;
  source.bytes = bytes.first(end);
  source.parts.push_back({"weights", bytes.subspan(std::min(end + 1, size)), nullptr});
  source.limits.max_tensor_bytes = uint64_t{1} << 24;
  source.limits.max_context_bytes = uint64_t{1} << 26;
  const auto result = run(source);
  if (!result && result.error().message.empty()) std::abort();
  return 0;
}
