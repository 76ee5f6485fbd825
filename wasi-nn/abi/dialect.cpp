// The table of dialects; see dialect.h.
#include "wasi-nn/abi/dialect.h"

namespace tenon::nn {
namespace {

constexpr uint32_t kEither = kEitherNumber, kNever = kNoNumber;
using enum TypeNumbers;

constexpr Dialect kDialects[] = {
#define NN_DIALECT(name, text, types, autodetect, ggml, not_found) \
  {DialectId::name, text, types, autodetect, ggml, not_found},
#include "wasi-nn/abi/dialects.def"
#undef NN_DIALECT
};

}  // namespace

const Dialect& dialect(DialectId id) { return kDialects[static_cast<size_t>(id)]; }

std::optional<DialectId> parse_dialect(std::string_view text) {
  for (const Dialect& row : kDialects) {
    if (row.text == text) return row.id;
  }
  return std::nullopt;
}

std::string_view dialect_names() { return "auto, witx, wit, wasmedge, older"; }

}  // namespace tenon::nn
