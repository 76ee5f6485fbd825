// Arguments of native functions: from Wasm values to LLVM arguments at a call, and back at a function's entry.
// What a signature looks like is in abi.h; calls themselves are made in calls.cpp and thunks.cpp.
#pragma once
#include <vector>

#include "jit/lower/unit.h"

namespace tenon::jit {

// For a call with prototype signature.wide_type when `wide`, else signature.type. `results` may be null when the
// signature has no results pointer, `store_context` when it has no parameters in memory.
std::vector<llvm::Value*> native_arguments(Unit& unit, llvm::IRBuilder<>& b, const NativeSignature& signature,
                                           bool wide, llvm::Value* context, llvm::Value* results,
                                           llvm::ArrayRef<llvm::Value*> values, llvm::Value* store_context);

// The Wasm parameters of `fn`, which has one of the signature's two prototypes. To be read before anything else
// is called.
std::vector<llvm::Value*> native_parameters(Unit& unit, llvm::IRBuilder<>& b,
                                            const NativeSignature& signature, const FuncType& type,
                                            llvm::Function* fn, llvm::Value* store_context);

// The results pointer that `fn` was given; its signature has one.
llvm::Value* results_pointer(llvm::IRBuilder<>& b, llvm::Function* fn);

// Calls `entry`, never as a tail call: endless recursion meets the stack check, and backtraces are whole.
llvm::CallInst* call_native_entry(llvm::IRBuilder<>& b, const NativeSignature& signature, bool wide,
                                  llvm::Value* entry, llvm::ArrayRef<llvm::Value*> arguments);

}  // namespace tenon::jit
