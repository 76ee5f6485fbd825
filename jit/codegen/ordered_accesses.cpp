// Barriers to volatile accesses. The code generator works on one block at a time where it reorders memory
// accesses, keeps volatile ones in order with all others, and never deletes them.
#include "jit/codegen/ordered_accesses.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Instructions.h>
#include <llvm/Transforms/Utils/Local.h>

#include "jit/passes/guest_access.h"

namespace tenon::jit {
namespace {

// The load whose value a barrier keeps alive, through conversions; null when it is something else by now.
llvm::LoadInst* kept_load(llvm::Value* v) {
  while (auto* cast = llvm::dyn_cast<llvm::CastInst>(v)) v = cast->getOperand(0);
  auto* load = llvm::dyn_cast<llvm::LoadInst>(v);
  return load && !load->isAtomic() ? load : nullptr;
}

// The code generator folds a load into what uses its value, and the instruction that comes of it has the location of
// that user: it must be where the fault is reported. (Of two loads only the later one can be folded.) A store of the
// result to where the load was from may become one instruction with both; only the load can fault then.
void carry_location(llvm::LoadInst& load) {
  constexpr int kFurthest = 4;  // an extension, an operation, a comparison, a branch
  llvm::Instruction* at = &load;
  for (int i = 0; i < kFurthest && at->hasOneUse(); ++i) {
    auto* user = llvm::cast<llvm::Instruction>(at->user_back());
    if (user->getParent() != load.getParent() || llvm::isa<llvm::PHINode, llvm::CallBase>(user)) return;
    if (user->mayReadOrWriteMemory()) {
      const auto* store = llvm::dyn_cast<llvm::StoreInst>(user);
      if (store && store->getPointerOperand() == load.getPointerOperand())
        user->setDebugLoc(load.getDebugLoc());
      return;
    }
    user->setDebugLoc(load.getDebugLoc());
    at = user;
  }
}

// The block's stores that others can see.
void make_stores_volatile(llvm::BasicBlock& block) {
  for (llvm::Instruction& i : block)
    if (auto* store = llvm::dyn_cast<llvm::StoreInst>(&i);
        store && !store->isAtomic() &&
        !llvm::isa<llvm::AllocaInst>(llvm::getUnderlyingObject(store->getPointerOperand())))
      store->setVolatile(true);
}

}  // namespace

void order_by_volatile(llvm::Function& f) {
  for (llvm::BasicBlock& block : f) {
    bool barriers = false;
    for (llvm::Instruction& i : llvm::make_early_inc_range(block)) {
      if (!is_barrier(i)) continue;
      barriers = true;
      auto& call = llvm::cast<llvm::CallInst>(i);
      llvm::Value* kept = call.arg_empty() ? nullptr : call.getArgOperand(0);
      llvm::LoadInst* load = kept ? kept_load(kept) : nullptr;
      if (kept &&
          !load) {  // the barrier stays: the fast instruction selector drops calls that touch no memory
        call.removeFnAttr(llvm::Attribute::Memory);
        continue;
      }
      if (load) load->setVolatile(true);
      i.eraseFromParent();
      if (!load) continue;
      llvm::RecursivelyDeleteTriviallyDeadInstructions(kept);  // conversions for the barrier alone
      carry_location(*load);
    }
    if (barriers) make_stores_volatile(block);
  }
}

}  // namespace tenon::jit
