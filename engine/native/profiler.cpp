// See profiler.h. The signal handler only copies: registers, code addresses of the native stack, and a piece of the value
// stack. What they mean is found out at the end, when nothing changes any more.
#include "engine/native/profiler.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>

#include "engine/interp/state.h"
#include "engine/keep_errno.h"
#include "engine/native/code_object.h"
#include "engine/native/ranges.h"

namespace tenon {
namespace {

constexpr size_t kMostCode = 48;                       // compiled frames of a sample
constexpr size_t kSlotsBelow = 440, kSlotsAbove = 72;  // of the interpreter's frame
constexpr size_t kMostSamples = 10'000;                // 50 MB when they are all taken
constexpr size_t kMostFrames = 100;

thread_local Profiler* current = nullptr;

void on_signal(int, siginfo_t*, void* context) {
  const KeepErrno keep;
  if (current) current->sample(context);
}

}  // namespace

struct Profiler::Sample {
  u64 interp_pc, interp_fp;  // what the interpreter has in these registers, if it runs
  u64 code[kMostCode];       // addresses in compiled code, innermost first
  u32 code_count;
  bool leaf_is_code;  // the innermost frame is compiled code
  Slot slots[kSlotsBelow + kSlotsAbove];
};

struct Profiler::Samples {
  Sample* data = nullptr;
  size_t count = 0;
  u64 lost = 0;
  Samples() {
    void* p = mmap(nullptr, kMostSamples * sizeof(Sample), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) data = static_cast<Sample*>(p);
  }
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;
  ~Samples() {
    if (data) munmap(data, kMostSamples * sizeof(Sample));
  }
};

Profiler::Profiler(Store& store, u32 hz) : store_(store), hz_(hz), samples_(std::make_unique<Samples>()) {}

#if defined(__x86_64__) && defined(__linux__)

Result<std::unique_ptr<Profiler>> Profiler::start(Store& store, u32 hz) {
  constexpr u32 kMostHz = 10'000;
  constexpr long kSecond = 1'000'000'000;
  if (current)
    return std::unexpected(Error{ErrorCategory::usage, "this thread is being profiled already", {}});
  std::unique_ptr<Profiler> profiler(new Profiler(store, std::clamp(hz, 1u, kMostHz)));
  struct sigaction action{};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  struct sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGPROF;
  event._sigev_un._tid = gettid();
  timer_t timer = nullptr;
  if (!profiler->samples_->data || sigaction(SIGPROF, &action, nullptr) != 0 ||
      timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0)
    return std::unexpected(
        Error{ErrorCategory::io, fmt::format("no timer to profile with: {}", std::strerror(errno)), {}});
  profiler->timer_ = timer;
  current = profiler.get();
  itimerspec time{};
  time.it_interval.tv_nsec = std::min(kSecond / profiler->hz_, kSecond - 1);
  time.it_value = time.it_interval;
  timer_settime(timer, 0, &time, nullptr);
  return profiler;
}

// Async-signal-safe: copies, and looks into a list that is only ever added to.
void Profiler::sample(void* context) {
  if (samples_->count == kMostSamples) {
    ++samples_->lost;
    return;
  }
  const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  Sample& s = samples_->data[samples_->count];
  // The interpreter's first two arguments, in the registers of preserve_none.
  s.interp_pc = static_cast<u64>(registers[REG_R12]);
  s.interp_fp = static_cast<u64>(registers[REG_R13]);
  s.code_count = 0;
  const StoreContext& store = store_.context();
  const u64 base = reinterpret_cast<u64>(store.value_base), limit = reinterpret_cast<u64>(store.value_limit);
  if (s.interp_fp >= base && s.interp_fp < limit && s.interp_fp % sizeof(Slot) == 0) {
    const u64 from = s.interp_fp - std::min(s.interp_fp - base, kSlotsBelow * sizeof(Slot));
    const u64 to = s.interp_fp + std::min(limit - s.interp_fp, kSlotsAbove * sizeof(Slot));
    std::memcpy(s.slots + (kSlotsBelow - (s.interp_fp - from) / sizeof(Slot)), reinterpret_cast<void*>(from),
                to - from);
  } else {
    s.interp_fp = 0;
  }
  const u64 pc = static_cast<u64>(registers[REG_RIP]);
  s.leaf_is_code = code_ranges().find(pc) != nullptr;
  if (s.leaf_is_code) s.code[s.code_count++] = pc;
  // Frame pointers, as far as they lead up the stack.
  const u64 top = reinterpret_cast<u64>(store.native_base);
  u64 below = static_cast<u64>(registers[REG_RSP]) - 1;  // a function without locals has both in one place
  for (u64 frame = static_cast<u64>(registers[REG_RBP]);
       frame > below && frame + 16 <= top && frame % sizeof(u64) == 0 && s.code_count < kMostCode;) {
    const u64* at = reinterpret_cast<const u64*>(frame);
    if (code_ranges().find(at[1] - 1)) s.code[s.code_count++] = at[1] - 1;
    below = frame;
    frame = at[0];
  }
  ++samples_->count;
}

void Profiler::end_timer() {
  if (!timer_) return;
  timer_delete(*timer_);
  timer_.reset();
  current = nullptr;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // a signal may be pending
}

#else

Result<std::unique_ptr<Profiler>> Profiler::start(Store&, u32) {
  return std::unexpected(Error{ErrorCategory::unsupported, "profiling works on Linux on x86-64 only", {}});
}
void Profiler::sample(void*) {}
void Profiler::end_timer() {}

#endif

Profiler::~Profiler() { end_timer(); }

namespace {

using Key = std::pair<const Module*, u32>;

class Counter {
 public:
  // Frames of one sample, innermost first; each function once in its total.
  void add(std::vector<Key>& frames) {
    ++rows_[frames.front()].self;
    std::ranges::sort(frames);
    const auto repeated = std::ranges::unique(frames);
    frames.erase(repeated.begin(), repeated.end());
    for (const Key& k : frames) ++rows_[k].total;
  }
  std::vector<ProfileRow> sorted() const {
    std::vector<ProfileRow> out;
    for (const auto& [key, counts] : rows_)
      out.push_back({key.first, FuncIdx{key.second}, counts.self, counts.total});
    std::ranges::sort(out, [](const ProfileRow& a, const ProfileRow& b) {
      return a.self != b.self ? a.self > b.self : a.total > b.total;
    });
    return out;
  }

 private:
  struct Counts {
    u64 self = 0, total = 0;
  };
  std::map<Key, Counts> rows_;
};

// The interpreter's frames as far as the copied piece of the value stack shows them.
void append_interpreted(interp::State& state, u64 pc, u64 fp, const Slot* copied_fp, std::vector<Key>& out) {
  const interp::Function* f = state.find(reinterpret_cast<const u8*>(pc));
  i64 at = 0;  // of the frame, in slots from the innermost one's
  while (f && out.size() < kMostFrames) {
    out.emplace_back(f->ref->vmctx->module, f->ref->index);
    const i64 link_at = at + static_cast<i64>(f->link);
    if (link_at < -static_cast<i64>(kSlotsBelow) ||
        link_at + static_cast<i64>(interp::kLinkSlots) > static_cast<i64>(kSlotsAbove))
      return;
    interp::Link link;
    std::memcpy(&link, copied_fp + link_at, sizeof link);
    if (link.pc == interp::leave_activation_code()) return;
    const bool far = link.pc == interp::far_return_code();
    f = state.find((far ? link.far_pc : link.pc) - 1);
    at = (static_cast<i64>(reinterpret_cast<u64>(far ? link.far_fp : link.fp)) - static_cast<i64>(fp)) /
         static_cast<i64>(sizeof(Slot));
  }
}

void append_compiled(std::span<const u64> code, std::vector<Key>& out) {
  for (const u64 pc : code) {
    const RangeSet::Node* node = code_ranges().find(pc);
    if (!node || out.size() >= kMostFrames) continue;
    std::vector<TraceFrame> frames;
    static_cast<const CodeObject*>(node->payload.load())->append_frames(pc, frames);
    for (const TraceFrame& f : frames) out.emplace_back(f.module, f.function.value);
  }
}

}  // namespace

Profile Profiler::stop() {
  end_timer();
  Profile profile;
  profile.samples = samples_->count;
  profile.lost = samples_->lost;
  interp::State& state = interp::State::of(store_);
  Counter counter;
  std::vector<Key> frames;
  for (size_t i = 0; i < samples_->count; ++i) {
    const Sample& s = samples_->data[i];
    frames.clear();
    if (!s.leaf_is_code && s.interp_fp != 0)
      append_interpreted(state, s.interp_pc, s.interp_fp, s.slots + kSlotsBelow, frames);
    append_compiled({s.code, s.code_count}, frames);
    if (frames.empty())
      ++profile.host;
    else
      counter.add(frames);
  }
  profile.rows = counter.sorted();
  return profile;
}

std::string to_string(const Profile& profile) {
  constexpr size_t kShown = 40;
  if (profile.samples == 0) return "profile: the guest ended before the first sample\n";
  const auto percent = [&](u64 n) {
    return 100.0 * static_cast<double>(n) / static_cast<double>(profile.samples);
  };
  std::string out = fmt::format("profile: {} samples{}\n  self %  total %  function\n", profile.samples,
                                profile.lost ? fmt::format("; {} lost", profile.lost) : "");
  for (size_t i = 0; i < std::min(profile.rows.size(), kShown); ++i) {
    const ProfileRow& row = profile.rows[i];
    out += fmt::format("  {:>6.1f}  {:>7.1f}  {}\n", percent(row.self), percent(row.total),
                       row.module->function_name(row.function));
  }
  if (profile.rows.size() > kShown) out += fmt::format("  ... and {} more\n", profile.rows.size() - kShown);
  if (profile.host != 0)
    out += fmt::format("  {:>6.1f}           (the engine and host functions)\n", percent(profile.host));
  return out;
}

}  // namespace tenon
