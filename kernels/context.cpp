// Running plans: binding the caller's bytes, early steps in set_input, late ones in get_output, counting.
#include <new>

#include "kernels/guarded.h"
#include "kernels/interpreter.h"
#include "kernels/model.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace internal {
namespace {

using Clock = std::chrono::steady_clock;
using Phase = StepInfo::Phase;

struct AlignedDelete {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using Buffer = std::unique_ptr<std::byte[], AlignedDelete>;

Result<Buffer> allocate(std::size_t bytes) {
  auto* p = static_cast<std::byte*>(
      ::operator new[](std::max<std::size_t>(bytes, 64), std::align_val_t{64}, std::nothrow));
  if (p == nullptr) return fail(ErrorCode::too_large, "out of memory for {} bytes", bytes);
  return Buffer(p);
}

// Adds the time of a call to its statistics when it ends.
class CallTimer {
 public:
  explicit CallTimer(CallStatistics& statistics) : statistics_(statistics), start_(Clock::now()) {
    ++statistics.calls;
  }
  ~CallTimer() { statistics_.nanoseconds += static_cast<std::uint64_t>((Clock::now() - start_).count()); }

 private:
  CallStatistics& statistics_;
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

}  // namespace

class ContextImpl {
 public:
  explicit ContextImpl(std::shared_ptr<const Model> model, ModelImpl& impl)
      : model_(std::move(model)), impl_(impl), inputs_(impl.inputs.size()) {}

  Result<void> start() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (impl_.static_dims[i]) inputs_[i].dims = impl_.static_dims[i];
    }
    if (all_dims_known()) TENON_TRY(use_plan());
    return {};
  }

  Result<void> set_input(std::size_t index, const TensorView& tensor, const ComputeOptions& options);
  Result<void> set_input_value(std::size_t index, Value value);
  Result<void> compute(const ComputeOptions& options);
  Result<std::size_t> get_output(std::size_t index, std::span<std::byte> out, const ComputeOptions& options);
  Result<Value> get_output_value(std::size_t index, const ComputeOptions& options);
  Result<TensorView> describe_output(std::size_t index) const;

  std::shared_ptr<const Model> model_;
  ModelImpl& impl_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  Statistics statistics_;
  bool profiling_ = false;
  std::shared_ptr<const Plan> plan_;
  std::vector<StepInfo> profile_;

 private:
  struct Input {
    std::optional<Dims> dims;  // of the value set, or declared
    bool set = false;
    bool early_done = false;  // held as early results of the present plan; otherwise as copy or value
    DoubleBuffer copy, early;
    Value value;  // for the interpreter
    bool has_value = false;
  };

  bool all_dims_known() const {
    return std::all_of(inputs_.begin(), inputs_.end(), [](const Input& i) { return i.dims.has_value(); });
  }
  Result<void> check_view(std::size_t index, const TensorView& tensor) const;
  Result<void> use_plan();
  Result<void> instantiate(std::shared_ptr<const Plan> plan);
  Result<void> run_step(std::uint32_t index);
  Result<void> set_static(Input& input, std::size_t index, const TensorView& tensor);
  Result<void> set_copied(Input& input, const TensorView& tensor, bool keep_active);
  Result<void> compute_interpreted(const ComputeOptions& options);
  static Result<void> check_interrupt(const ComputeOptions& options);

  std::vector<Input> inputs_;
  std::vector<std::byte*> bases_;
  Buffer arena_, scratch_;
  std::vector<std::unique_ptr<KernelState>> states_;
  std::unique_ptr<Interpreter> interpreter_;
  std::vector<Value> results_;  // of the interpreter
  bool computed_ = false;
};

Result<void> ContextImpl::check_interrupt(const ComputeOptions& options) {
  if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) {
    return fail(ErrorCode::interrupted, "stopped on request");
  }
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

Result<void> ContextImpl::use_plan() {
  std::vector<Dims> dims;
  for (const auto& input : inputs_) dims.push_back(*input.dims);
  auto plan = TENON_TRY(impl_.plan_for(dims, statistics_));
  if (plan == plan_) return {};
  return instantiate(std::move(plan));
}

// Memory and kernel states for a plan; the old plan stays in use when this fails.
Result<void> ContextImpl::instantiate(std::shared_ptr<const Plan> plan) {
  if (plan->interpreted) {
    if (!interpreter_) interpreter_ = std::make_unique<Interpreter>(impl_.graph, impl_.options);
    plan_ = std::move(plan);
    computed_ = false;
    return {};
  }
  auto arena = TENON_TRY(allocate(plan->arena_bytes));
  auto scratch = TENON_TRY(allocate(plan->scratch_bytes));
  arena_ = std::move(arena);
  scratch_ = std::move(scratch);
  states_.clear();
  profile_.clear();
  for (const auto& step : plan->steps) {
    states_.push_back(step.kernel->make_state());
    profile_.push_back({step.node,
                        step.op,
                        step.kernel->implementation,
                        step.phase,
                        {step.output.type, step.output.dims, {}},
                        step.flops,
                        0,
                        0});
  }
  bases_.assign(plan->spaces.output(plan->outputs.size()), nullptr);
  bases_[Spaces::kArena] = arena_.get();
  for (auto& input : inputs_) {
    input.early = {};
    input.set = input.set && !input.early_done;
    input.early_done = false;
  }
  statistics_.activation_bytes = plan->arena_bytes + plan->scratch_bytes;
  plan_ = std::move(plan);
  computed_ = false;
  return {};
}

Result<void> ContextImpl::run_step(std::uint32_t index) {
  const auto& step = plan_->steps[index];
  constexpr std::size_t kInline = 16;
  const std::byte* in_inline[kInline];
  std::byte* out_inline[kInline];
  std::vector<const std::byte*> in_heap;
  std::vector<std::byte*> out_heap;
  const std::byte** in = in_inline;
  std::byte** out = out_inline;
  if (step.in.size() > kInline) in_heap.resize(step.in.size()), in = in_heap.data();
  if (step.out.size() > kInline) out_heap.resize(step.out.size()), out = out_heap.data();
  const auto address = [&](const Location& l) {
    return reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(bases_[l.space]) + l.offset);
  };
  for (std::size_t i = 0; i < step.in.size(); ++i) in[i] = step.in_present[i] ? address(step.in[i]) : nullptr;
  for (std::size_t i = 0; i < step.out.size(); ++i)
    out[i] = step.out_present[i] ? address(step.out[i]) : nullptr;
  const KernelCall call{{in, step.in.size()}, {out, step.out.size()}, scratch_.get(), states_[index].get()};
  const auto start = profiling_ ? Clock::now() : Clock::time_point();
  auto ok = step.kernel->run(call);
  if (profiling_) {
    ++profile_[index].runs;
    profile_[index].nanoseconds += static_cast<std::uint64_t>((Clock::now() - start).count());
  }
  if (!ok) return std::unexpected(with_place(ok.error(), step.place));
  return {};
}

Result<void> ContextImpl::set_copied(Input& input, const TensorView& tensor, bool keep_active) {
  const auto slot = input.copy.target(keep_active, computed_);
  auto* to = TENON_TRY(input.copy.reserve(slot, tensor.bytes.size()));
  if (!tensor.bytes.empty()) std::memcpy(to, tensor.bytes.data(), tensor.bytes.size());
  input.copy.pending = slot;
  statistics_.set_input.bytes_copied += tensor.bytes.size();
  return {};
}

Result<void> ContextImpl::set_static(Input& input, std::size_t index, const TensorView& tensor) {
  const auto& planned = plan_->inputs[index];
  if (!planned.early) {
    TENON_TRY(set_copied(input, tensor, planned.read_late));
    input.early_done = false;
    return {};
  }
  const auto slot = input.early.target(planned.read_late, computed_);
  bases_[plan_->spaces.early(index)] = TENON_TRY(input.early.reserve(slot, planned.early_bytes));
  bases_[plan_->spaces.input(index)] = const_cast<std::byte*>(tensor.bytes.data());
  for (const auto step : planned.steps) TENON_TRY(run_step(step));
  bases_[plan_->spaces.input(index)] = nullptr;
  input.early.pending = slot;
  input.early_done = true;
  statistics_.set_input.bytes_viewed += tensor.bytes.size();
  return {};
}

Result<void> ContextImpl::set_input(std::size_t index, const TensorView& tensor,
                                    const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(statistics_.set_input);
  if (index >= inputs_.size()) {
    return fail(ErrorCode::invalid_argument, "{}: input {} of {}", impl_.graph.file(), index, inputs_.size());
  }
  TENON_TRY(check_view(index, tensor));
  TENON_TRY(check_interrupt(options));
  auto& input = inputs_[index];
  const auto before = input.dims;
  const bool same_dims = plan_ && before && *before == tensor.dims;
  const ThreadCountScope threads(impl_.options.threads);
  input.dims = tensor.dims;
  if (!same_dims && all_dims_known()) {
    if (auto ok = use_plan(); !ok) {
      input.dims = before;  // the old value stays
      return std::unexpected(ok.error());
    }
  }
  const bool is_static = plan_ && !plan_->interpreted && all_dims_known();
  if (is_static) {
    TENON_TRY(set_static(input, index, tensor));
  } else if (plan_ && plan_->interpreted) {
    input.value = Value::of(TENON_TRY(Tensor::copy(tensor.type, tensor.dims, tensor.bytes)));
    input.has_value = true;
    statistics_.set_input.bytes_copied += tensor.bytes.size();
  } else {
    TENON_TRY(set_copied(input, tensor, true));
  }
  input.set = true;
  return {};
}

Result<void> ContextImpl::set_input_value(std::size_t index, Value value) {
  if (value.kind == ValueType::Kind::tensor && value.tensor.defined() &&
      value.tensor.type() != DataType::string) {
    return set_input(index, value.tensor.view(), {});
  }
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  if (index >= inputs_.size()) {
    return fail(ErrorCode::invalid_argument, "{}: input {} of {}", impl_.graph.file(), index, inputs_.size());
  }
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
  input.has_value = true;
  input.set = true;
  if (all_dims_known()) TENON_TRY(use_plan());
  return {};
}

Result<void> ContextImpl::compute_interpreted(const ComputeOptions& options) {
  std::vector<Value> values;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    auto& input = inputs_[i];
    if (input.copy.pending >= 0) {
      // Set before the shapes of all inputs were known.
      const auto& type = impl_.inputs[i].type.element;
      const auto bytes = TENON_TRY(byte_size(type, *input.dims));
      input.value = Value::of(
          TENON_TRY(Tensor::copy(type, *input.dims, {input.copy.slots[input.copy.pending].get(), bytes})));
      input.copy.pending = -1;
    }
    values.push_back(input.value);
  }
  results_ = TENON_TRY(interpreter_->run(std::move(values), options));
  computed_ = true;
  return {};
}

Result<void> ContextImpl::compute(const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(statistics_.compute);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i].set) {
      return fail(ErrorCode::runtime_error, "{}: input {} '{}' is not set", impl_.graph.file(), i,
                  impl_.inputs[i].name);
    }
  }
  const ThreadCountScope threads(impl_.options.threads);
  if (!plan_) TENON_TRY(use_plan());  // otherwise set_input kept it in step with the dims
  if (plan_->interpreted) return compute_interpreted(options);
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    auto& input = inputs_[i];
    const bool early = plan_->inputs[i].early;
    if (early && !input.early_done) {
      // Copied before the plan was known: its early steps run from the copy now.
      input.copy.commit();
      const auto slot = input.early.target(plan_->inputs[i].read_late, computed_);
      bases_[plan_->spaces.early(i)] = TENON_TRY(input.early.reserve(slot, plan_->inputs[i].early_bytes));
      bases_[plan_->spaces.input(i)] = input.copy.slots[input.copy.active].get();
      for (const auto step : plan_->inputs[i].steps) TENON_TRY(run_step(step));
      input.early.pending = slot;
      input.early_done = true;
    }
    (early ? input.early : input.copy).commit();
    const auto space = early ? plan_->spaces.early(i) : plan_->spaces.input(i);
    auto& buffer = early ? input.early : input.copy;
    bases_[space] = buffer.slots[buffer.active].get();
  }
  computed_ = false;
  for (const auto step : plan_->compute) {
    TENON_TRY(check_interrupt(options));
    TENON_TRY(run_step(step));
  }
  computed_ = true;
  return {};
}

Result<TensorView> ContextImpl::describe_output(std::size_t index) const {
  if (index >= impl_.outputs.size()) {
    return fail(ErrorCode::invalid_argument, "{}: output {} of {}", impl_.graph.file(), index,
                impl_.outputs.size());
  }
  if (plan_ && !plan_->interpreted)
    return TensorView{plan_->outputs[index].desc.type, plan_->outputs[index].desc.dims, {}};
  if (!computed_)
    return fail(ErrorCode::runtime_error, "{}: shapes are known after compute only", impl_.graph.file());
  const auto& value = results_[index];
  if (value.kind != ValueType::Kind::tensor) {
    return fail(ErrorCode::unsupported_operation, "{}: output '{}' is no tensor", impl_.graph.file(),
                impl_.outputs[index].name);
  }
  return TensorView{value.tensor.type(), value.tensor.dims(), {}};
}

Result<std::size_t> ContextImpl::get_output(std::size_t index, std::span<std::byte> out,
                                            const ComputeOptions& options) {
  const BusyScope scope(busy_);
  if (!scope.entered()) return fail(ErrorCode::busy, "another thread uses this context");
  const CallTimer timer(statistics_.get_output);
  const auto desc = TENON_TRY(describe_output(index));
  if (!computed_) return fail(ErrorCode::runtime_error, "{}: get_output before compute", impl_.graph.file());
  if (desc.type == DataType::string) {
    return fail(ErrorCode::unsupported_operation, "{}: output '{}' holds strings", impl_.graph.file(),
                impl_.outputs[index].name);
  }
  const auto bytes = TENON_TRY(byte_size(desc.type, desc.dims));
  if (out.size() < bytes) {
    return std::unexpected(
        Error{ErrorCode::too_large,
              fmt::format("{}: output '{}' has {} bytes, the buffer {}", impl_.graph.file(),
                          impl_.outputs[index].name, bytes, out.size()),
              bytes});
  }
  TENON_TRY(check_interrupt(options));
  if (!plan_->interpreted && plan_->outputs[index].late_step) {
    const ThreadCountScope threads(impl_.options.threads);
    const auto space = plan_->spaces.output(index);
    bases_[space] = out.data();
    // set_input since compute may have pointed these elsewhere.
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      auto& input = inputs_[i];
      const bool early = plan_->inputs[i].early;
      auto& buffer = early ? input.early : input.copy;
      bases_[early ? plan_->spaces.early(i) : plan_->spaces.input(i)] = buffer.slots[buffer.active].get();
    }
    TENON_TRY(run_step(*plan_->outputs[index].late_step));
    bases_[space] = nullptr;
    statistics_.get_output.bytes_viewed += bytes;
    return bytes;
  }
  const std::byte* from = nullptr;
  if (plan_->interpreted) {
    from = results_[index].tensor.data();
  } else {
    const auto& location = plan_->outputs[index].from;
    auto* base = bases_[location.space];
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (location.space == plan_->spaces.early(i))
        base = inputs_[i].early.slots[inputs_[i].early.active].get();
      if (location.space == plan_->spaces.input(i))
        base = inputs_[i].copy.slots[inputs_[i].copy.active].get();
    }
    from = reinterpret_cast<const std::byte*>(reinterpret_cast<std::uintptr_t>(base) + location.offset);
  }
  if (bytes > 0) std::memcpy(out.data(), from, bytes);
  statistics_.get_output.bytes_copied += bytes;
  return bytes;
}

Result<Value> ContextImpl::get_output_value(std::size_t index, const ComputeOptions& options) {
  if (index < impl_.outputs.size() && plan_ && plan_->interpreted && computed_) return results_[index];
  const auto desc = TENON_TRY(describe_output(index));
  auto tensor = TENON_TRY(Tensor::allocate(desc.type, desc.dims, impl_.options.limits.max_tensor_bytes));
  TENON_TRY(get_output(index, {tensor.mutable_data(), tensor.bytes().size()}, options));
  return Value::of(std::move(tensor));
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
Result<Value> Context::get_output_value(std::size_t index, const ComputeOptions& options) {
  return guarded([&] { return impl_->get_output_value(index, options); });
}
Result<TensorView> Context::describe_output(std::size_t index) const { return impl_->describe_output(index); }
Result<std::size_t> Context::output_bytes(std::size_t index) const {
  const auto desc = TENON_TRY(impl_->describe_output(index));
  return byte_size(desc.type, desc.dims);
}
const Model& Context::model() const { return *impl_->model_; }
const Statistics& Context::statistics() const { return impl_->statistics_; }
void Context::reset_statistics() {
  const auto held = impl_->statistics_.activation_bytes;
  impl_->statistics_ = {};
  impl_->statistics_.activation_bytes = held;
}
void Context::set_profiling(bool on) { impl_->profiling_ = on; }
std::vector<StepInfo> Context::steps() const { return impl_->profile_; }

Result<std::unique_ptr<Context>> Model::create_context() const {
  return guarded([&]() -> Result<std::unique_ptr<Context>> {
    auto impl = std::make_unique<internal::ContextImpl>(shared_from_this(), *impl_);
    TENON_TRY(impl->start());
    return std::unique_ptr<Context>(new Context(std::move(impl)));
  });
}

}  // namespace tenon::kernels
