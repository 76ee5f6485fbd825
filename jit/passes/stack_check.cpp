// StackCheckPass (stack_check.h).
#include "jit/passes/stack_check.h"

#include <llvm/Analysis/LoopInfo.h>
#include <llvm/IR/Dominators.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>
#include <llvm/Transforms/Utils/LoopUtils.h>

#include "engine/runtime/trap.h"
#include "engine/runtime/vm.h"
#include "jit/passes/guest_access.h"

namespace tenon::jit {
namespace {

constexpr const char* kRequested = "tenon-stack-check";
// Frames up to this size fit between the limit and the end of the stack, with room for what raises a trap.
constexpr u64 kOrdinaryFrame = 16 * 1024;
constexpr u64 kBytesPerInstruction = 16;  // a guess at what register allocation may spill

// Tail calls leave no frame, and what does not return raises a trap, for which there is room.
bool is_call(const llvm::Instruction& i) {
  const auto* call = llvm::dyn_cast<llvm::CallBase>(&i);
  return call && !llvm::isa<llvm::IntrinsicInst>(i) && !call->isInlineAsm() && !call->isMustTailCall() &&
         !call->doesNotReturn();
}

u64 frame_guess(const llvm::Function& f) {
  u64 bytes = 0;
  for (const llvm::Instruction& i : llvm::instructions(f)) {
    bytes += kBytesPerInstruction;
    if (const auto* slot = llvm::dyn_cast<llvm::AllocaInst>(&i))
      if (auto size = slot->getAllocationSize(f.getDataLayout())) bytes += size->getFixedValue();
  }
  return bytes;
}

// The innermost block outside of loops that every call passes through, made when it isn't there; null when there
// is no call.
llvm::BasicBlock* before_calls(llvm::Function& f, llvm::DominatorTree& dominators, llvm::LoopInfo& loops) {
  llvm::BasicBlock* common = nullptr;
  for (llvm::BasicBlock& block : f)
    if (dominators.isReachableFromEntry(&block) && llvm::any_of(block, is_call))
      common = common ? dominators.findNearestCommonDominator(common, &block) : &block;
  if (llvm::Loop* loop = common ? loops.getLoopFor(common) : nullptr) {
    loop = loop->getOutermostLoop();
    common = loop->getLoopPreheader();
    if (!common) common = llvm::InsertPreheaderForLoop(loop, &dominators, &loops, nullptr, false);
  }
  return common;
}

// Blocks that end before the frame is set up would be missing in backtraces of faults. A use of the frame's address
// in the entry block keeps LLVM from setting it up later.
void keep_frame_in_entry(llvm::Function& f) {
  llvm::IRBuilder<> b(&*f.getEntryBlock().getFirstNonPHIOrDbgOrAlloca());
  llvm::Value* frame = b.CreateIntrinsic(llvm::Intrinsic::frameaddress, {b.getPtrTy()}, {b.getInt32(0)});
  auto* type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy()}, false);
  b.CreateCall(llvm::InlineAsm::get(type, "", "r", true), {frame});
}

void insert_check(llvm::Function& f, llvm::BasicBlock* block, u64 frame_bytes, u64 wasm_offset) {
  llvm::IRBuilder<> b(&*block->getFirstNonPHIOrDbgOrAlloca());
  auto load = [&](llvm::Value* base, u64 offset) {
    return b.CreateAlignedLoad(b.getPtrTy(), b.CreateInBoundsGEP(b.getInt8Ty(), base, b.getInt64(offset)),
                               llvm::Align(8));
  };
  llvm::Value* vm = f.getArg(0);
  llvm::Value* limit = load(load(vm, offsetof(VMContext, store)), offsetof(StoreContext, stack_limit));
  llvm::Value* frame = b.CreateIntrinsic(llvm::Intrinsic::frameaddress, {b.getPtrTy()}, {b.getInt32(0)});
  if (frame_bytes > kOrdinaryFrame)
    frame = b.CreateGEP(b.getInt8Ty(), frame, b.getInt64(-static_cast<i64>(frame_bytes)));
  llvm::Value* exhausted = b.CreateICmpULT(frame, limit);
  llvm::Instruction* trap = llvm::SplitBlockAndInsertIfThen(
      exhausted, b.GetInsertPoint(), true, llvm::MDBuilder(f.getContext()).createBranchWeights(1, 100'000));
  b.SetInsertPoint(trap);
  const u64 site = static_cast<u64>(TrapCode::stack_exhausted) << 32 | (wasm_offset & 0xffff'ffff);
  auto* raise = b.CreateCall(f.getParent()->getFunction(kRaiseFunction), {vm, b.getInt64(site)});
  raise->setDoesNotReturn();
  raise->setTailCallKind(llvm::CallInst::TCK_NoTail);
}

}  // namespace

void request_stack_check(llvm::Function& f, u64 wasm_offset) {
  f.addFnAttr(kRequested, std::to_string(wasm_offset));
}

llvm::PreservedAnalyses StackCheckPass::run(llvm::Function& f, llvm::FunctionAnalysisManager& analyses) {
  u64 wasm_offset = 0;
  if (f.getFnAttribute(kRequested).getValueAsString().getAsInteger(10, wasm_offset))
    return llvm::PreservedAnalyses::all();
  f.removeFnAttr(kRequested);
  auto& dominators = analyses.getResult<llvm::DominatorTreeAnalysis>(f);
  const u64 frame_bytes = frame_guess(f);
  llvm::BasicBlock* block = before_calls(f, dominators, analyses.getResult<llvm::LoopAnalysis>(f));
  if (frame_bytes > kOrdinaryFrame) block = &f.getEntryBlock();
  const bool faults_outside = llvm::any_of(llvm::instructions(f), [&](const llvm::Instruction& i) {
    return is_guest_access(i) && !(block && dominators.dominates(block, i.getParent()));
  });
  if (faults_outside && block) block = &f.getEntryBlock();
  if (faults_outside && !block) keep_frame_in_entry(f);
  if (block) insert_check(f, block, frame_bytes, wasm_offset);
  return llvm::PreservedAnalyses::none();
}

}  // namespace tenon::jit
