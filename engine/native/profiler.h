// Where a store's guest spends its processor time: samples taken by a signal on the guest's own thread, in compiled code
// and in the interpreter. What it costs is the signals; the guest runs the same code. Linux on x86-64 only.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/store.h"

namespace tenon {

// One function's part. `total` counts samples with the function anywhere on the stack, once each.
struct ProfileRow {
  const Module* module;
  FuncIdx function;
  u64 self = 0, total = 0;
};
struct Profile {
  std::vector<ProfileRow> rows;  // most `self` first
  u64 samples = 0;
  u64 host =
      0;  // of them in host functions that the interpreter called, in the engine, or before and after the guest
  u64 lost = 0;  // no room was left
};

class Profiler {
 public:
  // Begins to sample the calling thread, which is the one that will run the store's guest: `hz` times for each second of
  // its processor time, as far as the kernel's clock ticks that often (CONFIG_HZ). Errors: usage (this thread is being sampled already), io (no timer), unsupported (this machine).
  static Result<std::unique_ptr<Profiler>> start(Store& store, u32 hz);
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;
  // Ends sampling and counts, on the same thread. Frames of interpreted callers are found within 440 slots of the value
  // stack; frames on the other side of a change between interpreter and compiled code count where the native stack shows
  // them.
  Profile stop();

  // Called by the signal handler.
  void sample(void* context);

 private:
  struct Sample;
  struct Samples;
  explicit Profiler(Store& store, u32 hz);
  void end_timer();

  Store& store_;
  u32 hz_;
  std::optional<void*> timer_;  // the first timer of a process is a null pointer
  std::unique_ptr<Samples> samples_;
};

// As a table for people.
std::string to_string(const Profile& profile);

}  // namespace tenon
