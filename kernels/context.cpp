// Running plans: binding the caller's bytes, early steps in set_input, late ones in get_output, counting.
#include <atomic>
#include <functional>

#include "kernels/buffer.h"
#include "kernels/guarded.h"
#include "kernels/interpreter.h"
#include "kernels/model.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace internal {
namespace {

using Clock = std::chrono::steady_clock;
using Phase = StepInfo::Phase;

// Written by one thread at a time, read by any.
class Counter {
 public:
  void add(std::uint64_t n) { value_.store(get() + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

struct CallCounters {
  Counter calls, nanoseconds, bytes_viewed, bytes_copied;
  CallStatistics get() const {
    return {calls.get(), nanoseconds.get(), bytes_viewed.get(), bytes_copied.get()};
  }
  void reset() {
    for (auto* counter : {&calls, &nanoseconds, &bytes_viewed, &bytes_copied}) counter->set(0);
  }
};

// Counts a call, and its time when that is wanted.
class CallTimer {
 public:
  CallTimer(CallCounters& counters, bool timing) : counters_(counters), timing_(timing) {
    counters.calls.add(1);
    if (timing) start_ = Clock::now();
  }
  ~CallTimer() {
    if (timing_) counters_.nanoseconds.add(static_cast<std::uint64_t>((Clock::now() - start_).count()));
  }
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;

 private:
  CallCounters& counters_;
  bool timing_;
  Clock::time_point start_;
};

class BusyScope {
 public:
  explicit BusyScope(std::atomic_flag& flag)
      : flag_(flag), entered_(!flag.test_and_set(std::memory_order_acquire)) {}
  ~BusyScope() {
    if (entered_) flag_.clear(std::memory_order_release);
  }
  bool entered() const { return entered_; }

 private:
  std::atomic_flag& flag_;
  bool entered_;
};

// Two buffers when a late operator may still read the first while the next input is set.
struct DoubleBuffer {
  Buffer slots[2];
  std::size_t bytes[2] = {0, 0};
  int active = 0;    // what compute and get_output read
  int pending = -1;  // what set_input filled since, -1: nothing

  int target(bool keep_active, bool has_active) const {
    return keep_active && has_active ? 1 - active : active;
  }
  Result<std::byte*> reserve(int slot, std::size_t size) {
    if (slots[slot] == nullptr || bytes[slot] < size) {
      slots[slot] = TENON_TRY(allocate(size));
      bytes[slot] = size;
    }
    return slots[slot].get();
  }
  void commit() {
    if (pending >= 0) active = pending;
    pending = -1;
  }
};

// A plan with the memory that it runs in. The one whose outputs are read stays when the next inputs need
// another.
struct PlanRun {
  std::shared_ptr<const Plan> plan;
  Buffer arena, scratch;
  std::vector<std::unique_ptr<KernelState>> states;
  std::vector<std::byte*> bases;
  std::vector<DoubleBuffer> early;  // results of early steps, for each input
  std::vector<StepInfo> profile;
  std::vector<Value> results;  // of the interpreter
  std::vector<bool> gone;      // outputs that would read what the caller has taken back

  bool interpreted() const { return plan->interpreted; }
  std::byte* at(const Location& l) const {
    return reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(bases[l.space]) + l.offset);
  }
};

// Tokens for the operators of one call, when the model shares them. Not to be taken twice: with one token in all, the second
// would wait for the first.
class Lease {
 public:
  Lease(bool shared, int threads, const std::function<bool()>& give_up) : taken_(shared ? 0 : -1) {
    if (shared) taken_ = ThreadTokens::process().take(threads, give_up);
  }
  ~Lease() {
    if (taken_ > 0) ThreadTokens::process().give_back(taken_);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  bool granted() const { return taken_ != 0; }

 private:
  int taken_;
};

std::unexpected<Error> stopped_waiting() {
  return fail(ErrorCode::interrupted, "stopped, or out of time, while waiting for threads");
}

bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::less<>()(a.data(), b.data() + b.size()) && std::less<>()(b.data(), a.data() + a.size());
}

}  // namespace

class ContextImpl {
 public:
  explicit ContextImpl(std::shared_ptr<const Model> model, ModelImpl& impl)
      : model_(std::move(model)), impl_(impl), inputs_(impl.inputs.size()) {}

  Result<void> start() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (impl_.static_dims[i]) inputs_[i].dims = impl_.static_dims[i];
    }
    if (const auto dims = all_dims()) current_ = TENON_TRY(make_run(*dims, impl_.options.threads));
    return set_states(impl_.graph.states());
  }

  Result<void> set_input(std::size_t index, const TensorView& tensor, const ComputeOptions& options);
  Result<void> set_input_value(std::size_t index, Value value);
  Result<void> compute(const ComputeOptions& options);
  Result<std::size_t> get_output(std::size_t index, std::span<std::byte> out, const ComputeOptions& options);
  Result<void> run(std::span<const RunInput> inputs, std::span<RunOutput> outputs, bool stable,
                   const ComputeOptions& options);
  Result<Value> get_output_value(std::size_t index, const ComputeOptions& options);
  Result<TensorView> describe_output(std::size_t index) const;
  Result<TensorView> describe_callers_output(std::size_t index) const;
  Statistics statistics() const;
  void reset_statistics();

  std::shared_ptr<const Model> model_;
  ModelImpl& impl_;
  bool profiling_ = false, timing_ = true;
  void set_profiling(bool on) {
    profiling_ = on;
    if (interpreter_) interpreter_->set_profiling(on);
  }
  std::vector<StepInfo> profile() const {
    if (!current_) return {};
    return current_->interpreted() ? interpreter_->profile() : current_->profile;
  }

 private:
  using Run = std::shared_ptr<PlanRun>;
  // Where the value of an input is held.
  enum class Held : std::uint8_t {
    nowhere,
    copy,
    early,     // as results of the early steps of current_
    value,     // for the interpreter
    borrowed,  // in the caller's memory, for the length of one run()
  };
  struct Input {
    std::optional<Dims> dims;  // of the value set, or declared
    Held held = Held::nowhere;
    DoubleBuffer copy;
    Value value;
    std::byte* borrowed = nullptr;
  };

  std::optional<std::vector<Dims>> all_dims() const;
  Result<void> check_view(std::size_t index, const TensorView& tensor) const;
  int threads_for_next() const;
  Result<Run> run_for(std::size_t index, const Dims& dims);
  Result<Run> make_run(std::span<const Dims> dims, int threads);
  Result<void> run_step(PlanRun& run, std::uint32_t index);
  Lease lease(const PlanRun& run, const ComputeOptions& options) const {
    return {impl_.options.lease_threads, run.plan->threads,
            [&options] { return !check_interrupt(options).has_value(); }};
  }
  Result<void> set_tensor(std::size_t index, const TensorView& tensor, bool borrow, CallCounters& counters,
                          const ComputeOptions& options);
  Result<void> set_early(PlanRun& run, std::size_t index, const std::byte* bytes);
  Result<void> set_copied(std::size_t index, const TensorView& tensor, CallCounters& counters);
  Result<void> bind_input(std::size_t index);
  Result<void> to_value(std::size_t index);
  Result<void> compute_steps(const ComputeOptions& options);
  Result<void> compute_locked(const ComputeOptions& options);
  Result<void> set_states(std::span<const Tensor> values);
  Result<void> advance_states(const ComputeOptions& options);
  Result<void> check_index(std::size_t index) const;
  Result<std::size_t> output_size(std::size_t index) const;
  Result<std::size_t> write_output(std::size_t index, std::span<std::byte> out, CallCounters& counters,
                                   const ComputeOptions& options);
  void give_back_borrowed();
  static Result<void> check_interrupt(const ComputeOptions& options);

  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::vector<Input> inputs_;
  Run current_;   // what set_input and compute use
  Run finished_;  // what get_output reads; null before a compute has succeeded
  std::unique_ptr<Interpreter> interpreter_;
  CallCounters set_input_, compute_, get_output_;
  Counter plans_made_, plan_nanoseconds_, activation_bytes_;
};

Result<void> ContextImpl::check_interrupt(const ComputeOptions& options) {
  if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) {
    return fail(ErrorCode::interrupted, "stopped on request");
  }
  if (options.interrupt != nullptr && *options.interrupt != 0)
    return fail(ErrorCode::interrupted, "stopped on request");
  if (options.deadline != Clock::time_point::max() && Clock::now() > options.deadline) {
    return fail(ErrorCode::interrupted, "the time limit has passed");
  }
  return {};
}

Result<void> ContextImpl::check_view(std::size_t index, const TensorView& tensor) const {
  const auto& info = impl_.inputs[index];
  const auto place = [&] { return fmt::format("{}: input {} '{}'", impl_.graph.file(), index, info.name); };
  if (info.type.kind != ValueType::Kind::tensor) {
    return fail(ErrorCode::invalid_argument, "{}: is a {}, not a tensor", place(), to_string(info.type));
  }
  if (tensor.type != info.type.element) {
    return fail(ErrorCode::invalid_argument, "{}: type {}, expected {}", place(), to_string(tensor.type),
                to_string(info.type.element));
  }
  if (info.type.shape) {
    const auto& shape = *info.type.shape;
    bool fits = shape.size() == tensor.dims.size();
    for (std::size_t i = 0; fits && i < shape.size(); ++i)
      fits = !shape[i].is_constant() || shape[i].value == tensor.dims[i];
    if (!fits) {
      return fail(ErrorCode::invalid_argument, "{}: dims {}, expected {}", place(), to_string(tensor.dims),
                  to_string(info.type));
    }
  }
  const auto size = byte_size(tensor.type, tensor.dims);
  if (!size) return std::unexpected(with_place(size.error(), place()));
  if (*size != tensor.bytes.size()) {
    return fail(ErrorCode::invalid_argument, "{}: {} bytes for dims {}, which have {}", place(),
                tensor.bytes.size(), to_string(tensor.dims), *size);
  }
  if (*size > impl_.options.limits.max_tensor_bytes) {
    return fail(ErrorCode::too_large, "{}: {} bytes exceed the limit of {}", place(), *size,
                impl_.options.limits.max_tensor_bytes);
  }
  return {};
}

std::optional<std::vector<Dims>> ContextImpl::all_dims() const {
  std::vector<Dims> dims;
  for (const auto& input : inputs_) {
    if (!input.dims) return std::nullopt;
    dims.push_back(*input.dims);
  }
  return dims;
}

// Models of one input follow what is free: setting it makes nothing stale. Others keep the team they began with,
// since the early results of other inputs belong to it.
int ContextImpl::threads_for_next() const {
  const int most = impl_.options.threads;
  if (!impl_.options.lease_threads || most == 1 || inputs_.size() != 1) return most;
  return ThreadTokens::process().free() >= most ? most : 1;
}

// What runs when input `index` gets these dims: current_, a new one, or null while other dims are unknown.
Result<ContextImpl::Run> ContextImpl::run_for(std::size_t index, const Dims& dims) {
  const auto& before = inputs_[index].dims;
  const int threads = threads_for_next();
  if (current_ && before && *before == dims &&
      (current_->plan->threads == threads || current_->interpreted()))
    return current_;
  std::vector<Dims> list;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (i != index && !inputs_[i].dims) return Run();
    list.push_back(i == index ? dims : *inputs_[i].dims);
  }
  return make_run(list, threads);
}

Result<ContextImpl::Run> ContextImpl::make_run(std::span<const Dims> dims, int threads) {
  Statistics made;
  auto plan = TENON_TRY(impl_.plan_for(dims, threads, made));
  plans_made_.add(made.plans_made);
  plan_nanoseconds_.add(made.plan_nanoseconds);
  if (current_ && current_->plan == plan) return current_;
  auto run = std::make_shared<PlanRun>();
  run->plan = std::move(plan);
  run->gone.assign(impl_.outputs.size(), false);
  if (run->interpreted()) {
    if (!interpreter_) {
      interpreter_ = std::make_unique<Interpreter>(impl_.graph, impl_.options, &impl_.segments);
      interpreter_->set_profiling(profiling_);
    }
    return run;
  }
  run->arena = TENON_TRY(allocate(run->plan->arena_bytes));
  run->scratch = TENON_TRY(allocate(run->plan->scratch_bytes));
  run->profile = step_infos(*run->plan);
  for (const auto& step : run->plan->steps) run->states.push_back(step.kernel->make_state());
  run->bases.assign(run->plan->spaces.output(run->plan->outputs.size()), nullptr);
  run->bases[Spaces::kArena] = run->arena.get();
  run->early.resize(inputs_.size());
  activation_bytes_.set(run->plan->arena_bytes + run->plan->scratch_bytes);
  return run;
}

Result<void> ContextImpl::run_step(PlanRun& run, std::uint32_t index) {
  const auto& step = run.plan->steps[index];
  const auto start = profiling_ ? Clock::now() : Clock::time_point();
  auto ok = kernels::run_step(step, run.bases, run.scratch.get(), run.states[index].get());
  if (profiling_) count_run(run.profile[index], start);
  return ok;
}

Result<void> ContextImpl::set_copied(std::size_t index, const TensorView& tensor, CallCounters& counters) {
  auto& input = inputs_[index];
  const bool keep = finished_ && !finished_->interpreted() && finished_->plan->inputs[index].read_late;
  const auto slot = input.copy.target(keep, finished_ != nullptr);
  auto* to = TENON_TRY(input.copy.reserve(slot, tensor.bytes.size()));
  if (!tensor.bytes.empty()) std::memcpy(to, tensor.bytes.data(), tensor.bytes.size());
  input.copy.pending = slot;
  input.held = Held::copy;
  counters.bytes_copied.add(tensor.bytes.size());
  return {};
}

// Runs the early steps of an input from `bytes`.
Result<void> ContextImpl::set_early(PlanRun& run, std::size_t index, const std::byte* bytes) {
  const auto& planned = run.plan->inputs[index];
  auto& early = run.early[index];
  const auto slot = early.target(planned.read_late, finished_.get() == &run);
  run.bases[run.plan->spaces.early(index)] = TENON_TRY(early.reserve(slot, planned.early_bytes));
  run.bases[run.plan->spaces.input(index)] = const_cast<std::byte*>(bytes);
  for (const auto step : planned.steps) TENON_TRY(run_step(run, step));
  run.bases[run.plan->spaces.input(index)] = nullptr;
  early.pending = slot;
  inputs_[index].held = Held::early;
  return {};
}

// A failure leaves the old value.
Result<void> ContextImpl::set_tensor(std::size_t index, const TensorView& tensor, bool borrow,
                                     CallCounters& counters, const ComputeOptions& options) {
  auto& input = inputs_[index];
  auto run = TENON_TRY(run_for(index, tensor.dims));
  if (!run) {
    TENON_TRY(set_copied(index, tensor, counters));
  } else if (run->interpreted()) {
    input.value = Value::of(TENON_TRY(Tensor::copy(tensor.type, tensor.dims, tensor.bytes)));
    input.held = Held::value;
    counters.bytes_copied.add(tensor.bytes.size());
  } else if (run->plan->inputs[index].early) {
    const Lease tokens = lease(*run, options);
    if (!tokens.granted()) return stopped_waiting();
    const ThreadCountScope threads(run->plan->threads);
    TENON_TRY(set_early(*run, index, tensor.bytes.data()));
    counters.bytes_viewed.add(tensor.bytes.size());
  } else if (borrow && run->plan->inputs[index].in_place) {
    input.borrowed = const_cast<std::byte*>(tensor.bytes.data());
    input.held = Held::borrowed;
    counters.bytes_viewed.add(tensor.bytes.size());
  } else {
    TENON_TRY(set_copied(index, tensor, counters));
  }
  input.dims = tensor.dims;
  if (run == current_) return {};
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (i != index && inputs_[i].held == Held::early) inputs_[i].held = Held::nowhere;
  }
  current_ = std::move(run);
  return {};
}

Result<void> ContextImpl::set_input(std::size_t index, const TensorView& tensor,
                                    const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(set_input_, timing_);
  TENON_TRY(check_index(index));
  TENON_TRY(check_view(index, tensor));
  TENON_TRY(check_interrupt(options));
  return set_tensor(index, tensor, false, set_input_, options);
}

Result<void> ContextImpl::set_input_value(std::size_t index, Value value) {
  if (value.kind == ValueType::Kind::tensor && value.tensor.defined() &&
      value.tensor.type() != DataType::string) {
    return set_input(index, value.tensor.view(), {});
  }
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  TENON_TRY(check_index(index));
  const auto& info = impl_.inputs[index];
  const bool string = value.kind == ValueType::Kind::tensor;
  if (value.kind != info.type.kind && info.type.kind != ValueType::Kind::optional) {
    return fail(ErrorCode::invalid_argument, "{}: input '{}' is a {}", impl_.graph.file(), info.name,
                to_string(info.type));
  }
  if (string && info.type.kind == ValueType::Kind::tensor && info.type.element != DataType::string) {
    return fail(ErrorCode::invalid_argument, "{}: input '{}' is a {}", impl_.graph.file(), info.name,
                to_string(info.type));
  }
  auto& input = inputs_[index];
  input.dims = string ? value.tensor.dims() : Dims{};
  input.value = std::move(value);
  input.held = Held::value;
  if (const auto dims = all_dims()) current_ = TENON_TRY(make_run(*dims, impl_.options.threads));
  return {};
}

// Brings a value that was set before the plan was known to where the plan reads it.
Result<void> ContextImpl::bind_input(std::size_t index) {
  auto& input = inputs_[index];
  auto& run = *current_;
  if (input.held == Held::value) {
    return fail(ErrorCode::runtime_error, "{}: input {} is no tensor", impl_.graph.file(), index);
  }
  if (input.held == Held::copy) input.copy.commit();
  if (run.plan->inputs[index].early && input.held == Held::copy)
    TENON_TRY(set_early(run, index, input.copy.slots[input.copy.active].get()));
  if (input.held == Held::early) {
    auto& early = run.early[index];
    early.commit();
    run.bases[run.plan->spaces.early(index)] = early.slots[early.active].get();
  } else {
    run.bases[run.plan->spaces.input(index)] =
        input.held == Held::borrowed ? input.borrowed : input.copy.slots[input.copy.active].get();
  }
  return {};
}

// For the interpreter: an input that was copied before the plan was known.
Result<void> ContextImpl::to_value(std::size_t index) {
  auto& input = inputs_[index];
  if (input.held == Held::value) return {};
  input.copy.commit();
  const auto type = impl_.inputs[index].type.element;
  const auto bytes = TENON_TRY(byte_size(type, *input.dims));
  input.value = Value::of(
      TENON_TRY(Tensor::copy(type, *input.dims, {input.copy.slots[input.copy.active].get(), bytes})));
  input.held = Held::value;
  return {};
}

Result<void> ContextImpl::compute_steps(const ComputeOptions& options) {
  TENON_TRY(check_interrupt(options));
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].held == Held::nowhere) {
      return fail(ErrorCode::runtime_error, "{}: input {} '{}' is not set", impl_.graph.file(), i,
                  impl_.inputs[i].name);
    }
  }
  if (!current_) current_ = TENON_TRY(make_run(*all_dims(), impl_.options.threads));
  const Lease tokens = lease(*current_, options);
  if (!tokens.granted()) return stopped_waiting();
  const ThreadCountScope threads(current_->plan->threads);
  finished_.reset();
  current_->gone.assign(impl_.outputs.size(), false);
  if (current_->interpreted()) {
    std::vector<Value> values;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      TENON_TRY(to_value(i));
      values.push_back(inputs_[i].value);
    }
    current_->results = TENON_TRY(interpreter_->run(std::move(values), options));
  } else {
    for (std::size_t i = 0; i < inputs_.size(); ++i) TENON_TRY(bind_input(i));
    for (const auto step : current_->plan->compute) {
      TENON_TRY(check_interrupt(options));
      TENON_TRY(run_step(*current_, step));
    }
  }
  finished_ = current_;
  return {};
}

// States are no inputs of callers: nothing of them counts as copied.
Result<void> ContextImpl::set_states(std::span<const Tensor> values) {
  CallCounters uncounted;
  for (std::size_t i = 0; i < values.size(); ++i)
    TENON_TRY(set_tensor(inputs_.size() - values.size() + i, values[i].view(), false, uncounted, {}));
  return {};
}

// All are read before the first is set, since one may become what another was.
Result<void> ContextImpl::advance_states(const ComputeOptions& options) {
  const auto& states = impl_.graph.states();
  std::vector<Tensor> next;
  CallCounters uncounted;
  for (std::size_t i = 0; i < states.size(); ++i) {
    const auto output = impl_.outputs.size() - states.size() + i;
    const auto desc = TENON_TRY(describe_output(output));
    if (desc.type != states[i].type() || !(desc.dims == states[i].dims())) {
      return fail(ErrorCode::runtime_error, "{}: state '{}' became {} {}, expected {} {}", impl_.graph.file(),
                  impl_.outputs[output].name, to_string(desc.type), to_string(desc.dims),
                  to_string(states[i].type()), to_string(states[i].dims()));
    }
    auto tensor = TENON_TRY(Tensor::allocate(desc.type, desc.dims));
    TENON_TRY(write_output(output, {tensor.mutable_data(), tensor.bytes().size()}, uncounted, options));
    next.push_back(std::move(tensor));
  }
  return set_states(next);
}

Result<void> ContextImpl::compute_locked(const ComputeOptions& options) {
  TENON_TRY(compute_steps(options));
  // After the steps have given back their tokens: what is written late takes its own.
  return advance_states(options);
}

Result<void> ContextImpl::check_index(std::size_t index) const {
  if (index < impl_.callers_inputs.size()) return {};
  return fail(ErrorCode::invalid_argument, "{}: input {} of {}", impl_.graph.file(), index,
              impl_.callers_inputs.size());
}

Result<void> ContextImpl::compute(const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(compute_, timing_);
  return compute_locked(options);
}

Result<TensorView> ContextImpl::describe_callers_output(std::size_t index) const {
  if (index < impl_.callers_outputs.size()) return describe_output(index);
  return fail(ErrorCode::invalid_argument, "{}: output {} of {}", impl_.graph.file(), index,
              impl_.callers_outputs.size());
}

Result<TensorView> ContextImpl::describe_output(std::size_t index) const {
  const auto* run = finished_ ? finished_.get() : current_.get();
  if (run != nullptr && !run->interpreted())
    return TensorView{run->plan->outputs[index].desc.type, run->plan->outputs[index].desc.dims, {}};
  if (!finished_)
    return fail(ErrorCode::runtime_error, "{}: shapes are known after compute only", impl_.graph.file());
  const auto& value = finished_->results[index];
  if (value.kind != ValueType::Kind::tensor) {
    return fail(ErrorCode::unsupported_operation, "{}: output '{}' is no tensor", impl_.graph.file(),
                impl_.outputs[index].name);
  }
  return TensorView{value.tensor.type(), value.tensor.dims(), {}};
}

Result<std::size_t> ContextImpl::output_size(std::size_t index) const {
  const auto desc = TENON_TRY(describe_output(index));
  if (desc.type == DataType::string) {
    return fail(ErrorCode::unsupported_operation, "{}: output '{}' holds strings", impl_.graph.file(),
                impl_.outputs[index].name);
  }
  return byte_size(desc.type, desc.dims);
}

// Runs the late step of an output into `out`, or copies.
Result<std::size_t> ContextImpl::write_output(std::size_t index, std::span<std::byte> out,
                                              CallCounters& counters, const ComputeOptions& options) {
  const auto bytes = TENON_TRY(output_size(index));
  if (!finished_) return fail(ErrorCode::runtime_error, "{}: get_output before compute", impl_.graph.file());
  if (finished_->gone[index]) {
    return fail(ErrorCode::runtime_error, "{}: output '{}' was made from an input that was read in place",
                impl_.graph.file(), impl_.outputs[index].name);
  }
  if (out.size() < bytes) {
    return std::unexpected(
        Error{ErrorCode::too_large,
              fmt::format("{}: output '{}' has {} bytes, the buffer {}", impl_.graph.file(),
                          impl_.outputs[index].name, bytes, out.size()),
              bytes});
  }
  auto& run = *finished_;
  if (run.interpreted()) {
    if (bytes > 0) std::memcpy(out.data(), run.results[index].tensor.data(), bytes);
    counters.bytes_copied.add(bytes);
    return bytes;
  }
  // set_input since compute may have pointed these elsewhere.
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    auto& early = run.early[i];
    auto& copy = inputs_[i].copy;
    if (run.plan->inputs[i].early)
      run.bases[run.plan->spaces.early(i)] = early.slots[early.active].get();
    else if (inputs_[i].held != Held::borrowed)
      run.bases[run.plan->spaces.input(i)] = copy.slots[copy.active].get();
  }
  const auto& planned = run.plan->outputs[index];
  if (planned.late_step) {
    const Lease tokens = lease(run, options);
    if (!tokens.granted()) return stopped_waiting();
    const ThreadCountScope threads(run.plan->threads);
    const auto space = run.plan->spaces.output(index);
    run.bases[space] = out.data();
    TENON_TRY(run_step(run, *planned.late_step));
    run.bases[space] = nullptr;
    counters.bytes_viewed.add(bytes);
    return bytes;
  }
  if (bytes > 0) std::memmove(out.data(), run.at(planned.from), bytes);
  counters.bytes_copied.add(bytes);
  return bytes;
}

Result<std::size_t> ContextImpl::get_output(std::size_t index, std::span<std::byte> out,
                                            const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(get_output_, timing_);
  TENON_TRY(check_interrupt(options));
  TENON_TRY(describe_callers_output(index));
  return write_output(index, out, get_output_, options);
}

// The caller's bytes are the caller's again: what would read them later is gone.
void ContextImpl::give_back_borrowed() {
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    auto& input = inputs_[i];
    if (input.held != Held::borrowed) continue;
    input.held = Held::nowhere;
    input.borrowed = nullptr;
    if (!finished_ || finished_->interpreted()) continue;
    const auto space = finished_->plan->spaces.input(i);
    finished_->bases[space] = nullptr;
    for (std::size_t o = 0; o < impl_.outputs.size(); ++o) {
      const auto& output = finished_->plan->outputs[o];
      bool reads = !output.late_step && output.from.space == space;
      if (output.late_step) {
        const auto& step = finished_->plan->steps[*output.late_step];
        for (const auto& in : step.in) reads = reads || in.space == space;
      }
      if (reads) finished_->gone[o] = true;
    }
  }
}

Result<void> ContextImpl::run(std::span<const RunInput> inputs, std::span<RunOutput> outputs, bool stable,
                              const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(compute_, timing_);
  bool borrow = stable;
  for (const auto& input : inputs) {
    TENON_TRY(check_index(input.index));
    TENON_TRY(check_view(input.index, input.tensor));
    for (const auto& output : outputs) borrow = borrow && !overlap(input.tensor.bytes, output.out);
  }
  TENON_TRY(check_interrupt(options));
  struct GiveBack {
    ContextImpl& context;
    ~GiveBack() { context.give_back_borrowed(); }
  } give_back{*this};
  for (const auto& input : inputs)
    TENON_TRY(set_tensor(input.index, input.tensor, borrow, compute_, options));
  TENON_TRY(compute_locked(options));
  for (auto& output : outputs) {
    TENON_TRY(describe_callers_output(output.index));
    if (const auto bytes = TENON_TRY(output_size(output.index)); output.out.size() < bytes) {
      return std::unexpected(
          Error{ErrorCode::too_large,
                fmt::format("{}: output '{}' has {} bytes, the buffer {}", impl_.graph.file(),
                            impl_.outputs[output.index].name, bytes, output.out.size()),
                bytes});
    }
  }
  for (auto& output : outputs)
    output.written = TENON_TRY(write_output(output.index, output.out, compute_, options));
  return {};
}

Result<Value> ContextImpl::get_output_value(std::size_t index, const ComputeOptions& options) {
  if (index < impl_.callers_outputs.size() && finished_ && finished_->interpreted())
    return finished_->results[index];
  const auto desc = TENON_TRY(describe_callers_output(index));
  auto tensor = TENON_TRY(Tensor::allocate(desc.type, desc.dims, impl_.options.limits.max_tensor_bytes));
  TENON_TRY(get_output(index, {tensor.mutable_data(), tensor.bytes().size()}, options));
  return Value::of(std::move(tensor));
}

Statistics ContextImpl::statistics() const {
  Statistics now;
  now.set_input = set_input_.get();
  now.compute = compute_.get();
  now.get_output = get_output_.get();
  now.plans_made = plans_made_.get();
  now.plan_nanoseconds = plan_nanoseconds_.get();
  now.activation_bytes = activation_bytes_.get();
  return now;
}

void ContextImpl::reset_statistics() {
  for (auto* counters : {&set_input_, &compute_, &get_output_}) counters->reset();
  plans_made_.set(0);
  plan_nanoseconds_.set(0);
}

}  // namespace internal

Context::Context(std::unique_ptr<internal::ContextImpl> impl) : impl_(std::move(impl)) {}
Context::~Context() = default;
Result<void> Context::set_input(std::size_t index, const TensorView& tensor, const ComputeOptions& options) {
  return guarded([&] { return impl_->set_input(index, tensor, options); });
}
Result<void> Context::set_input_value(std::size_t index, Value value) {
  return guarded([&] { return impl_->set_input_value(index, std::move(value)); });
}
Result<void> Context::compute(const ComputeOptions& options) {
  return guarded([&] { return impl_->compute(options); });
}
Result<std::size_t> Context::get_output(std::size_t index, std::span<std::byte> out,
                                        const ComputeOptions& options) {
  return guarded([&] { return impl_->get_output(index, out, options); });
}
Result<void> Context::run(std::span<const RunInput> inputs, std::span<RunOutput> outputs, bool stable,
                          const ComputeOptions& options) {
  return guarded([&] { return impl_->run(inputs, outputs, stable, options); });
}
Result<Value> Context::get_output_value(std::size_t index, const ComputeOptions& options) {
  return guarded([&] { return impl_->get_output_value(index, options); });
}
Result<TensorView> Context::describe_output(std::size_t index) const {
  return impl_->describe_callers_output(index);
}
Result<std::size_t> Context::output_bytes(std::size_t index) const {
  const auto desc = TENON_TRY(impl_->describe_callers_output(index));
  return byte_size(desc.type, desc.dims);
}
const Model& Context::model() const { return *impl_->model_; }
Statistics Context::statistics() const { return impl_->statistics(); }
void Context::reset_statistics() { impl_->reset_statistics(); }
void Context::set_timing(bool on) { impl_->timing_ = on; }
void Context::set_profiling(bool on) { impl_->set_profiling(on); }
std::vector<StepInfo> Context::steps() const { return impl_->profile(); }

Result<std::unique_ptr<Context>> Model::create_context() const {
  return guarded([&]() -> Result<std::unique_ptr<Context>> {
    auto impl = std::make_unique<internal::ContextImpl>(shared_from_this(), *impl_);
    TENON_TRY(impl->start());
    return std::unique_ptr<Context>(new Context(std::move(impl)));
  });
}

}  // namespace tenon::kernels
