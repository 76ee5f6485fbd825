// Values of test scripts against the engine's slots: arguments in, results compared, both shown in messages.
#pragma once
#include <optional>
#include <span>
#include <string>

#include "engine/runtime/store.h"
#include "engine/text/wast.h"

namespace tenon::spec {

// Writes one argument; the slots it takes follow from its type. Nothing when it is no constant (a pattern).
std::optional<u32> write_argument(Store& store, const text::WastValue& value, Slot* out);
// Does the result of type `type` match one of the alternatives?
bool matches(Store& store, const text::WastResult& expected, ValType type, const Slot* actual);
bool type_fits(const text::WastValue& value, ValType type);
std::string show(const text::WastValue& value);
std::string show(ValType type, const Slot* actual);

}  // namespace tenon::spec
