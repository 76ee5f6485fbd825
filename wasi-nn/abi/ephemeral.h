// The host functions of module `wasi_ephemeral_nn`, as descriptors for a linker. Their `data` is an
// NnContext.
#pragma once

#include <span>

#include "engine/runtime/host_func.h"
#include "wasi-nn/nn_context.h"

namespace tenon::nn {

inline constexpr std::string_view kEphemeralModule = "wasi_ephemeral_nn";

// One descriptor for each row of ephemeral.def. Every function always returns an nn_errno; none traps.
std::span<const HostFuncDesc> ephemeral_functions();

}  // namespace tenon::nn
