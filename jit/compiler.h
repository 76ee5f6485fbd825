// Functions of a module to an image of machine code: plans, lowers and compiles on all processors. Knows no
// stores and no instances: what it gives is the same for all (engine/native/code_image.h).
#pragma once
#include <memory>

#include "engine/native/code_image.h"
#include "jit/options.h"

namespace tenon::jit {

// Thread-safe. Errors: unsupported (this processor, or LLVM's message); malformed or invalid code where bodies
// were not validated before.
Result<CompiledImage> compile_image(const CompileRequest& request);

// A NativeTier with this compiler, to be given to Store::set_compiler (tests; programs load the plugin).
// Errors: unsupported (this processor).
Result<std::unique_ptr<Compiler>> create_compiler(Store& store, JitOptions options);

}  // namespace tenon::jit
