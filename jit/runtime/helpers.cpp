// The helper table, and the helpers that exist for compiled code only.
#include "jit/runtime/helpers.h"

#include "engine/runtime/store.h"
#include "jit/runtime/raise.h"

namespace tenon::jit {

u32 tenon_jit_is_subtype(VMContext* vm, u32 sub, u32 super) {
  return vm->module->type_registry().is_subtype(TypeId{sub}, TypeId{super});
}

std::string_view helper_signature(Helper h) {
  static constexpr std::string_view kSignatures[] = {
#define HELPER(id, signature) signature,
#include "engine/runtime/helpers.def"
#define HELPER(id, signature) signature,
#include "jit/runtime/helpers.def"
  };
  return kSignatures[static_cast<u32>(h)];
}

const void* const* helper_table(const void* const* engine_rows) {
  static const std::vector<const void*> kTable = [engine_rows] {
    constexpr size_t kEngineRows = static_cast<size_t>(Helper::tenon_jit_enter);
    std::vector<const void*> table(engine_rows, engine_rows + kEngineRows);
#define HELPER(id, signature) table.push_back(reinterpret_cast<const void*>(&id));
#include "jit/runtime/helpers.def"
    return table;
  }();
  return kTable.data();
}

}  // namespace tenon::jit
