// What can be chosen about the JIT of one store.
#pragma once
#include "engine/native/native_tier.h"

namespace tenon::jit {

using JitOptions = NativeOptions;

}  // namespace tenon::jit
