// The edge of the public API: no exception of a library crosses it. Internal to kernels/.
#pragma once
#include <exception>
#include <new>

#include "kernels/error.h"

namespace tenon::kernels {

/// f's result, or an error in place of what it throws.
template <class F>
auto guarded(F&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::too_large, "out of memory");
  } catch (const std::exception& e) {
    return fail(ErrorCode::runtime_error, "{}", e.what());
  }
}

}  // namespace tenon::kernels
