// Stage 3 of planning: which steps run inside set_input and get_output, and where every value lies. One arena
// per context, shared by values that do not live at the same time; results of early steps and operands of
// late ones lie outside of what is reused.
#include "kernels/observe.h"
#include "kernels/planner.h"

namespace tenon::kernels {
namespace {

constexpr std::size_t kAlign = 64;
constexpr std::size_t align_up(std::size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }
using Phase = StepInfo::Phase;

class Placement {
 public:
  Placement(const FlatGraph& flat, LoweredGraph& lowered, std::span<const bool> may_be_early,
            const CompileOptions& options)
      : flat_(flat),
        g_(lowered),
        may_be_early_(may_be_early),
        options_(options),
        places_(lowered.storages.size()),
        phase_(lowered.steps.size(), Phase::compute) {}

  Result<Plan> run() {
    plan_.threads = options_.threads;
    plan_.spaces.inputs = static_cast<std::uint32_t>(flat_.inputs.size());
    nested_ = may_be_early_.empty();
    for (std::size_t i = 0; i < flat_.inputs.size(); ++i) choose_early(i);
    for (std::size_t o = 0; o < flat_.outputs.size(); ++o) choose_late(o);
    place_fixed();
    TENON_TRY(place_arena());
    emit_steps();
    return std::move(plan_);
  }

 private:
  Storage& storage(std::int32_t id) { return g_.storages[static_cast<std::size_t>(id)]; }
  LoweredStep& step(std::int32_t id) { return g_.steps[static_cast<std::size_t>(id)]; }
  Phase& phase(std::int32_t id) { return phase_[static_cast<std::size_t>(id)]; }

  bool is_graph_output(std::int32_t id) const {
    return std::find(g_.outputs.begin(), g_.outputs.end(), id) != g_.outputs.end();
  }

  // Reads this input and constants only, cannot fail: so it gives the same whenever it runs.
  bool can_be_early(std::int32_t reader, std::int32_t input_storage) {
    const auto& s = step(reader);
    if (s.kernel->can_fail) return false;
    return std::all_of(s.in.begin(), s.in.end(), [&](std::int32_t id) {
      return id == kNone || id == input_storage || storage(id).kind == Storage::Kind::constant;
    });
  }

  // The one result of a step, an output that nothing else reads.
  bool can_be_late(std::int32_t id) {
    const auto& s = storage(id);
    if (s.kind != Storage::Kind::step || !s.readers.empty() || step(s.producer).kernel->can_fail)
      return false;
    if (std::count(g_.outputs.begin(), g_.outputs.end(), id) != 1) return false;
    const auto& outs = step(s.producer).out;
    return std::all_of(outs.begin(), outs.end(), [&](std::int32_t out) { return out == kNone || out == id; });
  }

  void choose_early(std::size_t i) {
    const auto id = g_.inputs[i];
    PlanInput input;
    const auto& operand = flat_.values[static_cast<std::size_t>(flat_.inputs[i])].operand;
    input.desc = {operand.type, operand.dims};
    input.bytes = storage(id).bytes;
    auto readers = storage(id).readers;
    std::sort(readers.begin(), readers.end());
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    input.in_place = std::none_of(readers.begin(), readers.end(),
                                  [&](std::int32_t reader) { return step(reader).kernel->can_fail; });
    input.early = !nested_ && may_be_early_[i] && !is_graph_output(id);
    for (const auto reader : readers) input.early = input.early && can_be_early(reader, id);
    // A step that could be early and late can only be one: the larger of its two sides stays uncopied.
    for (const auto reader : readers) {
      for (const auto out : step(reader).out) {
        if (out != kNone && can_be_late(out) && storage(out).bytes >= input.bytes) input.early = false;
      }
    }
    if (input.early) {
      for (const auto reader : readers) {
        phase(reader) = Phase::early;
        input.steps.push_back(static_cast<std::uint32_t>(reader));
        for (const auto out : step(reader).out) {
          if (out == kNone) continue;
          places_[static_cast<std::size_t>(out)] = Location{plan_.spaces.early(i), input.early_bytes};
          input.early_bytes += align_up(storage(out).bytes);
        }
      }
    }
    plan_.inputs.push_back(std::move(input));
  }

  void choose_late(std::size_t o) {
    const auto id = g_.outputs[o];
    const auto& operand = flat_.values[static_cast<std::size_t>(flat_.outputs[o])].operand;
    PlanOutput output;
    output.desc = {operand.type, operand.dims};
    output.bytes = static_cast<std::size_t>(product(operand.dims)) * bit_width(operand.type) / 8;
    if (nested_) {
      output.in_place = storage(id).kind == Storage::Kind::step && std::ranges::count(g_.outputs, id) == 1;
      if (output.in_place) places_[static_cast<std::size_t>(id)] = Location{plan_.spaces.output(o), 0};
    } else if (can_be_late(id) && phase(storage(id).producer) == Phase::compute) {
      const auto producer = storage(id).producer;
      phase(producer) = Phase::late;
      output.late_step = static_cast<std::uint32_t>(producer);
      places_[static_cast<std::size_t>(id)] = Location{plan_.spaces.output(o), 0};
    }
    plan_.outputs.push_back(output);
  }

  void place_fixed() {
    for (std::size_t id = 0; id < g_.storages.size(); ++id) {
      auto& s = g_.storages[id];
      if (s.kind == Storage::Kind::constant) {
        places_[id] = Location{Spaces::kAbsolute, reinterpret_cast<std::uint64_t>(s.constant.data())};
        plan_.constants.push_back(s.constant);
      } else if (s.kind == Storage::Kind::input) {
        places_[id] = Location{plan_.spaces.input(static_cast<std::size_t>(s.input)), 0};
      }
      // What get_output reads must survive the next set_input.
      const bool late = is_graph_output(static_cast<std::int32_t>(id)) ||
                        std::any_of(s.readers.begin(), s.readers.end(),
                                    [&](std::int32_t r) { return phase(r) == Phase::late; });
      if (!late) continue;
      if (s.kind == Storage::Kind::input) plan_.inputs[static_cast<std::size_t>(s.input)].read_late = true;
      if (s.kind == Storage::Kind::step && phase(s.producer) == Phase::early) {
        for (const auto in : step(s.producer).in) {
          if (in != kNone && storage(in).kind == Storage::Kind::input) {
            plan_.inputs[static_cast<std::size_t>(storage(in).input)].read_late = true;
          }
        }
      }
    }
  }

  // Offsets by first fit, largest value first, among those whose lifetimes overlap.
  Result<void> place_arena() {
    struct Block {
      std::int32_t id, first, last;
      std::size_t bytes, offset;
    };
    std::vector<Block> blocks;
    constexpr auto kForever = std::numeric_limits<std::int32_t>::max();
    for (std::size_t i = 0; i < g_.storages.size(); ++i) {
      if (places_[i]) continue;
      const auto& s = g_.storages[i];
      Block block{static_cast<std::int32_t>(i), s.producer, s.producer,
                  align_up(std::max<std::size_t>(s.bytes, 1)), 0};
      for (const auto reader : s.readers)
        block.last = std::max(block.last, phase(reader) == Phase::late ? kForever : reader);
      if (is_graph_output(block.id)) block.last = kForever;
      blocks.push_back(block);
    }
    std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) {
      return a.bytes != b.bytes ? a.bytes > b.bytes : a.id < b.id;
    });
    std::vector<const Block*> placed;  // sorted by offset
    for (auto& block : blocks) {
      std::size_t at = 0;
      for (const auto* other : placed) {
        if (other->last < block.first || block.last < other->first) continue;
        if (at + block.bytes <= other->offset) break;
        at = std::max(at, other->offset + other->bytes);
      }
      block.offset = at;
      if (at + block.bytes > options_.limits.max_context_bytes) {
        return fail(ErrorCode::too_large, "activations exceed the limit of {} bytes",
                    options_.limits.max_context_bytes);
      }
      plan_.arena_bytes = std::max(plan_.arena_bytes, at + block.bytes);
      placed.insert(std::upper_bound(placed.begin(), placed.end(), &block,
                                     [](const Block* a, const Block* b) { return a->offset < b->offset; }),
                    &block);
      places_[static_cast<std::size_t>(block.id)] = Location{Spaces::kArena, at};
    }
    for (std::size_t o = 0; o < g_.outputs.size(); ++o)
      plan_.outputs[o].from = *places_[static_cast<std::size_t>(g_.outputs[o])];
    return {};
  }

  void emit_steps() {
    for (std::size_t i = 0; i < g_.steps.size(); ++i) {
      auto& s = g_.steps[i];
      Step out;
      const auto locate = [&](const std::vector<std::int32_t>& ids, std::vector<Location>& places,
                              std::vector<bool>& present) {
        for (const auto id : ids) {
          places.push_back(id == kNone ? Location{} : *places_[static_cast<std::size_t>(id)]);
          present.push_back(id != kNone);
        }
      };
      locate(s.in, out.in, out.in_present);
      locate(s.out, out.out, out.out_present);
      plan_.scratch_bytes = std::max(plan_.scratch_bytes, s.kernel->scratch_bytes);
      out.kernel = std::move(s.kernel);
      out.phase = phase_[i];
      out.place = s.graph->place(*s.node);
      out.node = s.node->source.node;
      out.op = to_string(s.node->op);
      out.output = s.output;
      out.flops = s.flops;
      for (const auto id : s.in) {
        if (id != kNone && storage(id).kind == Storage::Kind::step)
          out.reads.push_back(static_cast<std::uint32_t>(storage(id).producer));
      }
      if (out.phase == Phase::compute) plan_.compute.push_back(static_cast<std::uint32_t>(i));
      plan_.steps.push_back(std::move(out));
    }
  }

  const FlatGraph& flat_;
  LoweredGraph& g_;
  std::span<const bool> may_be_early_;
  const CompileOptions& options_;
  bool nested_ = false;
  std::vector<std::optional<Location>> places_;
  std::vector<Phase> phase_;
  Plan plan_;
};

}  // namespace

Result<Plan> place(const FlatGraph& flat, LoweredGraph& lowered, std::span<const bool> may_be_early,
                   const CompileOptions& options) {
  return Placement(flat, lowered, may_be_early, options).run();
}

Result<std::shared_ptr<const Plan>> make_plan(const Graph& graph, std::span<const Dims> input_dims,
                                              std::span<const bool> may_be_early,
                                              const CompileOptions& options, ConstantCache& cache) {
  std::vector<Operand> inputs;
  for (std::size_t i = 0; i < graph.inputs().size(); ++i)
    inputs.push_back({true, graph.value(graph.inputs()[i]).type.element, input_dims[i], {}, {}, true});
  auto flattened = TENON_TRY(flatten(graph, inputs, options, cache));
  if (!flattened.graph) {
    Plan interpreted;
    interpreted.interpreted = true;
    interpreted.threads = options.threads;
    return std::make_shared<const Plan>(std::move(interpreted));
  }
  auto& flat = *flattened.graph;
  auto lowered = TENON_TRY(lower(flat, options, cache));
  // A graph without inputs is not nested either.
  static constexpr bool kNoInput[] = {false};
  const auto early = may_be_early.empty() ? std::span<const bool>(kNoInput) : may_be_early;
  return std::make_shared<const Plan>(TENON_TRY(place(flat, lowered, early, options)));
}

Result<void> run_step(const Step& step, std::span<std::byte* const> bases, std::byte* scratch,
                      KernelState* state) {
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
    return reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(bases[l.space]) + l.offset);
  };
  for (std::size_t i = 0; i < step.in.size(); ++i) in[i] = step.in_present[i] ? address(step.in[i]) : nullptr;
  for (std::size_t i = 0; i < step.out.size(); ++i)
    out[i] = step.out_present[i] ? address(step.out[i]) : nullptr;
  auto ok = step.kernel->run({{in, step.in.size()}, {out, step.out.size()}, scratch, state});
  if (!ok) return std::unexpected(with_place(ok.error(), step.place));
  return {};
}

namespace {
thread_local StepObserver* observer_of_thread = nullptr;
}  // namespace

void observe_steps(StepObserver* observer) { observer_of_thread = observer; }

void count_run(StepInfo& info, std::chrono::steady_clock::time_point start) {
  const auto nanoseconds = static_cast<std::uint64_t>((std::chrono::steady_clock::now() - start).count());
  ++info.runs;
  info.nanoseconds += nanoseconds;
  if (observer_of_thread != nullptr)
    observer_of_thread->ran(info, static_cast<std::uint64_t>(start.time_since_epoch().count()), nanoseconds);
}

Result<std::vector<std::vector<std::uint32_t>>> plan_reads(const Graph& graph,
                                                           std::span<const Dims> input_dims,
                                                           const CompileOptions& options) {
  ConstantCache cache(graph);
  const auto may_be_early = std::make_unique<bool[]>(input_dims.size() + 1);
  std::fill_n(may_be_early.get(), input_dims.size(), input_dims.size() == 1);
  const auto plan =
      TENON_TRY(make_plan(graph, input_dims, {may_be_early.get(), input_dims.size()}, options, cache));
  std::vector<std::vector<std::uint32_t>> reads;
  for (const auto& step : plan->steps) reads.push_back(step.reads);
  return reads;
}

std::vector<StepInfo> step_infos(const Plan& plan) {
  std::vector<StepInfo> infos;
  for (const auto& step : plan.steps) {
    infos.push_back({step.node,
                     step.op,
                     step.kernel->implementation,
                     step.phase,
                     {step.output.type, step.output.dims, {}},
                     step.flops,
                     0,
                     0});
  }
  return infos;
}

// In names that hold for this process only.
constexpr std::string_view kUnstable = "?at ";

std::string ConstantCache::name_of(const std::byte* constant) const {
  for (std::size_t i = 0; i < stored_.model_files.size(); ++i) {
    const auto file = stored_.model_files[i];
    if (std::less_equal<>()(file.data(), constant) && std::less<>()(constant, file.data() + file.size()))
      return fmt::format("file {} {} ", i, constant - file.data());
  }
  const std::lock_guard lock(mutex_);
  if (const auto it = derived_.find(constant); it != derived_.end()) return "(" + it->second + ")";
  return fmt::format("{}{} ", kUnstable, static_cast<const void*>(constant));
}

std::string ConstantCache::name_of(const Node& node) const {
  const auto& nodes = graph_.nodes();
  if (std::less_equal<>()(nodes.data(), &node) && std::less<>()(&node, nodes.data() + nodes.size()))
    return fmt::format("node {} ", &node - nodes.data());
  return fmt::format("{}{} ", kUnstable, static_cast<const void*>(&node));
}

Result<Tensor> ConstantCache::get(const std::string& key, const std::function<Result<Tensor>()>& make) {
  // Made outside of the lock: two plans may make the same tensor, the first one is kept.
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = tensors_.find(key); it != tensors_.end()) return it->second;
  }
  const bool stable = stored_.store != nullptr && key.find(kUnstable) == key.npos;
  std::optional<Tensor> tensor;
  if (stable) tensor = stored_.store->find(key);
  if (!tensor) {
    tensor = TENON_TRY(make());
    if (stable) stored_.store->add(key, *tensor);
  }
  const std::lock_guard lock(mutex_);
  const auto [it, added] = tensors_.emplace(key, *tensor);
  if (added) bytes_ += tensor->bytes().size();
  if (stable && !it->second.bytes().empty()) derived_.emplace(it->second.data(), key);
  return it->second;
}

std::uint64_t ConstantCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

Result<std::vector<Tensor>> run_once(const Kernel& kernel, std::span<const Operand> inputs,
                                     std::span<const TensorDesc> outputs, const Limits& limits) {
  std::vector<Tensor> results;
  std::vector<const std::byte*> in;
  std::vector<std::byte*> out;
  for (const auto& operand : inputs) in.push_back(operand.present ? operand.constant.data() : nullptr);
  for (const auto& desc : outputs) {
    results.push_back(TENON_TRY(Tensor::allocate(desc.type, desc.dims, limits.max_tensor_bytes)));
    out.push_back(results.back().mutable_data());
  }
  auto scratch = TENON_TRY(Tensor::allocate(DataType::u8, {static_cast<std::int64_t>(kernel.scratch_bytes)}));
  const auto state = kernel.make_state();
  TENON_TRY(kernel.run({in, out, scratch.mutable_data(), state.get()}));
  return results;
}

}  // namespace tenon::kernels
