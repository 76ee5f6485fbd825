// Tables of error numbers; see errno.h.
#include "wasi-nn/abi/errno.h"

#include <optional>

namespace tenon::nn {
namespace {

struct Row {
  NnErrno code;
  std::string_view name;
  std::optional<kernels::ErrorCode> from;
};

namespace columns {
using enum kernels::ErrorCode;
constexpr std::optional<kernels::ErrorCode> none;
constexpr Row kRows[] = {
#define NN_ERRNO(name, code, kernels_code) {NnErrno::name, #name, kernels_code},
#include "wasi-nn/abi/errno.def"
#undef NN_ERRNO
};
}  // namespace columns

}  // namespace

std::string_view to_string(NnErrno code) {
  for (const Row& row : columns::kRows) {
    if (row.code == code) return row.name;
  }
  return "unknown";
}

NnErrno to_errno(kernels::ErrorCode code) {
  for (const Row& row : columns::kRows) {
    if (row.from == code) return row.code;
  }
  return NnErrno::runtime_error;
}

}  // namespace tenon::nn
