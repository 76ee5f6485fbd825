// The host functions of all wasi-nn modules, as descriptors for a linker. Their `data` is a Binding.
#pragma once

#include <span>

#include "wasi-nn/abi/binding.h"

namespace tenon::nn {

inline constexpr std::string_view kEphemeralModule = "wasi_ephemeral_nn";
inline constexpr std::string_view kExtensionModule = "tenon_nn";
inline constexpr std::string_view kLegacyModule = "wasi_nn";

// All modules, for guests with 32-bit or 64-bit addresses (which lack the legacy one). Every function always
// returns an nn_errno; none traps.
std::span<const HostFuncDesc> nn_functions(bool memory64);

// By module, for nn_functions.
std::span<const HostFuncDesc> ephemeral_functions(bool memory64);
std::span<const HostFuncDesc> extension_functions(bool memory64);
std::span<const HostFuncDesc> legacy_functions();

}  // namespace tenon::nn
