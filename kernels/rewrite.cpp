// Finds operators between DequantizeLinear and QuantizeLinear in a graph and replaces them; see rewrite.h.
#include "kernels/rewrite.h"

#include <cmath>
#include <set>

#include "kernels/element.h"
#include "kernels/ops.h"

namespace tenon::kernels {
namespace {

// Scale and zero point of a DequantizeLinear or QuantizeLinear; both are constants.
struct Quantization {
  const Node* node;
  const Tensor* scale;  // f32
  const Tensor* zero;   // null: 0
  DataType type;        // of the quantised side

  float scale_at(std::int64_t i) const { return In<float>{scale->data()}[scale->count() == 1 ? 0 : i]; }
  std::int32_t zero_point() const {
    if (zero == nullptr) return 0;
    const auto byte = static_cast<std::uint8_t>(zero->data()[0]);
    return type == DataType::i8 ? static_cast<std::int8_t>(byte) : byte;
  }
  bool single() const { return scale->count() == 1 && (zero == nullptr || zero->count() == 1); }
};

bool is_byte(DataType type) { return type == DataType::u8 || type == DataType::i8; }

class Folding {
 public:
  Folding(const Graph& graph, const Limits& limits) : graph_(graph), builder_(graph.file(), limits) {}

  Result<Graph> run() {
    count_uses();
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) replace_.emplace_back();
    TENON_TRY(builder_.copy_values(graph_));
    for (const auto& node : graph_.nodes()) {
      if (node.op == Op::QuantizeLinear) TENON_TRY(visit(node));
    }
    drop_unused();
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      if (dropped_[n]) continue;
      const auto& node = graph_.nodes()[n];
      if (replace_[n]) {
        auto& r = *replace_[n];
        TENON_TRY(builder_.add_node(r.op, r.inputs, r.outputs, std::move(r.attributes), std::move(r.source)));
      } else {
        TENON_TRY(builder_.add_node(node.op, node.inputs, node.outputs, node.attributes, node.source));
      }
    }
    for (auto& r : extra_)
      TENON_TRY(builder_.add_node(r.op, r.inputs, r.outputs, std::move(r.attributes), std::move(r.source)));
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i)
      TENON_TRY(builder_.add_output(graph_.outputs()[i], graph_.output_name(i)));
    builder_.keep_states(graph_);
    return std::move(builder_).finish();
  }

 private:
  void count_uses() {
    uses_.assign(graph_.values().size(), 0);
    dropped_.assign(graph_.nodes().size(), false);
    for (const auto& node : graph_.nodes()) add_uses(node, 1);
    for (const auto id : graph_.outputs()) ++uses_[index(id)];
  }

  void add_uses(const Node& node, int sign) {
    for (const auto id : node.inputs) {
      if (id != kAbsent && index(id) < uses_.size()) uses_[index(id)] += sign;
    }
    for (const auto& attribute : node.attributes) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (body == nullptr || !*body) continue;
      for (const auto& capture : (*body)->captures()) uses_[index(capture.outer)] += sign;
    }
  }

  // Nodes of whose results nothing is left to read. Nodes are sorted, so one walk backwards finds all.
  void drop_unused() {
    for (std::size_t n = graph_.nodes().size(); n-- > 0;) {
      const auto& node = graph_.nodes()[n];
      if (replace_[n]) continue;
      const bool used = std::ranges::any_of(
          node.outputs, [&](ValueId id) { return id != kAbsent && uses_[index(id)] > 0; });
      const bool quantises = node.op == Op::DequantizeLinear || touched_.contains(n);
      if (used || !quantises) continue;
      dropped_[n] = true;
      add_uses(node, -1);
    }
  }

  std::size_t number(const Node& node) const {
    return static_cast<std::size_t>(&node - graph_.nodes().data());
  }

  const Node* producer(ValueId id) const {
    const auto& value = graph_.value(id);
    return value.origin == GraphValue::Origin::node ? &graph_.nodes()[value.producer] : nullptr;
  }

  const Tensor* constant(const Node& node, std::size_t i) const {
    if (!node.has_input(i)) return nullptr;
    const auto& value = graph_.value(node.inputs[i]);
    return value.constant.defined() ? &value.constant : nullptr;
  }

  // `node` as a (de)quantisation of bytes or, for biases, of 32-bit integers, by constants.
  std::optional<Quantization> quantization(const Node* node, Op op) const {
    if (node == nullptr || node->op != op || node->integer("block_size") != 0) return std::nullopt;
    Quantization q{node, constant(*node, 1), constant(*node, 2), DataType::u8};
    if (q.scale == nullptr || q.scale->type() != DataType::f32 || q.scale->count() < 1) return std::nullopt;
    if (node->has_input(2) && (q.zero == nullptr || q.zero->count() != q.scale->count())) return std::nullopt;
    if (q.zero != nullptr) q.type = q.zero->type();
    if (q.zero == nullptr && op == Op::DequantizeLinear) {
      const auto& value = graph_.value(node->inputs[0]);
      q.type = value.constant.defined() ? value.constant.type() : value.type.element;
    }
    if (q.zero == nullptr && op == Op::QuantizeLinear && node->integer("output_dtype") != 0)
      return std::nullopt;
    if (!is_byte(q.type) && q.type != DataType::i32) return std::nullopt;
    return q;
  }

  // The value is read once, by the node that asks.
  bool is_private(ValueId id) const { return uses_[index(id)] == 1; }

  Result<void> visit(const Node& last) {
    const auto to = quantization(&last, Op::QuantizeLinear);
    if (!to || !to->single() || !is_byte(to->type)) return {};
    const auto* node = producer(last.inputs[0]);
    std::vector<const Node*> between;
    if (node != nullptr && is_private(last.inputs[0]) && saturation_does(*node, *to)) {
      between.push_back(node);
      node = producer(node->inputs[0]);
      if (node == nullptr || !is_private(between[0]->inputs[0])) return {};
    } else if (node == nullptr || !is_private(last.inputs[0])) {
      return {};
    }
    const auto from = quantization(producer_of_input(*node, 0), Op::DequantizeLinear);
    if (!from || !from->single() || !is_byte(from->type)) return {};
    between.push_back(node);
    bool done = false;
    switch (node->op) {
      case Op::Conv: done = TENON_TRY(fold_conv(*node, *from, *to)); break;
      case Op::Gemm: done = TENON_TRY(fold_gemm(*node, *from, *to)); break;
      case Op::MatMul: done = TENON_TRY(fold_matmul(*node, *from, *to)); break;
      case Op::MaxPool:
      case Op::Flatten:
      case Op::Reshape:
      case Op::Squeeze:
      case Op::Transpose:
      case Op::Unsqueeze: done = between.size() == 1 && fold_move(*node, *from, *to); break;
      default: break;
    }
    if (!done) return {};
    for (const auto* gone : between) touched_.insert(number(*gone));
    add_uses(last, -1);
    for (const auto id : replace_[number(last)]->inputs) {
      if (id != kAbsent && index(id) < uses_.size()) ++uses_[index(id)];
    }
    return {};
  }

  const Node* producer_of_input(const Node& node, std::size_t i) const {
    return node.has_input(i) ? producer(node.inputs[i]) : nullptr;
  }

  // A Relu or Clip whose bounds lie where the quantised type ends.
  bool saturation_does(const Node& node, const Quantization& to) const {
    const float scale = to.scale_at(0);
    const auto lowest = (to.type == DataType::i8 ? -128 : 0) - to.zero_point();
    const float low = static_cast<float>(lowest) * scale, high = static_cast<float>(lowest + 255) * scale;
    if (node.op == Op::Relu) return low >= 0;
    if (node.op != Op::Clip) return false;
    for (const std::size_t i : {1u, 2u}) {
      if (!node.has_input(i)) continue;
      const auto* bound = constant(node, i);
      if (bound == nullptr || bound->type() != DataType::f32 || bound->count() != 1) return false;
      const auto value = In<float>{bound->data()}[0];
      if (i == 1 ? !(value <= low) : !(value >= high)) return false;
    }
    return true;
  }

  Result<ValueId> zero_operand(const Quantization& q) {
    if (q.zero != nullptr) return q.node->inputs[2];
    return builder_.constant("zero", TENON_TRY(Tensor::allocate(q.type, q.scale->dims())));
  }

  // Bias as 32-bit integers at the scale of the sums: what the file holds so already, or none.
  std::optional<const Node*> bias_of(const Node& node, const Quantization& x, const Quantization& w) const {
    if (!node.has_input(2)) return nullptr;
    const auto q = quantization(producer(node.inputs[2]), Op::DequantizeLinear);
    if (!q || q->type != DataType::i32) return std::nullopt;
    const auto* stored = constant(*q->node, 0);
    if (stored == nullptr || stored->dims().size() != 1) return std::nullopt;
    if (q->zero != nullptr &&
        std::ranges::any_of(q->zero->bytes(), [](std::byte b) { return b != std::byte{0}; }))
      return std::nullopt;
    for (std::int64_t i = 0; i < std::max(q->scale->count(), w.scale->count()); ++i) {
      const float wanted = x.scale_at(0) * w.scale_at(i);
      if (!(std::abs(q->scale_at(i) - wanted) <= 1e-5f * std::abs(wanted))) return std::nullopt;
    }
    return q->node;
  }

  // Quantised weights with scales for the whole or along `axis`. Where the caller does not ask for their rank, they may
  // be a constant that a Transpose brings into order.
  std::optional<Quantization> weights_of(const Node& node, std::int64_t axis, std::size_t rank) const {
    const auto w = quantization(producer_of_input(node, 1), Op::DequantizeLinear);
    if (!w || !is_byte(w->type)) return std::nullopt;
    const auto* stored = constant(*w->node, 0);
    const auto* moved = producer(w->node->inputs[0]);
    const bool transposed = moved != nullptr && moved->op == Op::Transpose && constant(*moved, 0) != nullptr;
    if (stored == nullptr && (rank != 0 || !transposed)) return std::nullopt;
    const auto& dims = stored != nullptr ? stored->dims() : constant(*moved, 0)->dims();
    if (rank != 0 && dims.size() != rank) return std::nullopt;
    const auto own_rank = static_cast<std::int64_t>(dims.size());
    auto own = w->node->integer("axis");
    if (own < 0) own += own_rank;
    if (!w->single() && (own != axis || w->scale->dims().size() != 1)) return std::nullopt;
    return w;
  }

  // x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point
  Result<std::vector<ValueId>> qlinear_operands(const Quantization& x, const Quantization& w, ValueId weights,
                                                const Quantization& y) {
    const auto x_zero = TENON_TRY(zero_operand(x)), w_zero = TENON_TRY(zero_operand(w)),
               y_zero = TENON_TRY(zero_operand(y));
    return std::vector{x.node->inputs[0],
                       x.node->inputs[1],
                       x_zero,
                       weights,
                       w.node->inputs[1],
                       w_zero,
                       y.node->inputs[1],
                       y_zero};
  }

  Result<bool> fold_conv(const Node& node, const Quantization& x, const Quantization& y) {
    const auto w = weights_of(node, 0, 0);
    if (!w) return false;
    const auto bias = bias_of(node, x, *w);
    if (!bias) return false;
    auto operands = TENON_TRY(qlinear_operands(x, *w, w->node->inputs[0], y));
    if (*bias != nullptr) operands.push_back((*bias)->inputs[0]);
    auto attributes = node.attributes;
    attributes.push_back({"rounding", y.node->text("rounding")});
    replace(y, Op::QLinearConv, std::move(operands), std::move(attributes), node.source);
    return true;
  }

  Result<bool> fold_matmul(const Node& node, const Quantization& x, const Quantization& y) {
    const auto w = weights_of(node, 1, 2);
    if (!w) return false;
    auto operands = TENON_TRY(qlinear_operands(x, *w, w->node->inputs[0], y));
    replace(y, Op::QLinearMatMul, std::move(operands), {}, node.source);
    return true;
  }

  // x · wᵀ + b is a convolution of one point.
  Result<bool> fold_gemm(const Node& node, const Quantization& x, const Quantization& y) {
    if (node.real("alpha") != 1.0f || node.real("beta") != 1.0f || node.integer("transA") != 0) return false;
    const bool transposed = node.integer("transB") != 0;
    const auto w = weights_of(node, transposed ? 0 : 1, 2);
    if (!w) return false;
    const auto bias = bias_of(node, x, *w);
    if (!bias) return false;
    const auto& stored = *constant(*w->node, 0);
    const auto rows = stored.dims()[transposed ? 0 : 1], columns = stored.dims()[transposed ? 1 : 0];
    auto points = TENON_TRY(Tensor::allocate(stored.type(), {rows, columns, 1, 1}));
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j)
        points.mutable_data()[i * columns + j] = stored.data()[transposed ? i * columns + j : j * rows + i];
    }
    const auto weights = TENON_TRY(builder_.constant("weights", std::move(points)));
    const std::int64_t last_two[] = {2, 3};
    const auto axes = TENON_TRY(
        builder_.constant("axes", TENON_TRY(Tensor::of<std::int64_t>(DataType::i64, {2}, last_two))));
    auto operands = TENON_TRY(qlinear_operands(x, *w, weights, y));
    const auto points_in = builder_.add_value("points"), points_out = builder_.add_value("sums");
    extra_.push_back({Op::Unsqueeze, {operands[0], axes}, {points_in}, {}, node.source});
    ++uses_[index(operands[0])];
    operands[0] = points_in;
    if (*bias != nullptr) operands.push_back((*bias)->inputs[0]);
    extra_.push_back(
        {Op::QLinearConv, operands, {points_out}, {{"rounding", y.node->text("rounding")}}, node.source});
    replace(y, Op::Squeeze, {points_out, axes}, {}, node.source);
    return true;
  }

  bool fold_move(const Node& node, const Quantization& from, const Quantization& to) {
    if (from.type != to.type || from.scale_at(0) != to.scale_at(0) || from.zero_point() != to.zero_point() ||
        (node.op == Op::MaxPool && node.has_output(1)))
      return false;
    auto operands = node.inputs;
    operands[0] = from.node->inputs[0];
    replace(to, node.op, std::move(operands), node.attributes, node.source);
    return true;
  }

  // The QuantizeLinear becomes another node with the same result.
  void replace(const Quantization& last, Op op, std::vector<ValueId> operands, Attributes attributes,
               Source source) {
    replace_[number(*last.node)] =
        Node{op, std::move(operands), last.node->outputs, std::move(attributes), std::move(source)};
  }

  const Graph& graph_;
  GraphBuilder builder_;
  std::vector<int> uses_;
  std::vector<bool> dropped_;
  std::set<std::size_t> touched_;  // nodes whose work a replacement does
  std::vector<std::optional<Node>> replace_;
  std::vector<Node> extra_;
};

}  // namespace

Result<Graph> without_input_shapes(const Graph& graph, const Limits& limits) {
  GraphBuilder builder(graph.file(), limits);
  for (const auto& value : graph.values()) {
    auto type = value.type;
    if (value.origin == GraphValue::Origin::input) type.shape.reset();
    builder.add_value(value.name, std::move(type));
  }
  const auto edges = std::span(graph.inputs());
  for (const auto id : edges.last(graph.states().size())) builder.set_type(id, graph.value(id).type);
  for (const auto id : graph.inputs()) TENON_TRY(builder.define_input(id));
  for (std::size_t i = 0; i < graph.values().size(); ++i) {
    const auto& constant = graph.values()[i].constant;
    if (constant.defined()) TENON_TRY(builder.define_constant(static_cast<ValueId>(i), constant));
  }
  for (const auto& node : graph.nodes())
    TENON_TRY(builder.add_node(node.op, node.inputs, node.outputs, node.attributes, node.source));
  for (std::size_t i = 0; i < graph.outputs().size(); ++i)
    TENON_TRY(builder.add_output(graph.outputs()[i], graph.output_name(i)));
  builder.keep_states(graph);
  return std::move(builder).finish();
}

Result<Graph> fold_quantization(const Graph& graph, const Limits& limits) {
  return Folding(graph, limits).run();
}

}  // namespace tenon::kernels
