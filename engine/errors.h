// The errors of decoder and validator (errors.def) as an enum, and functions that make an Error of a row.
// Traps have a table of their own (engine/runtime/traps.def).
#pragma once
#include <optional>
#include <string_view>

#include "engine/base.h"
#include "engine/error.h"

namespace tenon {

enum class Err : u16 {
#define ERR(id, category, text) id,
#include "engine/errors.def"
};

std::string_view err_text(Err e);
ErrorCategory err_category(Err e);

// Messages: "text", "text: detail" and "text 7" (for unknown indices); the offset is where it was found.
Error make_error(Err e, std::optional<u64> offset);
Error make_error(Err e, std::optional<u64> offset, std::string_view detail);
Error make_index_error(Err e, std::optional<u64> offset, u64 index);
// "implementation limit exceeded: 70000 locals, at most 50000".
Error make_limit_error(std::optional<u64> offset, std::string_view what, u64 value, u64 limit);

}  // namespace tenon
