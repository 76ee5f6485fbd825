// The interpreter's loop and its cache of kernels.
#include "kernels/interpreter.h"

#include "kernels/buffer.h"
#include "kernels/infer.h"
#include "kernels/work.h"

namespace tenon::kernels {

// A node's kernel with what it was made for. Contents matter only of operands that the shape rule asked for.
struct Interpreter::Prepared {
  std::vector<Operand> operands;
  std::vector<TensorDesc> outputs;
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<KernelState> state;
  Tensor scratch;
  StepInfo info;

  bool fits(std::span<const Operand> now) const {
    if (!kernel || operands.size() != now.size()) return false;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const auto& a = operands[i];
      const auto& b = now[i];
      if (a.present != b.present || a.type != b.type || !(a.dims == b.dims)) return false;
    }
    return true;
  }
};

// A part's present plan with what it needs to run here.
struct Interpreter::PartRun {
  std::shared_ptr<const Plan> plan;
  Buffer arena, scratch;
  std::vector<std::unique_ptr<KernelState>> states;
  std::vector<std::byte*> bases;
  std::vector<StepInfo> infos;

  Result<void> use(std::shared_ptr<const Plan> other) {
    if (other == plan) return {};
    arena = TENON_TRY(allocate(other->arena_bytes));
    scratch = TENON_TRY(allocate(other->scratch_bytes));
    states.clear();
    for (const auto& step : other->steps) states.push_back(step.kernel->make_state());
    bases.assign(other->spaces.output(other->outputs.size()), nullptr);
    bases[Spaces::kArena] = arena.get();
    infos = step_infos(*other);
    plan = std::move(other);
    return {};
  }
};

namespace {

using Clock = std::chrono::steady_clock;

bool is_raw_tensor(const Value& value) {
  return value.kind == ValueType::Kind::tensor && value.tensor.defined() &&
         value.tensor.type() != DataType::string;
}

std::uint64_t bytes_of(const Value& value) {
  std::uint64_t bytes = value.tensor.bytes().size() + sizeof(Value);
  for (const auto& text : value.tensor.strings()) bytes += sizeof(text) + text.size();
  for (const auto& element : value.elements) bytes += bytes_of(element);
  return bytes;
}

}  // namespace

// What nodes computed and still live counts against the context's limit.
Result<void> Interpreter::store(ValueId id, Value value) {
  live_bytes_ += bytes_of(value);
  if (live_bytes_ > options_.limits.max_context_bytes) {
    return fail(ErrorCode::too_large, "activations exceed the limit of {} bytes",
                options_.limits.max_context_bytes);
  }
  values_[index(id)] = std::move(value);
  return {};
}

Interpreter::Interpreter(const Graph& graph, const CompileOptions& options, SegmentStore* segments)
    : graph_(graph),
      options_(options),
      store_(segments),
      segments_(segments == nullptr || options.reference ? nullptr : &segments->of(graph)),
      prepared_(graph.nodes().size()),
      dies_after_(graph.nodes().size()) {
  std::vector<std::int64_t> last(graph.values().size(), -1);
  const auto& nodes = graph.nodes();
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const auto use = [&](ValueId id) {
      if (id != kAbsent) last[index(id)] = static_cast<std::int64_t>(n);
    };
    for (const auto id : nodes[n].inputs) use(id);
    for (const auto id : nodes[n].outputs) use(id);
    for (const auto& attribute : nodes[n].attributes) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (body == nullptr) continue;
      for (const auto& capture : (*body)->captures()) use(capture.outer);
    }
  }
  for (const auto id : graph.outputs()) last[index(id)] = -1;
  for (std::size_t v = 0; v < last.size(); ++v) {
    const bool keep = graph.values()[v].origin == GraphValue::Origin::constant;
    if (last[v] >= 0 && !keep)
      dies_after_[static_cast<std::size_t>(last[v])].push_back(static_cast<ValueId>(v));
  }
}

Interpreter::~Interpreter() = default;

Result<void> Interpreter::check_interrupt() const {
  if (compute_ == nullptr) return {};
  if (compute_->stop != nullptr && compute_->stop->load(std::memory_order_relaxed)) {
    return fail(ErrorCode::interrupted, "stopped on request");
  }
  if (compute_->deadline != std::chrono::steady_clock::time_point::max() &&
      std::chrono::steady_clock::now() > compute_->deadline) {
    return fail(ErrorCode::interrupted, "the time limit has passed");
  }
  return {};
}

Result<std::vector<Value>> Interpreter::run(std::vector<Value> inputs, const ComputeOptions& options) {
  return run_with(std::move(inputs), {}, options);
}

Result<std::vector<Value>> Interpreter::run_with(std::vector<Value> inputs, std::span<const Value> captures,
                                                 const ComputeOptions& options) {
  compute_ = &options;
  live_bytes_ = 0;
  values_.assign(graph_.values().size(), {});
  if (inputs.size() != graph_.inputs().size()) {
    return fail(ErrorCode::runtime_error, "{}: {} values for {} inputs of a subgraph", graph_.file(),
                inputs.size(), graph_.inputs().size());
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) values_[index(graph_.inputs()[i])] = std::move(inputs[i]);
  for (std::size_t i = 0; i < captures.size(); ++i) values_[index(graph_.captures()[i].inner)] = captures[i];
  for (std::size_t i = 0; i < graph_.values().size(); ++i) {
    if (graph_.values()[i].origin == GraphValue::Origin::constant)
      values_[i] = Value::of(graph_.values()[i].constant);
  }
  const auto type_of = [this](ValueId id) { return values_[index(id)].tensor.type(); };
  for (std::size_t n = 0; n < graph_.nodes().size();) {
    const auto part =
        segments_ == nullptr ? SegmentedGraph::Part{n + 1, nullptr} : TENON_TRY(segments_->at(n, type_of));
    if (part.plan == nullptr) {
      for (; n < part.last; ++n) TENON_TRY(run_node(n));
    } else if (TENON_TRY(run_part(n, part))) {
      n = part.last;
    }
  }
  std::vector<Value> outputs;
  for (const auto id : graph_.outputs()) outputs.push_back(values_[index(id)]);
  values_.clear();
  compute_ = nullptr;
  return outputs;
}

Result<void> Interpreter::run_node(std::size_t n) {
  const auto& node = graph_.nodes()[n];
  const auto start = profiling_ ? Clock::now() : Clock::time_point();
  auto ok = check_interrupt();
  if (ok) ok = execute(node, prepared_[n]);
  if (!ok) return std::unexpected(with_place(ok.error(), graph_.place(node)));
  if (profiling_) count_run(prepared_[n].info, start);
  release(n, n + 1);
  return {};
}

// Drops the values that nothing after nodes [first, last) needs.
void Interpreter::release(std::size_t first, std::size_t last) {
  for (auto n = first; n < last; ++n) {
    for (const auto id : dies_after_[n]) {
      auto& value = values_[index(id)];
      // Values inside of a part were never here.
      const bool stored = value.kind != ValueType::Kind::tensor || value.tensor.defined();
      if (stored && graph_.value(id).origin == GraphValue::Origin::node) live_bytes_ -= bytes_of(value);
      value = {};
    }
  }
}

// False: the graph was cut in another way, at or after `first`.
Result<bool> Interpreter::run_part(std::size_t first, const SegmentedGraph::Part& part) {
  auto& plan = *part.plan;
  std::vector<Operand> operands;
  bool types_agree = true;
  for (std::size_t i = 0; i < plan.inputs().size(); ++i) {
    const auto& value = values_[index(plan.inputs()[i])];
    if (!is_raw_tensor(value)) {
      for (auto n = first; n < part.last; ++n) segments_->run_alone(n);
      return false;
    }
    types_agree = types_agree && value.tensor.type() == plan.types()[i];
    operands.push_back({true, value.tensor.type(), value.tensor.dims(), value.tensor, {}, false});
  }
  const auto planned = types_agree ? TENON_TRY(plan.plan_for(operands, options_, store_->cache()))
                                   : PlannedPart::Planned{nullptr, first, false, true};
  if (planned.plan) {
    TENON_TRY(run_plan(plan, planned.plan, parts_[first]));
    release(first, part.last);
    return true;
  }
  if (planned.give_up) {
    for (auto n = first; n < part.last; ++n) TENON_TRY(run_node(n));
    return true;
  }
  if (planned.alone) {
    segments_->run_alone(planned.at);
  } else {
    segments_->cut_before(planned.at);
  }
  return false;
}

Result<void> Interpreter::run_plan(const PlannedPart& part, std::shared_ptr<const Plan> plan, PartRun& run) {
  TENON_TRY(run.use(std::move(plan)));
  const auto& p = *run.plan;
  if (live_bytes_ + p.arena_bytes > options_.limits.max_context_bytes) {
    return fail(ErrorCode::too_large, "{}: activations exceed the limit of {} bytes", graph_.file(),
                options_.limits.max_context_bytes);
  }
  for (std::size_t i = 0; i < part.inputs().size(); ++i) {
    const auto& tensor = values_[index(part.inputs()[i])].tensor;
    run.bases[p.spaces.input(i)] = const_cast<std::byte*>(tensor.data());
  }
  std::vector<Tensor> results;
  for (std::size_t o = 0; o < p.outputs.size(); ++o) {
    const auto& desc = p.outputs[o].desc;
    results.push_back(TENON_TRY(Tensor::allocate(desc.type, desc.dims, options_.limits.max_tensor_bytes)));
    run.bases[p.spaces.output(o)] = results.back().mutable_data();
  }
  for (const auto step : p.compute) {
    TENON_TRY(check_interrupt());
    const auto start = profiling_ ? Clock::now() : Clock::time_point();
    TENON_TRY(run_step(p.steps[step], run.bases, run.scratch.get(), run.states[step].get()));
    if (profiling_) count_run(run.infos[step], start);
  }
  for (std::size_t o = 0; o < p.outputs.size(); ++o) {
    const auto& output = p.outputs[o];
    if (!output.in_place && output.bytes > 0) {
      const auto from = reinterpret_cast<std::uintptr_t>(run.bases[output.from.space]) + output.from.offset;
      std::memcpy(results[o].mutable_data(), reinterpret_cast<const std::byte*>(from), output.bytes);
    }
    TENON_TRY(store(part.outputs()[o], Value::of(std::move(results[o]))));
  }
  return {};
}

void Interpreter::set_profiling(bool on) {
  profiling_ = on;
  for (auto& [graph, body] : bodies_) body->set_profiling(on);
}

std::vector<StepInfo> Interpreter::profile() const {
  std::vector<StepInfo> out;
  for (std::size_t n = 0; n < prepared_.size(); ++n) {
    if (const auto run = parts_.find(n); run != parts_.end()) {
      out.insert(out.end(), run->second.infos.begin(), run->second.infos.end());
    }
    const auto& own = prepared_[n];
    if (!own.kernel) continue;
    auto info = own.info;
    const auto& node = graph_.nodes()[n];
    info.node = node.source.node;
    info.op = to_string(node.op);
    info.implementation = own.kernel->implementation;
    if (!own.outputs.empty()) info.output = {own.outputs[0].type, own.outputs[0].dims, {}};
    out.push_back(std::move(info));
  }
  for (const auto& [graph, body] : bodies_) {
    const auto inner = body->profile();
    out.insert(out.end(), inner.begin(), inner.end());
  }
  return out;
}

std::vector<Value> Interpreter::captured(const Graph& body) const {
  std::vector<Value> out;
  for (const auto& capture : body.captures()) out.push_back(values_[index(capture.outer)]);
  return out;
}

Result<std::vector<Value>> Interpreter::run_subgraph(const Graph& body, std::vector<Value> inputs) {
  auto& interpreter = bodies_[&body];
  if (!interpreter) {
    interpreter = std::make_unique<Interpreter>(body, options_, store_);
    interpreter->set_profiling(profiling_);
  }
  const auto captures = captured(body);
  return interpreter->run_with(std::move(inputs), captures, *compute_);
}

Result<std::vector<Operand>> Interpreter::operands_of(const Node& node) const {
  std::vector<Operand> operands;
  for (const auto id : node.inputs) {
    operands.emplace_back();
    if (id == kAbsent) continue;
    const auto& value = values_[index(id)];
    auto& operand = operands.back();
    operand.present = true;
    if (value.kind != ValueType::Kind::tensor) continue;
    operand.type = value.tensor.type();
    operand.dims = value.tensor.dims();
    if (graph_.value(id).origin == GraphValue::Origin::constant) operand.constant = value.tensor;
  }
  return operands;
}

// Infers and makes the kernel; contents of operands are revealed one by one, as the rule asks.
Result<void> Interpreter::prepare(const Node& node, std::vector<Operand>& operands, Prepared& prepared) {
  prepared.kernel.reset();
  for (;;) {
    InferContext context(node, operands);
    const auto ok = infer(context);
    if (ok) {
      prepared.outputs = std::move(context.outputs);
      break;
    }
    if (!context.needs_value) return ok;
    if (context.wanted < 0) {  // sizes depend on data: the kernel works on values
      prepared.outputs.assign(node.outputs.size(), {});
      break;
    }
    const auto i = static_cast<std::size_t>(context.wanted);
    operands[i].constant = values_[index(node.inputs[i])].tensor;
  }
  TENON_TRY(check_operations(node, operands, prepared.outputs, options_.limits));
  const LowerContext context{node,           operands, prepared.outputs, options_.threads, options_.reference,
                             options_.limits};
  prepared.kernel = TENON_TRY(make_kernel(context));
  prepared.state = prepared.kernel->make_state();
  prepared.scratch =
      TENON_TRY(Tensor::allocate(DataType::u8, {static_cast<std::int64_t>(prepared.kernel->scratch_bytes)},
                                 options_.limits.max_context_bytes));
  prepared.operands = operands;
  return {};
}

Result<void> Interpreter::execute_values(const Node& node, const Kernel& kernel) {
  std::vector<const Value*> in;
  for (const auto id : node.inputs) in.push_back(id == kAbsent ? nullptr : &values_[index(id)]);
  std::vector<Value> out(node.outputs.size());
  ValueCall call{in, out, node, *this};
  TENON_TRY(kernel.run_values(call));
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.has_output(i)) TENON_TRY(store(node.outputs[i], std::move(out[i])));
  }
  return {};
}

Result<void> Interpreter::execute(const Node& node, Prepared& prepared) {
  if (node.op == Op::Identity) {  // the one view of sequences and optionals
    return store(node.outputs[0], values_[index(node.inputs[0])]);
  }
  auto operands = TENON_TRY(operands_of(node));
  bool fits = prepared.fits(operands);
  for (std::size_t i = 0; fits && i < operands.size(); ++i) {
    // Contents that decided the kernel must be the same bytes.
    if (!prepared.operands[i].constant.defined() || operands[i].constant.defined()) continue;
    const auto before = prepared.operands[i].constant.bytes(),
               now = values_[index(node.inputs[i])].tensor.bytes();
    fits = std::equal(before.begin(), before.end(), now.begin(), now.end());
  }
  if (!fits) TENON_TRY(prepare(node, operands, prepared));
  if (prepared.kernel->takes_values()) return execute_values(node, *prepared.kernel);
  if (family(node.op) == "view") {
    const auto& from = values_[index(node.inputs[0])];
    return store(node.outputs[0], Value::of(TENON_TRY(from.tensor.reshaped(prepared.outputs[0].dims))));
  }
  std::vector<const std::byte*> in;
  for (const auto id : node.inputs) in.push_back(id == kAbsent ? nullptr : values_[index(id)].tensor.data());
  std::vector<Tensor> results;
  std::vector<std::byte*> out;
  for (std::size_t i = 0; i < prepared.outputs.size(); ++i) {
    const auto& desc = prepared.outputs[i];
    const bool wanted = node.has_output(i);
    results.push_back(
        wanted ? TENON_TRY(Tensor::allocate(desc.type, desc.dims, options_.limits.max_tensor_bytes))
               : Tensor());
    out.push_back(wanted ? results.back().mutable_data() : nullptr);
  }
  TENON_TRY(prepared.kernel->run({in, out, prepared.scratch.mutable_data(), prepared.state.get()}));
  for (std::size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.has_output(i)) TENON_TRY(store(node.outputs[i], Value::of(std::move(results[i]))));
  }
  return {};
}

}  // namespace tenon::kernels
