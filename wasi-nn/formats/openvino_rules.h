// The rules that rows of openvino_ops.def name: element-wise operators, data movement and shapes (openvino_rules.cpp),
// networks' layers (openvino_network.cpp), recurrent layers and bodies (openvino_loops.cpp), variables
// (openvino_variables.cpp), detection (openvino_detection.cpp). Each translates one layer completely.
#pragma once

#include "wasi-nn/formats/openvino_layer.h"

namespace tenon::nn::openvino::rules {

// Declared by expanding the table, so that a row cannot name a rule that does not exist.
#define OPENVINO_OP(type, first, last, rule, op) Result<void> rule(LayerImport& layer);
#include "wasi-nn/formats/openvino_ops.def"
#undef OPENVINO_OP

}  // namespace tenon::nn::openvino::rules
