// Floating-point building blocks that scalar and vector instructions share.
#pragma once
#include <llvm/IR/IRBuilder.h>

namespace tenon::jit {

// The same value, of which LLVM knows nothing.
llvm::Value* opaque_float(llvm::IRBuilder<>& b, llvm::Value* v);

// Wasm's min and max (llvm.minimum, llvm.maximum), with NaN results made quiet.
llvm::Value* float_min_max(llvm::IRBuilder<>& b, llvm::Intrinsic::ID which, llvm::Value* x, llvm::Value* y);

}  // namespace tenon::jit
