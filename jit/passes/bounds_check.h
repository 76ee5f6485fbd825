// Recognises explicit bounds checks of linear memory in IR (FuncLowering::check_bounds), and removes one that is known
// to pass. Guarded memories have none.
#pragma once
#include <llvm/Analysis/ScalarEvolution.h>
#include <llvm/IR/Instructions.h>

#include <optional>

#include "engine/base.h"

namespace tenon::jit {

// The end of a block: a branch to a trap unless index + extent <= length, without wrapping.
struct BoundsCheck {
  llvm::BranchInst* branch;
  const llvm::SCEV* index;  // 64 bits
  u64 extent;
  llvm::Value* length;  // a load of MemoryDesc::length
};
// Nothing when the block ends in something else, or in a check that optimisation has changed beyond recognition.
std::optional<BoundsCheck> find_bounds_check(llvm::BasicBlock& block, llvm::ScalarEvolution& scev);

// The check passes: the way to the trap goes. The branch is deleted. Dominators change.
void drop_check(llvm::BranchInst& branch);

// A constant that is added, and the rest.
std::pair<i64, const llvm::SCEV*> split_constant(llvm::ScalarEvolution& scev, const llvm::SCEV* s);

}  // namespace tenon::jit
