// Names of error categories.
#include "kernels/error.h"

namespace tenon::kernels {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "invalid argument";
    case ErrorCode::invalid_encoding: return "invalid encoding";
    case ErrorCode::busy: return "busy";
    case ErrorCode::runtime_error: return "runtime error";
    case ErrorCode::unsupported_operation: return "unsupported operation";
    case ErrorCode::too_large: return "too large";
    case ErrorCode::not_found: return "not found";
    case ErrorCode::interrupted: return "interrupted";
  }
  return "unknown";
}

}  // namespace tenon::kernels
