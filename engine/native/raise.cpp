// Raising traps from compiled code and from faults (raise.h).
#include "engine/native/raise.h"

#include <signal.h>
#include <ucontext.h>

#include <mutex>

#include "engine/native/code_object.h"
#include "engine/native/ranges.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
extern "C" void __asan_handle_no_return();
#define TENON_FORGET_FRAMES() __asan_handle_no_return()
#endif
#endif
#ifndef TENON_FORGET_FRAMES
#define TENON_FORGET_FRAMES() static_cast<void>(0)
#endif

namespace tenon {
namespace {

struct NativeFrame {
  const NativeFrame* outer;
  u64 return_address;
};

void append_frame(TrapRecord& record, u64 pc, u64 known_offset) {
  const RangeSet::Node* node = code_ranges().find(pc);
  if (!node) return;
  auto frame = static_cast<const CodeObject*>(node->payload.load())->frame_at(pc);
  if (!frame) return;
  if (known_offset != 0) frame->offset = known_offset;
  record.frames.push_back(*frame);
}

// Appends the compiled frames from `frame` (a C++ function's, or a compiled one's) out to the entry stub.
// `first_offset` is the module offset of the innermost one when it is known.
void append_backtrace(TrapRecord& record, const NativeFrame* frame, u64 first_offset) {
  const u64 end = reinterpret_cast<u64>(tenon_jit_enter_return);
  for (; frame->return_address != end; frame = frame->outer) {
    const size_t before = record.frames.size();
    append_frame(record, frame->return_address - 1, first_offset);
    if (record.frames.size() != before) first_offset = 0;
  }
}

const NativeFrame* this_frame(void* frame_address) { return static_cast<const NativeFrame*>(frame_address); }

[[noreturn]] void leave_by_trap(StoreContext* store, const NativeFrame* frame, u64 site) {
  append_backtrace(store->store->trap(), frame, site & 0xffff'ffff);
  tenon_jit_leave(store, Status::trap);
}

// Runs on the faulting thread's own stack once the signal handler has returned.
[[noreturn]] void raise_fault(u64 pc, const NativeFrame* frame) {
  TENON_FORGET_FRAMES();
  const NativeFrame* outermost = frame;
  while (outermost->return_address != reinterpret_cast<u64>(tenon_jit_enter_return))
    outermost = outermost->outer;
  auto* activation = reinterpret_cast<const Activation*>(reinterpret_cast<const u8*>(outermost->outer) -
                                                         kActivationBelowFrame);
  StoreContext* store = activation->store;
  store->store->raise(TrapCode::memory_out_of_bounds);
  TrapRecord& record = store->store->trap();
  append_frame(record, pc, 0);
  append_backtrace(record, frame, 0);
  tenon_jit_leave(store, Status::trap);
}

struct sigaction previous_segv, previous_bus;

void chain(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = signal == SIGBUS ? previous_bus : previous_segv;
  if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) return previous.sa_handler(signal);
  // Back to the default action; the access is repeated and ends the process.
  struct sigaction fallback{};
  fallback.sa_handler = SIG_DFL;
  sigaction(signal, &fallback, nullptr);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const u64 pc = static_cast<u64>(registers[REG_RIP]);
  if (!code_ranges().find(pc) || !guarded_memories().find(reinterpret_cast<u64>(info->si_addr)))
    return chain(signal, info, context);
  registers[REG_RDI] = static_cast<greg_t>(pc);
  registers[REG_RSI] = registers[REG_RBP];
  // Below the red zone of the interrupted function, aligned as after a call.
  registers[REG_RSP] = ((registers[REG_RSP] - 256) & ~greg_t{15}) - 8;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&raise_fault);
}

}  // namespace

void tenon_jit_raise(VMContext* vm, u64 site) {
  TENON_FORGET_FRAMES();
  vm->store->store->raise(static_cast<TrapCode>(site >> 32));
  leave_by_trap(vm->store, this_frame(__builtin_frame_address(0)), site);
}

void tenon_jit_raise_at(VMContext* vm, u64 site, u64 index) {
  TENON_FORGET_FRAMES();
  vm->store->store->raise(static_cast<TrapCode>(site >> 32), std::to_string(index));
  leave_by_trap(vm->store, this_frame(__builtin_frame_address(0)), site);
}

void tenon_jit_reraise(StoreContext* store, u32 status) {
  TENON_FORGET_FRAMES();
  append_backtrace(store->store->trap(), this_frame(__builtin_frame_address(0)), 0);
  tenon_jit_leave(store, static_cast<Status>(status));
}

void tenon_jit_resume_call(FuncRef* self, Slot* slots, u32 status) {
  StoreContext* store = self->vmctx ? self->vmctx->store : static_cast<HostFunc*>(self->code)->store;
  if (static_cast<Status>(status) == Status::tail_call)
    status = static_cast<u32>(store->store->finish_tail_calls(slots));
  if (static_cast<Status>(status) != Status::ok) tenon_jit_reraise(store, status);
}

u32 tenon_jit_is_subtype(VMContext* vm, u32 sub, u32 super) {
  return vm->module->type_registry().is_subtype(TypeId{sub}, TypeId{super});
}

void install_fault_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
  });
}

}  // namespace tenon
