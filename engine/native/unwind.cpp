// The walk from a throw to its landing pad (unwind.h).
#include "engine/native/unwind.h"

#include <array>

#include "engine/native/code_object.h"
#include "engine/native/entry.h"
#include "engine/native/raise.h"
#include "engine/native/ranges.h"

namespace tenon {
namespace {

// Where the exception in flight has passed, for the backtrace of an uncaught one: a landing pad whose clauses
// don't fit goes on from its own frame, when the frames inside are gone.
struct Passed {
  static constexpr size_t kMost = 100;
  u64 exception = kNullRef;
  size_t count = 0;
  std::array<u64, kMost> return_addresses{};

  void start(u64 e) {
    exception = e;
    count = 0;
  }
  void add(u64 address) {
    if (count < kMost) return_addresses[count++] = address;
  }
};
thread_local Passed passed;

u64& saved_at(CallerState& state, u8 words) {
  return reinterpret_cast<u64*>(state.frame_pointer)[2 - static_cast<i64>(words)];
}

// One frame outwards.
void step(CallerState& state, const CodeObject* code) {
  if (const CodeFrame* frame = code ? code->frame_of(state.return_address) : nullptr) {
    u64* const registers[] = {&state.rbx, &state.r12, &state.r13, &state.r14, &state.r15};
    for (size_t r = 0; r < frame->saved.size(); ++r)
      if (frame->saved[r] != 0) *registers[r] = saved_at(state, frame->saved[r]);
  }
  // Arguments are in registers and in the transfer buffer: the caller's stack ends above the return address.
  state.stack_pointer = state.frame_pointer + sizeof(NativeFrame);
  const auto* frame = reinterpret_cast<const NativeFrame*>(state.frame_pointer);
  state.return_address = frame->return_address;
  state.frame_pointer = reinterpret_cast<u64>(frame->outer);
}

u64 find(StoreContext* store, CallerState& state, bool first_has_been_passed) {
  const u64 end = reinterpret_cast<u64>(tenon_jit_enter_return);
  for (bool known = first_has_been_passed; state.return_address != end; known = false) {
    if (!known) passed.add(state.return_address);
    const RangeSet::Node* node = code_ranges().find(state.return_address - 1);
    const auto* code = node ? static_cast<const CodeObject*>(node->payload.load()) : nullptr;
    if (const CodeLanding* landing = code ? code->landing_of(state.return_address) : nullptr)
      return reinterpret_cast<u64>(code->address(landing->pad));
    step(state, code);
  }
  TrapRecord& record = store->store->trap();
  for (size_t i = 0; i < passed.count; ++i) append_frame(record, passed.return_addresses[i] - 1, 0);
  passed.start(kNullRef);
  leave_with(store, nullptr, Status::exception);
}

}  // namespace

u64 tenon_jit_find_handler(StoreContext* store, u64, CallerState* state) {
  store->store->trap().frames.clear();
  passed.start(store->exception);
  return find(store, *state, false);
}

u64 tenon_jit_find_next_handler(StoreContext* store, u64, CallerState* state) {
  const bool same = passed.exception == store->exception;
  if (!same) passed.start(store->exception);
  return find(store, *state, same);
}

u64 tenon_jit_find_handler_of_status(StoreContext* store, u32 status, CallerState* state) {
  if (static_cast<Status>(status) != Status::exception)
    leave_with(store, reinterpret_cast<const NativeFrame*>(&state->frame_pointer),
               static_cast<Status>(status));
  passed.start(store->exception);
  return find(store, *state, false);
}

}  // namespace tenon
