// The rules of tflite_ops.def, each turning one operator into nodes of the kernels' graph.
#pragma once

#include "wasi-nn/formats/tflite_node.h"

namespace tenon::nn::tflite::rules {

// Declared by expanding the table (several rows may share a rule).
#define TFLITE_OP(name, code, rule, op) Result<void> rule(Node&);
#include "wasi-nn/formats/tflite_ops.def"

}  // namespace tenon::nn::tflite::rules
