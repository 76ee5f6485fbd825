// Validates a decoded module as a whole (spec: valid/modules).
#pragma once
#include "engine/module.h"

namespace tenon {

// Everything but what decoding has checked; function bodies too unless options.lazy_bodies.
Result<void> validate_module(const Module& module, const DecodeOptions& options);

}  // namespace tenon
