// The table of TensorFlow's operators (tf_ops.def): looks rows up.
#pragma once

#include <string_view>

#include "wasi-nn/formats/tf_node.h"

namespace tenon::nn::tf {

struct OperatorRow {
  std::string_view name;
  uint32_t min_inputs;       // data operands that a node must have
  std::string_view outputs;  // names of its outputs as functions refer to them; empty: one list of outputs
  Result<void> (*rule)(NodeImport&);
  std::string_view target;  // operator of ops.def that it is, or empty: written out
};

// Null when Tenon does not know the operator.
const OperatorRow* find_row(std::string_view op);

// The first port of a named output of an operator.
uint32_t first_port(std::string_view op, std::string_view output);

}  // namespace tenon::nn::tf
