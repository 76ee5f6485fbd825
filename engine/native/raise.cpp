// Raising traps from compiled code and from faults (raise.h).
#include "engine/native/raise.h"

#include <signal.h>
#include <ucontext.h>

#include "engine/native/code_object.h"
#include "engine/native/ranges.h"
#include "engine/once.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
extern "C" void __asan_handle_no_return();
#define TENON_FORGET_FRAMES() __asan_handle_no_return()
#endif
// ThreadSanitizer keeps a bounded stack of the calls that have not returned: what may leave compiled code is not counted.
#if __has_feature(thread_sanitizer)
#define TENON_MAY_LEAVE [[clang::disable_sanitizer_instrumentation]]
#endif
#endif
#ifndef TENON_MAY_LEAVE
#define TENON_MAY_LEAVE
#endif
#ifndef TENON_FORGET_FRAMES
#define TENON_FORGET_FRAMES() static_cast<void>(0)
#endif

namespace tenon {

namespace {

bool holds(const TraceFrame& frame, u64 offset) {
  const Function& f = frame.module->functions[frame.function.value];
  return offset >= f.offset && offset - f.offset < f.body.size();
}

}  // namespace

void append_frame(TrapRecord& record, u64 pc, u64 known_offset) {
  const RangeSet::Node* node = code_ranges().find(pc);
  if (!node) return;
  auto& frames = record.frames;
  const size_t first = frames.size();
  static_cast<const CodeObject*>(node->payload.load())->append_frames(pc, frames);
  if (first == frames.size() || known_offset == 0) return;
  // What an inlined call surrounds may yet be its caller's.
  while (first + 1 < frames.size() && !holds(frames[first], known_offset))
    frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(first));
  frames[first].offset = known_offset;
}

namespace {

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

TENON_MAY_LEAVE [[noreturn]] void leave_by_trap(StoreContext* store, const NativeFrame* frame, u64 site) {
  append_backtrace(store->store->trap(), frame, site & 0xffff'ffff);
  tenon_jit_leave(store, Status::trap);
}

bool is_entered_from_stub(const NativeFrame* frame) {
  return frame->return_address == reinterpret_cast<u64>(tenon_jit_enter_return);
}

// The store whose compiled code runs, from the frame pointer there.
StoreContext* store_of(const NativeFrame* frame) {
  while (!is_entered_from_stub(frame)) frame = frame->outer;
  const u8* stub_frame = reinterpret_cast<const u8*>(frame->outer);
  return reinterpret_cast<const Activation*>(stub_frame - kActivationBelowFrame)->store;
}

// These run on the thread's own stack once the signal handler has returned.
TENON_MAY_LEAVE [[noreturn]] void raise_at(u64 pc, const NativeFrame* frame, StoreContext* store,
                                           TrapCode code) {
  TENON_FORGET_FRAMES();
  store->store->raise(code);
  TrapRecord& record = store->store->trap();
  append_frame(record, pc, 0);
  append_backtrace(record, frame, 0);
  tenon_jit_leave(store, Status::trap);
}
TENON_MAY_LEAVE [[noreturn]] void raise_fault(u64 pc, const NativeFrame* frame) {
  raise_at(pc, frame, store_of(frame), TrapCode::memory_out_of_bounds);
}
TENON_MAY_LEAVE [[noreturn]] void raise_overflow(u64 pc, const NativeFrame* frame) {
  raise_at(pc, frame, store_of(frame), TrapCode::stack_exhausted);
}
// In the middle of anything: what the guest was about to write may be half written.
TENON_MAY_LEAVE [[noreturn]] void raise_interrupt(u64 pc, const NativeFrame* frame) {
  StoreContext* store = store_of(frame);
  store->flags |= kPoisoned;
  raise_at(pc, frame, store, TrapCode::interrupted);
}

struct sigaction previous_segv, previous_bus, previous_kick;

void chain(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = signal == SIGBUS        ? previous_bus
                                     : signal == kKickSignal ? previous_kick
                                                             : previous_segv;
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {  // whatever its flags are
    if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(signal, info, context);
    return previous.sa_handler(signal);
  }
  if (signal == kKickSignal) return;
  // Back to the default action; the access is repeated and ends the process.
  struct sigaction fallback{};
  fallback.sa_handler = SIG_DFL;
  sigaction(signal, &fallback, nullptr);
}

using Registers = decltype(mcontext_t::gregs);

// Lets the interrupted code go on in `function`, on the stack that ends at `top`.
void go_to(Registers& registers, void (*function)(u64, const NativeFrame*), greg_t top) {
  registers[REG_RDI] = registers[REG_RIP];
  registers[REG_RSI] = registers[REG_RBP];
  registers[REG_RSP] = (top & ~greg_t{15}) - 8;  // aligned as after a call
  registers[REG_RIP] = reinterpret_cast<greg_t>(function);
}
// On the thread's own stack, below the red zone of the interrupted function.
void go_to(Registers& registers, void (*function)(u64, const NativeFrame*)) {
  go_to(registers, function, registers[REG_RSP] - 256);
}

// Compiled code ran into the guard of its thread's stack: a frame larger than what its prologue asked for.
bool is_stack_overflow(const Registers& registers, u64 address) {
  const u64 top = static_cast<u64>(registers[REG_RSP]);
  constexpr u64 kReach = u64{8} << 20;  // of a frame, which touches its pages downwards
  return address < top + 256 && address > top - kReach && top < static_cast<u64>(registers[REG_RBP]) &&
         address < reinterpret_cast<u64>(
                       store_of(reinterpret_cast<const NativeFrame*>(registers[REG_RBP]))->stack_limit);
}

// There is no stack to go on with but the one for signal handlers, which is free when this one has returned: a handler
// itself may not allocate.
void overflow(Registers& registers, const stack_t& handlers) {
  go_to(registers, &raise_overflow,
        reinterpret_cast<greg_t>(static_cast<u8*>(handlers.ss_sp) + handlers.ss_size));
}

// The code whose function `pc` is in; there the frame pointer leads to the entry stub. Null elsewhere, in thunks too.
const CodeObject* code_of_function(u64 pc) {
  const RangeSet::Node* node = code_ranges().find(pc);
  const auto* code = node ? static_cast<const CodeObject*>(node->payload.load()) : nullptr;
  return code && code->in_function(pc) ? code : nullptr;
}

void on_fault(int signal, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const u64 pc = static_cast<u64>(registers[REG_RIP]);
  const u64 address = reinterpret_cast<u64>(info->si_addr);
  if (code_ranges().find(pc) && guarded_memories().find(address)) return go_to(registers, &raise_fault);
  if (code_of_function(pc) && is_stack_overflow(registers, address))
    return overflow(registers, static_cast<ucontext_t*>(context)->uc_stack);
  chain(signal, info, context);
}

void on_kick(int signal, siginfo_t* info, void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (info->si_code != SI_TIMER) return chain(signal, info, context);
  const CodeObject* code = code_of_function(static_cast<u64>(registers[REG_RIP]));
  if (!code || code->config().checks.interrupts)
    return;  // with checks it comes to one, and the store may go on
  const StoreContext* store = store_of(reinterpret_cast<const NativeFrame*>(registers[REG_RBP]));
  if (__atomic_load_n(&store->interrupt, __ATOMIC_RELAXED)) go_to(registers, &raise_interrupt);
}

}  // namespace

TENON_MAY_LEAVE void tenon_jit_raise(VMContext* vm, u64 site) {
  TENON_FORGET_FRAMES();
  vm->store->store->raise(static_cast<TrapCode>(site >> 32));
  leave_by_trap(vm->store, this_frame(__builtin_frame_address(0)), site);
}

TENON_MAY_LEAVE void tenon_jit_raise_at(VMContext* vm, u64 site, u64 index) {
  TENON_FORGET_FRAMES();
  vm->store->store->raise(static_cast<TrapCode>(site >> 32), std::to_string(index));
  leave_by_trap(vm->store, this_frame(__builtin_frame_address(0)), site);
}

TENON_MAY_LEAVE void leave_with(StoreContext* store, const NativeFrame* frame, Status status) {
  TENON_FORGET_FRAMES();
  if (frame) append_backtrace(store->store->trap(), frame, 0);
  tenon_jit_leave(store, status);
}

TENON_MAY_LEAVE u32 tenon_jit_resume_call(FuncRef* self, Slot* slots, u32 status) {
  StoreContext* store = self->vmctx ? self->vmctx->store : static_cast<HostFunc*>(self->code)->store;
  if (static_cast<Status>(status) == Status::tail_call) {
    // The thunk that called this took the place of its own caller when that was a tail call too. When nothing
    // but the entry stub is left outside, whoever entered makes the pending call, so that tiers that tail-call
    // each other never nest.
    const NativeFrame* thunk = this_frame(__builtin_frame_address(0))->outer;
    if (is_entered_from_stub(thunk->outer)) tenon_jit_leave(store, Status::tail_call);
    return static_cast<u32>(store->store->finish_tail_calls(slots));
  }
  return status;
}

u32 tenon_jit_is_subtype(VMContext* vm, u32 sub, u32 super) {
  return vm->module->type_registry().is_subtype(TypeId{sub}, TypeId{super});
}

void install_fault_handler() {
  static Once once;
  once.call([] {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
    action.sa_sigaction = on_kick;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigaction(kKickSignal, &action, &previous_kick);
  });
}

}  // namespace tenon
