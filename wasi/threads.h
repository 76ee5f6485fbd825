// wasi-threads: a command whose module imports `wasi.thread-spawn` and a shared memory. Each thread of the
// guest is a host thread with a store and an instance of its own; they share the module, the memory and the
// WasiContext.
#pragma once
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/runtime/linker.h"
#include "engine/runtime/store.h"
#include "wasi/wasi.h"

namespace tenon::wasi {

// Is the module made for threads, that is, does it import `wasi.thread-spawn` or a shared memory?
// (wasi-threads: the host makes the shared memory, even for a program that never spawns.)
bool wants_threads(const Module& module);

struct ThreadOptions {
  StoreLimits limits{};
  u32 max_threads = 256;  // at a time, the first one included
  // Called for each thread's store before it instantiates, e.g. to set a compiler. May be empty.
  std::function<Result<void>(Store&)> prepare{};
  // Called for each thread's linker to define what the module imports beside WASI. May be empty.
  std::function<void(Linker&)> define{};
};

// One run of such a command. The first thread that exits or traps ends all others: what blocks in WASI is
// cancelled (so `context` must be cancellable), what computes is interrupted. When the main thread returns,
// so does the program.
class ThreadGroup {
 public:
  // `context` outlives the group. Errors of run() come in the run, none here.
  ThreadGroup(std::shared_ptr<Engine> engine, std::shared_ptr<const Module> module, WasiContext& context,
              ThreadOptions options);
  ~ThreadGroup();
  ThreadGroup(const ThreadGroup&) = delete;
  ThreadGroup& operator=(const ThreadGroup&) = delete;

  // Calls the exported function `entry` in the main thread and returns the program's exit code, all threads
  // joined. Errors: not_found (no such export), unlinkable, limit, trap and exception of whichever thread had
  // it first.
  Result<i32> run(std::string_view entry = "_start");

  // From any thread, also before run(): ends all threads; run() then gives the trap `interrupted` of one that computed, or
  // of one that waited when none did.
  void interrupt();
  // Of the trap or exception that run() gave: its frames are those of the thread that had it.
  const TrapRecord& trap() const { return trap_; }

  // thread-spawn: the new thread's id, or a negative number when there can be none.
  i32 spawn(u32 argument);

 private:
  struct Thread;
  using Place = std::list<std::unique_ptr<Thread>>::iterator;
  std::optional<Place> add_thread();
  void remove_thread(Place at);
  i32 start_thread(Place at, FuncRef* func, u32 argument);
  Result<void> instantiate(Thread& thread);
  Result<void> share_memories(Thread& thread, Linker& linker);
  Result<void> run_main(Thread& main, std::string_view entry);
  void call(Thread& thread, FuncRef* func, Slot* slots);
  void end(Result<i32> result, const TrapRecord& trap = {});
  void end_by(Store& store, Status status);

  std::shared_ptr<Engine> engine_;
  std::shared_ptr<const Module> module_;
  WasiContext& context_;
  ThreadOptions options_;
  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  std::list<std::unique_ptr<Thread>> threads_;  // all that still run
  std::vector<std::thread> finished_;           // to be joined
  std::optional<Result<i32>> result_;           // set when the program is over
  TrapRecord trap_;                             // with it
  bool interrupted_ = false;
  std::optional<std::pair<Error, TrapRecord>>
      waited_;  // of the first thread that was interrupted while it waited
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Memory>> memories_;
  i32 last_id_ = 0;
};

}  // namespace tenon::wasi
