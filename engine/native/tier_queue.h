// Compilation in the background: functions that stores found hot wait here for the process's compiling threads,
// which load the compiler (tenon-jit.so) when the first of them arrives. What is compiled is published with its
// module's code; stores take it up by themselves (NativeTier::pick_up). Does not decide what is hot (tiering.h).
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

#include "engine/native/module_code.h"

namespace tenon {

struct TierJob {
  std::shared_ptr<const Module> module;
  ModuleCode::Variant* code;  // of the module
  CompileOptions options;
  DecodeOptions decode;
  CompileFn compile;
  std::vector<FuncIdx> functions = {};  // without code yet
  std::vector<OsrLoop> loops = {};
  bool empty() const { return functions.empty() && loops.empty(); }
};

// Compiles and publishes. Gives the functions that were beyond the budget, which have no code afterwards.
Result<std::vector<FuncIdx>> compile_and_publish(const TierJob& job, CompileFn compile);

class TierQueue {
 public:
  // The process's own; never destroyed, since its threads are never joined.
  static TierQueue& of_process();
  // Jobs for one module that wait are compiled together. When nothing can be compiled at all (no plugin, no
  // executable memory) that is said once on stderr, and jobs are dropped.
  void add(TierJob job);
  // All of the module that nobody has asked for, in pieces, each when nothing else waits. The job names no functions.
  void add_rest(TierJob job);
  // What is beyond the budget for this process: one job at a time, in a child process within job.options.worker, by
  // a thread of its own. A job whose module nobody else uses any more ends. What the child could not compile
  // stays interpreted, and that is said once for each reason.
  void add_oversized(TierJob job);
  // Drops what waits, and returns when nothing is being compiled.
  void stop();
  // Waits until everything is compiled (tests).
  void drain();

 private:
  static bool start_thread(std::function<void()> run);
  void run();
  void run_oversized();
  bool is_idle() const { return jobs_.empty() && rest_.empty(); }
  TierJob take();
  TierJob take_rest();
  void start_working();
  CompileFn compiler(const TierJob& job);
  void give_up(const Error& error);

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  // Claims functions when their turn comes: one that gets hot meanwhile need not wait behind the others.
  struct Rest {
    TierJob job;
    u32 next;  // function index
  };
  std::deque<TierJob> jobs_, oversized_;
  std::deque<Rest> rest_;
  u64 code_bytes_ = 0;  // compiled so far
  u32 threads_ = 0, working_ = 0;
  bool oversized_thread_ = false, oversized_working_ = false;
  std::atomic<bool> closed_ = false;  // changed under mutex_
};

}  // namespace tenon
