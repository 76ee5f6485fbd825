// What the interpreter keeps for a store: its translated functions, found by FuncRef or by code address; and
// how an activation unwinds.
#pragma once
#include <deque>
#include <map>

#include "engine/interp/code.h"
#include "engine/runtime/store.h"

namespace tenon::interp {

class State {
 public:
  static State& of(Store& store);

  // The function behind an interpreted FuncRef; makes one that translates itself at its first call.
  Function& function(FuncRef* ref);
  // Registers code for find(). Called by the translator's caller.
  void add_code(Function& f);
  // Whose code this is; null for stubs.
  Function* find(const u8* pc);

 private:
  std::deque<Function> functions_;
  std::map<const u8*, Function*> by_code_;
};

// Stub instructions that Links point to.
const u8* leave_activation_code();
const u8* far_return_code();

// A frame of an activation while it unwinds. `pc` lies in the instruction that runs, which for callers is the
// call.
struct Position {
  const u8* pc;
  Slot* fp;
  VMContext* vm;
  Function* function;
  // The caller's; false at the activation's end.
  bool outwards(State& state);
};

// Appends the activation's frames to the trap record.
void append_trace(State& state, Position at);
// Where the exception in flight is caught in this activation: sets `at` to the place to go on at, its
// arguments stored. False when it isn't; then its trace has been appended.
bool catch_exception(State& state, Position& at);

// StoreContext::ticks is used up at the entry of `callee`, which may be compiled code afterwards and is looked at,
// and counted, once more. False: the guest is to end.
bool tick_at_entry(StoreContext& context, FuncRef* callee);

// Translates a function (spec: its body validates, or this fails). On error the message goes into a trap.
Status translate_now(State& state, Function& f);

}  // namespace tenon::interp
