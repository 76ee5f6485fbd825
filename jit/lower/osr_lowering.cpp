// FuncLowering's part of on-stack replacement: where the interpreter's frame holds what
// (engine/interp/code.h, translator.cpp), and how control gets from the entry to the loop's head.
#include "engine/interp/code.h"
#include "jit/lower/func_lowering.h"
#include "jit/lower/native_call.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

FuncLowering::FuncLowering(Unit& unit, const ModulePlan& plan, const OsrLoop& loop)
    : unit_(unit),
      plan_(plan),
      func_(loop.function),
      type_(plan.module->func_type(func_)),
      signature_(unit.context(), type_),
      fn_(declare_osr_body(unit, loop, type_)),
      b_(unit.context()),
      osr_(loop) {
  fn_->addFnAttr(llvm::Attribute::NoInline);  // not into its entry: backtraces want its frame
}

Value FuncLowering::load_frame_slot(u32 slot, llvm::Type* type) {
  auto* load =
      b_.CreateAlignedLoad(type, unit_.offset(b_, osr_frame_, u64{slot} * sizeof(Slot)), llvm::Align(8));
  load->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.alias_tag(AliasClass::runtime));
  return load;
}

// Parameters and locals from their slots.
void FuncLowering::declare_frame_locals(const std::vector<LocalRun>& runs) {
  const FuncType type = osr_type(type_);
  const NativeSignature signature(unit_.context(), type);
  osr_frame_ =
      b_.CreateIntToPtr(native_parameters(unit_, b_, signature, type, fn_, store_context_)[0], unit_.ptr());
  u32 slot = 0;
  auto declare = [&](ValType t) {
    declare_local(t, load_frame_slot(slot, this->type(t)));
    slot += t.slots();
  };
  for (const ValType t : type_.params) declare(t);
  for (const LocalRun& run : runs)
    for (u32 i = 0; i < run.count; ++i) declare(run.type);
  osr_operands_ = std::max(slot, type_.result_slots) + interp::kLinkSlots;
}

// The function's beginning is lowered too, for what branches back to it; nothing enters there.
void FuncLowering::leave_osr_entry() {
  osr_entry_ = b_.GetInsertBlock();
  switch_to(new_block("begin"));
}

// The loop's parameters arrive as phis, operands below through their cells.
void FuncLowering::enter_loop(Control& loop) {
  llvm::BasicBlock* const before = b_.GetInsertBlock();
  switch_to(osr_entry_);
  u32 slot = osr_operands_;
  for (size_t i = 0; i < loop.height + loop.phis.size(); ++i) {
    const bool below = i < loop.height;
    llvm::Type* type = below ? stack_[i]->getType() : loop.phis[i - loop.height]->getType();
    Value operand = load_frame_slot(slot, type);
    if (below)
      b_.CreateStore(operand, operand_cell(i, type));
    else
      loop.phis[i - loop.height]->addIncoming(operand, osr_entry_);
    slot += type->isVectorTy() ? 2 : 1;
  }
  b_.CreateBr(loop.label);
  switch_to(before);
}

Value FuncLowering::operand_cell(size_t index, llvm::Type* type) {
  Value& cell = operand_cells_[{index, type}];
  if (!cell) {
    llvm::IRBuilder<> at(entry_, entry_->begin());
    cell = at.CreateAlloca(type);
  }
  return cell;
}

void FuncLowering::save_operands_below(const BlockType& block) {
  if (!osr_) return;
  const size_t count = stack_.size() - block_params(block).size();
  for (size_t i = 0; i < count; ++i) b_.CreateStore(stack_[i], operand_cell(i, stack_[i]->getType()));
}

void FuncLowering::reload_operands(size_t count) {
  for (size_t i = 0; i < count; ++i) {
    llvm::Type* type = stack_[i]->getType();
    stack_[i] = b_.CreateLoad(type, operand_cell(i, type));
  }
}

}  // namespace tenon::jit
