// Products of real numbers and 8-bit weights, as TensorFlow Lite's hybrid kernels compute them.
#pragma once

#include "wasi-nn/formats/tflite_node.h"

namespace tenon::nn::tflite {

/// Whether operand 0 is real and operand 1 quantised to signed bytes around 0.
bool is_hybrid(const Node& n);

/// The convolution of images (operand 0, channels last) and weights (operand 1, whose axes `perm` brings into order), with the
/// bias that operand 2 may be. `symmetric`: how the images are quantised (DynamicQuantizeLinear).
Result<ValueId> hybrid_convolution(Node& n, const std::vector<int64_t>& perm, kernels::Attributes attributes,
                                   bool symmetric);

/// The product of `matrix` [rows, inputs], made of operand 0, and weights (operand 1) [outputs, inputs], with the bias that
/// operand 2 may be.
Result<ValueId> hybrid_product(Node& n, ValueId matrix, bool symmetric);

}  // namespace tenon::nn::tflite
