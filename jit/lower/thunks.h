// Conversions between the native and the array convention, three functions for each signature
// (docs/design/0001-abi.md).
#pragma once
#include <string>

#include "jit/lower/unit.h"

namespace tenon::jit {

// Symbols of a signature's thunks, by signature_key().
struct ThunkNames {
  std::string array_entry;   // ArrayEntry of compiled functions
  std::string inner;         // what it runs under an activation: void (FuncRef* self, Slot* slots)
  std::string native_entry;  // of functions that only have an array entry: native_context is their FuncRef
  explicit ThunkNames(const std::string& key)
      : array_entry("array." + key), inner("inner." + key), native_entry("native." + key) {}
};

void lower_thunks(Unit& unit, const FuncType& type);

// Parts that entries of on-stack replacement share (osr.h).
u64 slots_before(const std::vector<ValType>& types, size_t n);  // slots of the first n values
// u32 (FuncRef* self, Slot* slots): enters void inner(self, slots) through the entry stub.
void lower_array_entry(Unit& unit, const std::string& name, llvm::Function* inner);
// What a native call gave in registers, to the first slots.
void store_register_results(Unit& unit, llvm::IRBuilder<>& b, const FuncType& type, llvm::Value* call,
                            llvm::Value* slots);

}  // namespace tenon::jit
