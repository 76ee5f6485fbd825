// Number literals of the text format (spec: text/values) as bits, with exact rounding.
#pragma once
#include <expected>
#include <string_view>

#include "engine/base.h"

namespace tenon::text {

enum class LiteralError : u8 { syntax, range };

// An integer of `bits` bits: unsigned or signed notation (i32: -2^31 … 2^32-1). The value is truncated to the
// width.
std::expected<u64, LiteralError> parse_int(std::string_view text, u32 bits);
// Without a sign.
std::expected<u64, LiteralError> parse_nat(std::string_view text, u32 bits);
// The IEEE bits, payloads of nan:0x… included.
std::expected<u32, LiteralError> parse_f32(std::string_view text);
std::expected<u64, LiteralError> parse_f64(std::string_view text);

}  // namespace tenon::text
