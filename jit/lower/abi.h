// How Wasm types and signatures look in LLVM IR (docs/design/0001-abi.md, "Calls and values").
#pragma once
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/LLVMContext.h>

#include <string>

#include "engine/types.h"

namespace tenon::jit {

// At most this many results come back in registers; the others go to the hidden results pointer.
inline constexpr size_t kRegisterResults = 2;

// i32 i64 float double; v128 is <2 x i64>; references are i64.
llvm::Type* lower_type(llvm::LLVMContext& context, ValType type);

// A function signature in the native convention: tailcc R (ptr context, [ptr results], params...).
struct NativeSignature {
  llvm::FunctionType* type;
  bool has_results_pointer;
  u32 first_param;  // LLVM argument number of the first Wasm parameter

  NativeSignature(llvm::LLVMContext& context, const FuncType& wasm);
};

// Slots that results beyond the register ones take.
u32 memory_result_slots(const FuncType& type);

}  // namespace tenon::jit
