// Stage 2 of planning: one kernel for each node or fused group of nodes, in the layouts that oneDNN picks,
// with reorders only where a reader needs another layout than the writer chose.
#include "kernels/lowering.h"

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/work.h"

namespace tenon::kernels {

Result<LoweredGraph> Lowering::run() {
  for (std::size_t i = 0; i < flat_.inputs.size(); ++i) {
    Storage storage;
    storage.kind = Storage::Kind::input;
    storage.input = static_cast<std::int32_t>(i);
    const auto& operand = value(flat_.inputs[i]).operand;
    storage.bytes = TENON_TRY(byte_size(operand.type, operand.dims));
    out_.inputs.push_back(add_storage(std::move(storage)));
    versions(flat_.inputs[i]).push_back({std::nullopt, out_.inputs.back()});
  }
  for (auto& node : flat_.nodes) {
    if (node.done) continue;
    current_ = &node;
    const auto before = out_.steps.size();
    if (auto ok = lower_node(node); !ok) {
      return std::unexpected(with_place(ok.error(), node.graph->place(*node.node)));
    }
    node.done = true;
    describe(node, before);
  }
  for (const auto output : flat_.outputs) out_.outputs.push_back(TENON_TRY(plain(output)));
  return std::move(out_);
}

// Type, dims and cost of a node's own step, the last one it made; reorders before it cost no arithmetic.
void Lowering::describe(const FlatNode& node, std::size_t before) {
  for (auto i = before; i < out_.steps.size(); ++i) {
    auto& step = out_.steps[i];
    const auto& result = value(node.out[0] == kNone ? node.in[0] : node.out[0]).operand;
    step.output = {result.type, result.dims};
    if (i + 1 < out_.steps.size()) continue;
    step.flops = operations_of(*node.node, operands_of(node), outputs_of(node));
  }
}

std::int32_t Lowering::add_storage(Storage storage) {
  out_.storages.push_back(std::move(storage));
  return static_cast<std::int32_t>(out_.storages.size() - 1);
}

std::int32_t Lowering::constant_storage(const Tensor& tensor) {
  Storage storage;
  storage.kind = Storage::Kind::constant;
  storage.constant = tensor;
  storage.bytes = tensor.bytes().size();
  return add_storage(std::move(storage));
}

std::int32_t Lowering::add_step(std::shared_ptr<const Kernel> kernel, std::vector<std::int32_t> in,
                                std::span<const std::size_t> out_bytes, const std::vector<bool>& wanted) {
  const auto step = static_cast<std::int32_t>(out_.steps.size());
  std::vector<std::int32_t> outs;
  for (std::size_t i = 0; i < out_bytes.size(); ++i) {
    Storage storage;
    storage.bytes = out_bytes[i];
    storage.producer = step;
    outs.push_back(wanted[i] ? add_storage(std::move(storage)) : kNone);
  }
  for (const auto id : in) {
    if (id != kNone) out_.storages[static_cast<std::size_t>(id)].readers.push_back(step);
  }
  out_.steps.push_back(
      {std::move(kernel), std::move(in), std::move(outs), current_->graph, current_->node, {}, 0});
  return step;
}

Result<void> Lowering::lower_node(FlatNode& node) {
  TENON_TRY(check_operations(*node.node, operands_of(node), outputs_of(node), options_.limits));
  if (!options_.reference) {
    const auto op = node.node->op;
    const bool starts = is_convolution(op) || is_product(op) || op == Op::BatchNormalization;
    if (starts && TENON_TRY(lower_group(node))) return {};
    if ((is_quantized_convolution(op) || is_quantized_product(op)) && TENON_TRY(lower_quantized(node)))
      return {};
    if (op == Op::DequantizeLinear && options_.fuse && TENON_TRY(lower_table(node))) return {};
    if (op == Op::Transpose && TENON_TRY(lower_transpose(node))) return {};
    if (options_.fuse && TENON_TRY(lower_chain(node))) return {};
    if (TENON_TRY(lower_in_layout(node))) return {};
    if (TENON_TRY(lower_reordered(node))) return {};
  }
  return lower_plain(node);
}

std::vector<Operand> Lowering::operands_of(const FlatNode& node) {
  std::vector<Operand> operands;
  for (const auto id : node.in) {
    operands.push_back(id == kNone ? Operand{} : value(id).operand);
    if (id == kNone) continue;
    // The layout in which the value lies; a view of a value that is not plain has to be made plain first.
    const auto& list = versions(id);
    if (value(id).alias_of == kNone && !list.empty()) operands.back().layout = list[0].layout;
    operands.back().is_input = value(root(id)).input != kNone;
  }
  return operands;
}

std::vector<TensorDesc> Lowering::outputs_of(const FlatNode& node) {
  std::vector<TensorDesc> outputs;
  for (const auto id : node.out) {
    outputs.push_back(id == kNone ? TensorDesc{}
                                  : TensorDesc{value(id).operand.type, value(id).operand.dims});
  }
  return outputs;
}

Result<void> Lowering::lower_plain(FlatNode& node) {
  auto operands = operands_of(node);
  for (auto& operand : operands) operand.layout.reset();
  // Types and dims of outputs that nobody wants come from the rule again.
  InferContext infer_context(*node.node, operands);
  TENON_TRY(infer(infer_context));
  const LowerContext context{*node.node,       operands,           infer_context.outputs,
                             options_.threads, options_.reference, options_.limits};
  auto kernel = TENON_TRY(make_kernel(context));
  if (kernel->takes_values()) return fail(ErrorCode::unsupported_operation, "works on values only");
  std::vector<std::int32_t> in;
  for (const auto id : node.in) in.push_back(id == kNone ? kNone : TENON_TRY(plain(id)));
  TENON_TRY(add_results(node, std::move(kernel), std::move(in), infer_context.outputs, {}));
  return {};
}

// The step of a kernel, and where its results lie.
Result<bool> Lowering::add_results(const FlatNode& node, std::unique_ptr<Kernel> kernel,
                                   std::vector<std::int32_t> in, std::span<const TensorDesc> outputs,
                                   std::span<const Layout> layouts) {
  std::vector<std::size_t> bytes;
  std::vector<bool> wanted;
  for (std::size_t i = 0; i < node.out.size(); ++i) {
    bytes.push_back(TENON_TRY(byte_size(outputs[i].type, outputs[i].dims)));
    wanted.push_back(node.out[i] != kNone);
  }
  const auto step = add_step(std::move(kernel), std::move(in), bytes, wanted);
  for (std::size_t i = 0; i < node.out.size(); ++i) {
    if (!wanted[i]) continue;
    auto layout = i < layouts.size() ? layouts[i] : std::nullopt;
    const auto& own = value(node.out[i]).operand;
    if (layout && is_plain(*layout, own.type, own.dims)) layout.reset();
    versions(node.out[i]).push_back({layout, out_.steps[static_cast<std::size_t>(step)].out[i]});
  }
  return true;
}

// Adds the step of a layout kernel. Operand i is flat value in[i], or the constant when that is kNone.
Result<void> Lowering::emit(LayoutKernel& made, std::span<const std::int32_t> in,
                            std::span<const Operand> constants, std::int32_t end) {
  std::vector<std::int32_t> storages;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!made.in_desc[i]) {
      storages.push_back(kNone);  // not an argument of the primitive: folded into its attributes
    } else if (in[i] != kNone) {
      storages.push_back(TENON_TRY(in_layout(in[i], made.in_desc[i], made.in_plain[i])));
    } else if (i < constants.size() && constants[i].constant.defined()) {
      const auto& tensor = constants[i].constant;
      const auto view = made.in_plain[i] ? *made.in_plain[i] : *plain_desc(tensor.type(), tensor.dims());
      storages.push_back(view == *made.in_desc[i] ? constant_storage(tensor)
                                                  : TENON_TRY(packed(tensor, view, *made.in_desc[i], true)));
    } else {
      storages.push_back(kNone);
    }
  }
  const auto& operand = value(end).operand;
  auto layout = made.out_layout[0];
  const std::size_t bytes = layout ? desc_bytes(*layout) : TENON_TRY(byte_size(operand.type, operand.dims));
  if (layout && is_plain(*layout, operand.type, operand.dims)) layout.reset();
  const auto step = add_step(std::move(made.kernel), std::move(storages), std::span(&bytes, 1), {true});
  versions(end).push_back({layout, out_.steps[static_cast<std::size_t>(step)].out[0]});
  return {};
}

// The only node that reads this value, when nothing else needs it.
FlatNode* Lowering::only_user(std::int32_t id) {
  const auto& v = value(id);
  if (v.is_output || v.has_alias || v.users.size() != 1) return nullptr;
  return &flat_.nodes[static_cast<std::size_t>(v.users[0])];
}

bool Lowering::is_available(std::int32_t id) {
  return value(id).operand.constant.defined() || !versions(root(id)).empty();
}

Result<LoweredGraph> lower(FlatGraph& flat, const CompileOptions& options, ConstantCache& cache) {
  return Lowering(flat, options, cache).run();
}

}  // namespace tenon::kernels
