// What happens when StoreContext::ticks is used up: interruption, and what the store's compiler makes of the
// place where the time goes: compiled entries, and compiled code that takes over a loop's frame.
#include <algorithm>

#include "engine/interp/calls.h"

namespace tenon::interp {
namespace {

void refill(StoreContext& context, i32 more) { context.ticks = context.tick_period + more; }

// The loop's offset in the module when `code` is its head.
u64 loop_offset(const Function& f, const u8* code) {
  const u32 at = static_cast<u32>(code - reinterpret_cast<const u8*>(f.code.data()));
  auto it = std::ranges::lower_bound(f.loops, at, {}, &LoopHead::code);
  if (it == f.loops.end() || it->code != at) return 0;
  return f.ref->vmctx->module->functions[f.ref->index].offset + it->wasm;
}

enum class Next { go_on, interrupted, finished, failed };

// At a branch back to `head`. Compiled code may run the rest of the function here.
__attribute__((noinline)) Next tick_loop(TailCall& t, const u8* head) {
  StoreContext& context = *t.vm->store;
  refill(context, 0);
  if (__atomic_load_n(&context.interrupt, __ATOMIC_RELAXED)) return Next::interrupted;
  Compiler* compiler = context.store->compiler();
  Function* f = compiler ? state_of(t.vm).find(t.pc) : nullptr;
  if (!f) return Next::go_on;
  const ArrayEntry entry = compiler->sample(*f->ref, loop_offset(*f, head));
  if (!entry) return Next::go_on;
  const Link link = *reinterpret_cast<const Link*>(t.fp + f->link);
  return call_in_place(t, link, entry, f->ref, f->frame_slots) == TailKind::finished ? Next::finished
                                                                                     : Next::failed;
}

// A status from the call that returned here: its trace starts at the call instruction.
TENON_HANDLER propagate_from_call(TENON_INTERP_PARAMS) {
  pc -= 1;
  TENON_TAIL(propagate);
}

}  // namespace

__attribute__((noinline)) bool tick_at_entry(StoreContext& context, FuncRef* callee) {
  refill(context, 1);  // a call instruction is executed again, and counts again
  if (__atomic_load_n(&context.interrupt, __ATOMIC_RELAXED)) return false;
  if (Compiler* compiler = context.store->compiler(); compiler && callee->vmctx) compiler->sample(*callee, 0);
  return true;
}

TENON_HANDLER tick_at_branch(TENON_INTERP_PARAMS) {
  const u8* head = pc + read<i32>(pc, kFieldTarget);
  Slot* results = fp;
  Next next;
  {
    TailCall t{pc, fp, vm, Status::ok};
    next = tick_loop(t, head);
    if (next == Next::finished || next == Next::failed) {
      pc = t.pc;
      fp = t.fp;
      vm = t.vm;
      r0 = static_cast<u64>(t.status);
    }
  }
  switch (next) {
    case Next::interrupted: TENON_TRAP(TrapCode::interrupted);
    case Next::failed:
      if (pc == leave_activation_code()) return static_cast<Status>(r0);
      load_memory(vm, mem, mem_len);
      TENON_TAIL(propagate_from_call);
    case Next::finished:
      load_memory(vm, mem, mem_len);
      r0 = results->u64_;
      x0 = from_slot<V128>(results);
      TENON_DISPATCH();
    case Next::go_on: break;
  }
  load_memory(vm, mem, mem_len);
  pc = head;
  TENON_DISPATCH();
}

TENON_HANDLER tick_at_call(TENON_INTERP_PARAMS) {
  if (!tick_at_entry(*vm->store, reinterpret_cast<FuncRef*>(r0))) TENON_TRAP(TrapCode::interrupted);
  TENON_DISPATCH();
}

}  // namespace tenon::interp
