// The helper table, its rows checked against the functions' types.
#include "engine/runtime/helpers.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "engine/native/entry.h"
#include "engine/native/raise.h"
#include "engine/native/unwind.h"
#include "engine/runtime/bulk.h"
#include "engine/runtime/store.h"
#include "engine/runtime/wait.h"
#include "engine/sem/sem.h"

namespace tenon {

u32 raise_trap(StoreContext* store, u32 code) {
  return static_cast<u32>(store->store->raise(static_cast<TrapCode>(code)));
}

void add_trap_frame(VMContext* vm, u32 function, u64 offset) {
  vm->store->store->trap().frames.push_back({vm->module, FuncIdx{function}, offset});
}

u32 finish_tail_calls(StoreContext* store, Slot* results) {
  return static_cast<u32>(store->store->finish_tail_calls(results));
}

Slot* transfer_slots(StoreContext* store, u64 count) { return store->store->transfer(count); }

void relaxed_madd(Slot* operands, u32 op) {
  using Function = V128 (*)(V128, V128, V128);
  V128 v[3];
  std::memcpy(v, operands, sizeof v);
  const auto meaning = reinterpret_cast<Function>(const_cast<void*>(sem_function(static_cast<Op>(op))));
  v[0] = meaning(v[0], v[1], v[2]);
  std::memcpy(operands, v, sizeof v[0]);
}

namespace {

template <class T>
consteval char letter() {
  if constexpr (std::is_void_v<T>)
    return 'v';
  else if constexpr (std::is_pointer_v<T>)
    return 'p';
  else if constexpr (sizeof(T) == 8)
    return 'l';
  else if constexpr (sizeof(T) == 4)
    return 'i';
  else
    return 'b';
}

template <class R, class... P>
consteval bool signature_is(R (*)(P...), std::string_view text) {
  const std::array<char, sizeof...(P) + 2> expected{letter<P>()..., ':', letter<R>()};
  return std::ranges::equal(expected, text);
}

#define HELPER(id, signature) static_assert(signature_is(&id, signature), "helpers.def: " #id);
#include "engine/runtime/helpers.def"
#define HELPER(id, signature) static_assert(signature_is(&id, signature), "helpers.def: " #id);
#include "engine/native/helpers.def"

struct Row {
  std::string_view name, signature;
};
constexpr std::array<Row, static_cast<size_t>(Helper::count)> kRows = {{
#define HELPER(id, signature) {#id, signature},
#include "engine/runtime/helpers.def"
#define HELPER(id, signature) {#id, signature},
#include "engine/native/helpers.def"
}};

const void* const kTable[] = {
#define HELPER(id, signature) reinterpret_cast<const void*>(&id),
#include "engine/runtime/helpers.def"
#define HELPER(id, signature) reinterpret_cast<const void*>(&id),
#include "engine/native/helpers.def"
};

}  // namespace

std::string_view helper_signature(Helper helper) { return kRows[static_cast<size_t>(helper)].signature; }
std::string_view helper_name(Helper helper) { return kRows[static_cast<size_t>(helper)].name; }
const void* const* helper_table() { return kTable; }

}  // namespace tenon
