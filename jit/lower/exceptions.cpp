// Exceptions. Calls inside a try are invokes whose unwind edge goes to the try's landing pad; from there the
// try's dispatch compares tags inline and goes on to the dispatch of the try around it, and out of the
// function when none fits. A throw inside a try jumps to the dispatch. The exception in flight lies in
// StoreContext::exception, where the collector sees it. Who finds landing pads: engine/native/unwind.cpp.
#include "engine/runtime/gc.h"
#include "jit/lower/func_lowering.h"

namespace tenon::jit {

using Value = FuncLowering::Value;

llvm::CallBase* FuncLowering::call_or_invoke(llvm::FunctionType* type, Value target,
                                             llvm::ArrayRef<Value> args) {
  Control* g = guard(controls_.size());
  if (!g) {
    auto* call = b_.CreateCall(type, target, args);
    // Never a jump, so that endless recursion meets the stack check and backtraces are whole.
    call->setTailCallKind(llvm::CallInst::TCK_NoTail);
    call->addFnAttr(llvm::Attribute::NoMerge);  // two calls stay two places of a backtrace
    return call;
  }
  llvm::BasicBlock* next = new_block();
  auto* invoke = b_.CreateInvoke(type, target, next, landing_of(*g), args);
  invoke->addFnAttr(llvm::Attribute::NoMerge);
  continue_in(next);
  return invoke;
}

FuncLowering::Control* FuncLowering::guard(size_t controls) {
  while (controls-- > 0)
    if (controls_[controls].guards) return &controls_[controls];
  return nullptr;
}

// Without a guard: out of the function.
llvm::BasicBlock* FuncLowering::dispatch_of(Control* guard) {
  if (guard) {
    if (!guard->dispatch) guard->dispatch = guard->unmatched = new_block("dispatch");
    return guard->dispatch;
  }
  if (leave_frame_) return leave_frame_;
  leave_frame_ = new_block("leave");
  llvm::IRBuilder<> at(leave_frame_);
  auto* call = unit_.call_helper(at, store_context_, Helper::tenon_jit_rethrow, {store_context_});
  call->setDoesNotReturn();
  at.CreateUnreachable();
  return leave_frame_;
}

llvm::BasicBlock* FuncLowering::landing_of(Control& guard) {
  if (guard.landing) return guard.landing;
  fn_->setPersonalityFn(unit_.personality());
  guard.landing = new_block("landing");
  llvm::IRBuilder<> at(guard.landing);
  auto* pad = at.CreateLandingPad(llvm::StructType::get(unit_.ptr(), unit_.i32()), 0);
  pad->setCleanup(true);
  at.CreateBr(dispatch_of(&guard));
  return guard.landing;
}

Value FuncLowering::exception_in_flight() {
  return unit_.load(b_, unit_.i64(), store_context_, offsetof(StoreContext, exception), AliasClass::runtime);
}

// Layout of exceptions: engine/runtime/gc.h.
Value FuncLowering::has_tag(Value exception, TagIdx tag) {
  Value object = b_.CreateIntToPtr(exception, unit_.ptr());
  Value found = unit_.load(b_, unit_.ptr(), object, sizeof(Object), AliasClass::object);
  return b_.CreateICmpEQ(found, this->tag(tag));
}

Value FuncLowering::tag(TagIdx t) {
  return load_vm(unit_.ptr(), plan_.layout.tags + u64{t.value} * sizeof(void*), true);
}

const FuncType& FuncLowering::tag_type(TagIdx t) const {
  return *wasm().type_registry().get(wasm().tags[t.value].type).func();
}

void FuncLowering::push_arguments(Value exception, TagIdx tag) {
  Value object = b_.CreateIntToPtr(exception, unit_.ptr());
  u64 at = sizeof(Object) + sizeof(Tag*);
  for (ValType t : tag_type(tag).params) {
    auto* load = b_.CreateAlignedLoad(type(t), unit_.offset(b_, object, at), llvm::Align(8));
    load->setMetadata(llvm::LLVMContext::MD_tbaa, unit_.alias_tag(AliasClass::object));
    push(load);
    at += t.slots() * sizeof(Slot);
  }
}

void FuncLowering::take_exception() {
  unit_.store(b_, i64(kNullRef), store_context_, offsetof(StoreContext, exception), AliasClass::runtime);
}

void FuncLowering::throw_exception(Value exception) {
  unit_.store(b_, exception, store_context_, offsetof(StoreContext, exception), AliasClass::runtime);
  if (Control* g = guard(controls_.size())) {
    b_.CreateBr(dispatch_of(g));
  } else {
    call_helper(Helper::tenon_jit_throw, {store_context_})->setDoesNotReturn();
    b_.CreateUnreachable();
  }
  unreachable();
}

void FuncLowering::open_try(const Instr& i) {
  open(i.op, i.block, nullptr);
  controls_.back().guards = true;
  if (i.op == Op::try_table) controls_.back().catches.assign(i.catches.begin(), i.catches.end());
}

// At the end of a try that exceptions can come to; its own control has been closed, so labels of clauses
// count from here.
void FuncLowering::lower_catches(const Control& c) {
  switch_to(c.unmatched);
  if (c.op == Op::try_table) {
    Value exception = exception_in_flight();
    for (const CatchClause& clause : c.catches) {
      const bool all = clause.kind == CatchKind::catch_all || clause.kind == CatchKind::catch_all_ref;
      llvm::BasicBlock* next = all ? nullptr : new_block();
      if (!all) {
        llvm::BasicBlock* fits = new_block("catch");
        b_.CreateCondBr(has_tag(exception, clause.tag), fits, next);
        switch_to(fits);
      }
      take_exception();
      if (!all) push_arguments(exception, clause.tag);
      if (clause.kind == CatchKind::catch_ref || clause.kind == CatchKind::catch_all_ref) push(exception);
      b_.CreateBr(edge_to(clause.label));
      stack_.resize(c.height);
      if (all) return;
      switch_to(next);
    }
  }
  if (!b_.GetInsertBlock()->getTerminator()) b_.CreateBr(dispatch_of(guard(controls_.size())));
}

void FuncLowering::legacy_catch(const Instr& i) {
  if (reachable_) branch_to(0);
  Control& c = controls_.back();
  c.guards = false;
  stack_.resize(c.height);
  reachable_ = c.dispatch != nullptr;
  if (!reachable_) return;
  switch_to(c.unmatched);
  c.caught = exception_in_flight();
  if (i.op == Op::catch_) {
    llvm::BasicBlock* fits = new_block("catch");
    c.unmatched = new_block();
    b_.CreateCondBr(has_tag(c.caught, TagIdx{i.index}), fits, c.unmatched);
    switch_to(fits);
  } else {
    // No clause comes after this one; the block that exceptions would go on from is never reached.
    c.unmatched = new_block();
    llvm::BasicBlock* all = new_block("catch_all");
    b_.CreateBr(all);
    switch_to(all);
  }
  take_exception();
  if (i.op == Op::catch_) push_arguments(c.caught, TagIdx{i.index});
}

// Ends a try whose exceptions go to the handlers around an outer label.
void FuncLowering::delegate(u32 label) {
  Control& c = controls_.back();
  if (c.dispatch) {
    // What guards at that label or around it.
    llvm::IRBuilder<> at(c.unmatched);
    at.CreateBr(dispatch_of(guard(controls_.size() - 1 - label)));
  }
  close();
}

namespace {

using L = FuncLowering;
using V = Value;

void lower_throw(L& l, const Instr& i) {
  const TagIdx tag{i.index};
  const FuncType& type = l.tag_type(tag);
  const auto values = l.pop_n(type.params.size());
  V slots = l.slot_buffer(std::max(type.param_slots, 1u));
  u64 at = 0;
  for (size_t v = 0; v < values.size(); ++v) {
    auto* store = l.ir().CreateAlignedStore(values[v], l.unit().offset(l.ir(), slots, at), llvm::Align(8));
    store->setMetadata(llvm::LLVMContext::MD_tbaa, l.unit().alias_tag(AliasClass::runtime));
    at += type.params[v].slots() * sizeof(Slot);
  }
  V exception = l.call_helper(Helper::exception_new, {l.vm(), l.tag(tag), slots});
  l.trap_if_raised(l.ir().CreateICmpEQ(exception, l.i64(kNullRef)));
  l.throw_exception(exception);
}

void lower_throw_ref(L& l, const Instr&) {
  V exception = l.pop();
  l.trap_if(l.ir().CreateICmpEQ(exception, l.i64(kNullRef)), TrapCode::null_exception_reference);
  l.throw_exception(exception);
}

constexpr Row kRows[] = {
    {Op::try_table, [](L& l, const Instr& i) { l.open_try(i); }},
    {Op::try_, [](L& l, const Instr& i) { l.open_try(i); }},
    {Op::catch_, [](L& l, const Instr& i) { l.legacy_catch(i); }},
    {Op::catch_all, [](L& l, const Instr& i) { l.legacy_catch(i); }},
    {Op::delegate, [](L& l, const Instr& i) { l.delegate(i.index); }},
    {Op::throw_, lower_throw},
    {Op::throw_ref, lower_throw_ref},
    {Op::rethrow, [](L& l, const Instr& i) { l.throw_exception(l.caught(i.index)); }},
};

}  // namespace

std::span<const Row> exception_rows() { return kRows; }

}  // namespace tenon::jit
