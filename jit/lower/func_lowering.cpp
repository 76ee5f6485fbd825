// The frame of a function's translation: prologue, locals, control stack, traps, order of memory accesses.
#include "jit/lower/func_lowering.h"

#include <llvm/IR/InlineAsm.h>
#include <llvm/IR/Intrinsics.h>
#include <llvm/IR/MDBuilder.h>
#include <llvm/Transforms/Utils/BasicBlockUtils.h>

#include <algorithm>

#include "jit/lower/native_call.h"
#include "jit/lower/numeric.h"
#include "jit/passes/guest_access.h"
#include "jit/passes/stack_check.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

namespace {

std::array<LowerFn, kOpCount> make_lowering_table() {
  std::array<LowerFn, kOpCount> table{};
  for (auto rows : {control_rows(), call_rows(), memory_rows(), table_rows(), numeric_rows(), simd_rows(),
                    atomic_rows(), reference_rows(), exception_rows()})
    for (const Row& row : rows) table[static_cast<size_t>(row.op)] = row.lower;
  return table;
}

// Whether its code can fault, or call what appends to backtraces.
bool in_backtraces(Op op) {
  const OpInfo& info = op_info(op);
  switch (info.feature) {
    case Feature::gc:
    case Feature::exceptions:
    case Feature::legacy_exceptions: return true;
    default: break;
  }
  return info.width != 0 || op == Op::call || op == Op::call_indirect || op == Op::call_ref ||
         op == Op::return_call || op == Op::return_call_indirect || op == Op::return_call_ref;
}

// Whether a guest cannot tell if it was executed before a trap: it computes, or loads. (Computations that trap make their
// own checks.)
bool is_unobservable(Op op) {
  switch (op) {
    case Op::local_get:
    case Op::local_set:
    case Op::local_tee:
    case Op::drop:
    case Op::select: return true;
    default: break;
  }
  const OpInfo& info = op_info(op);
  if (info.width != 0) return info.signature.param_count == 1 && info.feature != Feature::threads;
  if (info.feature == Feature::gc) return false;  // allocates
  return info.constant || (info.imm == Imm::none && !info.signature.by_hand);
}

}  // namespace

LowerFn lowering_of(Op op) {
  static const auto kTable = make_lowering_table();
  return kTable[static_cast<size_t>(op)];
}

FuncLowering::FuncLowering(Unit& unit, const ModulePlan& plan, FuncIdx func)
    : unit_(unit),
      plan_(plan),
      func_(func),
      type_(plan.module->func_type(func)),
      signature_(unit.context(), type_),
      fn_(declare_function(unit, plan, func)),
      b_(unit.context()) {}

FuncLowering::FuncLowering(Unit& unit, const ModulePlan& plan, FuncIdx func, llvm::Function& copy)
    : unit_(unit),
      plan_(plan),
      func_(func),
      type_(plan.module->func_type(func)),
      signature_(unit.context(), type_),
      fn_(&copy),
      b_(unit.context()),
      will_be_inlined_(true) {}

Result<void> FuncLowering::run() {
  const Function& f = wasm().functions[func_.value];
  CodeReader reader(wasm(), f.body, f.offset);
  TRY(prologue(reader));
  find_hints();
  Instr instr;
  while (!controls_.empty() && reader.next(instr)) {
    offset_ = instr.offset;
    if (reachable_)
      step(instr);
    else
      skip(instr);
  }
  if (reader.error()) return std::unexpected(*reader.error());
  if (osr_) {
    llvm::EliminateUnreachableBlocks(*fn_);  // what only led to the loop
    lower_osr_entry(unit_, *osr_, type_);
  }
  return {};
}

void FuncLowering::find_hints() {
  const auto& all = wasm().branch_hints;
  auto found =
      std::ranges::lower_bound(all, func_.value, {}, [](const auto& row) { return row.first.value; });
  if (found != all.end() && found->first == func_) hints_ = found->second;
}

llvm::MDNode* FuncLowering::branch_weights() {
  const u64 at = offset_ - wasm().functions[func_.value].offset;
  while (!hints_.empty() && hints_.front().offset < at) hints_ = hints_.subspan(1);
  if (hints_.empty() || hints_.front().offset != at) return nullptr;
  constexpr u32 kLikely = 2000;
  const bool likely = hints_.front().likely;
  return llvm::MDBuilder(unit_.context()).createBranchWeights(likely ? kLikely : 1, likely ? 1 : kLikely);
}

Value FuncLowering::local(u32 index) {
  if (!known_locals_[index]) known_locals_[index] = b_.CreateLoad(local_types_[index], locals_[index]);
  return known_locals_[index];
}

void FuncLowering::set_local(u32 index, Value v) {
  b_.CreateStore(v, locals_[index]);
  known_locals_[index] = v;
}

Result<void> FuncLowering::prologue(CodeReader& reader) {
  std::vector<LocalRun> runs;
  if (!reader.read_locals(runs)) return std::unexpected(*reader.error());
  subprogram_ = unit_.subprogram(fn_);
  offset_ = wasm().functions[func_.value].offset;
  locate(will_be_inlined_);
  entry_ = new_block("entry");
  switch_to(entry_);
  vm_ = fn_->getArg(0);
  fn_->addParamAttr(0, llvm::Attribute::NonNull);
  fn_->addParamAttr(0, llvm::Attribute::getWithAlignment(unit_.context(), llvm::Align(16)));
  fn_->addDereferenceableParamAttr(0, plan_.layout.size);
  store_context_ = unit_.store_context(b_, vm_);
  if (!plan_.memories.empty() && plan_.memories[0].guarded && plan_.memories[0].fixed_base) {
    const MemoryType& memory = wasm().memories[0];
    set_guest_memory(unit_.module(), {offsetof(VMContext, memory0_base), plan_.layout.memories,
                                      memory.limits.min << memory.page_shift});
  }
  if (osr_)
    declare_frame_locals(runs);
  else
    declare_locals(runs);
  check_stack();
  check_interrupt();
  if (osr_) leave_osr_entry();
  BlockType none;
  open(Op::block, none, nullptr);
  controls_.back().label = new_block("return");
  add_phis(controls_.back(), type_.results);
  return {};
}

void FuncLowering::declare_locals(const std::vector<LocalRun>& runs) {
  const auto params = native_parameters(unit_, b_, signature_, type_, fn_, store_context_);
  for (size_t i = 0; i < params.size(); ++i) declare_local(type_.params[i], params[i]);
  for (const LocalRun& run : runs)
    for (u32 i = 0; i < run.count; ++i) declare_local(run.type, llvm::Constant::getNullValue(type(run.type)));
}

void FuncLowering::declare_local(ValType t, Value initial) {
  llvm::Type* lowered = type(t);
  auto* slot = b_.CreateAlloca(lowered);
  b_.CreateStore(initial, slot);
  locals_.push_back(slot);
  local_types_.push_back(lowered);
  known_locals_.push_back(initial);
}

// The check itself is made when calls and frame are known (jit/passes/stack_check.h).
void FuncLowering::check_stack() {
  unit_.raise_function();
  request_stack_check(*fn_, wasm().functions[func_.value].offset);
}

void FuncLowering::check_interrupt() {
  if (plan_.options.fuel) {
    constexpr u64 kFuel = offsetof(StoreContext, fuel);
    Value left =
        b_.CreateSub(unit_.load(b_, unit_.i64(), store_context_, kFuel, AliasClass::runtime), i64(1));
    unit_.store(b_, left, store_context_, kFuel, AliasClass::runtime);
    trap_if(b_.CreateICmpSLT(left, i64(0)), TrapCode::out_of_fuel);
  }
  // Volatile: other threads and signal handlers write these.
  auto volatile_load = [&](llvm::Type* t, Value base, u64 at) {
    auto* load = b_.CreateAlignedLoad(t, unit_.offset(b_, base, at), llvm::Align(4));
    load->setVolatile(true);
    return load;
  };
  if (plan_.options.interrupts) {
    Value flag = volatile_load(unit_.i32(), store_context_, offsetof(StoreContext, interrupt));
    trap_if(b_.CreateICmpNE(flag, i32(0)), TrapCode::interrupted);
  }
  if (plan_.options.epochs) {
    Value clock =
        unit_.load(b_, unit_.ptr(), store_context_, offsetof(StoreContext, epoch), AliasClass::runtime, true);
    Value deadline = volatile_load(unit_.i64(), store_context_, offsetof(StoreContext, epoch_deadline));
    trap_if(b_.CreateICmpUGE(volatile_load(unit_.i64(), clock, 0), deadline), TrapCode::interrupted);
  }
}

// Lines of the debug information are offsets in the module.
void FuncLowering::locate(bool in_backtraces) {
  b_.SetCurrentDebugLocation(in_backtraces ? llvm::DebugLoc(llvm::DILocation::get(
                                                 unit_.context(), static_cast<u32>(offset_), 0, subprogram_))
                                           : llvm::DebugLoc());
}

void FuncLowering::step(const Instr& instr) {
  locate(will_be_inlined_ || plan_.options.all_lines || in_backtraces(instr.op));
  const Op op = plan_.options.deterministic_simd ? deterministic_form(instr.op) : instr.op;
  lowering_of(op)(*this, instr);
  if (!is_unobservable(op)) first_combinable_ = checked_.size();
  if (const NanResult shape = nan_result(op); shape != NanResult::none && plan_.options.deterministic_nans)
    top() = canonical_nans(b_, top(), shape);
}

void FuncLowering::skip(const Instr& instr) {
  switch (instr.op) {
    case Op::block:
    case Op::loop:
    case Op::if_:
    case Op::try_:
    case Op::try_table: ++skipped_blocks_; break;
    case Op::else_:
    case Op::catch_:
    case Op::catch_all:
      if (skipped_blocks_ == 0) step(instr);
      break;
    case Op::delegate:
    case Op::end:
      if (skipped_blocks_ == 0)
        step(instr);
      else
        --skipped_blocks_;
      break;
    default: break;
  }
}

std::vector<llvm::Value*> FuncLowering::pop_n(size_t n) {
  std::vector<Value> out(stack_.end() - static_cast<std::ptrdiff_t>(n), stack_.end());
  stack_.resize(stack_.size() - n);
  return out;
}

std::vector<ValType> FuncLowering::block_params(const BlockType& t) const {
  if (t.kind != BlockType::Kind::type) return {};
  return wasm().type_registry().get(wasm().types[t.type.value]).func()->params;
}

std::vector<ValType> FuncLowering::block_results(const BlockType& t) const {
  if (t.kind == BlockType::Kind::value) return {t.value};
  if (t.kind == BlockType::Kind::empty) return {};
  return wasm().type_registry().get(wasm().types[t.type.value]).func()->results;
}

void FuncLowering::add_phis(Control& c, const std::vector<ValType>& types) {
  llvm::IRBuilder<> at(c.label, c.label->begin());
  for (ValType t : types) c.phis.push_back(at.CreatePHI(type(t), 2));
}

void FuncLowering::open(Op op, const BlockType& block, llvm::BasicBlock* otherwise) {
  const auto params = block_params(block);
  Control c{.op = op,
            .type = block,
            .label = nullptr,
            .otherwise = otherwise,
            .phis = {},
            .params = {},
            .height = stack_.size() - params.size(),
            .catches = {}};
  if (op != Op::if_) save_operands_below(block);  // an if saves them before it branches
  if (op == Op::loop) {
    c.label = new_block("loop");
    add_phis(c, params);
    for (size_t i = 0; i < params.size(); ++i) {
      c.phis[i]->addIncoming(stack_[c.height + i], b_.GetInsertBlock());
      stack_[c.height + i] = c.phis[i];
    }
    if (osr_ && osr_->offset == offset_) enter_loop(c);
    b_.CreateBr(c.label);
    switch_to(c.label);
    if (osr_) reload_operands(c.height);
  } else {
    c.params.assign(stack_.begin() + static_cast<std::ptrdiff_t>(c.height), stack_.end());
    if (!controls_.empty()) {
      c.label = new_block("end");
      add_phis(c, block_results(block));
    }
  }
  controls_.push_back(std::move(c));
  if (op == Op::loop) check_interrupt();
}

void FuncLowering::else_branch() {
  if (reachable_) branch_to(0);
  Control& c = controls_.back();
  switch_to(c.otherwise);
  c.otherwise = nullptr;
  stack_.resize(c.height);
  if (osr_) reload_operands(c.height);
  stack_.insert(stack_.end(), c.params.begin(), c.params.end());
  reachable_ = true;
}

void FuncLowering::close() {
  if (controls_.back().op == Op::if_ && controls_.back().otherwise) else_branch();
  if (controls_.back().op == Op::loop) {  // its results are where they are
    controls_.pop_back();
    return;
  }
  if (reachable_) branch_to(0);
  Control c = std::move(controls_.back());
  controls_.pop_back();
  stack_.resize(c.height);
  if (c.dispatch) lower_catches(c);
  reachable_ = !c.label->hasNPredecessors(0);
  if (!reachable_) {
    c.label->eraseFromParent();
    return;
  }
  switch_to(c.label);
  if (osr_) reload_operands(c.height);
  stack_.insert(stack_.end(), c.phis.begin(), c.phis.end());
  if (controls_.empty()) return_results();
}

llvm::BasicBlock* FuncLowering::edge_to(u32 label) {
  Control& c = control(label);
  const size_t n = c.phis.size();
  for (size_t i = 0; i < n; ++i) c.phis[i]->addIncoming(stack_[stack_.size() - n + i], b_.GetInsertBlock());
  return c.label;
}

void FuncLowering::branch_if(Value condition, u32 label) {
  llvm::BasicBlock* next = new_block();
  llvm::BasicBlock* taken = edge_to(label);
  b_.CreateCondBr(condition, taken, next, branch_weights());
  continue_in(next);
}

void FuncLowering::branch_to(u32 label) {
  b_.CreateBr(edge_to(label));
  reachable_ = false;
}

// The results are on the stack.
void FuncLowering::return_results() {
  auto results = pop_n(type_.results.size());
  Value buffer = results.size() > kRegisterResults ? results_pointer(b_, fn_) : nullptr;
  u64 slot = 0;
  for (size_t i = kRegisterResults; i < results.size(); ++i) {
    unit_.store(b_, results[i], buffer, slot * sizeof(Slot), AliasClass::runtime);
    slot += type_.results[i].slots();
  }
  if (results.empty()) {
    b_.CreateRetVoid();
  } else if (results.size() == 1) {
    b_.CreateRet(results[0]);
  } else {
    Value pair = llvm::PoisonValue::get(fn_->getReturnType());
    pair = b_.CreateInsertValue(pair, results[0], 0);
    b_.CreateRet(b_.CreateInsertValue(pair, results[1], 1));
  }
  reachable_ = false;
}

llvm::CallInst* FuncLowering::trap(TrapCode code, Value index) {
  Value site = trap_site(code);
  auto* call = index ? unit_.call_helper(b_, store_context_, Helper::tenon_jit_raise_at, {vm_, site, index})
                     : b_.CreateCall(unit_.raise_function(), {vm_, site});
  call->setDoesNotReturn();
  call->setTailCallKind(llvm::CallInst::TCK_NoTail);
  b_.CreateUnreachable();
  return call;
}

llvm::CallInst* FuncLowering::trap_if(Value condition, TrapCode code, Value index) {
  llvm::BasicBlock* cold = new_block("trap");
  llvm::BasicBlock* next = new_block();
  b_.CreateCondBr(condition, cold, next, unit_.unlikely());
  continue_in(cold);
  llvm::CallInst* call = trap(code, index);
  continue_in(next);
  first_combinable_ = checked_.size();
  return call;
}

void FuncLowering::trap_unless_none(Value trap_code) {
  llvm::BasicBlock* cold = new_block("trap");
  llvm::BasicBlock* next = new_block();
  Value fine = b_.CreateICmpEQ(trap_code, b_.getInt8(static_cast<u8>(TrapCode::none)));
  b_.CreateCondBr(b_.CreateNot(fine), cold, next, unit_.unlikely());
  continue_in(cold);
  Value code = b_.CreateShl(b_.CreateZExt(trap_code, unit_.i64()), 32);
  auto* call = b_.CreateCall(unit_.raise_function(), {vm_, b_.CreateOr(code, i64(offset_ & 0xffff'ffff))});
  call->setDoesNotReturn();
  b_.CreateUnreachable();
  continue_in(next);
}

void FuncLowering::trap_if_raised(Value condition) {
  llvm::BasicBlock* cold = new_block("raised");
  llvm::BasicBlock* next = new_block();
  b_.CreateCondBr(condition, cold, next, unit_.unlikely());
  continue_in(cold);
  call_helper(Helper::tenon_jit_reraise, {store_context_, i32(static_cast<u32>(Status::trap))})
      ->setDoesNotReturn();
  b_.CreateUnreachable();
  continue_in(next);
}

// LLVM may delete an unused load and move stores over a load that faults: it does not know that faults are
// visible. An inline assembly that might unwind, and needs the loaded value, keeps all in place, and costs no
// instruction (docs/design/0001-abi.md, "Order of loads and traps"). The call must not become nounwind, the
// operand not "rm".
void FuncLowering::barrier(Value keep_alive) {
  if (!plan_.faults) return;  // all traps are calls, which LLVM leaves where they are
  llvm::Type* nothing = b_.getVoidTy();
  llvm::InlineAsm* assembly;
  std::vector<Value> args;
  if (!keep_alive) {
    auto* block = b_.GetInsertBlock();
    auto* last = block->empty() ? nullptr : llvm::dyn_cast<llvm::CallInst>(&block->back());
    if (last && last->isInlineAsm() && !last->doesNotThrow()) return;  // there is one
    assembly = llvm::InlineAsm::get(llvm::FunctionType::get(nothing, false), "", "", true, false,
                                    llvm::InlineAsm::AD_ATT, true);
  } else {
    llvm::Type* t = keep_alive->getType();
    const bool in_vector_register = t->isFloatingPointTy() || t->isVectorTy();
    assembly =
        llvm::InlineAsm::get(llvm::FunctionType::get(nothing, {t}, false), "", in_vector_register ? "x" : "r",
                             true, false, llvm::InlineAsm::AD_ATT, true);
    args.push_back(keep_alive);
  }
  auto* call = b_.CreateCall(assembly, args);
  // Without optimisation LLVM's fast instruction selector takes a call that touches no memory for dead.
  if (plan_.options.opt_level > 0) call->setMemoryEffects(llvm::MemoryEffects::none());
}

}  // namespace tenon::jit
