// Computes an imported model on f32 inputs, for tests of importers.
#pragma once

#include <span>
#include <vector>

#include "kernels/plan.h"
#include "wasi-nn/formats/model_source.h"
#include "wasi-nn/golden.h"

namespace tenon::nn::test {

using Outputs = std::vector<std::vector<double>>;

// One column where the model leaves its input's shape open.
inline kernels::Result<Outputs> compute(ImportedModel imported,
                                        const std::vector<std::vector<float>>& inputs) {
  using kernels::Tensor;
  const auto model = TENON_TRY(kernels::compile(std::move(imported.graph), {}));
  const auto context = TENON_TRY(model->create_context());
  for (size_t i = 0; i < inputs.size(); ++i) {
    auto dims = model->inputs()[i].type.concrete_dims();
    if (!dims) dims = kernels::Dims{static_cast<int64_t>(inputs[i].size()), 1};
    const auto tensor = TENON_TRY(Tensor::of<float>(kernels::DataType::f32, *dims, std::span(inputs[i])));
    TENON_TRY(context->set_input(i, tensor.view()));
  }
  TENON_TRY(context->compute());
  Outputs outputs;
  for (size_t i = 0; i < model->outputs().size(); ++i)
    outputs.push_back(to_doubles(TENON_TRY(context->get_output_value(i)).tensor));
  return outputs;
}

}  // namespace tenon::nn::test
