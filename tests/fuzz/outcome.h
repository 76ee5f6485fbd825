// Everything that a generated module's run can be told apart by: for holding tiers against each other.
#pragma once
#include <fmt/format.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/runtime/store.h"
#include "tests/fuzz/generator.h"

namespace tenon::test {

// FNV-1a.
inline u64 hash_of(std::span<const u8> bytes) {
  u64 h = 0xcbf29ce484222325;
  for (u8 b : bytes) h = (h ^ b) * 0x100000001b3;
  return h;
}

// Runs "f" of a generated module in the store; results or trap, globals and memory as text.
inline std::string run_generated(Store& store, std::span<const u8> bytes) {
  auto module = store.engine().compile(bytes);
  if (!module) return "invalid: " + module.error().message;
  auto instance = store.instantiate(*module, {});
  if (!instance) return "not instantiated: " + instance.error().message;
  FuncRef* f = std::get<FuncRef*>(*(*instance)->find_export("f"));
  const FuncType& type = *store.types().get(f->type).func();
  std::vector<Slot> slots(std::max(type.param_slots, type.result_slots));
  slots[0].u64_ = 7;                      // i32
  slots[1].u64_ = 0x0123'4567'89ab'cdef;  // i64
  slots[2].u64_ = 0x4048'0000;            // f32: 3.125
  slots[3].u64_ = 0xbff8'0000'0000'0000;  // f64: -1.5
  slots[4].u64_ = 0x8000'7fff'0001'ffff;  // v128
  slots[5].u64_ = 0x3f80'0000'4020'0000;
  const Status status = store.call(f, slots.data());
  std::string out;
  if (status != Status::ok) {
    out = fmt::format("status {} trap {}", static_cast<int>(status),
                      status == Status::trap ? trap_text(store.trap().code) : "");
  } else {
    size_t slot = 0;
    for (ValType t : type.results) {
      const u64 low = slots[slot].u64_;
      const bool narrow = t == kI32 || t == kF32;
      out += fmt::format(" {:x}", narrow ? low & 0xffff'ffff : low);
      if (t == kV128) out += fmt::format(":{:x}", slots[slot + 1].u64_);
      slot += t.slots();
    }
  }
  for (u32 i = 0; i < 5; ++i) {
    const Global& g = *(*instance)->global(GlobalIdx{i});
    u64 words[2] = {};
    const size_t size = g.type.type == kV128 ? 16 : g.type.type == kI32 || g.type.type == kF32 ? 4 : 8;
    std::memcpy(words, g.cell, size);
    out += fmt::format(" g{}={:x}:{:x}", i, words[0], words[1]);
  }
  const MemoryDesc& memory = (*instance)->memory(MemoryIdx{0})->desc();
  return out + fmt::format(" memory {} {:x}", memory.length, hash_of({memory.base, memory.length}));
}

}  // namespace tenon::test
