// Makes Error values from rows of errors.def.
#include "engine/errors.h"

#include <fmt/format.h>

#include <array>

namespace tenon {
namespace {

struct Row {
  ErrorCategory category;
  std::string_view text;
};

constexpr auto kRows = std::to_array<Row>({
#define ERR(id, category, text) {ErrorCategory::category, text},
#include "engine/errors.def"
});

const Row& row(Err e) { return kRows[static_cast<size_t>(e)]; }

}  // namespace

std::string_view err_text(Err e) { return row(e).text; }
ErrorCategory err_category(Err e) { return row(e).category; }

Error make_error(Err e, std::optional<u64> offset) {
  return Error{row(e).category, std::string(row(e).text), offset};
}
Error make_error(Err e, std::optional<u64> offset, std::string_view detail) {
  return Error{row(e).category, fmt::format("{}: {}", row(e).text, detail), offset};
}
Error make_index_error(Err e, std::optional<u64> offset, u64 index) {
  return Error{row(e).category, fmt::format("{} {}", row(e).text, index), offset};
}
Error make_limit_error(std::optional<u64> offset, std::string_view what, u64 value, u64 limit) {
  return make_error(Err::limit, offset, fmt::format("{} {}, at most {}", value, what, limit));
}

}  // namespace tenon
