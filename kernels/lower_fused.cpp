// Lowering of several nodes as one step: what a convolution, product or normalisation takes in, and chains of
// element-wise nodes.
#include <cmath>

#include "kernels/chain.h"
#include "kernels/element.h"
#include "kernels/lowering.h"
#include "kernels/ops/families.h"

namespace tenon::kernels {
namespace {

// oneDNN 2.6 confuses channels in a post-op with an element for each, when a batch of several has one position.
bool has_positions(const Dims& dims) { return dims[0] == 1 || product(dims, 2, dims.size()) > 1; }

bool is_element_wise(const Node& node) {
  const auto kind = family(node.op);
  return kind == "unary" || kind == "clip" || kind == "cast" || kind == "binary" || kind == "variadic" ||
         kind == "where" || kind == "quantize" || kind == "dequantize";
}

bool is_line(const Dims& dims) {
  return std::ranges::count(dims, 1) + 1 >= static_cast<std::ptrdiff_t>(dims.size());
}

}  // namespace

// Convolutions and matrix products with what follows them.
Result<bool> Lowering::lower_group(FlatNode& node) {
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

Lowering::Group Lowering::make_group(FlatNode& node) {
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
bool Lowering::leaves_one_step(const FlatNode& first, const FlatNode& next) {
  return value(root(first.in[0])).input != kNone && !is_convolution(first.node->op) &&
         value(next.out[0]).is_output;
}

// y = alpha * A * B + beta * C becomes a product with bias where C is a row; alpha and beta only when 1.
bool Lowering::normalize_gemm(Group& group) {
  const auto& node = group.request.node;
  if (node.real("alpha") != 1.0f) return false;
  auto& bias = group.request.inputs[2];
  return !bias.present || (node.real("beta") == 1.0f && (bias.dims.size() <= 2 && !bias.dims.empty()));
}

std::optional<Lowering::Affine> Lowering::affine_of(const FlatNode& node, std::int64_t channels) {
  if (node.node->integer("training_mode") != 0) return std::nullopt;
  const std::byte* statistics[4];
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& operand = value(node.in[i + 1]).operand;
    if (!operand.constant.defined() || operand.type != DataType::f32 || operand.constant.count() != channels)
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
        Out<float>{out.mutable_data()}.set(c,
                                           static_cast<float>(scale ? factor : at(1, c) - at(2, c) * factor));
      }
      return out;
    });
  };
  auto scale = make(true), offset = make(false);
  if (!scale || !offset) return std::nullopt;
  return Affine{std::move(*scale), std::move(*offset)};
}

// A BatchNormalization by itself: x * scale, then an addition as first post-op.
bool Lowering::normalize_batch_norm(Group& group) {
  const auto& dims = group.request.inputs[0].dims;
  if (dims.size() < 3 || group.request.inputs[0].type != DataType::f32 || !has_positions(dims)) return false;
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
bool Lowering::fold_constants(Group& group, const FlatNode& next, std::int32_t end) {
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

void Lowering::set_constant(Group& group, std::size_t operand, const Tensor& tensor) {
  group.request.inputs[operand] = {true, tensor.type(), tensor.dims(), tensor, {}, false};
  group.operands[operand] = kNone;
}

bool Lowering::fold_batch_norm(Group& group, const FlatNode& next) {
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
FlatNode* Lowering::swish_of(std::int32_t end, Group& group) {
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

bool Lowering::append_post_op(Group& group, const FlatNode& next, std::int32_t end) {
  if (value(next.out[0]).operand.type != DataType::f32) return false;
  const auto kind = family(next.node->op);
  if (next.node->op == Op::Exp) return false;  // oneDNN's post-op makes NaN infinite
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

// The layout in which a chain runs: that of its first operand of as many elements, when it is dense.
std::optional<Layout> Lowering::chain_layout(const FlatNode& first, const Dims& dims) {
  for (const auto id : first.in) {
    if (id == kNone || !(value(id).operand.dims == dims) || value(id).operand.constant.defined()) continue;
    auto layout = layout_of(id);
    if (layout && !order_of(*layout)) return std::nullopt;
    return layout;
  }
  return Layout();
}

// How a chain over elements of `dims` in `layout` reads an operand; `row` is the chain's, 1 while no operand is a row.
std::optional<ChainOperand> Lowering::chain_operand(std::int32_t id, Dims dims, const Layout& layout,
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
    if (product(dims, trailing, dims.size()) != length || length > kLongestRow || (row != 1 && row != length))
      return std::nullopt;
    row = length;
    out.kind = Kind::row;
  }
  return out;
}

// A run of element-wise nodes on large plain tensors becomes one step, which reads and writes memory once.
Result<bool> Lowering::lower_chain(FlatNode& first) {
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

}  // namespace tenon::kernels
