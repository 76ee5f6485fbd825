// How a guest numbers encodings, tensor types and errors: the standard's files and the engines before it disagree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon::nn {

enum class TypeNumbers : uint8_t { current, older, either };

enum class DialectId : uint8_t {
#define NN_DIALECT(name, text, types, autodetect, ggml, not_found) name,
#include "wasi-nn/abi/dialects.def"
#undef NN_DIALECT
};

struct Dialect {
  DialectId id;
  std::string_view text;
  TypeNumbers types;
  uint32_t autodetect, ggml;  // kEitherNumber: 5 and 6, decided by the bytes
  uint32_t name_not_found;
};
inline constexpr uint32_t kEitherNumber = 0xfffffffe, kNoNumber = 0xffffffff;

const Dialect& dialect(DialectId id);
// By the text that --nn-abi takes.
std::optional<DialectId> parse_dialect(std::string_view text);
// "auto, witx, …", for messages.
std::string_view dialect_names();

}  // namespace tenon::nn
