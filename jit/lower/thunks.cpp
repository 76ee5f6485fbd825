// Thunks: array → native (array entry and inner function) and native → array.
#include "jit/lower/thunks.h"

#include "engine/native/code_image.h"
#include "engine/runtime/host_func.h"
#include "engine/runtime/vm.h"
#include "jit/lower/native_call.h"

namespace tenon::jit {
namespace {

using V = llvm::Value*;
using Builder = llvm::IRBuilder<>;

static_assert(offsetof(VMContext, store) == 0 && offsetof(HostFunc, store) == 0,
              "the native entry finds the store at the start of either");

Builder start(Unit& u, llvm::Function* fn) { return Builder(llvm::BasicBlock::Create(u.context(), "", fn)); }

V load_slot(Unit& u, Builder& b, V slots, u64 slot, ValType type) {
  auto* load = b.CreateAlignedLoad(lower_type(u.context(), type), u.offset(b, slots, slot * sizeof(Slot)),
                                   llvm::Align(8));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, u.alias_tag(AliasClass::runtime));
  return load;
}

// The store: through the defining instance, or the host function's record. FuncRef::vmctx of a host function is
// null, and its `code` is the HostFunc.
V store_of(Unit& u, Builder& b, V self) {
  V vm = u.load(b, u.ptr(), self, offsetof(FuncRef, vmctx), AliasClass::runtime);
  V host = u.load(b, u.ptr(), self, offsetof(FuncRef, code), AliasClass::runtime);
  return u.load(b, u.ptr(), b.CreateSelect(b.CreateIsNull(vm), host, vm), 0, AliasClass::runtime);
}

}  // namespace

u64 slots_before(const std::vector<ValType>& types, size_t n) {
  u64 slots = 0;
  for (size_t i = 0; i < n && i < types.size(); ++i) slots += types[i].slots();
  return slots;
}

void lower_array_entry(Unit& u, const std::string& name, llvm::Function* inner) {
  auto* fn =
      u.function(name, llvm::FunctionType::get(u.i32(), {u.ptr(), u.ptr()}, false), llvm::CallingConv::C);
  Builder b = start(u, fn);
  V self = fn->getArg(0);
  V vm = u.load(b, u.ptr(), self, offsetof(FuncRef, vmctx), AliasClass::runtime);
  V store = u.store_context(b, vm);
  auto* enter = u.call_helper(b, store, Helper::tenon_jit_enter, {self, fn->getArg(1), inner, store});
  enter->setTailCallKind(llvm::CallInst::TCK_Tail);
  fn->removeFnAttr("frame-pointer");  // no frame of its own between host and stub
  b.CreateRet(enter);
}

void store_register_results(Unit& u, Builder& b, const FuncType& type, V call, V slots) {
  if (type.results.size() == 1) u.store(b, call, slots, 0, AliasClass::runtime);
  if (type.results.size() > 1)
    for (unsigned i = 0; i < kRegisterResults; ++i)
      u.store(b, b.CreateExtractValue(call, i), slots, slots_before(type.results, i) * sizeof(Slot),
              AliasClass::runtime);
}

namespace {

// Arguments from slots, the native call, results to slots.
llvm::Function* lower_inner(Unit& u, const ThunkNames& names, const FuncType& type) {
  auto* fn = u.function(
      names.inner, llvm::FunctionType::get(llvm::Type::getVoidTy(u.context()), {u.ptr(), u.ptr()}, false),
      llvm::CallingConv::C, llvm::GlobalValue::InternalLinkage);
  Builder b = start(u, fn);
  V self = fn->getArg(0), slots = fn->getArg(1);
  const NativeSignature signature(u.context(), type);
  V context = u.load(b, u.ptr(), self, offsetof(FuncRef, native_context), AliasClass::runtime);
  // Results beyond the registers go straight to their slots: arguments have been read by then.
  V results = signature.has_results_pointer
                  ? u.offset(b, slots, slots_before(type.results, kRegisterResults) * sizeof(Slot))
                  : nullptr;
  V store = signature.memory_slots ? store_of(u, b, self) : nullptr;
  std::vector<V> values;
  for (size_t i = 0; i < type.params.size(); ++i)
    values.push_back(load_slot(u, b, slots, slots_before(type.params, i), type.params[i]));
  V entry = u.load(b, u.ptr(), self, offsetof(FuncRef, native_entry), AliasClass::runtime);
  auto* call = call_native_entry(b, signature, false, entry,
                                 native_arguments(u, b, signature, false, context, results, values, store));
  store_register_results(u, b, type, call, slots);
  b.CreateRetVoid();
  return fn;
}

// R (FuncRef* self, [results], params...): calls the array entry.
void lower_native_entry(Unit& u, const ThunkNames& names, const FuncType& type) {
  NativeSignature signature(u.context(), type);
  auto* fn = u.function(names.native_entry, signature.type, kNativeConvention);
  Builder b = start(u, fn);
  V self = fn->getArg(0);
  const u64 count =
      std::max<u64>({slots_before(type.params, ~size_t{0}), slots_before(type.results, ~size_t{0}), 1});
  V slots = b.CreateAlloca(llvm::ArrayType::get(u.i64(), count));
  V param_store = signature.memory_slots ? store_of(u, b, self) : nullptr;
  const auto params = native_parameters(u, b, signature, type, fn, param_store);
  for (u32 i = 0; i < params.size(); ++i)
    u.store(b, params[i], slots, slots_before(type.params, i) * sizeof(Slot), AliasClass::runtime);
  V entry = u.load(b, u.ptr(), self, offsetof(FuncRef, array_entry), AliasClass::runtime);
  auto* status =
      b.CreateCall(llvm::FunctionType::get(u.i32(), {u.ptr(), u.ptr()}, false), entry, {self, slots});
  status->setTailCallKind(llvm::CallInst::TCK_NoTail);
  auto* cold = llvm::BasicBlock::Create(u.context(), "not_ok", fn);
  auto* done = llvm::BasicBlock::Create(u.context(), "ok", fn);
  b.CreateCondBr(b.CreateICmpNE(status, b.getInt32(static_cast<u32>(Status::ok))), cold, done, u.unlikely());
  b.SetInsertPoint(cold);
  V store = store_of(u, b, self);
  V finally = u.call_helper(b, store, Helper::tenon_jit_resume_call, {self, slots, status});
  auto* raised = llvm::BasicBlock::Create(u.context(), "raised", fn);
  b.CreateCondBr(b.CreateICmpEQ(finally, b.getInt32(static_cast<u32>(Status::ok))), done, raised);
  b.SetInsertPoint(raised);
  u.call_helper(b, store, Helper::tenon_jit_reraise, {store, finally})->setDoesNotReturn();
  b.CreateUnreachable();
  b.SetInsertPoint(done);
  V results = signature.has_results_pointer ? results_pointer(b, fn) : nullptr;
  for (size_t i = kRegisterResults; i < type.results.size(); ++i) {
    const u64 first = slots_before(type.results, kRegisterResults);
    const u64 slot = slots_before(type.results, i);
    u.store(b, load_slot(u, b, slots, slot, type.results[i]), results, (slot - first) * sizeof(Slot),
            AliasClass::runtime);
  }
  if (type.results.empty()) {
    b.CreateRetVoid();
  } else if (type.results.size() == 1) {
    b.CreateRet(load_slot(u, b, slots, 0, type.results[0]));
  } else {
    V pair = llvm::PoisonValue::get(fn->getReturnType());
    for (unsigned i = 0; i < kRegisterResults; ++i)
      pair = b.CreateInsertValue(pair, load_slot(u, b, slots, slots_before(type.results, i), type.results[i]),
                                 i);
    b.CreateRet(pair);
  }
}

}  // namespace

void lower_thunks(Unit& unit, const FuncType& type) {
  const ThunkNames names(signature_key(type));
  lower_array_entry(unit, names.array_entry, lower_inner(unit, names, type));
  lower_native_entry(unit, names, type);
}

}  // namespace tenon::jit
