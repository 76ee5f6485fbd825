// Bounds checks in IR (bounds_check.h).
#include "jit/passes/bounds_check.h"

#include <llvm/Analysis/ScalarEvolutionExpressions.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include "engine/runtime/vm.h"

namespace tenon::jit {
namespace {

using llvm::SCEV;

// Which successor of the branch is a trap; nothing: none, or both.
std::optional<unsigned> trap_of(const llvm::BranchInst& branch) {
  auto traps = [&](unsigned i) {
    return llvm::isa<llvm::UnreachableInst>(branch.getSuccessor(i)->getTerminator());
  };
  if (traps(0) == traps(1)) return std::nullopt;
  return traps(0) ? 0 : 1;
}

// A load of MemoryDesc::length through a pointer in the VMContext.
bool is_memory_length(const llvm::Value* v) {
  const auto* load = llvm::dyn_cast<llvm::LoadInst>(v);
  if (!load) return false;
  const llvm::DataLayout& layout = load->getDataLayout();
  llvm::APInt field(64, 0), cell(64, 0);
  const auto* desc = llvm::dyn_cast<llvm::LoadInst>(
      load->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, field, true));
  if (!desc || field != offsetof(MemoryDesc, length)) return false;
  const llvm::Value* vm = desc->getPointerOperand()->stripAndAccumulateConstantOffsets(layout, cell, true);
  return !load->getFunction()->arg_empty() && vm == load->getFunction()->getArg(0);
}

}  // namespace

std::pair<i64, const SCEV*> split_constant(llvm::ScalarEvolution& scev, const SCEV* s) {
  if (const auto* constant = llvm::dyn_cast<llvm::SCEVConstant>(s))
    return {constant->getAPInt().getSExtValue(), scev.getZero(s->getType())};
  const auto* sum = llvm::dyn_cast<llvm::SCEVAddExpr>(s);
  const auto* constant = sum ? llvm::dyn_cast<llvm::SCEVConstant>(sum->getOperand(0)) : nullptr;
  if (!constant) return {0, s};
  return {constant->getAPInt().getSExtValue(), scev.getMinusSCEV(s, constant)};
}

std::optional<BoundsCheck> find_bounds_check(llvm::BasicBlock& block, llvm::ScalarEvolution& scev) {
  auto* branch = llvm::dyn_cast<llvm::BranchInst>(block.getTerminator());
  if (!branch || !branch->isConditional()) return std::nullopt;
  const auto trap = trap_of(*branch);
  const auto* compare = llvm::dyn_cast<llvm::ICmpInst>(branch->getCondition());
  if (!trap || !compare || !compare->getOperand(0)->getType()->isIntegerTy(64)) return std::nullopt;
  // The trap is where index > length - extent.
  auto predicate = *trap == 0 ? compare->getPredicate() : compare->getInversePredicate();
  llvm::Value *index = compare->getOperand(0), *limit = compare->getOperand(1);
  if (predicate == llvm::CmpInst::ICMP_ULT) {
    std::swap(index, limit);
    predicate = llvm::CmpInst::ICMP_UGT;
  }
  if (predicate != llvm::CmpInst::ICMP_UGT) return std::nullopt;
  const auto [negative, rest] = split_constant(scev, scev.getSCEV(limit));
  const auto* unknown = llvm::dyn_cast<llvm::SCEVUnknown>(rest);
  if (negative > 0 || negative == std::numeric_limits<i64>::min() || !unknown ||
      !is_memory_length(unknown->getValue()))
    return std::nullopt;
  return BoundsCheck{branch, scev.getSCEV(index), static_cast<u64>(-negative), unknown->getValue()};
}

void drop_check(llvm::BranchInst& branch) {
  const unsigned trap = *trap_of(branch);
  branch.getSuccessor(trap)->removePredecessor(branch.getParent());
  llvm::IRBuilder<>(&branch).CreateBr(branch.getSuccessor(1 - trap));
  branch.eraseFromParent();
}

}  // namespace tenon::jit
