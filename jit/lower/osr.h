// On-stack replacement: a variant of a function that takes the interpreter's frame over at a loop's head
// (docs/design/0001-abi.md). How the function itself is lowered then is in osr_lowering.cpp.
#pragma once
#include <string>

#include "engine/native/code_image.h"
#include "jit/lower/unit.h"

namespace tenon::jit {

// Symbols of a variant.
struct OsrNames {
  std::string body;         // native, with the frame's address as its only Wasm parameter, an i64
  std::string array_entry;  // ArrayEntry whose slots are the frame; results replace its first ones
  std::string inner;
  explicit OsrNames(const OsrLoop& loop);
};

// The body's signature in Wasm.
FuncType osr_type(const FuncType& type);
// The body, with the wide prototype: it may make tail calls.
llvm::Function* declare_osr_body(Unit& unit, const OsrLoop& loop, const FuncType& type);
// Defines the array entry of a variant; `type` is the function's.
void lower_osr_entry(Unit& unit, const OsrLoop& loop, const FuncType& type);

}  // namespace tenon::jit
