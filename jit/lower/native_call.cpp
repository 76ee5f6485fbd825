// Arguments of native functions (native_call.h).
#include "jit/lower/native_call.h"

#include "engine/runtime/vm.h"

namespace tenon::jit {
namespace {

using V = llvm::Value*;
using Builder = llvm::IRBuilder<>;

V transfer_buffer(Unit& unit, Builder& b, V store_context) {
  return unit.load(b, unit.ptr(), store_context, offsetof(StoreContext, transfer), AliasClass::runtime);
}

// A register of a wide prototype from the value in it, and back; what is beyond the value is undefined.
V widen(Builder& b, V value, llvm::Type* reg) {
  llvm::Type* t = value->getType();
  if (t->isPointerTy()) return b.CreatePtrToInt(value, reg);
  if (t->isIntegerTy()) return b.CreateZExt(value, reg);
  if (t->isVectorTy()) return value;
  auto* vector = llvm::FixedVectorType::get(t, 128 / t->getScalarSizeInBits());
  return b.CreateBitCast(b.CreateInsertElement(llvm::PoisonValue::get(vector), value, u64{0}), reg);
}

V narrow(Builder& b, V reg, llvm::Type* t) {
  if (t->isIntegerTy()) return b.CreateTrunc(reg, t);
  if (t->isVectorTy()) return reg;
  auto* vector = llvm::FixedVectorType::get(t, 128 / t->getScalarSizeInBits());
  return b.CreateExtractElement(b.CreateBitCast(reg, vector), u64{0});
}

}  // namespace

std::vector<V> native_arguments(Unit& unit, Builder& b, const NativeSignature& signature, bool wide,
                                V context, V results, llvm::ArrayRef<V> values, V store_context) {
  const llvm::FunctionType* type = wide ? signature.wide_type : signature.type;
  std::vector<V> arguments(type->getNumParams());
  for (u32 i = 0; i < arguments.size(); ++i) arguments[i] = llvm::PoisonValue::get(type->getParamType(i));
  arguments[0] = context;
  if (signature.has_results_pointer) arguments[1] = wide ? widen(b, results, type->getParamType(1)) : results;
  V buffer = signature.memory_slots ? transfer_buffer(unit, b, store_context) : nullptr;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto& param = signature.params[i];
    if (param.in_memory)
      unit.store(b, values[i], buffer, u64{param.argument} * sizeof(Slot), AliasClass::runtime);
    else if (wide)
      arguments[param.wide_argument] = widen(b, values[i], type->getParamType(param.wide_argument));
    else
      arguments[param.argument] = values[i];
  }
  return arguments;
}

std::vector<V> native_parameters(Unit& unit, Builder& b, const NativeSignature& signature,
                                 const FuncType& type, llvm::Function* fn, V store_context) {
  const bool wide = fn->getFunctionType() == signature.wide_type;
  V buffer = signature.memory_slots ? transfer_buffer(unit, b, store_context) : nullptr;
  std::vector<V> values;
  for (size_t i = 0; i < type.params.size(); ++i) {
    const auto& param = signature.params[i];
    llvm::Type* t = lower_type(unit.context(), type.params[i]);
    if (param.in_memory) {
      auto* load =
          b.CreateAlignedLoad(t, unit.offset(b, buffer, u64{param.argument} * sizeof(Slot)), llvm::Align(8));
      load->setMetadata(llvm::LLVMContext::MD_tbaa, unit.alias_tag(AliasClass::runtime));
      values.push_back(load);
    } else {
      values.push_back(wide ? narrow(b, fn->getArg(param.wide_argument), t) : fn->getArg(param.argument));
    }
  }
  return values;
}

V results_pointer(Builder& b, llvm::Function* fn) {
  V results = fn->getArg(1);
  return results->getType()->isPointerTy() ? results : b.CreateIntToPtr(results, b.getPtrTy());
}

llvm::CallInst* call_native_entry(Builder& b, const NativeSignature& signature, bool wide, V entry,
                                  llvm::ArrayRef<V> arguments) {
  auto* call = b.CreateCall(wide ? signature.wide_type : signature.type, entry, arguments);
  call->setCallingConv(kNativeConvention);
  call->setTailCallKind(llvm::CallInst::TCK_NoTail);
  return call;
}

}  // namespace tenon::jit
