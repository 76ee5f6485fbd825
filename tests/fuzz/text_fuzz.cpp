// Text → binary. What the text parser accepts must decode: it may be invalid or go beyond a limit, never
// malformed.
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/module.h"
#include "engine/text/wast.h"
#include "engine/text/wat.h"

namespace {

using namespace tenon;

void check_binary(const std::vector<u8>& bytes) {
  const auto module = decode_module(std::make_shared<TypeRegistry>(), bytes, nullptr);
  if (!module && module.error().category == ErrorCategory::malformed) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = text::wat_to_wasm(text)) check_binary(*bytes);
  // Scripts may hold (module binary "anything"): parsing them is all that can be asked.
  (void)text::parse_wast(text);
  return 0;
}
