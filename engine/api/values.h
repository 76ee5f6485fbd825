// Values of the C API to the engine's slots and back.
#pragma once
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "handles.h"

namespace tenon::api {

inline u8 kind_of(ValType t) {
  static_assert(static_cast<int>(ValKind::i32) == TENON_I32 &&
                static_cast<int>(ValKind::v128) == TENON_V128 && static_cast<int>(ValKind::ref) == TENON_REF);
  return static_cast<u8>(t.kind());
}

inline void to_slots(std::span<const ValType> types, const tenon_val_t* values, Slot* slots) {
  for (const ValType t : types) {
    slots->u64_ = 0;
    std::memcpy(slots, &values->of,
                t.is_vec()                                             ? 16
                : t.kind() == ValKind::i32 || t.kind() == ValKind::f32 ? 4
                                                                       : 8);
    slots += t.slots();
    ++values;
  }
}

inline void from_slots(std::span<const ValType> types, const Slot* slots, tenon_val_t* values) {
  for (const ValType t : types) {
    std::memset(values, 0, sizeof *values);
    values->kind = kind_of(t);
    std::memcpy(&values->of, slots, t.slots() * sizeof(Slot));
    slots += t.slots();
    ++values;
  }
}

// Room for a call's slots, on the stack as long as they are few. Native stack, so that the collector sees
// references.
class SlotBuffer {
 public:
  explicit SlotBuffer(u32 n) {
    if (n > few_.size()) many_.resize(n);
  }
  Slot* data() { return many_.empty() ? few_.data() : many_.data(); }

 private:
  std::array<Slot, 32> few_{};
  std::vector<Slot> many_;
};

inline tenon_extern_t from_extern(const Extern& e, tenon_store* store) {
  return {static_cast<tenon_extern_kind_t>(e.index()), store,
          std::visit([](auto* p) -> void* { return p; }, e)};
}

inline Extern to_extern(const tenon_extern_t& e) {
  switch (e.kind) {
    case TENON_EXTERN_FUNC: return static_cast<FuncRef*>(e.object);
    case TENON_EXTERN_TABLE: return static_cast<Table*>(e.object);
    case TENON_EXTERN_MEMORY: return static_cast<Memory*>(e.object);
    case TENON_EXTERN_GLOBAL: return static_cast<Global*>(e.object);
    case TENON_EXTERN_TAG: return static_cast<Tag*>(e.object);
  }
  __builtin_unreachable();
}

}  // namespace tenon::api
