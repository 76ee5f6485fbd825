// Stage 2 of planning: one kernel for each node or fused group of nodes, in the layouts that oneDNN picks,
// with reorders only where a reader needs another layout than the writer chose.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/planner.h"

namespace tenon::kernels {
namespace {

bool is_convolution(Op op) { return op == Op::Conv || op == Op::ConvTranspose; }
bool is_product(Op op) { return op == Op::MatMul || op == Op::Gemm; }

// Bytes that identify a layout within a process.
std::string desc_key(const dnnl::memory::desc& desc) {
#if DNNL_VERSION_MAJOR >= 3
  const auto blob = desc.get_blob();
  return {blob.begin(), blob.end()};
#else
  return {reinterpret_cast<const char*>(&desc.data), sizeof(desc.data)};
#endif
}

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
      step.flops = static_cast<std::uint64_t>(product(result.dims));
      if (is_product(node.node->op)) {
        const auto& a = value(node.in[0]).operand.dims;
        const bool transposed = node.node->op == Op::Gemm && node.node->integer("transA") != 0;
        step.flops *= 2 * static_cast<std::uint64_t>(transposed ? a[0] : a.back());
      } else if (is_convolution(node.node->op)) {
        const auto& weights = value(node.in[1]).operand.dims;
        const auto& in = value(node.in[0]).operand.dims;
        // Every weight of a group meets each output (or, transposed, each input) position once.
        const bool transposed = node.node->op == Op::ConvTranspose;
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
    if (plain_view == *want) return plain(id);
    if (operand.constant.defined()) return packed(operand.constant, plain_view, *want, value(id).of_model);
    const bool own_dims = value(id).alias_of == kNone && want->dims() == onednn_dims(operand.dims);
    if (own_dims) {
      for (const auto& version : versions(id)) {
        if (version.layout && *version.layout == *want) return version.storage;
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
    const auto key = "pack " + cache_.name_of(constant.data()) + desc_key(from) + desc_key(to);
    return constant_storage(TENON_TRY(cache_.get(key, make)));
  }

  Result<void> lower_node(FlatNode& node) {
    if (!options_.reference) {
      const auto op = node.node->op;
      const bool starts = is_convolution(op) || is_product(op) || op == Op::BatchNormalization;
      if (starts && TENON_TRY(lower_group(node))) return {};
      if (TENON_TRY(lower_in_layout(node))) return {};
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
    std::vector<std::size_t> bytes;
    std::vector<bool> wanted;
    for (std::size_t i = 0; i < node.out.size(); ++i) {
      bytes.push_back(TENON_TRY(byte_size(infer_context.outputs[i].type, infer_context.outputs[i].dims)));
      wanted.push_back(node.out[i] != kNone);
    }
    const auto step = add_step(std::move(kernel), std::move(in), bytes, wanted);
    for (std::size_t i = 0; i < node.out.size(); ++i) {
      if (wanted[i])
        versions(node.out[i]).push_back({std::nullopt, out_.steps[static_cast<std::size_t>(step)].out[i]});
    }
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
    if (!made) return false;
    TENON_TRY(emit(*made, node.in, {}, node.out[0]));
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

  // A BatchNormalization by itself: x * scale, then an addition as first post-op.
  bool normalize_batch_norm(Group& group) {
    const auto& dims = group.request.inputs[0].dims;
    if (dims.size() < 3 || group.request.inputs[0].type != DataType::f32) return false;
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
          dims.size() > out.size())
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
