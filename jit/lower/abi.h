// How Wasm types and signatures look in LLVM IR (docs/design/0001-abi.md, "Calls and values").
#pragma once
#include <llvm/IR/CallingConv.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/LLVMContext.h>

#include <string>
#include <vector>

#include "engine/types.h"

namespace tenon::jit {

// At most this many results come back in registers; the others go to the hidden results pointer.
inline constexpr size_t kRegisterResults = 2;

// i32 i64 float double; v128 is <2 x i64>; references are i64.
llvm::Type* lower_type(llvm::LLVMContext& context, ValType type);

// Native functions use the C convention. LLVM's tailcc would allow tail calls between any signatures, but makes
// every callee pop: `ret 8` and a stack adjustment for each call cost a third on call-heavy code (docs/jit-speed.md).
inline constexpr llvm::CallingConv::ID kNativeConvention = llvm::CallingConv::C;
inline constexpr u32 kIntegerArguments = 6;  // registers, the context's and the results pointer's among them
inline constexpr u32 kVectorArguments = 8;

// A function signature in the native convention: R (ptr context, [ptr results], params...), where all arguments
// are in registers. Parameters beyond these lie in StoreContext::transfer; the callee reads them first of all.
struct NativeSignature {
  struct Param {
    bool in_memory;
    u32 argument;  // LLVM argument number; in memory: slot
    u32 wide_argument;
  };
  llvm::FunctionType* type;
  // The same with every argument register as a parameter: `musttail` wants equal prototypes of caller and callee.
  // Functions that make tail calls, and targets of direct ones, are defined with it (ModulePlan::wide). To the
  // machine both are one.
  llvm::FunctionType* wide_type;
  bool has_results_pointer;
  std::vector<Param> params;  // for each Wasm parameter
  u32 memory_slots = 0;       // of the transfer buffer, which Store::instantiate makes large enough

  NativeSignature(llvm::LLVMContext& context, const FuncType& wasm);
};

// Slots that results beyond the register ones take.
u32 memory_result_slots(const FuncType& type);

}  // namespace tenon::jit
