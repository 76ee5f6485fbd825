// Stage 2 of planning: one kernel for each node or fused group of nodes, in the layouts that oneDNN picks,
// with reorders only where a reader needs another layout than the writer chose.
#include <cmath>

#include "kernels/chain.h"
#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/byte_table.h"
#include "kernels/ops/families.h"
#include "kernels/planner.h"

namespace tenon::kernels {
namespace {

bool is_convolution(Op op) { return op == Op::Conv || op == Op::ConvTranspose; }
bool is_product(Op op) { return op == Op::MatMul || op == Op::Gemm; }
bool is_quantized_convolution(Op op) { return op == Op::QLinearConv || op == Op::ConvInteger; }
bool is_quantized_product(Op op) { return op == Op::QLinearMatMul || op == Op::MatMulInteger; }
bool is_byte(DataType type) { return type == DataType::u8 || type == DataType::i8; }

class Lowering {
 public:
  Lowering(FlatGraph& flat, const CompileOptions& options, ConstantCache& cache)
      : flat_(flat), options_(options), cache_(cache), versions_(flat.values.size()) {}

  Result<LoweredGraph> run() {
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

 private:
  struct Version {
    Layout layout;
    std::int32_t storage;
  };

  // A group that grows from a convolution or product: its operands, what follows it, and the value it ends
  // in.
  struct Group {
    LayoutRequest request;
    std::vector<std::int32_t> operands;            // flat values, kNone for constants made here
    std::vector<std::int32_t> ends;                // value at the end of each prefix of post-ops
    std::vector<std::size_t> post_counts;          // post-ops in each prefix
    std::vector<std::vector<FlatNode*>> consumed;  // nodes that each prefix takes in
  };

  // Type, dims and cost of a node's own step, the last one it made; reorders before it cost no arithmetic.
  void describe(const FlatNode& node, std::size_t before) {
    for (auto i = before; i < out_.steps.size(); ++i) {
      auto& step = out_.steps[i];
      const auto& result = value(node.out[0] == kNone ? node.in[0] : node.out[0]).operand;
      step.output = {result.type, result.dims};
      if (i + 1 < out_.steps.size()) continue;
      const auto op = node.node->op;
      step.flops = static_cast<std::uint64_t>(product(result.dims));
      if (is_product(op) || is_quantized_product(op)) {
        const auto& a = value(node.in[0]).operand.dims;
        const bool transposed = op == Op::Gemm && node.node->integer("transA") != 0;
        step.flops *= 2 * static_cast<std::uint64_t>(transposed ? a[0] : a.back());
      } else if (is_convolution(op) || is_quantized_convolution(op)) {
        const auto& weights = value(node.in[op == Op::QLinearConv ? 3 : 1]).operand.dims;
        const auto& in = value(node.in[0]).operand.dims;
        // Every weight of a group meets each output (or, transposed, each input) position once.
        const bool transposed = op == Op::ConvTranspose;
        step.flops = 2 * static_cast<std::uint64_t>(
                             transposed ? product(in) * product(weights, 1, weights.size())
                                        : product(result.dims) * product(weights, 1, weights.size()));
      }
    }
  }

  FlatValue& value(std::int32_t id) { return flat_.values[static_cast<std::size_t>(id)]; }
  std::vector<Version>& versions(std::int32_t id) { return versions_[static_cast<std::size_t>(id)]; }
  std::int32_t root(std::int32_t id) { return value(id).alias_of == kNone ? id : value(id).alias_of; }

  std::int32_t add_storage(Storage storage) {
    out_.storages.push_back(std::move(storage));
    return static_cast<std::int32_t>(out_.storages.size() - 1);
  }

  std::int32_t constant_storage(const Tensor& tensor) {
    Storage storage;
    storage.kind = Storage::Kind::constant;
    storage.constant = tensor;
    storage.bytes = tensor.bytes().size();
    return add_storage(std::move(storage));
  }

  std::int32_t add_step(std::shared_ptr<const Kernel> kernel, std::vector<std::int32_t> in,
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

  Result<std::int32_t> add_reorder(std::int32_t from_storage, const dnnl::memory::desc& from,
                                   const dnnl::memory::desc& to) {
    std::shared_ptr<const Kernel> kernel = make_reorder(from, to, options_.threads);
    if (!kernel) return fail(ErrorCode::unsupported_operation, "oneDNN cannot reorder a layout");
    const std::size_t bytes = desc_bytes(to);
    const auto step = add_step(std::move(kernel), {from_storage}, std::span(&bytes, 1), {true});
    return out_.steps[static_cast<std::size_t>(step)].out[0];
  }

  // Storage that holds a value row-major.
  Result<std::int32_t> plain(std::int32_t id) {
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
  Result<std::int32_t> in_layout(std::int32_t id, const Layout& want, const Layout& seen_as) {
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
      const bool has_plain =
          std::any_of(list.begin(), list.end(), [](const Version& v) { return !v.layout; });
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

  static dnnl::memory::dims onednn_dims(const Dims& dims) { return {dims.begin(), dims.end()}; }

  // Constants are reordered now, once for all plans of the model.
  Result<std::int32_t> packed(const Tensor& constant, const dnnl::memory::desc& from,
                              const dnnl::memory::desc& to, bool of_model) {
    const auto make = [&]() -> Result<Tensor> {
      const auto kernel = make_reorder(from, to, options_.threads);
      if (!kernel) return fail(ErrorCode::unsupported_operation, "oneDNN cannot reorder weights");
      const std::vector<Operand> in{{true, constant.type(), constant.dims(), constant, {}, false}};
      const std::vector<TensorDesc> out{{DataType::u8, {static_cast<std::int64_t>(desc_bytes(to))}}};
      return TENON_TRY(run_once(*kernel, in, out, options_.limits))[0];
    };
    if (!of_model) return constant_storage(TENON_TRY(make()));
    const auto key =
        "pack " + cache_.name_of(constant.data()) + compat::bytes_of(from) + compat::bytes_of(to);
    return constant_storage(TENON_TRY(cache_.get(key, make)));
  }

  Result<void> lower_node(FlatNode& node) {
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

  std::vector<Operand> operands_of(const FlatNode& node) {
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

  std::vector<TensorDesc> outputs_of(const FlatNode& node) {
    std::vector<TensorDesc> outputs;
    for (const auto id : node.out) {
      outputs.push_back(id == kNone ? TensorDesc{}
                                    : TensorDesc{value(id).operand.type, value(id).operand.dims});
    }
    return outputs;
  }

  Result<void> lower_plain(FlatNode& node) {
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

  // Nodes that can stay in the layout of their operands.
  Result<bool> lower_in_layout(FlatNode& node) {
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

  // Operators that choose the layout of their operands.
  static bool takes_layouts(Op op) {
    return is_convolution(op) || is_quantized_convolution(op) || family(op) == "pool" ||
           family(op) == "global_pool";
  }

  // A Transpose whose result is the same bytes in another layout: of operands that lie in one already, or for readers
  // that take any.
  Result<bool> lower_transpose(const FlatNode& node) {
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
  Result<bool> lower_reordered(FlatNode& node) {
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

  // The step of a kernel, and where its results lie.
  Result<bool> add_results(const FlatNode& node, std::unique_ptr<Kernel> kernel, std::vector<std::int32_t> in,
                           std::span<const TensorDesc> outputs, std::span<const Layout> layouts) {
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
  Result<void> emit(LayoutKernel& made, std::span<const std::int32_t> in, std::span<const Operand> constants,
                    std::int32_t end) {
    std::vector<std::int32_t> storages;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (!made.in_desc[i]) {
        storages.push_back(kNone);  // not an argument of the primitive: folded into its attributes
      } else if (in[i] != kNone) {
        storages.push_back(TENON_TRY(in_layout(in[i], made.in_desc[i], made.in_plain[i])));
      } else if (i < constants.size() && constants[i].constant.defined()) {
        const auto& tensor = constants[i].constant;
        const auto view = made.in_plain[i] ? *made.in_plain[i] : *plain_desc(tensor.type(), tensor.dims());
        storages.push_back(view == *made.in_desc[i]
                               ? constant_storage(tensor)
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

  // QuantizeLinear and DequantizeLinear with one scale: element by element, in the layout of their operand.
  Result<LayoutResult> lower_conversion(const FlatNode& node) {
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

  // The contents of an operand that depend on the model alone.
  const Tensor* model_constant(const FlatNode& node, std::size_t i) {
    if (i >= node.in.size() || node.in[i] == kNone) return nullptr;
    const auto& v = value(node.in[i]);
    return v.of_model && v.operand.constant.defined() ? &v.operand.constant : nullptr;
  }

  // What a chain of nodes makes of each byte: table[code], codes in ascending order.
  struct ByteChain {
    std::vector<FlatNode*> nodes;  // DequantizeLinear, element-wise functions, QuantizeLinear
    std::int32_t end = kNone;
    Tensor table;
  };

  // The result of an element-wise node for other elements; nothing when another operand is not one constant.
  Result<std::optional<Tensor>> evaluate(const FlatNode& node, std::int32_t of, const Tensor& elements) {
    auto operands = operands_of(node);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      operands[i].layout.reset();
      if (node.in[i] == of) {
        operands[i] = {true, elements.type(), elements.dims(), elements, {}, false};
      } else if (operands[i].present &&
                 (!operands[i].constant.defined() || operands[i].constant.count() != 1 || i == 0)) {
        return std::nullopt;
      }
    }
    InferContext rule(*node.node, operands);
    if (!infer(rule) || rule.outputs.size() != 1 || !(rule.outputs[0].dims == elements.dims()))
      return std::nullopt;
    const auto kernel = make_kernel({*node.node, operands, rule.outputs, 1, false, options_.limits});
    if (!kernel) return std::nullopt;
    return TENON_TRY(run_once(**kernel, operands, rule.outputs, options_.limits))[0];
  }

  Result<std::optional<ByteChain>> byte_chain(FlatNode& first) {
    constexpr std::size_t kLongest = 16;
    auto id = first.in[0];
    const auto type = value(id).operand.type;
    if (!is_byte(type)) return std::nullopt;
    auto elements = TENON_TRY(Tensor::allocate(type, {256}));
    for (int i = 0; i < 256; ++i)
      elements.mutable_data()[i] = static_cast<std::byte>(type == DataType::i8 ? i - 128 : i);
    ByteChain chain;
    for (auto* node = &first; node != nullptr && chain.nodes.size() < kLongest; node = only_user(chain.end)) {
      const auto kind = family(node->node->op);
      const bool ends = kind == "quantize";
      const bool fits = chain.nodes.empty() ? kind == "dequantize"
                                            : ends || kind == "unary" || kind == "clip" || kind == "binary";
      if (!fits || node->out.size() != 1) return std::nullopt;
      auto next = TENON_TRY(evaluate(*node, id, elements));
      if (!next) return std::nullopt;
      elements = std::move(*next);
      chain.nodes.push_back(node);
      id = chain.end = node->out[0];
      if (!ends) continue;
      if (!is_byte(elements.type())) return std::nullopt;
      chain.table = std::move(elements);
      return chain;
    }
    return std::nullopt;
  }

  // A chain from bytes to bytes that no convolution took in.
  Result<bool> lower_table(FlatNode& node) {
    const auto chain = TENON_TRY(byte_chain(node));
    if (!chain) return false;
    const auto operand = operands_of(node)[0];
    const auto bytes = TENON_TRY(byte_size(operand.type, operand.dims));
    LayoutKernel made;
    made.out_layout.emplace_back();
    made.in_desc.push_back(plain_desc(operand.type, operand.dims));
    made.in_plain = made.in_desc;
    if (operand.layout && desc_bytes(*operand.layout) == bytes) {
      if (auto result = layout_of_type(*operand.layout, chain->table.type())) {
        made.in_desc[0] = operand.layout;
        made.out_layout[0] = result;
      }
    }
    made.kernel =
        make_byte_table(chain->table, operand.type, static_cast<std::int64_t>(bytes), options_.threads);
    for (auto* taken : chain->nodes) taken->done = true;
    TENON_TRY(emit(made, std::span(node.in).first(1), {}, chain->end));
    return true;
  }

  // A quantised convolution or product with constant weights on oneDNN's integer primitives.
  Result<bool> lower_quantized(FlatNode& node) {
    const auto op = node.node->op;
    const bool sums = op == Op::ConvInteger || op == Op::MatMulInteger;
    const std::size_t w_at = sums ? 1 : 3, w_zero_at = sums ? 3 : 5;
    const auto* weights = model_constant(node, w_at);
    if (weights == nullptr || !is_byte(weights->type()) || !options_.fuse) return false;
    const auto operands = operands_of(node);
    const auto operand = [&](std::size_t i) { return i < operands.size() ? operands[i] : Operand{}; };
    QuantizedRequest r{*node.node,          operands[0], operand(2),      {}, 0, {}, {}, {}, 0,
                       outputs_of(node)[0], {},          options_.threads};
    if (r.x_zero.present && product(r.x_zero.dims) != 1) return false;
    const auto channels = is_quantized_product(op) ? weights->dims().back() : weights->dims()[0];
    if (!sums && !take_scales(node, channels, r)) return false;
    std::vector<std::int32_t> in{node.in[0], kNone, kNone, r.x_zero.present ? node.in[2] : kNone};
    if (is_quantized_product(op)) {
      r.w_zero = operand(w_zero_at);
      const auto zeros = r.w_zero.present ? product(r.w_zero.dims) : 1;
      if (weights->dims().size() != 2 || (zeros != 1 && zeros != channels)) return false;
      r.w_shift = weights->type() == DataType::u8 ? 128 : 0;
      r.weights = TENON_TRY(shifted_weights(node, *weights, nullptr, r.w_shift));
      in.push_back(r.w_zero.present ? node.in[w_zero_at] : kNone);
      auto made = lower_quantized_product(r);
      if (!made) return false;
      const auto column_sums = TENON_TRY(sums_of_columns(node, r.weights));
      TENON_TRY(emit(*made, in,
                     std::vector{Operand{}, constant_operand(r.weights), constant_operand(column_sums)},
                     node.out[0]));
      return true;
    }
    const auto* w_zero = model_constant(node, w_zero_at);
    if (operand(w_zero_at).present && w_zero == nullptr) return false;
    auto shifted = shifted_weights(node, *weights, w_zero, 0);
    if (!shifted) return false;  // a difference needs more than 8 bits
    r.weights = *std::move(shifted);
    if (operand(8).present) {
      const auto* bias = model_constant(node, 8);
      if (bias == nullptr) return false;
      r.bias = *bias;
    }
    if (node.node->text("rounding") == "twice" && !round_twice(node, r)) return false;
    const auto chain = sums ? TENON_TRY(scaled_sums(node, channels, r)) : TENON_TRY(chain_after(node));
    const bool fused = chain && (sums || fuse_chain(*chain, r));
    if (!fused && r.y_zero != 0) r.post_ops.push_back({false, dnnl::algorithm::eltwise_round, 0, 0, 0});
    auto made = lower_quantized_convolution(r);
    if (!made) return false;
    if (fused) {
      for (auto* taken : chain->nodes) taken->done = true;
    }
    TENON_TRY(emit(*made, in,
                   std::vector{Operand{}, constant_operand(r.weights), constant_operand(r.bias), Operand{}},
                   fused ? chain->end : node.out[0]));
    return true;
  }

  // The constant operand of a node on `of`: one real number, or one for each channel of the result.
  const Tensor* channel_constant(const FlatNode* node, Op op, std::int32_t of, std::int64_t channels) {
    if (node == nullptr || node->node->op != op || node->in.size() != 2 || node->in[0] == node->in[1])
      return nullptr;
    const auto* constant = model_constant(*node, node->in[0] == of ? 1 : 0);
    const auto& dims = value(node->out[0]).operand.dims;
    if (constant == nullptr || constant->type() != DataType::f32 || !(dims == value(of).operand.dims))
      return nullptr;
    if (constant->count() == 1) return constant;
    const auto& own = constant->dims();
    const auto rest = dims.size() - 1;  // of the dimensions from the channels on
    const bool lies_there =
        own.size() >= rest && own.size() <= dims.size() && own[own.size() - rest] == channels;
    return lies_there && constant->count() == channels ? constant : nullptr;
  }

  // What follows 32-bit sums and can be the convolution's own work: a conversion to reals, a scale, a constant for each
  // channel, a function.
  Result<std::optional<ByteChain>> scaled_sums(const FlatNode& node, std::int64_t channels,
                                               QuantizedRequest& r) {
    auto* cast = only_user(node.out[0]);
    if (cast == nullptr || cast->node->op != Op::Cast || value(cast->out[0]).operand.type != DataType::f32)
      return std::nullopt;
    auto* scaled = only_user(cast->out[0]);
    const auto* scales = channel_constant(scaled, Op::Mul, cast->out[0], channels);
    if (scales == nullptr) return std::nullopt;
    for (std::int64_t i = 0; i < scales->count(); ++i) r.scales.push_back(In<float>{scales->data()}[i]);
    if (std::ranges::find(r.scales, 0.0f) != r.scales.end()) {
      r.scales.clear();
      return std::nullopt;
    }
    r.output.type = DataType::f32;
    ByteChain chain{{cast, scaled}, scaled->out[0], {}};
    auto* added = only_user(chain.end);
    if (const auto* terms = channel_constant(added, Op::Add, chain.end, channels)) {
      // The convolution scales its bias, too.
      r.bias = TENON_TRY(cache_.get("bias of sums " + cache_.name_of(*node.node), [&]() -> Result<Tensor> {
        auto bias = TENON_TRY(Tensor::allocate(DataType::f32, {channels}));
        for (std::int64_t i = 0; i < channels; ++i) {
          const auto term = In<float>{terms->data()}[terms->count() == 1 ? 0 : i];
          Out<float>{bias.mutable_data()}.set(
              i, term / r.scales[r.scales.size() == 1 ? 0 : static_cast<std::size_t>(i)]);
        }
        return bias;
      }));
      chain.nodes.push_back(added);
      chain.end = added->out[0];
    }
    auto* function = only_user(chain.end);
    if (function == nullptr ||
        (family(function->node->op) != "unary" && family(function->node->op) != "clip"))
      return chain;
    const auto operands = operands_of(*function);
    const auto ops = eltwise_post_ops(*function->node, operands);
    if (ops.empty() || value(function->out[0]).operand.type != DataType::f32) return chain;
    r.post_ops = ops;
    chain.nodes.push_back(function);
    chain.end = function->out[0];
    return chain;
  }

  static Operand constant_operand(const Tensor& tensor) {
    if (!tensor.defined()) return {};
    return {true, tensor.type(), tensor.dims(), tensor, {}, false};
  }

  // Scales and zero points of QLinear operators: x 1, 2; w 4; y 6, 7. False when not constant, or of another form.
  bool take_scales(const FlatNode& node, std::int64_t channels, QuantizedRequest& r) {
    const Tensor* at[8] = {};
    for (const std::size_t i : {1u, 2u, 4u, 6u, 7u}) {
      at[i] = model_constant(node, i);
      if (at[i] == nullptr || (i != 4 && at[i]->count() != 1)) return false;
    }
    if (at[4]->count() != 1 && at[4]->count() != channels) return false;
    const auto x = In<float>{at[1]->data()}[0], y = In<float>{at[6]->data()}[0];
    for (std::int64_t i = 0; i < at[4]->count(); ++i) r.scales.push_back(x * In<float>{at[4]->data()}[i] / y);
    r.y_zero = byte_at(*at[7], 0);
    return true;
  }

  static std::int32_t byte_at(const Tensor& tensor, std::int64_t i) {
    const auto byte = static_cast<std::uint8_t>(tensor.data()[i]);
    return tensor.type() == DataType::i8 ? static_cast<std::int8_t>(byte) : byte;
  }

  // Sums times the mantissa of the scale are rounded, then what its power of two makes of them. That power is a little
  // more than it, so that halves fall away from zero; no other value with so few bits comes near a half.
  bool round_twice(const FlatNode& node, QuantizedRequest& r) {
    if (r.scales.size() != 1) return true;
    const auto scale = [&](std::size_t i) {
      return static_cast<double>(In<float>{model_constant(node, i)->data()}[0]);
    };
    int exponent = 0;
    const auto mantissa = std::frexp(scale(1) * scale(4) / scale(6), &exponent);
    if (exponent >= 0 || exponent < -12)
      return true;  // the second rounding has nothing to do, or hardly anything
    r.scales = {static_cast<float>(mantissa)};
    const float power = std::ldexp(1 + 0x1p-21f, exponent);
    r.post_ops = {{false, dnnl::algorithm::eltwise_round, 0, 0, 0},
                  {false, dnnl::algorithm::eltwise_linear, power, 0, 0}};
    return true;
  }

  // Weights less a shift and the zero point of their output channel, as signed bytes.
  Result<Tensor> shifted_weights(const FlatNode& node, const Tensor& weights, const Tensor* zero,
                                 std::int32_t shift) {
    return cache_.get("signed " + cache_.name_of(*node.node), [&]() -> Result<Tensor> {
      auto out = TENON_TRY(Tensor::allocate(DataType::i8, weights.dims()));
      const auto count = weights.count();
      const auto zeros = zero == nullptr ? 1 : zero->count();
      if (zeros != 1 && zeros != weights.dims()[0])
        return fail(ErrorCode::unsupported_operation, "zero points");
      for (std::int64_t i = 0; i < count; ++i) {
        const auto own = zero == nullptr ? 0 : byte_at(*zero, zeros == 1 ? 0 : i / (count / zeros));
        const auto difference = byte_at(weights, i) - shift - own;
        if (difference < -128 || difference > 127)
          return fail(ErrorCode::unsupported_operation, "zero points");
        out.mutable_data()[i] = static_cast<std::byte>(difference);
      }
      return out;
    });
  }

  Result<Tensor> sums_of_columns(const FlatNode& node, const Tensor& weights) {
    return cache_.get("columns " + cache_.name_of(*node.node), [&]() -> Result<Tensor> {
      const auto rows = weights.dims()[0], columns = weights.dims()[1];
      auto out = TENON_TRY(Tensor::allocate(DataType::i32, {columns}));
      std::vector<std::int32_t> sums(static_cast<std::size_t>(columns), 0);
      for (std::int64_t i = 0; i < rows * columns; ++i)
        sums[static_cast<std::size_t>(i % columns)] += byte_at(weights, i);
      if (columns > 0) std::memcpy(out.mutable_data(), sums.data(), out.bytes().size());
      return out;
    });
  }

  Result<std::optional<ByteChain>> chain_after(const FlatNode& node) {
    auto* next = only_user(node.out[0]);
    if (next == nullptr || next->node->op != Op::DequantizeLinear) return std::nullopt;
    return byte_chain(*next);
  }

  // A chain as post-ops, when their arithmetic gives the chain's result for each of the 256 codes: the code's
  // distance from its zero point, times the ratio of the scales, clipped to the table's extremes (which is also what
  // becomes of codes beyond the range), plus the new zero point.
  bool fuse_chain(const ByteChain& chain, QuantizedRequest& r) {
    // oneDNN 2.6 computes two of one function with the parameters of the first.
    if (!r.post_ops.empty()) return false;
    const auto& from = *chain.nodes.front();
    const auto& to = *chain.nodes.back();
    const auto scale = [&](const FlatNode& node) {
      return In<float>{value(node.in[1]).operand.constant.data()}[0];
    };
    const auto zero = [&](const FlatNode& node) {
      return node.in.size() < 3 || node.in[2] == kNone ? 0 : byte_at(value(node.in[2]).operand.constant, 0);
    };
    if (value(from.in[1]).operand.type != DataType::f32 || value(to.in[1]).operand.type != DataType::f32 ||
        zero(from) != r.y_zero)
      return false;
    const bool is_signed = r.output.type == DataType::i8;
    const auto lowest = static_cast<float>((is_signed ? -128 : 0) - r.y_zero);
    const float ratio = scale(from) / scale(to);
    if (!(ratio > 0)) return false;
    const auto new_zero = static_cast<float>(zero(to));
    int least = 255, most = -128;
    for (std::int64_t i = 0; i < 256; ++i) {
      least = std::min(least, byte_at(chain.table, i));
      most = std::max(most, byte_at(chain.table, i));
    }
    const auto low = static_cast<float>(least) - new_zero, high = static_cast<float>(most) - new_zero;
    for (std::int64_t i = 0; i < 256; ++i) {
      const float v = std::clamp((lowest + static_cast<float>(i)) * ratio, low, high);
      const float code = std::nearbyint(v + new_zero);
      if (!(code == static_cast<float>(byte_at(chain.table, i)))) return false;
    }
    using A = dnnl::algorithm;
    r.post_ops = {{false, A::eltwise_round, 0, 0, 0}, {false, A::eltwise_linear, ratio, 0, 0}};
    const bool saturates = least == (chain.table.type() == DataType::i8 ? -128 : 0) && most - least == 255;
    if (!saturates) r.post_ops.push_back({false, A::eltwise_clip, low, high, 0});
    r.y_zero = zero(to);
    r.output.type = chain.table.type();
    return true;
  }

  // Convolutions and matrix products with what follows them.
  Result<bool> lower_group(FlatNode& node) {
    auto group = make_group(node);
    for (std::size_t take = group.ends.size(); take-- > 0;) {
      auto request = group.request;
      request.post_ops.resize(group.post_counts[take]);
      const auto op = node.node->op;
      auto made = is_convolution(op) ? lower_convolution(request)
                  : is_product(op)   ? lower_matmul(request)
                                     : lower_scaling(request);
      if (!made) continue;
      for (auto* fused : group.consumed[take]) fused->done = true;
      TENON_TRY(emit(*made, group.operands, group.request.inputs, group.ends[take]));
      return true;
    }
    return false;
  }

  static bool is_element_wise(const Node& node) {
    const auto kind = family(node.op);
    return kind == "unary" || kind == "clip" || kind == "cast" || kind == "binary" || kind == "variadic" ||
           kind == "where" || kind == "quantize" || kind == "dequantize";
  }

  // The layout of a value, unless it is row-major.
  Layout layout_of(std::int32_t id) {
    const bool own = value(id).alias_of == kNone && !versions(id).empty();
    return own ? versions(id)[0].layout : std::nullopt;
  }

  // The layout in which a chain runs: that of its first operand of as many elements, when it is dense.
  std::optional<Layout> chain_layout(const FlatNode& first, const Dims& dims) {
    for (const auto id : first.in) {
      if (id == kNone || !(value(id).operand.dims == dims) || value(id).operand.constant.defined()) continue;
      auto layout = layout_of(id);
      if (layout && !order_of(*layout)) return std::nullopt;
      return layout;
    }
    return Layout();
  }

  static bool is_line(const Dims& dims) {
    return std::ranges::count(dims, 1) + 1 >= static_cast<std::ptrdiff_t>(dims.size());
  }

  // How a chain over elements of `dims` in `layout` reads an operand; `row` is the chain's, 1 while no operand is a row.
  std::optional<ChainOperand> chain_operand(std::int32_t id, Dims dims, const Layout& layout,
                                            std::int64_t& row) {
    constexpr std::int64_t kLongestRow = 4096;
    using Kind = ChainOperand::Kind;
    if (id == kNone) return ChainOperand{};
    ChainOperand out{Kind::single, 0, value(id).operand};
    auto own = out.operand.dims;
    if (!is_available(id)) return std::nullopt;
    const auto given = layout_of(id);
    if (own == dims) {
      const auto wanted = layout ? layout_of_type(*layout, out.operand.type) : std::nullopt;
      if (wanted.has_value() != layout.has_value() || wanted.has_value() != given.has_value())
        return std::nullopt;
      if (wanted && !same_places(*wanted, *given)) return std::nullopt;
      out.kind = Kind::element;
    } else if (given) {
      return std::nullopt;
    } else if (product(own) != 1) {
      if (layout) {
        if (!is_line(own)) return std::nullopt;
        while (own.size() < dims.size()) own.insert(0, 1);
        const auto order = inverse(*order_of(*layout));
        own = reordered(own, order);
        dims = reordered(dims, order);
      }
      // The trailing dims, perhaps after ones.
      const auto length = product(own);
      std::size_t trailing = dims.size();
      while (trailing > 0 && product(dims, trailing, dims.size()) < length) --trailing;
      const auto skip = own.size() + trailing;
      for (std::size_t i = trailing; i < dims.size(); ++i) {
        if (skip < dims.size() || own[i + own.size() - dims.size()] != dims[i]) return std::nullopt;
      }
      if (product(dims, trailing, dims.size()) != length || length > kLongestRow ||
          (row != 1 && row != length))
        return std::nullopt;
      row = length;
      out.kind = Kind::row;
    }
    return out;
  }

  // A run of element-wise nodes on large plain tensors becomes one step, which reads and writes memory once.
  Result<bool> lower_chain(FlatNode& first) {
    constexpr std::int64_t kWorthwhile = 1 << 14;
    constexpr std::size_t kMostOperands = 8;
    if (!is_element_wise(*first.node) || first.out.size() != 1) return false;
    const auto dims = value(first.out[0]).operand.dims;
    const auto count = product(dims);
    if (count < kWorthwhile) return false;
    const auto layout = chain_layout(first, dims);
    if (!layout) return false;
    std::vector<ChainNode> chain;
    std::vector<FlatNode*> taken;
    std::vector<std::int32_t> in;
    std::int64_t row = 1;
    auto end = kNone;
    for (auto* node = &first; node != nullptr; node = only_user(end)) {
      if (!is_element_wise(*node->node) || node->out.size() != 1 || node->in.size() > kMostOperands ||
          !(value(node->out[0]).operand.dims == dims) || (end != kNone && leaves_one_step(first, *node)))
        break;
      ChainNode link{node->node, {}, value(node->out[0]).operand.type};
      std::vector<std::int32_t> more;
      auto own_row = row;
      for (const auto id : node->in) {
        if (id == end && id != kNone) {
          link.operands.push_back({ChainOperand::Kind::previous, 0, value(id).operand});
          continue;
        }
        auto operand = chain_operand(id, dims, *layout, own_row);
        if (!operand) break;
        operand->input = in.size() + more.size();
        if (id != kNone) more.push_back(id);
        link.operands.push_back(*std::move(operand));
      }
      const auto kind = family(node->node->op);
      const bool scaled = kind == "quantize" || kind == "dequantize";
      if (link.operands.size() != node->in.size() || (scaled && product(link.operands[1].operand.dims) != 1))
        break;
      row = own_row;
      in.insert(in.end(), more.begin(), more.end());
      chain.push_back(std::move(link));
      taken.push_back(node);
      end = node->out[0];
    }
    if (chain.size() < 2) return false;
    const auto& result = value(end).operand;
    const auto result_layout = *layout ? layout_of_type(**layout, result.type) : std::nullopt;
    if (result_layout.has_value() != layout->has_value()) return false;
    auto kernel = make_chain(chain, count, row, options_.threads, options_.limits);
    if (!kernel) return false;
    std::vector<std::int32_t> storages;
    for (const auto id : in) {
      const bool laid_out = *layout && value(id).operand.dims == dims;
      storages.push_back(TENON_TRY(laid_out ? in_layout(id, layout_of(id), {}) : plain(id)));
    }
    const std::size_t bytes = TENON_TRY(byte_size(result.type, result.dims));
    const auto step = add_step(std::move(kernel), std::move(storages), std::span(&bytes, 1), {true});
    versions(end).push_back({result_layout, out_.steps[static_cast<std::size_t>(step)].out[0]});
    for (auto* node : taken) node->done = true;
    return true;
  }

  // The only node that reads this value, when nothing else needs it.
  FlatNode* only_user(std::int32_t id) {
    const auto& v = value(id);
    if (v.is_output || v.has_alias || v.users.size() != 1) return nullptr;
    return &flat_.nodes[static_cast<std::size_t>(v.users[0])];
  }

  bool is_available(std::int32_t id) {
    return value(id).operand.constant.defined() || !versions(root(id)).empty();
  }

  Group make_group(FlatNode& node) {
    Group group{{*node.node, operands_of(node), outputs_of(node), {}, options_.threads}, node.in, {}, {}, {}};
    const bool gemm = node.node->op == Op::Gemm;
    group.request.inputs.resize(3);
    group.operands.resize(3, kNone);
    if (gemm && !normalize_gemm(group)) return group;
    if (node.node->op == Op::BatchNormalization && !normalize_batch_norm(group)) return group;
    auto end = node.out[0];
    std::vector<FlatNode*> consumed;
    const auto mark = [&] {
      group.ends.push_back(end);
      group.post_counts.push_back(group.request.post_ops.size());
      group.consumed.push_back(consumed);
    };
    // Folding into weights and bias comes first and is always taken; post-ops may be refused from the last
    // on.
    while (options_.fuse && node.node->op != Op::BatchNormalization) {
      auto* next = only_user(end);
      if (next == nullptr || leaves_one_step(node, *next) || !fold_constants(group, *next, end)) break;
      consumed.push_back(next);
      end = next->out[0];
    }
    mark();
    while (options_.fuse && group.request.post_ops.size() < 5) {
      auto* next = swish_of(end, group);
      if (next != nullptr) {
        for (const auto user : value(end).users)
          consumed.push_back(&flat_.nodes[static_cast<std::size_t>(user)]);
        end = next->out[0];
        mark();
        continue;
      }
      next = only_user(end);
      if (next == nullptr || leaves_one_step(node, *next) || !append_post_op(group, *next, end)) break;
      consumed.push_back(next);
      end = next->out[0];
      mark();
    }
    return group;
  }

  // A graph of one fused step would have to copy its input or its output.
  bool leaves_one_step(const FlatNode& first, const FlatNode& next) {
    return value(root(first.in[0])).input != kNone && !is_convolution(first.node->op) &&
           value(next.out[0]).is_output;
  }

  // y = alpha * A * B + beta * C becomes a product with bias where C is a row; alpha and beta only when 1.
  bool normalize_gemm(Group& group) {
    const auto& node = group.request.node;
    if (node.real("alpha") != 1.0f) return false;
    auto& bias = group.request.inputs[2];
    return !bias.present || (node.real("beta") == 1.0f && (bias.dims.size() <= 2 && !bias.dims.empty()));
  }

  // The scale and offset of a BatchNormalization whose statistics are constants, for each channel.
  struct Affine {
    Tensor scale, offset;
  };
  std::optional<Affine> affine_of(const FlatNode& node, std::int64_t channels) {
    if (node.node->integer("training_mode") != 0) return std::nullopt;
    const std::byte* statistics[4];
    for (std::size_t i = 0; i < 4; ++i) {
      const auto& operand = value(node.in[i + 1]).operand;
      if (!operand.constant.defined() || operand.type != DataType::f32 ||
          operand.constant.count() != channels)
        return std::nullopt;
      statistics[i] = operand.constant.data();
    }
    const auto epsilon = static_cast<double>(node.node->real("epsilon"));
    const auto at = [&](std::size_t i, std::int64_t c) {
      return static_cast<double>(In<float>{statistics[i]}[c]);
    };
    const auto make = [&](bool scale) {
      const auto key = fmt::format("affine {} {}", scale, cache_.name_of(*node.node));
      return cache_.get(key, [&]() -> Result<Tensor> {
        auto out = TENON_TRY(Tensor::allocate(DataType::f32, {channels}));
        for (std::int64_t c = 0; c < channels; ++c) {
          const double factor = at(0, c) / std::sqrt(at(3, c) + epsilon);
          Out<float>{out.mutable_data()}.set(
              c, static_cast<float>(scale ? factor : at(1, c) - at(2, c) * factor));
        }
        return out;
      });
    };
    auto scale = make(true), offset = make(false);
    if (!scale || !offset) return std::nullopt;
    return Affine{std::move(*scale), std::move(*offset)};
  }

  // oneDNN 2.6 confuses channels in a post-op with an element for each, when a batch of several has one position.
  static bool has_positions(const Dims& dims) { return dims[0] == 1 || product(dims, 2, dims.size()) > 1; }

  // A BatchNormalization by itself: x * scale, then an addition as first post-op.
  bool normalize_batch_norm(Group& group) {
    const auto& dims = group.request.inputs[0].dims;
    if (dims.size() < 3 || group.request.inputs[0].type != DataType::f32 || !has_positions(dims))
      return false;
    const auto affine = affine_of(*current_, dims[1]);
    if (!affine) return false;
    Dims channels(dims.size(), 1);
    channels[1] = dims[1];
    const auto scale = affine->scale.reshaped(channels), offset = affine->offset.reshaped(channels);
    if (!scale || !offset) return false;
    group.request.inputs = {group.request.inputs[0], {}, {}, {}};
    group.operands = {group.operands[0], kNone, kNone, kNone};
    set_constant(group, 1, *scale);
    set_constant(group, 3, *offset);
    group.request.post_ops.push_back({true, dnnl::algorithm::binary_add, 0, 0, 3});
    return true;
  }

  // BatchNormalization with constant statistics, and addition of a constant per channel: into weights and
  // bias.
  bool fold_constants(Group& group, const FlatNode& next, std::int32_t end) {
    if (next.node->op == Op::BatchNormalization && is_convolution(group.request.node.op))
      return fold_batch_norm(group, next);
    if (next.node->op != Op::Add || next.in.size() != 2 || next.in[0] == next.in[1]) return false;
    const auto& other = value(next.in[0] == end ? next.in[1] : next.in[0]);
    if (group.request.inputs[2].present || !other.operand.constant.defined() ||
        other.operand.type != DataType::f32)
      return false;
    // The constant must run along the channel axis alone.
    const auto& out = value(next.out[0]).operand.dims;
    if (!(out == value(end).operand.dims)) return false;
    const std::size_t axis = is_convolution(group.request.node.op) ? 1 : out.size() - 1;
    auto dims = other.operand.dims;
    if (dims.size() > out.size()) return false;
    while (dims.size() < out.size()) dims.insert(0, 1);
    if (dims[axis] != out[axis] || product(dims) != out[axis]) return false;
    auto reshaped = other.operand.constant.reshaped({out[axis]});
    if (!reshaped) return false;
    set_constant(group, 2, *reshaped);
    return true;
  }

  static void set_constant(Group& group, std::size_t operand, const Tensor& tensor) {
    group.request.inputs[operand] = {true, tensor.type(), tensor.dims(), tensor, {}, false};
    group.operands[operand] = kNone;
  }

  bool fold_batch_norm(Group& group, const FlatNode& next) {
    auto& request = group.request;
    const auto& weights = request.inputs[1];
    const auto& bias = request.inputs[2];
    if (!weights.constant.defined() || weights.type != DataType::f32 ||
        (bias.present && !bias.constant.defined()))
      return false;
    const auto channels = request.outputs[0].dims[1];
    const auto affine = affine_of(next, channels);
    if (!affine) return false;
    const In<float> scale{affine->scale.data()}, shift{affine->offset.data()};
    const auto key =
        fmt::format("bn {} {} ", cache_.name_of(weights.constant.data()), cache_.name_of(*next.node));
    const bool transposed = request.node.op == Op::ConvTranspose;
    const auto group_rows = weights.dims[0] / request.node.integer("group");
    auto folded = cache_.get(key + "w", [&]() -> Result<Tensor> {
      auto out = TENON_TRY(Tensor::allocate(DataType::f32, weights.dims));
      const In<float> from{weights.constant.data()};
      const Out<float> to{out.mutable_data()};
      const auto inner = product(weights.dims, 2, weights.dims.size());
      for (std::int64_t i = 0; i < weights.dims[0]; ++i) {
        for (std::int64_t j = 0; j < weights.dims[1]; ++j) {
          const float f = scale[transposed ? i / group_rows * weights.dims[1] + j : i];
          const auto first = (i * weights.dims[1] + j) * inner;
          for (std::int64_t k = 0; k < inner; ++k) to.set(first + k, from[first + k] * f);
        }
      }
      return out;
    });
    auto offset = cache_.get(key + "b", [&]() -> Result<Tensor> {
      auto out = TENON_TRY(Tensor::allocate(DataType::f32, {channels}));
      for (std::int64_t c = 0; c < channels; ++c) {
        const float before = bias.present ? In<float>{bias.constant.data()}[c] * scale[c] : 0;
        Out<float>{out.mutable_data()}.set(c, before + shift[c]);
      }
      return out;
    });
    if (!folded || !offset) return false;
    set_constant(group, 1, *folded);
    set_constant(group, 2, *offset);
    return true;
  }

  // x * sigmoid(x): the value is read by a Sigmoid and by the Mul that also reads the Sigmoid.
  FlatNode* swish_of(std::int32_t end, Group& group) {
    const auto& v = value(end);
    if (v.is_output || v.has_alias || v.users.size() != 2) return nullptr;
    auto* a = &flat_.nodes[static_cast<std::size_t>(v.users[0])];
    auto* b = &flat_.nodes[static_cast<std::size_t>(v.users[1])];
    if (a->node->op == Op::Mul) std::swap(a, b);
    if (a->node->op != Op::Sigmoid || b->node->op != Op::Mul || only_user(a->out[0]) != b) return nullptr;
    if (v.operand.type != DataType::f32) return nullptr;
    group.request.post_ops.push_back({false, dnnl::algorithm::eltwise_swish, 1.0f, 0.0f, 0});
    return b;
  }

  bool append_post_op(Group& group, const FlatNode& next, std::int32_t end) {
    if (value(next.out[0]).operand.type != DataType::f32) return false;
    const auto kind = family(next.node->op);
    if (kind == "unary" || kind == "clip") {
      const auto ops = eltwise_post_ops(*next.node, operands_of(next));
      // oneDNN 2.6 computes two of one function with the parameters of the first.
      for (const auto& op : ops) {
        for (const auto& other : group.request.post_ops) {
          if (!other.is_binary && other.algorithm == op.algorithm &&
              (other.alpha != op.alpha || other.beta != op.beta))
            return false;
        }
      }
      for (const auto& op : ops) group.request.post_ops.push_back(op);
      return !ops.empty();
    }
    const auto op = next.node->op;
    if ((op != Op::Add && op != Op::Mul && op != Op::Sum) || next.in.size() != 2 || next.in[0] == next.in[1])
      return false;
    if (!(value(next.out[0]).operand.dims == value(end).operand.dims)) return false;
    const auto other = next.in[0] == end ? next.in[1] : next.in[0];
    const auto algorithm = op == Op::Mul ? dnnl::algorithm::binary_mul : dnnl::algorithm::binary_add;
    auto operand = value(other).operand;
    auto id = other;
    if (!(operand.dims == value(end).operand.dims)) {
      // A constant for each channel, at the rank of the result.
      auto dims = operand.dims;
      const auto& out = value(end).operand.dims;
      if (is_product(group.request.node.op) || !operand.constant.defined() || out.size() < 3 ||
          dims.size() > out.size() || !has_positions(out))
        return false;
      while (dims.size() < out.size()) dims.insert(0, 1);
      auto reshaped = operand.constant.reshaped(dims);
      if (dims[1] != out[1] || product(dims) != out[1] || !reshaped) return false;
      operand.constant = *reshaped;
      operand.dims = dims;
      id = kNone;
    } else if (!is_available(other)) {
      return false;
    }
    group.request.post_ops.push_back({true, algorithm, 0, 0, group.request.inputs.size()});
    group.request.inputs.push_back(std::move(operand));
    group.operands.push_back(id);
    return true;
  }

  FlatGraph& flat_;
  const CompileOptions& options_;
  ConstantCache& cache_;
  std::vector<std::vector<Version>> versions_;
  LoweredGraph out_;
  FlatNode* current_ = nullptr;
};

}  // namespace

Result<LoweredGraph> lower(FlatGraph& flat, const CompileOptions& options, ConstantCache& cache) {
  return Lowering(flat, options, cache).run();
}

}  // namespace tenon::kernels
