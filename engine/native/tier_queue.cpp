// TierQueue: one queue, a few detached threads.
#include "engine/native/tier_queue.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>
#include <unordered_set>
#include <utility>

#include "engine/aot/worker.h"
#include "engine/native/native_tier.h"
#include "engine/reader.h"
#include "engine/runtime/jit_plugin.h"
#include "engine/runtime/plugin.h"

namespace tenon {
namespace {

constexpr u64 kBatchBytes = 4 << 10;         // of Wasm code that is compiled together
constexpr u64 kRestBytes = 16 << 10;         // the same, of what is not hot
constexpr u64 kMaxWaiting = 10'000;          // jobs
constexpr u64 kMaxCodeBytes = u64{1} << 30;  // of machine code in the process
constexpr int kNiceness = 5;                 // the guest's own thread goes first where processors are short

u64 size_of(const TierJob& job) {
  u64 size = 0;
  for (const FuncIdx f : job.functions) size += job.module->functions[f.value].body.size();
  for (const OsrLoop& l : job.loops) size += job.module->functions[l.function.value].body.size();
  return size;
}

// Signatures that need thunks between the tiers: of a function, of what it calls, and of what those call that may be
// inlined into it.
class CalledTypes {
 public:
  explicit CalledTypes(const Module& module) : module_(module) {}
  void add(FuncIdx f) {
    waiting_.push_back(f);
    while (!waiting_.empty()) {
      const FuncIdx next = waiting_.back();
      waiting_.pop_back();
      if (seen_.insert(next.value).second) scan(module_.functions[next.value]);
    }
  }
  std::vector<TypeId> types;

 private:
  void scan(const Function& function) {
    types.push_back(function.type);
    CodeReader reader(module_, function.body, function.offset);
    std::vector<LocalRun> runs;
    Instr i;
    if (!reader.read_locals(runs)) return;
    while (reader.next(i)) {
      if (i.op == Op::call || i.op == Op::return_call) {
        const Function& callee = module_.functions[i.index];
        types.push_back(callee.type);
        if (!callee.body.empty() && callee.body.size() <= kMaxInlinedBytes)
          waiting_.push_back(FuncIdx{i.index});
      } else if (i.op == Op::call_indirect || i.op == Op::return_call_indirect || i.op == Op::call_ref ||
                 i.op == Op::return_call_ref) {
        types.push_back(module_.types[i.index]);
      }
    }
  }

  const Module& module_;
  std::vector<FuncIdx> waiting_;
  std::unordered_set<u32> seen_;
};

std::vector<TypeId> types_of(const TierJob& job) {
  CalledTypes called(*job.module);
  for (const FuncIdx f : job.functions) called.add(f);
  for (const OsrLoop& l : job.loops) called.add(l.function);
  std::vector<TypeId>& types = called.types;
  std::ranges::sort(types, {}, &TypeId::value);
  const auto repeated = std::ranges::unique(types, {}, &TypeId::value);
  types.erase(repeated.begin(), repeated.end());
  return types;
}

}  // namespace

namespace {

CompileRequest request_of(const TierJob& job) {
  CompileRequest request{job.module.get(),
                         job.code->config(),
                         job.options,
                         job.decode,
                         job.functions,
                         job.loops,
                         job.code->without_thunks(types_of(job))};
  request.options.threads = 1;
  std::ranges::sort(*request.functions, {}, &FuncIdx::value);
  return request;
}

Result<void> publish(const TierJob& job, std::vector<u8> image) {
  TRY_ASSIGN(auto object, CodeObject::load(*job.module, std::move(image)));
  job.code->publish(std::move(object));
  return {};
}

// The part of a job that is for these functions.
TierJob part_of(const TierJob& job, const std::vector<FuncIdx>& functions) {
  TierJob part = job;
  auto other = [&](FuncIdx f) { return std::ranges::find(functions, f) == functions.end(); };
  std::erase_if(part.functions, other);
  std::erase_if(part.loops, [&](const OsrLoop& l) { return other(l.function); });
  return part;
}

// In a child process; until then and where it fails they are interpreted.
Result<void> compile_oversized(const TierJob& job, const std::function<bool()>& cancelled) {
  const CompileRequest request = for_child(request_of(job), job.functions);
  TRY_ASSIGN(CompiledImage compiled, compile_in_child(request, cancelled));
  return publish(job, std::move(compiled.image));
}

}  // namespace

Result<std::vector<FuncIdx>> compile_and_publish(const TierJob& job, CompileFn compile) {
  TRY_ASSIGN(CompiledImage compiled, compile(request_of(job)));
  TRY(publish(job, std::move(compiled.image)));
  return std::move(compiled.left_out);
}

// A child of fork() has none of the threads, and maybe a lock that one of them held: it compiles nothing by the way.
TierQueue& TierQueue::of_process() {
  static std::atomic<TierQueue*> queue = [] {
    pthread_atfork(nullptr, nullptr, [] {
      auto* const closed = new TierQueue;
      closed->closed_ = true;
      queue = closed;
    });
    return new TierQueue;
  }();
  return *queue;
}

void TierQueue::add(TierJob job) {
  const std::lock_guard lock(mutex_);
  if (closed_ || jobs_.size() >= kMaxWaiting) return;
  jobs_.push_back(std::move(job));
  start_working();
}

void TierQueue::add_rest(TierJob job) {
  const std::lock_guard lock(mutex_);
  if (closed_ || rest_.size() >= kMaxWaiting) return;
  const u32 first = job.module->imported_functions;
  rest_.push_back({std::move(job), first});
  start_working();
}

void TierQueue::start_working() {
  const u32 processors = std::max(1u, std::thread::hardware_concurrency());
  if (threads_ == working_ && threads_ < std::max(1u, processors - 1) && start_thread([this] { run(); }))
    ++threads_;
  wake_.notify_one();
}

void TierQueue::add_oversized(TierJob job) {
  const std::lock_guard lock(mutex_);
  if (closed_ || oversized_.size() >= kMaxWaiting) return;
  oversized_.push_back(std::move(job));
  if (!oversized_thread_) oversized_thread_ = start_thread([this] { run_oversized(); });
  wake_.notify_all();
}

// Signals for the process are the other threads' business. A normal exit waits for the functions that are being compiled:
// what is destroyed after that is not used any more. (The compiler itself is never destroyed: jit/CMakeLists.txt.)
bool TierQueue::start_thread(std::function<void()> run) {
  static const int at_exit = std::atexit([] { of_process().stop(); });
  static_cast<void>(at_exit);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = false;
  try {
    std::thread(std::move(run)).detach();
    started = true;
  } catch (const std::system_error&) {  // what threads there are go on
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

// The next piece of what is not hot; empty when nothing is left of it, or nobody else has the module any more.
TierJob TierQueue::take_rest() {
  Rest& rest = rest_.front();
  TierJob job = rest.job;
  u64 bytes = 0;
  const auto& functions = job.module->functions;
  for (; rest.next < functions.size() && bytes < kRestBytes; ++rest.next) {
    if (job.code->entry(FuncIdx{rest.next}) || !job.code->claim(FuncIdx{rest.next})) continue;
    job.functions.push_back(FuncIdx{rest.next});
    bytes += functions[rest.next].body.size();
  }
  const bool needed = rest.job.module.use_count() > 2;  // by more than the two jobs here
  if (!needed) job.functions.clear();
  if (rest.next == functions.size() || !needed) rest_.pop_front();
  return job;
}

// The first job, and what fits to it.
TierJob TierQueue::take() {
  if (jobs_.empty()) return take_rest();
  TierJob job = std::move(jobs_.front());
  jobs_.pop_front();
  if (!job.loops.empty()) return job;  // somebody is waiting for it in a loop
  u64 size = size_of(job);
  for (auto it = jobs_.begin(); it != jobs_.end() && size < kBatchBytes;) {
    const u64 more = size_of(*it);
    if (it->code != job.code || it->compile != job.compile || !it->loops.empty() ||
        size + more > kBatchBytes) {
      ++it;
      continue;
    }
    size += more;
    job.functions.insert(job.functions.end(), it->functions.begin(), it->functions.end());
    job.loops.insert(job.loops.end(), it->loops.begin(), it->loops.end());
    it = jobs_.erase(it);
  }
  return job;
}

// Null: there is none.
CompileFn TierQueue::compiler(const TierJob& job) {
  if (job.compile != &compile_by_plugin) return job.compile;
  const auto plugin = jit_plugin();
  if (!plugin) {
    give_up(plugin.error());
    return nullptr;
  }
  return (*plugin)->compile;
}

void TierQueue::give_up(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  closed_ = true;
  jobs_.clear();
  rest_.clear();
  if (TENON_JIT)  // a build without it is not expected to compile
    fmt::print(stderr, "tenon: nothing is compiled: {}\n", error.message);
}

void TierQueue::run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return !is_idle(); });
    TierJob job = take();
    ++working_;
    lock.unlock();
    if (const CompileFn compile = job.empty() ? nullptr : compiler(job)) {
      const auto left_out = compile_and_publish(job, compile);
      if (!left_out && left_out.error().category == ErrorCategory::io) give_up(left_out.error());
      if (left_out && !left_out->empty() && job.options.worker) add_oversized(part_of(job, *left_out));
    }
    const u64 bytes = size_of(job);
    job = {};  // its module may go
    lock.lock();
    --working_;
    code_bytes_ += bytes * 4;  // about what machine code takes
    if (code_bytes_ > kMaxCodeBytes) {
      closed_ = true;
      jobs_.clear();
      rest_.clear();
    }
    if (working_ == 0) idle_.notify_all();
  }
}

void TierQueue::run_oversized() {
  std::set<std::string> said;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return !oversized_.empty(); });
    TierJob job = std::move(oversized_.front());
    oversized_.pop_front();
    oversized_working_ = true;
    lock.unlock();
    const auto done = compile_oversized(job, [&] { return closed_ || job.module.use_count() == 1; });
    if (!done && !closed_ && said.insert(done.error().message).second)
      fmt::print(stderr, "tenon: {}: interpreted\n", done.error().message);
    job = {};
    lock.lock();
    oversized_working_ = false;
    idle_.notify_all();
  }
}

void TierQueue::stop() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  jobs_.clear();
  rest_.clear();
  oversized_.clear();
  idle_.wait(lock, [this] { return working_ == 0 && !oversized_working_; });
}

void TierQueue::drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock,
             [this] { return working_ == 0 && is_idle() && !oversized_working_ && oversized_.empty(); });
}

}  // namespace tenon
