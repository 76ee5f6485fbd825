// The rules that rows of tf_ops.def name. Each turns one node into operators of ops.def and gives its outputs, in order.
// Rows see to it that the operands they need are there; what rules need as constants they check.
#pragma once

#include "wasi-nn/formats/tf_node.h"

namespace tenon::nn::tf::rules {

// Declared by expanding the table, so that a row cannot name a rule that does not exist.
#define TF_OP(name, min_inputs, outputs, rule, target) Result<void> rule(NodeImport& node);
#define TF_STEP(...)
#include "wasi-nn/formats/tf_ops.def"
#undef TF_STEP
#undef TF_OP

}  // namespace tenon::nn::tf::rules
