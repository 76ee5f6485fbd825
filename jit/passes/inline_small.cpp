// Inlining by size, callees first.
#include "jit/passes/inline_small.h"

#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include <map>
#include <vector>

namespace tenon::jit {
namespace {

constexpr const char* kCopy = "tenon-inline-copy";
// In LLVM instructions: of a callee, and of all that one caller takes in.
constexpr size_t kMostInCallee = 70, kMostInCaller = 4000;

bool is_copy(const llvm::Function& f) { return f.hasFnAttribute(kCopy); }

size_t size_of(const llvm::Function& f) {
  size_t size = 0;
  for (const llvm::Instruction& i : llvm::instructions(f)) size += !llvm::isa<llvm::IntrinsicInst>(i);
  return size;
}

// Two calls that were one are one frame, or the other: backtraces need to know which.
void keep_calls_apart(llvm::Function& f) {
  for (llvm::Instruction& i : llvm::instructions(f))
    if (auto* call = llvm::dyn_cast<llvm::CallInst>(&i);
        call && !call->isInlineAsm() && !llvm::isa<llvm::IntrinsicInst>(call))
      call->addFnAttr(llvm::Attribute::NoMerge);
}

class Inliner {
 public:
  explicit Inliner(const std::function<void(llvm::Function&)>& simplify) : simplify_(simplify) {}

  void run(llvm::Function& caller) {
    size_t grown = 0;
    for (llvm::CallInst* call : calls_in(caller)) {
      llvm::Function& callee = *call->getCalledFunction();
      const size_t size = prepare(callee);
      if (size > kMostInCallee || grown + size > kMostInCaller) continue;
      llvm::InlineFunctionInfo info;
      if (llvm::InlineFunction(*call, info, false, nullptr, false).isSuccess()) grown += size;
    }
  }

 private:
  // Not in code that is about to trap, and not inside a try, where what a callee calls would have to become invokes.
  static std::vector<llvm::CallInst*> calls_in(llvm::Function& caller) {
    std::vector<llvm::CallInst*> calls;
    for (llvm::BasicBlock& block : caller) {
      if (llvm::isa<llvm::UnreachableInst>(block.getTerminator())) continue;
      for (llvm::Instruction& i : block)
        if (auto* call = llvm::dyn_cast<llvm::CallInst>(&i))
          if (const auto* callee = call->getCalledFunction(); callee && is_copy(*callee) && callee != &caller)
            calls.push_back(call);
    }
    return calls;
  }

  // What a copy calls is inlined into it first. A copy that is being prepared calls itself by way of others: it is not small.
  size_t prepare(llvm::Function& copy) {
    auto [known, first] = sizes_.try_emplace(&copy, kMostInCallee + 1);
    if (!first) return known->second;
    run(copy);
    simplify_(copy);
    keep_calls_apart(copy);
    return sizes_[&copy] = size_of(copy);
  }

  const std::function<void(llvm::Function&)>& simplify_;
  std::map<llvm::Function*, size_t> sizes_;
};

// A copy that is still called gives way to the function itself, if that is in the image.
void replace_copy(llvm::Function& copy) {
  const std::string symbol = copy.getFnAttribute(kCopy).getValueAsString().str();
  copy.removeFnAttr(kCopy);
  if (!copy.use_empty() && symbol.empty()) return;
  if (!copy.use_empty()) {
    llvm::Module& module = *copy.getParent();
    llvm::Function* itself = module.getFunction(symbol);
    if (!itself) {
      itself =
          llvm::Function::Create(copy.getFunctionType(), llvm::GlobalValue::ExternalLinkage, symbol, module);
      itself->setCallingConv(copy.getCallingConv());
      itself->setDSOLocal(true);
    }
    copy.replaceAllUsesWith(itself);
  }
  copy.eraseFromParent();
}

}  // namespace

void mark_inline_copy(llvm::Function& copy, const std::string& symbol) { copy.addFnAttr(kCopy, symbol); }

void inline_small_functions(llvm::Module& module, const std::function<void(llvm::Function&)>& simplify) {
  std::vector<llvm::Function*> copies, callers;
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    (is_copy(f) ? copies : callers).push_back(&f);
  }
  if (copies.empty()) return;
  Inliner inliner(simplify);
  for (llvm::Function* f : callers) inliner.run(*f);
  // Those that call each other are left with one use when the last call from outside is gone.
  for (llvm::Function* f : copies) replace_copy(*f);
}

}  // namespace tenon::jit
