// Wasm types and signatures in LLVM IR.
#include "jit/lower/abi.h"

namespace tenon::jit {

llvm::Type* lower_type(llvm::LLVMContext& context, ValType type) {
  switch (type.kind()) {
    case ValKind::i32: return llvm::Type::getInt32Ty(context);
    case ValKind::f32: return llvm::Type::getFloatTy(context);
    case ValKind::f64: return llvm::Type::getDoubleTy(context);
    case ValKind::v128: return llvm::FixedVectorType::get(llvm::Type::getInt64Ty(context), 2);
    case ValKind::i64:
    case ValKind::ref:
    case ValKind::bottom: break;
  }
  return llvm::Type::getInt64Ty(context);
}

NativeSignature::NativeSignature(llvm::LLVMContext& context, const FuncType& wasm)
    : has_results_pointer(wasm.results.size() > kRegisterResults) {
  auto* pointer = llvm::PointerType::get(context, 0);
  auto* word = llvm::Type::getInt64Ty(context);
  std::vector<llvm::Type*> arguments(has_results_pointer ? 2 : 1, pointer);
  u32 integers = static_cast<u32>(arguments.size()), vectors = 0;
  for (ValType t : wasm.params) {
    llvm::Type* lowered = lower_type(context, t);
    u32& used = lowered->isIntegerTy() ? integers : vectors;
    if (used == (lowered->isIntegerTy() ? kIntegerArguments : kVectorArguments)) {
      params.push_back({true, memory_slots, memory_slots});
      memory_slots += t.slots();
      continue;
    }
    params.push_back({false, static_cast<u32>(arguments.size()),
                      lowered->isIntegerTy() ? integers : kIntegerArguments + vectors});
    arguments.push_back(lowered);
    ++used;
  }
  llvm::Type* result = llvm::Type::getVoidTy(context);
  if (wasm.results.size() == 1) result = lower_type(context, wasm.results[0]);
  if (wasm.results.size() > 1)
    result =
        llvm::StructType::get(lower_type(context, wasm.results[0]), lower_type(context, wasm.results[1]));
  type = llvm::FunctionType::get(result, arguments, false);
  std::vector<llvm::Type*> wide{pointer};
  wide.resize(kIntegerArguments, word);
  wide.resize(kIntegerArguments + kVectorArguments, llvm::FixedVectorType::get(word, 2));
  wide_type = llvm::FunctionType::get(result, wide, false);
}

u32 memory_result_slots(const FuncType& type) {
  u32 slots = 0;
  for (size_t i = kRegisterResults; i < type.results.size(); ++i) slots += type.results[i].slots();
  return slots;
}

}  // namespace tenon::jit
