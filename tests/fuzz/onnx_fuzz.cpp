// Bytes → ONNX model → compiled → computed once on zeros. Nothing may crash, hang or take memory without
// bound; every refusal says why.
#include <vector>

#include "tests/fuzz/model.h"
#include "wasi-nn/formats/onnx_importer.h"

namespace {

using namespace tenon;

// A tensor of zeros for an input; dynamic dimensions are 1.
kernels::Result<kernels::Tensor> zeros(const kernels::ValueType& type, uint64_t max_bytes) {
  std::vector<int64_t> dims;
  if (type.shape) {
    for (const auto& dim : *type.shape) dims.push_back(dim.is_constant() ? dim.value : 1);
  }
  return kernels::Tensor::allocate(type.element, TENON_TRY(kernels::Dims::from(dims)), max_bytes);
}

kernels::Result<void> run(const nn::ModelSource& source) {
  const auto model = TENON_TRY(fuzz::compiled(source, nn::import_onnx));
  const auto context = TENON_TRY(model->create_context());
  for (size_t i = 0; i < model->inputs().size(); ++i) {
    const auto tensor = TENON_TRY(zeros(model->inputs()[i].type, source.limits.max_tensor_bytes));
    TENON_TRY(context->set_input(i, tensor.view()));
  }
  const kernels::ComputeOptions limits{
      .stop = nullptr, .deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2)};
  TENON_TRY(context->compute(limits));
  for (size_t i = 0; i < model->outputs().size(); ++i) TENON_TRY(context->get_output_value(i, limits));
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::require_reason(run(fuzz::small_model(std::as_bytes(std::span(data, size)))));
  return 0;
}
