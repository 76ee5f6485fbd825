// Text → binary → text → binary. What the text parser accepts must decode (it may be invalid or go beyond a
// limit, never malformed), and what the printer makes of it must give the same bytes again.
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/module.h"
#include "engine/text/printer.h"
#include "engine/text/wast.h"
#include "engine/text/wat.h"

namespace {

using namespace tenon;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_binary(const std::vector<u8>& bytes) {
  const auto module = decode_module(std::make_shared<TypeRegistry>(), bytes, nullptr);
  if (!module) require(module.error().category != ErrorCategory::malformed);
  const auto printed = text::wasm_to_wat(bytes);
  if (!printed) {
    require(printed.error().category != ErrorCategory::malformed);
    return;
  }
  const auto again = text::wat_to_wasm(*printed);
  require(again.has_value() && *again == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = text::wat_to_wasm(text)) check_binary(*bytes);
  // Scripts may hold (module binary "anything"): parsing them, or saying why not, is all that can be asked.
  const auto script = text::parse_wast(text);
  require(script || !script.error().message.empty());
  return 0;
}
