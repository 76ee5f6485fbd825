// Calls: direct, through imports, tables and references, tail calls, and straight into host functions.
#include <llvm/IR/Intrinsics.h>

#include "engine/runtime/host_func.h"
#include "jit/lower/func_lowering.h"
#include "jit/lower/inlining.h"
#include "jit/lower/native_call.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

llvm::Function* declare_function(Unit& unit, const ModulePlan& plan, FuncIdx f) {
  const NativeSignature signature(unit.context(), plan.module->func_type(f));
  return unit.function(symbol_name(f), plan.wide[f.value] ? signature.wide_type : signature.type,
                       kNativeConvention);
}

Value FuncLowering::func_ref(FuncIdx f) {
  if (wasm().is_imported(f))
    return load_vm(unit_.ptr(), plan_.layout.imported_functions + u64{f.value} * sizeof(void*), true);
  const u64 own = f.value - wasm().imported_functions;
  return unit_.offset(b_, vm_, plan_.layout.functions + own * sizeof(FuncRef));
}

// One buffer serves all calls of a function: results are read as soon as the call returns.
Value FuncLowering::slot_buffer(u32 slots) {
  if (!slot_buffer_) {
    llvm::IRBuilder<> at(entry_, entry_->begin());
    slot_buffer_ = at.CreateAlloca(unit_.i64(), at.getInt32(slots), "slots");
    slot_buffer_slots_ = slots;
  }
  if (slots > slot_buffer_slots_) {
    slot_buffer_->setOperand(0, b_.getInt32(slots));
    slot_buffer_slots_ = slots;
  }
  return slot_buffer_;
}

void FuncLowering::call_native(const FuncType& type, Value entry, Value native_context) {
  const NativeSignature signature(unit_.context(), type);
  Value results = signature.has_results_pointer ? slot_buffer(memory_result_slots(type)) : nullptr;
  auto* known = llvm::dyn_cast<llvm::Function>(entry);
  const bool wide = known && known->getFunctionType() == signature.wide_type;
  const auto values = pop_n(type.params.size());
  llvm::CallBase* call = call_or_invoke(
      wide ? signature.wide_type : signature.type, entry,
      native_arguments(unit_, b_, signature, wide, native_context, results, values, store_context_));
  call->setCallingConv(kNativeConvention);
  if (type.results.size() == 1) push(call);
  if (type.results.size() < 2) return;
  push(b_.CreateExtractValue(call, 0));
  push(b_.CreateExtractValue(call, 1));
  u64 slot = 0;
  for (size_t i = kRegisterResults; i < type.results.size(); ++i) {
    auto* load = b_.CreateAlignedLoad(this->type(type.results[i]),
                                      unit_.offset(b_, results, slot * sizeof(Slot)), llvm::Align(8));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.alias_tag(AliasClass::runtime));
    push(load);
    slot += type.results[i].slots();
  }
}

// The callee has the caller's results, so it takes the caller's results pointer. Both have the wide prototype.
void FuncLowering::tail_call_native(const FuncType& type, Value entry, Value native_context) {
  const NativeSignature signature(unit_.context(), type);
  Value results = signature.has_results_pointer ? results_pointer(b_, fn_) : nullptr;
  const auto values = pop_n(type.params.size());
  auto* call = call_native_entry(
      b_, signature, true, entry,
      native_arguments(unit_, b_, signature, true, native_context, results, values, store_context_));
  call->setTailCallKind(llvm::CallInst::TCK_MustTail);
  if (type.results.empty())
    b_.CreateRetVoid();
  else
    b_.CreateRet(call);
  unreachable();
}

Value FuncLowering::scratch_slot() {
  if (!scratch_) {
    llvm::IRBuilder<> at(entry_, entry_->begin());
    scratch_ = at.CreateAlloca(this->type(kV128), nullptr, "scratch");
  }
  return scratch_;
}

llvm::CallInst* FuncLowering::call_helper(Helper helper, llvm::ArrayRef<Value> args) {
  return unit_.call_helper(b_, store_context_, helper, args);
}

// An intrinsic: R native(HostFunc*, scalars...), which always returns.
void FuncLowering::call_host(FuncIdx f) {
  const FuncType& type = wasm().func_type(f);
  Value ref = func_ref(f);
  Value host = unit_.load(b_, unit_.ptr(), ref, offsetof(FuncRef, code), AliasClass::runtime, true);
  Value desc = unit_.load(b_, unit_.ptr(), host, offsetof(HostFunc, desc), AliasClass::runtime, true);
  Value target = unit_.load(b_, unit_.ptr(), desc, offsetof(HostFuncDesc, native), AliasClass::runtime, true);
  std::vector<Value> args{host};
  std::vector<llvm::Type*> params{unit_.ptr()};
  for (Value v : pop_n(type.params.size())) {
    args.push_back(v);
    params.push_back(v->getType());
  }
  llvm::Type* result = type.results.empty() ? b_.getVoidTy() : this->type(type.results[0]);
  auto* call = b_.CreateCall(llvm::FunctionType::get(result, params, false), target, args);
  call->setTailCallKind(llvm::CallInst::TCK_NoTail);
  if (!type.results.empty()) push(call);
}

namespace {

using L = FuncLowering;
using V = Value;

struct Target {
  V entry, context;
};

Target target_of(L& l, V func_ref) {
  auto& u = l.unit();
  V entry = u.load(l.ir(), u.ptr(), func_ref, offsetof(FuncRef, native_entry), AliasClass::runtime);
  V context = u.load(l.ir(), u.ptr(), func_ref, offsetof(FuncRef, native_context), AliasClass::runtime);
  return {entry, context};
}

Target direct_target(L& l, FuncIdx f) {
  if (!l.plan().compiled[f.value]) return target_of(l, l.func_ref(f));
  return {declare_function(l.unit(), l.plan(), f), l.vm()};
}

const FuncType& func_type(L& l, u32 type_idx) {
  return *l.wasm().type_registry().get(l.wasm().types[type_idx]).func();
}

// Spec: exec/instructions, call_indirect: element, null and type checks, in this order.
V indirect_callee(L& l, const Instr& i) {
  auto& u = l.unit();
  auto& b = l.ir();
  V index = l.pop();
  if (index->getType() != u.i64()) index = b.CreateZExt(index, u.i64());
  V table = l.table_desc(i.index2);
  V size = u.load(b, u.i64(), table, offsetof(TableDesc, size), AliasClass::table);
  l.trap_if(b.CreateICmpUGE(index, size), TrapCode::undefined_element);
  V elements = u.load(b, u.ptr(), table, offsetof(TableDesc, elements), AliasClass::table);
  V callee = u.load(b, u.ptr(), b.CreateInBoundsGEP(u.i64(), elements, index), 0, AliasClass::table);
  l.trap_if(b.CreateIsNull(callee), TrapCode::uninitialized_element, index);
  V wanted = l.load_vm(u.i32(), l.plan().layout.types + u64{i.index} * sizeof(u32), true);
  V found = u.load(b, u.i32(), callee, offsetof(FuncRef, type), AliasClass::runtime, true);
  V same = b.CreateICmpEQ(found, wanted);
  if (l.wasm().type_registry().get(l.wasm().types[i.index]).sub.final_) {
    l.trap_if(b.CreateNot(same), TrapCode::indirect_call_type_mismatch);
    return callee;
  }
  llvm::BasicBlock* slow = l.new_block("subtype");
  llvm::BasicBlock* next = l.new_block();
  b.CreateCondBr(same, next, slow);
  l.switch_to(slow);
  V is_subtype = l.call_helper(Helper::tenon_jit_is_subtype, {l.vm(), found, wanted});
  l.trap_if(b.CreateICmpEQ(is_subtype, l.i32(0)), TrapCode::indirect_call_type_mismatch);
  b.CreateBr(next);
  l.switch_to(next);
  return callee;
}

// Through a table whose content is known: when the row has the wanted type, its code belongs to this instance;
// the rest is checked as usual.
Target known_callee(L& l, const Instr& i) {
  auto& u = l.unit();
  auto& b = l.ir();
  const Module& module = l.wasm();
  V index = l.top();
  V row = b.CreateZExt(index, u.i64());
  llvm::BasicBlock *inside = l.new_block("inside"), *known = l.new_block("known"),
                   *other = l.new_block("other"), *callee = l.new_block("callee");
  const u64 rows = l.plan().known_tables[i.index2]->size();
  b.CreateCondBr(b.CreateICmpULT(row, l.i64(rows)), inside, other);
  l.switch_to(inside);
  V table = declare_dispatch_table(u, l.plan(), i.index2);
  V at = b.CreateInBoundsGEP(b.getInt64Ty(), table, row);
  static_assert(kDispatchRow == sizeof(u64));
  V type = u.load(b, u.i32(), at, sizeof(u32), AliasClass::table, true);
  V wanted = l.i32(dispatch_type(module, module.types[i.index]));
  b.CreateCondBr(b.CreateICmpNE(type, wanted), other, known, u.unlikely());
  l.switch_to(known);
  V offset = b.CreateSExt(u.load(b, u.i32(), at, 0, AliasClass::table, true), u.i64());
  V entry = b.CreateGEP(b.getInt8Ty(), table, offset);
  b.CreateBr(callee);
  l.switch_to(other);
  const Target checked = target_of(l, indirect_callee(l, i));
  llvm::BasicBlock* checked_end = b.GetInsertBlock();
  b.CreateBr(callee);
  l.switch_to(callee);
  auto* entries = b.CreatePHI(u.ptr(), 2);
  entries->addIncoming(entry, known);
  entries->addIncoming(checked.entry, checked_end);
  auto* contexts = b.CreatePHI(u.ptr(), 2);
  contexts->addIncoming(l.vm(), known);
  contexts->addIncoming(checked.context, checked_end);
  return {entries, contexts};
}

Target table_callee(L& l, const Instr& i) {
  return l.plan().known_tables[i.index2] ? known_callee(l, i) : target_of(l, indirect_callee(l, i));
}

V referenced_callee(L& l) {
  V ref = l.pop();
  l.trap_if(l.ir().CreateICmpEQ(ref, l.i64(0)), TrapCode::null_function_reference);
  return l.ir().CreateIntToPtr(ref, l.unit().ptr());
}

void lower_call(L& l, const Instr& i) {
  const FuncIdx f{i.index};
  if (l.wasm().is_imported(f) && l.plan().native_import[f.value]) return l.call_host(f);
  llvm::Function* copy = inline_copy(l.unit(), l.plan(), l.func(), f);
  const Target t = copy ? Target{copy, l.vm()} : direct_target(l, f);
  l.call_native(l.wasm().func_type(f), t.entry, t.context);
}

void lower_return_call(L& l, const Instr& i) {
  const FuncIdx f{i.index};
  const Target t = direct_target(l, f);
  l.tail_call_native(l.wasm().func_type(f), t.entry, t.context);
}

template <bool kTail, bool kThroughTable>
void lower_call_through(L& l, const Instr& i) {
  const Target t = kThroughTable ? table_callee(l, i) : target_of(l, referenced_callee(l));
  if (kTail)
    l.tail_call_native(func_type(l, i.index), t.entry, t.context);
  else
    l.call_native(func_type(l, i.index), t.entry, t.context);
}

constexpr Row kRows[] = {
    {Op::call, lower_call},
    {Op::call_indirect, lower_call_through<false, true>},
    {Op::call_ref, lower_call_through<false, false>},
    {Op::return_call, lower_return_call},
    {Op::return_call_indirect, lower_call_through<true, true>},
    {Op::return_call_ref, lower_call_through<true, false>},
};

}  // namespace

std::span<const Row> call_rows() { return kRows; }

}  // namespace tenon::jit
