// The error numbers of wasi_ephemeral_nn and how the kernels' errors map onto them.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/error.h"

namespace tenon::nn {

enum class NnErrno : uint32_t {
#define NN_ERRNO(name, code, kernels_code) name = code,
#include "wasi-nn/abi/errno.def"
#undef NN_ERRNO
};

std::string_view to_string(NnErrno code);

// The number for an error; runtime_error for those without one of their own (interrupted).
NnErrno to_errno(kernels::ErrorCode code);

}  // namespace tenon::nn
