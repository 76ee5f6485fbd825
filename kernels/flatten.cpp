// Stage 1 of planning: walks the graph with concrete shapes, folds what is constant, turns views into
// aliases, splices the branches of an If whose condition is known, and drops what no output needs.
#include "kernels/axis_order.h"
#include "kernels/infer.h"
#include "kernels/planner.h"
#include "kernels/work.h"

namespace tenon::kernels {
namespace {

// Larger results of folding are computed by the plan instead, unless the operands were as large.
constexpr std::size_t kMaxFoldedBytes = std::size_t{16} << 20;
// So does what takes longer than a moment: loading is to be quick, and inferences can be interrupted.
constexpr std::uint64_t kMaxFoldedOperations = std::uint64_t{1} << 34;

bool is_view(Op op) { return family(op) == "view"; }

// A Transpose that only moves axes of one index past others.
bool is_view(const Node& node, const Dims& dims) {
  if (node.op != Op::Transpose) return is_view(node.op);
  if (!is_permutation(node.integers("perm"))) return false;
  std::int64_t last = -1;
  for (const auto axis : node.integers("perm")) {
    if (dims[static_cast<std::size_t>(axis)] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return node.has("perm");
}

class Flattener {
 public:
  Flattener(const CompileOptions& options, ConstantCache& cache, FlatGraph& out)
      : options_(options), cache_(cache), out_(out) {}

  bool dynamic() const { return dynamic_; }
  std::size_t stopped_at() const { return stopped_at_; }
  bool wants_contents() const { return wanted_ != kNone; }

  // The inputs that decide the wanted contents by way of small foldable nodes; nothing when others do.
  std::optional<std::vector<std::size_t>> deciding_inputs() const {
    constexpr std::int64_t kMostElements = 4096;
    if (wanted_ == kNone) return std::nullopt;
    std::vector<std::size_t> found;
    std::vector<std::int32_t> open{wanted_};
    std::vector<bool> seen(out_.values.size(), false);
    while (!open.empty()) {
      const auto id = open.back();
      open.pop_back();
      if (id == kNone || seen[static_cast<std::size_t>(id)]) continue;
      seen[static_cast<std::size_t>(id)] = true;
      const auto& value = out_.values[static_cast<std::size_t>(id)];
      if (value.operand.constant.defined()) continue;
      if (product(value.operand.dims) > kMostElements) return std::nullopt;
      if (value.alias_of != kNone) {
        open.push_back(value.alias_of);
      } else if (value.input != kNone) {
        found.push_back(static_cast<std::size_t>(value.input));
      } else if (value.producer != kNone) {
        const auto& node = out_.nodes[static_cast<std::size_t>(value.producer)];
        if (!is_foldable(node.node->op)) return std::nullopt;
        open.insert(open.end(), node.in.begin(), node.in.end());
      } else {
        return std::nullopt;
      }
    }
    return found;
  }

  std::int32_t add_value(Operand operand) {
    FlatValue value;
    value.operand = std::move(operand);
    value.operand.present = true;
    out_.values.push_back(std::move(value));
    return static_cast<std::int32_t>(out_.values.size() - 1);
  }

  // env: for each value of the graph its flat value. Inputs and captures are there already.
  Result<void> walk(const Graph& graph, std::vector<std::int32_t>& env) {
    for (std::size_t i = 0; i < graph.values().size(); ++i) {
      const auto& value = graph.values()[i];
      if (value.origin != GraphValue::Origin::constant) continue;
      Operand operand{true, value.constant.type(), value.constant.dims(), value.constant, {}, false};
      env[i] = add_value(std::move(operand));
      out_.values.back().of_model = true;
    }
    ++depth_;
    for (const auto& node : graph.nodes()) {
      auto ok = visit(graph, node, env);
      if (!ok && !dynamic_) return std::unexpected(with_place(ok.error(), graph.place(node)));
      if (!dynamic_) continue;
      if (depth_ == 1) stopped_at_ = static_cast<std::size_t>(&node - graph.nodes().data());
      break;
    }
    --depth_;
    return {};
  }

 private:
  Result<void> visit(const Graph& graph, const Node& node, std::vector<std::int32_t>& env) {
    FlatNode flat{&graph, &node, {}, {}, false};
    std::vector<Operand> operands;
    for (const auto id : node.inputs) {
      flat.in.push_back(id == kAbsent ? kNone : env[index(id)]);
      operands.push_back(id == kAbsent ? Operand{}
                                       : out_.values[static_cast<std::size_t>(flat.in.back())].operand);
      operands.back().present = id != kAbsent;
    }
    if (node.op == Op::If) return visit_if(graph, node, flat, env);
    InferContext context(node, operands);
    if (auto ok = infer(context); !ok) {
      dynamic_ = context.needs_value;
      if (dynamic_ && context.wanted >= 0) wanted_ = flat.in[static_cast<std::size_t>(context.wanted)];
      return std::unexpected(ok.error());
    }
    for (const auto& desc : context.outputs) {
      const auto bytes = TENON_TRY(byte_size(desc.type, desc.dims));
      if (bytes > options_.limits.max_tensor_bytes) {
        return fail(ErrorCode::too_large, "a result of {} {} has {} bytes, the limit is {}",
                    to_string(desc.type), to_string(desc.dims), bytes, options_.limits.max_tensor_bytes);
      }
    }
    if (TENON_TRY(fold(node, flat, operands, context.outputs, env))) return {};
    // Strings live on the heap and are the interpreter's business.
    const auto is_string = [](const auto& o) { return o.type == DataType::string; };
    if (std::any_of(operands.begin(), operands.end(), is_string) ||
        std::any_of(context.outputs.begin(), context.outputs.end(), is_string)) {
      dynamic_ = true;
      return fail(ErrorCode::unsupported_operation, "strings");
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.has_output(i)) {
        flat.out.push_back(kNone);
        continue;
      }
      const auto value = add_value({true, context.outputs[i].type, context.outputs[i].dims, {}, {}, false});
      flat.out.push_back(value);
      env[index(node.outputs[i])] = value;
    }
    if (is_view(node, node.inputs.empty() ? Dims() : operands[0].dims)) {
      out_.values[static_cast<std::size_t>(flat.out[0])].alias_of = root(flat.in[0]);
      return {};
    }
    for (const auto value : flat.out) {
      if (value != kNone)
        out_.values[static_cast<std::size_t>(value)].producer = static_cast<std::int32_t>(out_.nodes.size());
    }
    out_.nodes.push_back(std::move(flat));
    return {};
  }

  std::int32_t root(std::int32_t value) const {
    const auto alias = out_.values[static_cast<std::size_t>(value)].alias_of;
    return alias == kNone ? value : alias;
  }

  Result<void> visit_if(const Graph& graph, const Node& node, const FlatNode& flat,
                        std::vector<std::int32_t>& env) {
    const auto& condition = out_.values[static_cast<std::size_t>(flat.in[0])].operand;
    if (!condition.constant.defined()) {
      dynamic_ = true;
      return fail(ErrorCode::unsupported_operation, "the condition depends on data");
    }
    if (condition.type != DataType::boolean || condition.constant.count() != 1) {
      return fail(ErrorCode::invalid_argument, "the condition must be one bool");
    }
    const auto branch =
        node.graph(condition.constant.data()[0] != std::byte{0} ? "then_branch" : "else_branch");
    if (branch->outputs().size() != node.outputs.size()) {
      return fail(ErrorCode::invalid_encoding, "the branch has {} outputs, the node {}",
                  branch->outputs().size(), node.outputs.size());
    }
    std::vector<std::int32_t> inner(branch->values().size(), kNone);
    for (const auto& capture : branch->captures()) inner[index(capture.inner)] = env[index(capture.outer)];
    TENON_TRY(walk(*branch, inner));
    if (dynamic_) return {};
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.has_output(i)) env[index(node.outputs[i])] = inner[index(branch->outputs()[i])];
    }
    return {};
  }

  // True when the node's results became constants.
  Result<bool> fold(const Node& node, const FlatNode& flat, std::span<const Operand> operands,
                    std::span<const TensorDesc> outputs, std::vector<std::int32_t>& env) {
    // The result of Shape and Size needs no contents.
    const bool shape_only = family(node.op) == "shape_of";
    bool of_model = !shape_only;
    std::size_t in_bytes = 0, out_bytes = 0;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (!operands[i].present) continue;
      if (!shape_only && !operands[i].constant.defined()) return false;
      of_model = of_model && out_.values[static_cast<std::size_t>(flat.in[i])].of_model;
      in_bytes += operands[i].constant.bytes().size();
    }
    if (!is_foldable(node.op)) return false;
    for (const auto& desc : outputs) out_bytes += TENON_TRY(byte_size(desc.type, desc.dims));
    if (out_bytes > std::max(kMaxFoldedBytes, 2 * in_bytes)) return false;
    if (operations_of(node, operands, outputs) > kMaxFoldedOperations) return false;
    // Many small nodes must not fill memory either.
    folded_bytes_ += is_view(node.op) ? 0 : out_bytes;
    if (folded_bytes_ > options_.limits.max_context_bytes) {
      return fail(ErrorCode::too_large, "folded constants exceed the limit of {} bytes",
                  options_.limits.max_context_bytes);
    }
    std::vector<Tensor> results;
    if (is_view(node.op)) {
      results.push_back(TENON_TRY(operands[0].constant.reshaped(outputs[0].dims)));
    } else {
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        const auto compute = [&]() -> Result<Tensor> {
          LowerContext context{node,           operands, outputs, options_.threads, options_.reference,
                               options_.limits};
          const auto kernel = TENON_TRY(make_kernel(context));
          if (kernel->takes_values()) return fail(ErrorCode::unsupported_operation, "works on values");
          return TENON_TRY(run_once(*kernel, operands, outputs, options_.limits))[i];
        };
        // Derived from the model alone: one copy for all plans, so that weights are not folded once for each
        // shape.
        results.push_back(
            of_model ? TENON_TRY(cache_.get(fmt::format("fold {} {}", cache_.name_of(node), i), compute))
                     : TENON_TRY(compute()));
      }
    }
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      if (!node.has_output(i)) continue;
      const auto value = add_value({true, outputs[i].type, outputs[i].dims, results[i], {}, false});
      out_.values.back().of_model = of_model;
      env[index(node.outputs[i])] = value;
    }
    return true;
  }

  const CompileOptions& options_;
  ConstantCache& cache_;
  FlatGraph& out_;
  bool dynamic_ = false;
  std::size_t depth_ = 0, stopped_at_ = 0;
  std::int32_t wanted_ = kNone;
  std::uint64_t folded_bytes_ = 0;
};

// Marks what no output needs as done and records the users of each value.
void find_users(FlatGraph& flat) {
  std::vector<bool> live(flat.values.size(), false);
  const auto need = [&](std::int32_t value) {
    if (value == kNone) return;
    live[static_cast<std::size_t>(value)] = true;
    const auto alias = flat.values[static_cast<std::size_t>(value)].alias_of;
    if (alias == kNone) return;
    live[static_cast<std::size_t>(alias)] = true;
    flat.values[static_cast<std::size_t>(alias)].has_alias = true;
  };
  for (const auto output : flat.outputs) {
    need(output);
    flat.values[static_cast<std::size_t>(output)].is_output = true;
  }
  for (std::size_t n = flat.nodes.size(); n-- > 0;) {
    auto& node = flat.nodes[n];
    node.done = std::none_of(node.out.begin(), node.out.end(),
                             [&](std::int32_t v) { return v != kNone && live[static_cast<std::size_t>(v)]; });
    if (node.done) continue;
    for (const auto value : node.in) {
      need(value);
      if (value != kNone)
        flat.values[static_cast<std::size_t>(value)].users.push_back(static_cast<std::int32_t>(n));
    }
  }
}

}  // namespace

Result<Flattened> flatten(const Graph& graph, std::span<const Operand> inputs, const CompileOptions& options,
                          ConstantCache& cache) {
  FlatGraph flat;
  Flattener flattener(options, cache, flat);
  std::vector<std::int32_t> env(graph.values().size(), kNone);
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    const auto& value = graph.value(graph.inputs()[i]);
    if (value.type.kind != ValueType::Kind::tensor || value.type.element == DataType::string)
      return Flattened{};
    auto operand = inputs[i];
    operand.is_input = true;
    const auto id = flattener.add_value(std::move(operand));
    flat.values[static_cast<std::size_t>(id)].input = static_cast<std::int32_t>(i);
    env[index(graph.inputs()[i])] = id;
    flat.inputs.push_back(id);
  }
  TENON_TRY(flattener.walk(graph, env));
  if (flattener.dynamic()) {
    return Flattened{std::nullopt, flattener.stopped_at(), flattener.wants_contents(),
                     flattener.deciding_inputs()};
  }
  for (const auto id : graph.outputs()) {
    if (flat.values[static_cast<std::size_t>(env[index(id)])].operand.type == DataType::string)
      return Flattened{};
    flat.outputs.push_back(env[index(id)]);
  }
  find_users(flat);
  Flattened out;
  out.graph = std::move(flat);
  return out;
}

}  // namespace tenon::kernels
