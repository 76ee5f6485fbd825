// What the fuzz targets of model importers share: limits, and that every refusal says why.
#pragma once

#include <cstdlib>

#include "kernels/plan.h"
#include "wasi-nn/formats/model_source.h"

namespace tenon::fuzz {

// A model of these bytes that may take little memory and time.
inline nn::ModelSource small_model(std::span<const std::byte> bytes) {
  nn::ModelSource source;
  source.bytes = bytes;
  source.limits.max_tensor_bytes = uint64_t{1} << 24;
  source.limits.max_context_bytes = uint64_t{1} << 26;
  source.limits.max_nodes = 10'000;
  source.limits.max_loop_iterations = 1000;
  return source;
}

using Import = kernels::Result<nn::ImportedModel> (*)(const nn::ModelSource&);

inline kernels::Result<std::shared_ptr<const kernels::Model>> compiled(const nn::ModelSource& source,
                                                                       Import import) {
  auto imported = TENON_TRY(import(source));
  kernels::CompileOptions options;
  options.limits = source.limits;
  return kernels::compile(std::move(imported.graph), options);
}

template <typename T>
void require_reason(const kernels::Result<T>& result) {
  if (!result && result.error().message.empty()) std::abort();
}

}  // namespace tenon::fuzz
