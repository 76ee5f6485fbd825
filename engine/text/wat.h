// The text format of modules (spec: text/modules) to the binary format. Parses and encodes; does not
// validate.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base.h"
#include "engine/error.h"
#include "engine/opcodes.h"
#include "engine/text/lexer.h"

namespace tenon::text {

// A whole source: `(module …)` or its fields alone. Errors are malformed, with line, column and the line
// itself. The result has a name section with the identifiers of the text.
Result<std::vector<u8>> wat_to_wasm(std::string_view source, FeatureSet features = FeatureSet::defaults());

struct ParsedModule {
  std::optional<std::string> id;
  std::vector<u8> bytes;
};
// One module's fields inside a larger text: from token `position`, behind "(module", up to its closing
// parenthesis, which stays. `position` moves on.
Result<ParsedModule> parse_module_fields(const TokenStream& stream, u32& position, FeatureSet features);

}  // namespace tenon::text
