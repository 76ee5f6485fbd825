// Graphs before and after the planner's passes, as text and for Graphviz.
#pragma once

#include <string>

#include "kernels/plan.h"

namespace tenon::nn {

// Writes graph.txt, graph.dot (the graph as imported), plan.txt and plan.dot (the steps of the context's plan)
// into `folder`, which is made when it does not exist. The context has inputs of these dims, the model these options.
// not_found: cannot be written.
kernels::Result<void> dump_graph(const kernels::Model& model, const kernels::Context& context,
                                 std::span<const kernels::Dims> input_dims,
                                 const kernels::CompileOptions& options, const std::string& folder);

}  // namespace tenon::nn
