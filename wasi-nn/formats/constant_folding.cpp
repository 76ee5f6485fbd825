// Each foldable node as a graph of its own, planned and computed once; see constant_folding.h.
#include "wasi-nn/formats/constant_folding.h"

#include <algorithm>

#include "kernels/ops.h"
#include "kernels/plan.h"

namespace tenon::nn {
namespace {

using kernels::DataType;
using kernels::Result;
using kernels::Tensor;
using kernels::ValueId;

constexpr int64_t kMostElements = 64;  // of one operand or result: shapes, not weights

bool is_small(const Tensor& tensor) {
  const bool whole = kernels::is_integer(tensor.type()) || tensor.type() == DataType::boolean;
  return tensor.defined() && whole && tensor.count() <= kMostElements;
}

Result<Tensor> computed(const std::vector<Tensor>& operands, std::span<const ValueId> inputs, kernels::Op op,
                        const kernels::Attributes& attributes) {
  const kernels::Limits limits{.max_tensor_bytes = kMostElements * sizeof(int64_t),
                               .max_context_bytes = uint64_t{1} << 16,
                               .max_nodes = 16};
  kernels::GraphBuilder builder("", limits);
  std::vector<ValueId> ids;
  for (size_t i = 0; i < operands.size(); ++i) {
    ids.push_back(inputs[i] == kernels::kAbsent ? kernels::kAbsent
                                                : TENON_TRY(builder.constant({}, operands[i])));
  }
  const ValueId result = builder.add_value({});
  TENON_TRY(builder.add_node(op, ids, std::array{result}, attributes, {}));
  TENON_TRY(builder.add_output(result, "result"));
  kernels::CompileOptions options;
  options.limits = limits;
  const auto model = TENON_TRY(kernels::compile(TENON_TRY(std::move(builder).finish()), options));
  const auto context = TENON_TRY(model->create_context());
  TENON_TRY(context->compute());
  return TENON_TRY(context->get_output_value(0)).tensor;
}

}  // namespace

std::optional<Tensor> ConstantFolding::result(const kernels::GraphBuilder& builder, kernels::Op op,
                                              std::span<const ValueId> inputs,
                                              const kernels::Attributes& attributes) {
  if (inputs.empty() || left_ == 0 || !kernels::is_foldable(op)) return std::nullopt;
  std::vector<Tensor> operands;
  for (const ValueId id : inputs) {
    const Tensor tensor = id == kernels::kAbsent ? Tensor() : builder.value(id).constant;
    if (id != kernels::kAbsent && !is_small(tensor)) return std::nullopt;
    operands.push_back(tensor);
  }
  --left_;
  const auto tensor = computed(operands, inputs, op, attributes);
  if (!tensor || !is_small(*tensor)) return std::nullopt;
  return *tensor;
}

}  // namespace tenon::nn
