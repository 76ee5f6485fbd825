// One LLVM module in the making: a part of a Wasm module's functions, or thunks. Holds what all functions of
// it share: types, alias tags, helper calls, debug information. Does not know instructions (func_lowering.h).
#pragma once
#include <llvm/IR/DIBuilder.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include <initializer_list>
#include <map>
#include <memory>

#include "engine/runtime/helpers.h"
#include "jit/lower/abi.h"

namespace tenon::jit {

struct ModulePlan;

// Memory that compiled code touches, in classes that never alias each other.
enum class AliasClass : u8 { memory, global, table, runtime, object, count };

class Unit {
 public:
  Unit(const std::string& name, const llvm::DataLayout& layout, const llvm::Triple& triple,
       std::string tuning);

  llvm::LLVMContext& context() { return *context_; }
  llvm::Module& module() { return *module_; }
  llvm::Type* i32() { return llvm::Type::getInt32Ty(*context_); }
  llvm::Type* i64() { return llvm::Type::getInt64Ty(*context_); }
  llvm::PointerType* ptr() { return llvm::PointerType::get(*context_, 0); }

  // A declaration or definition in the making, with the attributes that all compiled functions need.
  llvm::Function* function(const std::string& name, llvm::FunctionType* type,
                           llvm::CallingConv::ID convention,
                           llvm::GlobalValue::LinkageTypes linkage = llvm::GlobalValue::ExternalLinkage);
  llvm::DISubprogram* subprogram(llvm::Function* fn);

  // Loads through a pointer with a byte offset. `constant`: the cell never changes while compiled code can
  // see it.
  llvm::Value* load(llvm::IRBuilder<>& b, llvm::Type* type, llvm::Value* base, u64 offset, AliasClass alias,
                    bool constant = false);
  llvm::StoreInst* store(llvm::IRBuilder<>& b, llvm::Value* value, llvm::Value* base, u64 offset,
                         AliasClass alias);
  llvm::Value* offset(llvm::IRBuilder<>& b, llvm::Value* base, u64 bytes);
  llvm::MDNode* alias_tag(AliasClass a) { return alias_tags_[static_cast<size_t>(a)]; }

  llvm::Value* store_context(llvm::IRBuilder<>& b, llvm::Value* vm);
  llvm::CallInst* call_helper(llvm::IRBuilder<>& b, llvm::Value* store_context, Helper helper,
                              llvm::ArrayRef<llvm::Value*> args);
  // A function of the unit that raises: void (ptr vm, i64 site).
  llvm::Function* raise_function();

  // What LLVM wants functions with landing pads to name. Never called: engine/native/unwind.cpp reads tables.
  llvm::Function* personality();

  // Of functions that calls of this unit were lowered to (inlining.h), by function index; null: too large.
  std::map<u32, llvm::Function*>& inline_copies() { return inline_copies_; }

  // Branch weights for a condition that is nearly always false.
  llvm::MDNode* unlikely();
  void finish() { debug_.finalize(); }

  std::unique_ptr<llvm::LLVMContext> take_context() { return std::move(context_); }
  std::unique_ptr<llvm::Module> take_module() { return std::move(module_); }

 private:
  std::unique_ptr<llvm::LLVMContext> context_;
  std::unique_ptr<llvm::Module> module_;
  std::string tuning_;  // the processor that code is scheduled for
  llvm::DIBuilder debug_;
  llvm::DIFile* debug_file_;
  llvm::DISubroutineType* debug_type_;
  std::array<llvm::MDNode*, static_cast<size_t>(AliasClass::count)> alias_tags_{};
  llvm::MDNode* empty_node_;
  llvm::Function* raise_ = nullptr;
  std::map<u32, llvm::Function*> inline_copies_;
};

}  // namespace tenon::jit
