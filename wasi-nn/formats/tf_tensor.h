// TensorFlow's TensorProto, DataType and TensorShapeProto → the kernels' tensors and types.
#pragma once

#include <memory>

#include "kernels/tensor.h"
#include "wasi-nn/formats/tf_proto.h"

namespace tenon::nn::tf {

// The kernels' type of a DataType; references mean their contents, quantised types their integers.
// unsupported_operation for those without one (complex, resource, variant).
Result<kernels::DataType> to_data_type(int32_t type);

// A declared shape; -1 is an unknown dimension. invalid_encoding when it cannot be.
Result<kernels::ValueType> to_value_type(int32_t type, const TensorShapeProto* shape);

// Views tensor_content in place (`owner` keeps it), converts the typed fields. A tensor may store fewer elements than its
// shape has: the last one stands for the rest. `fill_budget` is what such repetition may still cost, in bytes; beyond it
// the error is too_large. invalid_encoding when data and shape disagree.
Result<kernels::Tensor> to_tensor(const TensorProto& proto, const std::shared_ptr<const void>& owner,
                                  uint64_t& fill_budget);

}  // namespace tenon::nn::tf
