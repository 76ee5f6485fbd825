// Entries of on-stack replacement.
#include "jit/lower/osr.h"

#include <fmt/format.h>

#include "engine/runtime/vm.h"
#include "jit/lower/native_call.h"
#include "jit/lower/thunks.h"

namespace tenon::jit {

OsrNames::OsrNames(const OsrLoop& loop)
    : body(fmt::format("o{}.{}", loop.function.value, loop.offset)),
      array_entry("loop." + body),
      inner("inner." + body) {}

FuncType osr_type(const FuncType& type) {
  FuncType out;
  out.params = {kI64};
  out.results = type.results;
  out.param_slots = 1;
  out.result_slots = type.result_slots;
  return out;
}

llvm::Function* declare_osr_body(Unit& unit, const OsrLoop& loop, const FuncType& type) {
  return unit.function(OsrNames(loop).body, NativeSignature(unit.context(), osr_type(type)).wide_type,
                       kNativeConvention);
}

void lower_osr_entry(Unit& unit, const OsrLoop& loop, const FuncType& type) {
  const OsrNames names(loop);
  auto* void_type = llvm::Type::getVoidTy(unit.context());
  auto* inner =
      unit.function(names.inner, llvm::FunctionType::get(void_type, {unit.ptr(), unit.ptr()}, false),
                    llvm::CallingConv::C, llvm::GlobalValue::InternalLinkage);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(unit.context(), "", inner));
  llvm::Value *self = inner->getArg(0), *frame = inner->getArg(1);
  const NativeSignature signature(unit.context(), osr_type(type));
  llvm::Value* vm = unit.load(b, unit.ptr(), self, offsetof(FuncRef, vmctx), AliasClass::runtime);
  // Results beyond the registers overwrite the frame's start, which has been read by then.
  llvm::Value* results = unit.offset(b, frame, slots_before(type.results, kRegisterResults) * sizeof(Slot));
  auto* call = call_native_entry(b, signature, true, declare_osr_body(unit, loop, type),
                                 native_arguments(unit, b, signature, true, vm, results,
                                                  {b.CreatePtrToInt(frame, unit.i64())}, nullptr));
  store_register_results(unit, b, type, call, frame);
  b.CreateRetVoid();
  lower_array_entry(unit, names.array_entry, inner);
}

}  // namespace tenon::jit
