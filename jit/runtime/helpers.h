// The table of functions that compiled code calls: the engine's rows, then the JIT's own (helpers.def).
#pragma once
#include <string_view>

#include "engine/base.h"
#include "engine/runtime/vm.h"

namespace tenon::jit {

enum class Helper : u32 {
#define HELPER(id, signature) id,
#include "engine/runtime/helpers.def"
#define HELPER(id, signature) id,
#include "jit/runtime/helpers.def"
};

// "params:result", letters as in the tables.
std::string_view helper_signature(Helper h);

// For StoreContext::helpers. The engine's rows are the program's own, as the store had them: the plugin's
// copy of the engine has other process-wide state. The first call makes the table.
const void* const* helper_table(const void* const* engine_rows);

// Whether canonical type `sub` is a subtype of `super`.
extern "C" u32 tenon_jit_is_subtype(VMContext* vm, u32 sub, u32 super);

}  // namespace tenon::jit
