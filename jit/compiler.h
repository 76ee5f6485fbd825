// The JIT as a tenon::Compiler: compiles whole modules before their first instruction runs (--engine=jit).
#pragma once
#include <memory>

#include "engine/runtime/store.h"
#include "jit/options.h"

namespace tenon::jit {

// For one store, to be given to Store::set_compiler. Errors: unsupported (this processor).
Result<std::unique_ptr<Compiler>> create_compiler(Store& store, const JitOptions& options);

}  // namespace tenon::jit
