// Frees accesses to linear memory that cannot trap from the barriers which keep trapping ones in order, so that the
// passes after it may move, merge and vectorise them:
//   - accesses whose address is known to lie below the memory's least length;
//   - those of innermost loops whose address ranges are known before the loop: it is copied, one test in front
//     compares the ranges with the memory's length (memories never shrink), and the copy behind it accesses
//     memory plainly.
// What may still trap gets barriers on both sides. Guarded 32-bit memory 0 only (guest_access.h); vectorising is
// left to LLVM.
#pragma once
#include <llvm/IR/PassManager.h>

namespace tenon::jit {

class InBoundsPass : public llvm::PassInfoMixin<InBoundsPass> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& f, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace tenon::jit
