// Errors of graphs, plans and kernels: a category that callers map onto their own codes (wasi-nn's nn_errno
// has one for each), and a message that names file, node, operator and opset where they are known. Knows
// nothing of Wasm.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace tenon::kernels {

enum class ErrorCode : std::uint8_t {
  invalid_argument,  // a wrong index, type, rank, dimension or byte length from the caller
  invalid_encoding,  // a graph that contradicts itself: cycles, missing values, attributes of the wrong type
  busy,              // a context that another thread uses at this moment
  runtime_error,     // data errors while computing: an index out of range, shapes that do not meet
  unsupported_operation,  // operator, element type or attribute that no kernel has
  too_large,              // output buffer too small (see needed_bytes), or a limit exceeded
  not_found,
  interrupted,  // the caller's stop request or deadline
};

std::string_view to_string(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::runtime_error;
  std::string message;
  std::uint64_t needed_bytes = 0;  // with too_large from get_output: the size that suffices
};

template <class T>
using Result = std::expected<T, Error>;

template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...), 0});
}

/// The same error with "place: " in front of its message.
[[nodiscard]] inline Error with_place(Error error, std::string_view place) {
  error.message = fmt::format("{}: {}", place, error.message);
  return error;
}

}  // namespace tenon::kernels

// The value of an expected, or return its error from the enclosing function.
#ifndef TENON_TRY
#define TENON_TRY(...)                                                                  \
  ({                                                                                    \
    auto&& tenon_try_result = (__VA_ARGS__);                                            \
    if (!tenon_try_result) return std::unexpected(std::move(tenon_try_result).error()); \
    *std::move(tenon_try_result);                                                       \
  })
#endif
