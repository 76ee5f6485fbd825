// Floating-point building blocks that scalar and vector instructions share.
#pragma once
#include <llvm/IR/IRBuilder.h>

#include "engine/opcodes.h"

namespace tenon::jit {

// The same value, of which LLVM knows nothing.
llvm::Value* opaque_float(llvm::IRBuilder<>& b, llvm::Value* v);

// An operand with the canonical NaN instead of any other. Vectors are <2 x i64>, as on the operand stack.
llvm::Value* canonical_nans(llvm::IRBuilder<>& b, llvm::Value* v, NanResult shape);

// Wasm's min and max (llvm.minimum, llvm.maximum), with NaN results made quiet.
llvm::Value* float_min_max(llvm::IRBuilder<>& b, llvm::Intrinsic::ID which, llvm::Value* x, llvm::Value* y);

}  // namespace tenon::jit
