// Handlers of calls: between functions of the interpreter frames are chained on the value stack, everything
// else is called through its array entry. Also traps, exceptions and what leaves an activation.
#include "engine/interp/calls.h"
#include "engine/runtime/bulk.h"

namespace tenon::interp {

MemoryDesc* memory0(VMContext* vm) {
  // The first cells behind the VMContext (VMLayout).
  return vm->module->memories.empty() ? nullptr : *vm_at<MemoryDesc*>(vm, sizeof(VMContext));
}

namespace {

Position position(const u8* pc, Slot* fp, VMContext* vm) { return {pc, fp, vm, state_of(vm).find(pc)}; }

__attribute__((noinline)) Status trap_here(const u8* pc, Slot* fp, VMContext* vm, TrapCode code) {
  Store& store = *vm->store->store;
  // Some helpers raise themselves; theirs says more.
  const Status status = code == TrapCode::none ? Status::trap : store.raise(code);
  append_trace(state_of(vm), position(pc, fp, vm));
  return status;
}

// True when the exception is caught: registers are set.
__attribute__((noinline)) bool unwind(const u8*& pc, Slot*& fp, VMContext*& vm, Status status) {
  Position at = position(pc, fp, vm);
  State& state = state_of(vm);
  if (status != Status::exception) {
    append_trace(state, at);
    return false;
  }
  if (!catch_exception(state, at)) return false;
  pc = at.pc;
  fp = at.fp;
  vm = at.vm;
  return true;
}

struct Unwound {
  const u8* pc;
  Slot* fp;
  VMContext* vm;
  bool caught;
};
// By value, so that the handler's registers need no address.
__attribute__((noinline)) void unwind_into(Unwound* u, Status status) {
  u->caught = unwind(u->pc, u->fp, u->vm, status);
}

}  // namespace

TENON_HANDLER raise_trap_at(TENON_INTERP_PARAMS) { return trap_here(pc, fp, vm, static_cast<TrapCode>(r0)); }

TENON_HANDLER propagate(TENON_INTERP_PARAMS) {
  const Status status = static_cast<Status>(r0);
  {
    Unwound u{pc, fp, vm, false};
    unwind_into(&u, status);
    if (!u.caught) return status;
    pc = u.pc;
    fp = u.fp;
    vm = u.vm;
    load_memory(vm, mem, mem_len);
  }
  TENON_DISPATCH();
}

TENON_HANDLER memory_slow(TENON_INTERP_PARAMS) {
  const MemoryDesc* desc = memory0(vm);
  if (desc && __atomic_load_n(&desc->length, __ATOMIC_ACQUIRE) > mem_len) {
    load_memory(vm, mem, mem_len);
    TENON_DISPATCH();
  }
  TENON_TRAP(TrapCode::memory_out_of_bounds);
}

namespace {

// An array entry of whatever is not interpreted here. `finish`: makes pending tail calls.
__attribute__((noinline)) Status call_array(ArrayEntry entry, FuncRef* ref, Slot* slots, Slot* top,
                                            VMContext* vm, bool finish) {
  StoreContext* context = vm->store;
  Slot* const saved = context->value_top;
  context->value_top = top;
  Status status;
  if (static_cast<u8*>(__builtin_frame_address(0)) < context->stack_limit)
    status = context->store->raise(TrapCode::stack_exhausted);
  else
    status = entry(ref, slots);
  if (status == Status::tail_call && finish) status = context->store->finish_tail_calls(slots);
  context->value_top = saved;
  return status;
}

}  // namespace

TailKind call_in_place(TailCall& t, const Link& link, ArrayEntry entry, FuncRef* ref, u32 slots) {
  // From here on the caller's frame is the running one.
  Slot* const frame = t.fp;
  VMContext* const vm = t.vm;
  const bool far = link.pc == far_return_code();
  t.pc = far ? link.far_pc : link.pc;
  t.fp = far ? link.far_fp : link.fp;
  if (far) t.vm = link.far_vm;
  // Out of the activation a pending call goes to the boundary, so that it never nests.
  const bool finish = t.pc != leave_activation_code();
  t.status = call_array(entry, ref, frame, frame + slots, vm, finish);
  return t.status == Status::ok ? TailKind::finished : TailKind::failed;
}

namespace ctl {
namespace {

// r0: FuncRef of a function of another tier or a host. [a] and [d] as for call.
template <u32 size>
TENON_HANDLER call_foreign(TENON_INTERP_PARAMS) {
  Slot* slots = slot_at(pc, fp, kFieldA);
  FuncRef* ref = reinterpret_cast<FuncRef*>(r0);
  const Status status = call_array(ref->array_entry, ref, slots, slot_at(pc, fp, kFieldD), vm, true);
  if (status != Status::ok) [[unlikely]] {
    r0 = static_cast<u64>(status);
    TENON_TAIL(propagate);
  }
  load_memory(vm, mem, mem_len);
  r0 = slots->u64_;
  x0 = from_slot<V128>(slots);
  TENON_NEXT(size);
}

// r0: FuncRef of an interpreted function of another instance.
template <u32 size>
TENON_HANDLER call_far(TENON_INTERP_PARAMS) {
  FuncRef* ref = reinterpret_cast<FuncRef*>(r0);
  const Function* f = static_cast<const Function*>(ref->code);
  Slot* frame = slot_at(pc, fp, kFieldA);
  Link* link = reinterpret_cast<Link*>(frame + f->link);
  link->pc = far_return_code();
  link->fp = reinterpret_cast<Slot*>(link);
  link->far_pc = pc + size;
  link->far_fp = fp;
  link->far_vm = vm;
  vm = ref->vmctx;
  load_memory(vm, mem, mem_len);
  pc = f->entry;
  fp = frame;
  TENON_DISPATCH();
}

// r0: FuncRef that has no Function yet. Makes one, and runs the instruction again.
TENON_HANDLER prepare_and_retry(TENON_INTERP_PARAMS) {
  state_of(vm).function(reinterpret_cast<FuncRef*>(r0));
  TENON_DISPATCH();
}

// Enters the callee in r0 with arguments at [a].
#define TENON_ENTER(size)                                                                 \
  do {                                                                                    \
    FuncRef* ref_ = reinterpret_cast<FuncRef*>(r0);                                       \
    if (ref_->array_entry != &interpret) [[unlikely]]                                     \
      TENON_TAIL(call_foreign<size>);                                                     \
    const Function* f_ = static_cast<const Function*>(ref_->code);                        \
    if (!f_) [[unlikely]]                                                                 \
      TENON_TAIL(prepare_and_retry);                                                      \
    if (--vm->store->ticks < 0) [[unlikely]]                                              \
      TENON_TAIL(tick_at_call);                                                           \
    Slot* frame_ = slot_at(pc, fp, kFieldA);                                              \
    if (static_cast<u64>(vm->store->value_limit - frame_) < f_->frame_slots) [[unlikely]] \
      TENON_TRAP(TrapCode::stack_exhausted);                                              \
    if (ref_->vmctx != vm) [[unlikely]]                                                   \
      TENON_TAIL(call_far<size>);                                                         \
    Link* link_ = reinterpret_cast<Link*>(frame_ + f_->link);                             \
    link_->pc = pc + (size);                                                              \
    link_->fp = fp;                                                                       \
    fp = frame_;                                                                          \
    pc = f_->entry;                                                                       \
    TENON_DISPATCH();                                                                     \
  } while (0)

__attribute__((noinline)) bool is_subtype(VMContext* vm, u32 sub, u32 super) {
  return vm->store->store->types().is_subtype(TypeId{sub}, TypeId{super});
}

inline u64 wide_or_not(const Slot* s, bool wide) { return wide ? s->u64_ : s->u32_; }

// The trap names the index that [b] held.
TENON_HANDLER null_element(TENON_INTERP_PARAMS) {
  const u64 index = wide_or_not(slot_at(pc, fp, kFieldB), read<u16>(pc, kFieldC) != 0);
  vm->store->store->raise(TrapCode::uninitialized_element, std::to_string(index));
  TENON_TRAP(TrapCode::none);
}

// Sets r0 to the element that [b] selects, or traps.
#define TENON_FIND_CALLEE()                                                                \
  do {                                                                                     \
    const TableDesc* table_ = read<const TableDesc*>(pc, kFieldExt);                       \
    const u64 index_ = wide_or_not(slot_at(pc, fp, kFieldB), read<u16>(pc, kFieldC) != 0); \
    if (index_ >= table_->size) [[unlikely]]                                               \
      TENON_TRAP(TrapCode::undefined_element);                                             \
    r0 = table_->elements[index_];                                                         \
    if (r0 == kNullRef) [[unlikely]]                                                       \
      TENON_TAIL(null_element);                                                            \
    const u32 expected_ = read<u32>(pc, kFieldExt + 8);                                    \
    const u32 found_ = reinterpret_cast<const FuncRef*>(r0)->type.value;                   \
    if (found_ != expected_) [[unlikely]]                                                  \
      TENON_TAIL(check_callee<self>);                                                      \
  } while (0)

// What a type mismatch by identity still has to ask: is it a subtype? r0: the callee.
template <Handler go_on>
TENON_HANDLER check_callee(TENON_INTERP_PARAMS) {
  if (!is_subtype(vm, reinterpret_cast<const FuncRef*>(r0)->type.value, read<u32>(pc, kFieldExt + 8)))
    TENON_TRAP(TrapCode::indirect_call_type_mismatch);
  TENON_TAIL(go_on);
}

TENON_HANDLER enter16(TENON_INTERP_PARAMS) { TENON_ENTER(16); }
TENON_HANDLER enter32(TENON_INTERP_PARAMS) { TENON_ENTER(32); }

}  // namespace

TENON_HANDLER call(TENON_INTERP_PARAMS) {
  r0 = read<u64>(pc, kFieldExt);
  TENON_ENTER(24);
}
TENON_HANDLER call_indirect(TENON_INTERP_PARAMS) {
  constexpr Handler self = &enter32;
  TENON_FIND_CALLEE();
  TENON_ENTER(32);
}
TENON_HANDLER call_ref(TENON_INTERP_PARAMS) {
  r0 = slot_at(pc, fp, kFieldB)->ref;
  if (r0 == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_function_reference);
  TENON_TAIL(enter16);
}

namespace {

// Tail calls: the frame's Link survives, the callee's arguments move to the frame's start.
__attribute__((noinline)) TailKind tail_call(TailCall& t, FuncRef* ref) {
  Store& store = *t.vm->store->store;
  const Link link = *reinterpret_cast<const Link*>(slot_at(t.pc, t.fp, kFieldD));
  const Slot* args = slot_at(t.pc, t.fp, kFieldA);
  const FuncType& type = *store.types().get(ref->type).func();
  if (ref->array_entry == &interpret) {
    const Function& f = state_of(t.vm).function(ref);
    if (static_cast<u64>(t.vm->store->value_limit - t.fp) < f.frame_slots) {
      t.status = store.raise(TrapCode::stack_exhausted);
      return TailKind::failed;
    }
    std::memmove(t.fp, args, f.param_slots * sizeof(Slot));
    Link* to = reinterpret_cast<Link*>(t.fp + f.link);
    *to = link;
    if (link.pc == far_return_code()) {
      to->fp = reinterpret_cast<Slot*>(to);
    } else if (ref->vmctx != t.vm && link.pc != leave_activation_code()) {
      *to = {far_return_code(), reinterpret_cast<Slot*>(to), link.pc, link.fp, t.vm};
    }
    t.vm = ref->vmctx;
    t.pc = f.entry;
    return TailKind::inside;
  }
  if (link.pc == leave_activation_code()) {
    // The boundary that called makes the call, so that tiers that tail-call each other need no stack.
    Slot* transfer = store.transfer(type.param_slots);
    std::memcpy(transfer, args, type.param_slots * sizeof(Slot));
    store.context().pending_callee = ref;
    t.status = Status::tail_call;
    return TailKind::failed;
  }
  std::memmove(t.fp, args, type.param_slots * sizeof(Slot));
  return call_in_place(t, link, ref->array_entry, ref, std::max(type.param_slots, type.result_slots) + 1);
}

// A status from the call that returned here: its trace starts at the call instruction.
TENON_HANDLER propagate_from_call(TENON_INTERP_PARAMS) {
  pc -= 1;
  TENON_TAIL(propagate);
}

TENON_HANDLER tail(TENON_INTERP_PARAMS) {
  if (--vm->store->ticks < 0) [[unlikely]]
    TENON_TAIL(tick_at_call);
  FuncRef* ref = reinterpret_cast<FuncRef*>(r0);
  Slot* results = fp;
  const u8* from = pc;
  TailKind kind;
  {
    TailCall t{pc, fp, vm, Status::ok};
    kind = tail_call(t, ref);
    pc = t.pc;
    fp = t.fp;
    vm = t.vm;
    r0 = kind == TailKind::failed ? static_cast<u64>(t.status) : reinterpret_cast<u64>(ref);
  }
  load_memory(vm, mem, mem_len);
  if (kind == TailKind::failed) {
    if (static_cast<Status>(r0) == Status::tail_call) return Status::tail_call;
    if (pc == from) TENON_TAIL(propagate);
    TENON_TAIL(propagate_from_call);
  }
  if (kind == TailKind::finished) {
    r0 = results->u64_;
    x0 = from_slot<V128>(results);
  }
  TENON_DISPATCH();
}

}  // namespace

TENON_HANDLER return_call(TENON_INTERP_PARAMS) {
  r0 = read<u64>(pc, kFieldExt);
  TENON_TAIL(tail);
}
TENON_HANDLER return_call_indirect(TENON_INTERP_PARAMS) {
  constexpr Handler self = &tail;
  TENON_FIND_CALLEE();
  TENON_TAIL(tail);
}
TENON_HANDLER return_call_ref(TENON_INTERP_PARAMS) {
  r0 = slot_at(pc, fp, kFieldB)->ref;
  if (r0 == kNullRef) [[unlikely]]
    TENON_TRAP(TrapCode::null_function_reference);
  TENON_TAIL(tail);
}

namespace {

// The callee's frame was entered with the provisional size: translate, then put the Link where it belongs.
__attribute__((noinline)) Status translate_entered(Function& f, Slot* fp, VMContext* vm, bool& fits) {
  const Link link = *reinterpret_cast<const Link*>(fp + f.link);
  const Status status = translate_now(state_of(vm), f);
  if (status != Status::ok) return status;
  fits = static_cast<u64>(vm->store->value_limit - fp) >= f.frame_slots;
  if (!fits) return vm->store->store->raise(TrapCode::stack_exhausted);
  Link* to = reinterpret_cast<Link*>(fp + f.link);
  *to = link;
  if (link.pc == far_return_code()) to->fp = reinterpret_cast<Slot*>(to);
  return Status::ok;
}

struct Caller {
  const u8* pc;
  Slot* fp;
  VMContext* vm;
};
Caller caller_of(const Function& f, Slot* fp, VMContext* vm) {
  const Link& link = *reinterpret_cast<const Link*>(fp + f.link);
  if (link.pc == far_return_code()) return {link.far_pc, link.far_fp, link.far_vm};
  return {link.pc, link.fp, vm};
}

}  // namespace

TENON_HANDLER translate_first(TENON_INTERP_PARAMS) {
  Function& f = *static_cast<Function*>(reinterpret_cast<FuncRef*>(r0)->code);
  const Caller caller = caller_of(f, fp, vm);
  Status status;
  {
    bool fits = true;
    status = translate_entered(f, fp, vm, fits);
  }
  if (status != Status::ok) {
    if (caller.pc == leave_activation_code()) return status;
    pc = caller.pc - 1;
    fp = caller.fp;
    vm = caller.vm;
    r0 = static_cast<u64>(status);
    TENON_TAIL(propagate);
  }
  load_memory(vm, mem, mem_len);
  pc = f.entry;
  TENON_DISPATCH();
}

namespace {

__attribute__((noinline)) void make_exception(VMContext* vm, const u8* pc, Slot* fp) {
  StoreContext* context = vm->store;
  context->value_top = fp + read<u16>(pc, kFieldExt + 8);
  context->exception = exception_new(vm, read<Tag*>(pc, kFieldExt), slot_at(pc, fp, kFieldA));
}

}  // namespace

TENON_HANDLER throw_tag(TENON_INTERP_PARAMS) {
  make_exception(vm, pc, fp);
  if (vm->store->exception == kNullRef) TENON_TRAP(TrapCode::none);
  r0 = static_cast<u64>(Status::exception);
  TENON_TAIL(propagate);
}
TENON_HANDLER throw_ref(TENON_INTERP_PARAMS) {
  const u64 exception = slot_at(pc, fp, kFieldA)->ref;
  if (exception == kNullRef) TENON_TRAP(TrapCode::null_exception_reference);
  vm->store->exception = exception;
  r0 = static_cast<u64>(Status::exception);
  TENON_TAIL(propagate);
}

}  // namespace ctl
}  // namespace tenon::interp
