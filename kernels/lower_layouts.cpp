// Lowering: where values lie. Reorders, packed constants, and nodes that stay in the layout of their operands or take
// another order of axes.
#include "kernels/infer.h"
#include "kernels/lowering.h"
#include "kernels/ops/families.h"

namespace tenon::kernels {
namespace {

dnnl::memory::dims onednn_dims(const Dims& dims) { return {dims.begin(), dims.end()}; }

// Operators that choose the layout of their operands.
bool takes_layouts(Op op) {
  return is_convolution(op) || is_quantized_convolution(op) || family(op) == "pool" ||
         family(op) == "global_pool";
}

}  // namespace

Result<std::int32_t> Lowering::add_reorder(std::int32_t from_storage, const dnnl::memory::desc& from,
                                           const dnnl::memory::desc& to) {
  std::shared_ptr<const Kernel> kernel = make_reorder(from, to, options_.threads);
  if (!kernel) return fail(ErrorCode::unsupported_operation, "oneDNN cannot reorder a layout");
  const std::size_t bytes = desc_bytes(to);
  const auto step = add_step(std::move(kernel), {from_storage}, std::span(&bytes, 1), {true});
  return out_.steps[static_cast<std::size_t>(step)].out[0];
}

// Storage that holds a value row-major.
Result<std::int32_t> Lowering::plain(std::int32_t id) {
  const auto r = root(id);
  auto& list = versions(r);
  for (const auto& version : list) {
    if (!version.layout) return version.storage;
  }
  const auto& operand = value(r).operand;
  std::int32_t storage = kNone;
  if (operand.constant.defined()) {
    storage = constant_storage(operand.constant);
  } else {
    if (list.empty()) return fail(ErrorCode::invalid_encoding, "a value is used before it is computed");
    storage =
        TENON_TRY(add_reorder(list[0].storage, *list[0].layout, *plain_desc(operand.type, operand.dims)));
  }
  list.push_back({std::nullopt, storage});
  return storage;
}

// Storage that holds a value in the wanted layout; `seen_as` describes its plain bytes when not by its own
// dims.
Result<std::int32_t> Lowering::in_layout(std::int32_t id, const Layout& want, const Layout& seen_as) {
  const auto& operand = value(id).operand;
  if (!want) return plain(id);
  const auto plain_view = seen_as ? *seen_as : *plain_desc(operand.type, operand.dims);
  if (same_places(plain_view, *want)) return plain(id);
  if (operand.constant.defined()) return packed(operand.constant, plain_view, *want, value(id).of_model);
  const bool own_dims = value(id).alias_of == kNone && compat::dims_of(*want) == onednn_dims(operand.dims);
  if (own_dims) {
    for (const auto& version : versions(id)) {
      if (version.layout && same_places(*version.layout, *want)) return version.storage;
    }
    const auto& list = versions(id);
    const bool has_plain = std::any_of(list.begin(), list.end(), [](const Version& v) { return !v.layout; });
    if (!has_plain && !list.empty()) {
      const auto storage = TENON_TRY(add_reorder(list[0].storage, *list[0].layout, *want));
      versions(id).push_back({want, storage});
      return storage;
    }
  }
  const auto from = TENON_TRY(plain(id));
  const auto storage = TENON_TRY(add_reorder(from, plain_view, *want));
  if (own_dims) versions(id).push_back({want, storage});
  return storage;
}

// Constants are reordered now, once for all plans of the model.
Result<std::int32_t> Lowering::packed(const Tensor& constant, const dnnl::memory::desc& from,
                                      const dnnl::memory::desc& to, bool of_model) {
  const auto make = [&]() -> Result<Tensor> {
    const auto kernel = make_reorder(from, to, options_.threads);
    if (!kernel) return fail(ErrorCode::unsupported_operation, "oneDNN cannot reorder weights");
    const std::vector<Operand> in{{true, constant.type(), constant.dims(), constant, {}, false}};
    const std::vector<TensorDesc> out{{DataType::u8, {static_cast<std::int64_t>(desc_bytes(to))}}};
    return TENON_TRY(run_once(*kernel, in, out, options_.limits))[0];
  };
  if (!of_model) return constant_storage(TENON_TRY(make()));
  const auto key = "pack " + cache_.name_of(constant.data()) + compat::bytes_of(from) + compat::bytes_of(to);
  return constant_storage(TENON_TRY(cache_.get(key, make)));
}

// Nodes that can stay in the layout of their operands.
Result<bool> Lowering::lower_in_layout(FlatNode& node) {
  const auto op = node.node->op;
  const auto kind = family(op);
  LayoutRequest request{*node.node, operands_of(node), outputs_of(node), {}, options_.threads};
  LayoutResult made;
  const bool any_layout = std::any_of(request.inputs.begin(), request.inputs.end(),
                                      [](const Operand& o) { return o.layout.has_value(); });
  if (kind == "pool" || (kind == "global_pool" && any_layout))
    made = lower_pool(request);
  else if (!any_layout)
    return false;
  else if (kind == "unary" || kind == "clip")
    made = lower_eltwise(request);
  else if (kind == "binary" || kind == "variadic")
    made = lower_binary(request);
  else if (kind == "concat")
    made = lower_concat(request);
  else if (kind == "quantize" || kind == "dequantize")
    made = TENON_TRY(lower_conversion(node));
  if (!made) return false;
  TENON_TRY(emit(*made, node.in, {}, node.out[0]));
  return true;
}

// A Transpose whose result is the same bytes in another layout: of operands that lie in one already, or for readers
// that take any.
Result<bool> Lowering::lower_transpose(const FlatNode& node) {
  const auto in = node.in[0], out = node.out[0];
  const auto& operand = value(in).operand;
  const auto& users = value(out).users;
  const auto& perm = node.node->integers("perm");
  const auto plain_view = plain_desc(operand.type, operand.dims);
  const bool laid_out = value(in).alias_of == kNone && !versions(in).empty() && versions(in)[0].layout;
  const bool wanted = std::ranges::any_of(users, [&](std::int32_t user) {
    return takes_layouts(flat_.nodes[static_cast<std::size_t>(user)].node->op);
  });
  if (!plain_view || perm.empty() || !is_permutation(perm) || (!laid_out && !wanted)) return false;
  const AxisOrder order(perm.begin(), perm.end());
  auto sources = laid_out ? versions(in) : std::vector<Version>{{std::nullopt, TENON_TRY(plain(in))}};
  std::vector<Version> seen;
  for (const auto& source : sources) {
    auto layout = transposed_desc(source.layout ? *source.layout : *plain_view, order);
    if (!layout) return false;
    if (is_plain(*layout, operand.type, value(out).operand.dims)) layout.reset();
    seen.push_back({layout, source.storage});
  }
  versions(out) = std::move(seen);
  return true;
}

// A node whose operand is row-major in another order of axes, as the same operator in that order.
Result<bool> Lowering::lower_reordered(FlatNode& node) {
  auto operands = operands_of(node);
  if (operands.empty() || !operands[0].layout) return false;
  const auto order = order_of(*operands[0].layout);
  if (!order || order->empty()) return false;
  std::vector<SeenOperand> seen;
  for (const auto& operand : operands) {
    const bool same_rank = operand.present && operand.dims.size() == order->size();
    const bool is_constant = operand.constant.defined();
    seen.push_back({same_rank && !is_constant && plain_desc(operand.type, operand.dims),
                    is_constant ? &operand.constant : nullptr, operand.present && operand.dims.empty()});
  }
  const auto stored = on_stored(*node.node, seen, *order);
  if (!stored) return false;
  auto inverted = inverse(*order);
  operands.resize(std::max(operands.size(), stored->constants.size()));
  for (std::size_t i = 0; i < operands.size(); ++i) {
    operands[i].layout.reset();
    if (i < stored->constants.size() && stored->constants[i]) {
      operands[i] = constant_operand(*stored->constants[i]);
    } else if (i < seen.size() && seen[i].in_order) {
      operands[i].dims = reordered(operands[i].dims, inverted);
    }
  }
  const Node twin{node.node->op, node.node->inputs, node.node->outputs, stored->attributes,
                  node.node->source};
  InferContext rule(twin, operands);
  if (!infer(rule)) return false;
  std::vector<Layout> layouts;
  for (std::size_t i = 0; i < node.out.size(); ++i) {
    const auto& own = stored->outputs[i];
    layouts.push_back(own.empty()
                          ? std::nullopt
                          : ordered_desc(rule.outputs[i].type, reordered(rule.outputs[i].dims, own), own));
    if (!own.empty() && !layouts.back()) return false;
  }
  auto kernel =
      make_kernel({twin, operands, rule.outputs, options_.threads, options_.reference, options_.limits});
  if (!kernel || (*kernel)->takes_values()) return false;
  std::vector<std::int32_t> in;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const auto id = i < node.in.size() ? node.in[i] : kNone;
    if (i < stored->constants.size() && stored->constants[i]) {
      in.push_back(constant_storage(*stored->constants[i]));
    } else if (i < seen.size() && seen[i].in_order) {
      in.push_back(
          TENON_TRY(in_layout(id, ordered_desc(operands[i].type, value(id).operand.dims, *order), {})));
    } else {
      in.push_back(id == kNone ? kNone : TENON_TRY(plain(id)));
    }
  }
  return add_results(node, *std::move(kernel), std::move(in), rule.outputs, layouts);
}

// QuantizeLinear and DequantizeLinear with one scale: element by element, in the layout of their operand.
Result<LayoutResult> Lowering::lower_conversion(const FlatNode& node) {
  auto operands = operands_of(node);
  const auto outputs = outputs_of(node);
  const auto layout = operands[0].layout;
  if (!layout || product(operands[1].dims) != 1) return std::nullopt;
  const auto bytes = TENON_TRY(byte_size(operands[0].type, operands[0].dims));
  const auto result = layout_of_type(*layout, outputs[0].type);
  if (!result || desc_bytes(*layout) != bytes) return std::nullopt;
  for (auto& operand : operands) operand.layout.reset();
  LayoutKernel made;
  made.kernel = TENON_TRY(
      make_kernel({*node.node, operands, outputs, options_.threads, options_.reference, options_.limits}));
  for (const auto& operand : operands) {
    made.in_desc.push_back(operand.present ? plain_desc(operand.type, operand.dims) : std::nullopt);
    if (operand.present && !made.in_desc.back()) return std::nullopt;
  }
  made.in_plain = made.in_desc;
  made.in_plain[0].reset();
  made.in_desc[0] = layout;
  made.out_layout.push_back(result);
  return made;
}

// The layout of a value, unless it is row-major.
Layout Lowering::layout_of(std::int32_t id) {
  const bool own = value(id).alias_of == kNone && !versions(id).empty();
  return own ? versions(id)[0].layout : std::nullopt;
}

}  // namespace tenon::kernels
