// Graphs and inferences for the host itself, without a guest: NnGraph and NnExecution of engine/runtime/nn_plugin.h over the
// kernels' Model and Context. Knows no handles and no guest memory.
#pragma once

#include <functional>
#include <memory>

#include "engine/runtime/nn_plugin.h"
#include "wasi-nn/environment.h"

namespace tenon::nn {

// A kernels' error as embedders get it; what only happens while a model computes is a trap.
tenon::Error to_engine_error(kernels::Error error);

// What `load` gives, for the host. Errors: its own, and unsupported for graphs that take or give strings or sequences.
// `environment` outlives the graph.
tenon::Result<std::unique_ptr<NnGraph>> make_host_graph(
    const Environment& environment, const std::function<Result<std::shared_ptr<LoadedGraph>>()>& load);

}  // namespace tenon::nn
