// Frees accesses to linear memory that cannot trap from the barriers which keep trapping ones in order, so that the
// passes after it may move, merge and vectorise them:
//   - accesses whose address is known to lie below the memory's least length;
//   - those of innermost loops whose address ranges are known before the loop: it is copied, one test in front
//     compares the ranges with the memory's length (memories never shrink), and the copy behind it accesses
//     memory plainly.
// What may still trap gets barriers on both sides. That is for guarded 32-bit memory 0 (guest_access.h). Where bounds are
// checked in code instead (memory64, custom page sizes, no reservation), the same loops are copied and the checks are left
// out of the copy. Vectorising is left to LLVM.
#pragma once
#include <llvm/IR/PassManager.h>

namespace tenon::jit {

class InBoundsPass : public llvm::PassInfoMixin<InBoundsPass> {
 public:
  llvm::PreservedAnalyses run(llvm::Function& f, llvm::FunctionAnalysisManager& analyses);
};

}  // namespace tenon::jit
