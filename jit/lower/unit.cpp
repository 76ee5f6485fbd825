// Unit: what the functions of one LLVM module share.
#include "jit/lower/unit.h"

#include <llvm/IR/MDBuilder.h>

#include "engine/runtime/vm.h"
#include "jit/passes/stack_check.h"

namespace tenon::jit {
namespace {

llvm::Type* type_of_letter(llvm::LLVMContext& context, char letter) {
  switch (letter) {
    case 'p': return llvm::PointerType::get(context, 0);
    case 'l': return llvm::Type::getInt64Ty(context);
    case 'i': return llvm::Type::getInt32Ty(context);
    case 'b': return llvm::Type::getInt8Ty(context);
    default: return llvm::Type::getVoidTy(context);
  }
}

}  // namespace

Unit::Unit(const std::string& name, const llvm::DataLayout& layout, const llvm::Triple& triple,
           std::string tuning)
    : context_(std::make_unique<llvm::LLVMContext>()),
      module_(std::make_unique<llvm::Module>(name, *context_)),
      tuning_(std::move(tuning)),
      debug_(*module_) {
  module_->setDataLayout(layout);
  module_->setTargetTriple(triple);
  module_->setPICLevel(llvm::PICLevel::BigPIC);
  module_->addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
  module_->addModuleFlag(llvm::Module::Warning, "Dwarf Version", 5);
  debug_file_ = debug_.createFile(name, "");
  debug_.createCompileUnit(llvm::DISourceLanguageName(llvm::dwarf::DW_LANG_C), debug_file_, "tenon", true, "",
                           0, "", llvm::DICompileUnit::LineTablesOnly);
  debug_type_ = debug_.createSubroutineType(debug_.getOrCreateTypeArray({}));
  llvm::MDBuilder md(*context_);
  llvm::MDNode* root = md.createTBAARoot("tenon");
  static constexpr const char* kNames[] = {"memory", "global", "table", "runtime", "object"};
  for (size_t i = 0; i < alias_tags_.size(); ++i) {
    llvm::MDNode* type = md.createTBAAScalarTypeNode(kNames[i], root);
    alias_tags_[i] = md.createTBAAStructTagNode(type, type, 0);
  }
  empty_node_ = llvm::MDNode::get(*context_, {});
}

llvm::Function* Unit::function(const std::string& name, llvm::FunctionType* type,
                               llvm::CallingConv::ID convention, llvm::GlobalValue::LinkageTypes linkage) {
  if (llvm::Function* known = module_->getFunction(name)) return known;
  auto* fn = llvm::Function::Create(type, linkage, name, module_.get());
  fn->setCallingConv(convention);
  fn->setDSOLocal(true);  // all of an image is linked together
  // Frame pointers: backtraces need no unwinder. Large frames touch each page on their way, so that they
  // can't jump over the end of the stack.
  fn->addFnAttr("frame-pointer", "all");
  fn->addFnAttr("probe-stack", "inline-asm");
  fn->addFnAttr("tune-cpu", tuning_);
  return fn;
}

llvm::DISubprogram* Unit::subprogram(llvm::Function* fn) {
  auto* sp = debug_.createFunction(debug_file_, fn->getName(), "", debug_file_, 0, debug_type_, 0,
                                   llvm::DINode::FlagZero, llvm::DISubprogram::SPFlagDefinition);
  fn->setSubprogram(sp);
  return sp;
}

llvm::Value* Unit::offset(llvm::IRBuilder<>& b, llvm::Value* base, u64 bytes) {
  return bytes == 0 ? base : b.CreateInBoundsGEP(b.getInt8Ty(), base, b.getInt64(bytes));
}

llvm::Value* Unit::load(llvm::IRBuilder<>& b, llvm::Type* type, llvm::Value* base, u64 offset_bytes,
                        AliasClass alias, bool constant) {
  auto* load =
      b.CreateAlignedLoad(type, offset(b, base, offset_bytes), llvm::Align(type->isVectorTy() ? 16 : 4));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, alias_tag(alias));
  if (constant) load->setMetadata(llvm::LLVMContext::MD_invariant_load, empty_node_);
  return load;
}

llvm::StoreInst* Unit::store(llvm::IRBuilder<>& b, llvm::Value* value, llvm::Value* base, u64 offset_bytes,
                             AliasClass alias) {
  auto* store = b.CreateAlignedStore(value, offset(b, base, offset_bytes), llvm::Align(4));
  store->setMetadata(llvm::LLVMContext::MD_tbaa, alias_tag(alias));
  return store;
}

llvm::Value* Unit::store_context(llvm::IRBuilder<>& b, llvm::Value* vm) {
  return load(b, ptr(), vm, offsetof(VMContext, store), AliasClass::runtime, true);
}

llvm::CallInst* Unit::call_helper(llvm::IRBuilder<>& b, llvm::Value* store_context, Helper helper,
                                  llvm::ArrayRef<llvm::Value*> args) {
  const std::string_view signature = helper_signature(helper);
  std::vector<llvm::Type*> params;
  size_t i = 0;
  for (; signature[i] != ':'; ++i) params.push_back(type_of_letter(*context_, signature[i]));
  llvm::Type* result = type_of_letter(*context_, signature[i + 1]);
  llvm::Value* table =
      load(b, ptr(), store_context, offsetof(StoreContext, helpers), AliasClass::runtime, true);
  llvm::Value* target =
      load(b, ptr(), table, static_cast<u64>(helper) * sizeof(void*), AliasClass::runtime, true);
  auto* call = b.CreateCall(llvm::FunctionType::get(result, params, false), target, args);
  call->setTailCallKind(llvm::CallInst::TCK_NoTail);
  return call;
}

llvm::Function* Unit::raise_function() {
  if (raise_) return raise_;
  raise_ = function(kRaiseFunction,
                    llvm::FunctionType::get(llvm::Type::getVoidTy(*context_), {ptr(), i64()}, false),
                    llvm::CallingConv::C, llvm::GlobalValue::InternalLinkage);
  for (auto attribute : {llvm::Attribute::NoReturn, llvm::Attribute::Cold, llvm::Attribute::NoInline})
    raise_->addFnAttr(attribute);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(*context_, "", raise_));
  llvm::Value* vm = raise_->getArg(0);
  call_helper(b, store_context(b, vm), Helper::tenon_jit_raise, {vm, raise_->getArg(1)})->setDoesNotReturn();
  b.CreateUnreachable();
  return raise_;
}

llvm::Function* Unit::personality() {
  auto* type = llvm::FunctionType::get(i32(), false);
  llvm::Function* fn =
      function("tenon.personality", type, llvm::CallingConv::C, llvm::GlobalValue::InternalLinkage);
  if (!fn->empty()) return fn;
  fn->setDoesNotThrow();
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(*context_, "", fn));
  b.CreateRet(b.getInt32(0));
  return fn;
}

llvm::MDNode* Unit::unlikely() { return llvm::MDBuilder(*context_).createBranchWeights(1, 100'000); }

}  // namespace tenon::jit
