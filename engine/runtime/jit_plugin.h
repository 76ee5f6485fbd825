// What tenon-jit.so gives the engine.
#pragma once
#include <string>

#include "engine/native/code_image.h"

namespace tenon {

struct JitPlugin {
  CompileFn compile;
  std::string (*version)();  // e.g. "LLVM 22.1.0"
};

}  // namespace tenon
