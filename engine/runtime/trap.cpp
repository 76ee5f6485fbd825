// Texts of traps.
#include "engine/runtime/trap.h"

#include <array>

namespace tenon {

std::string_view trap_text(TrapCode code) {
  static constexpr std::array<std::string_view, static_cast<size_t>(TrapCode::count)> kTexts = {
#define TRAP(id, text) text,
#include "engine/runtime/traps.def"
#undef TRAP
  };
  const auto i = static_cast<size_t>(code);
  return i < kTexts.size() ? kTexts[i] : "no trap";
}

}  // namespace tenon
