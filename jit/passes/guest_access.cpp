// Recognising guest accesses and barriers (guest_access.h).
#include "jit/passes/guest_access.h"

#include <llvm/Analysis/ValueTracking.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/InlineAsm.h>

namespace tenon::jit {
namespace {

constexpr const char* kFacts = "tenon.memory";

}  // namespace

void set_guest_memory(llvm::Module& module, const GuestMemory& memory) {
  if (module.getNamedMetadata(kFacts)) return;
  auto* word = llvm::Type::getInt64Ty(module.getContext());
  std::vector<llvm::Metadata*> values;
  for (u64 v : {memory.base_cell, memory.desc_cell, memory.min_length})
    values.push_back(llvm::ConstantAsMetadata::get(llvm::ConstantInt::get(word, v)));
  module.getOrInsertNamedMetadata(kFacts)->addOperand(llvm::MDNode::get(module.getContext(), values));
}

std::optional<GuestMemory> guest_memory(const llvm::Module& module) {
  const auto* facts = module.getNamedMetadata(kFacts);
  if (!facts) return std::nullopt;
  auto value = [&](unsigned i) {
    return llvm::mdconst::extract<llvm::ConstantInt>(facts->getOperand(0)->getOperand(i))->getZExtValue();
  };
  return GuestMemory{value(0), value(1), value(2)};
}

bool is_guest_access(const llvm::Instruction& i) {
  if (!i.mayReadOrWriteMemory() || llvm::isa<llvm::CallBase>(i) || llvm::isa<llvm::FenceInst>(i))
    return false;
  if (const auto* tag = i.getMetadata(llvm::LLVMContext::MD_tbaa)) {
    const auto* type = llvm::cast<llvm::MDNode>(tag->getOperand(0));
    return llvm::cast<llvm::MDString>(type->getOperand(0))->getString() == kGuestMemoryTag;
  }
  const llvm::Value* pointer = llvm::getLoadStorePointerOperand(&i);
  if (!pointer) return true;
  const llvm::Value* object = llvm::getUnderlyingObject(pointer, 0);
  return !llvm::isa<llvm::AllocaInst, llvm::Argument, llvm::GlobalVariable>(object);
}

bool is_barrier(const llvm::Instruction& i) {
  const auto* call = llvm::dyn_cast<llvm::CallInst>(&i);
  if (!call || !call->isInlineAsm()) return false;
  const auto* assembly = llvm::cast<llvm::InlineAsm>(call->getCalledOperand());
  return assembly->getAsmString().empty() && assembly->canThrow() && call->getType()->isVoidTy();
}

}  // namespace tenon::jit
