// Convolutions of quantised operands whose result stays real become sums of integers and a scale; see rewrite.h.
#include <cmath>

#include "kernels/element.h"
#include "kernels/rewrite.h"

namespace tenon::kernels {
namespace {

bool is_byte(DataType type) { return type == DataType::u8 || type == DataType::i8; }

// A DequantizeLinear by constants: value = (code - zero) * scale.
struct Codes {
  ValueId codes, zero;  // zero may be kAbsent
  const Tensor* scale;  // f32
  float moved = 0;      // taken from each value afterwards
};

class IntegerSums {
 public:
  IntegerSums(const Graph& graph, const Limits& limits) : graph_(graph), builder_(graph.file(), limits) {}

  Result<Graph> run() {
    TENON_TRY(builder_.copy_values(graph_));
    for (const auto& node : graph_.nodes()) {
      if (node.op == Op::Conv && TENON_TRY(replace(node))) continue;
      TENON_TRY(builder_.add_node(node.op, node.inputs, node.outputs, node.attributes, node.source));
    }
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i)
      TENON_TRY(builder_.add_output(graph_.outputs()[i], graph_.output_name(i)));
    builder_.keep_states(graph_);
    return std::move(builder_).finish();
  }

 private:
  const Node* producer(ValueId id) const {
    const auto& value = graph_.value(id);
    return value.origin == GraphValue::Origin::node ? &graph_.nodes()[value.producer] : nullptr;
  }

  const Tensor* constant(ValueId id) const {
    return graph_.value(id).constant.defined() ? &graph_.value(id).constant : nullptr;
  }

  std::optional<Codes> dequantized(const Node* node) const {
    if (node == nullptr || node->op != Op::DequantizeLinear || node->integer("block_size") != 0)
      return std::nullopt;
    Codes c{node->inputs[0], node->has_input(2) ? node->inputs[2] : kAbsent, constant(node->inputs[1])};
    if (c.scale == nullptr || c.scale->type() != DataType::f32 || c.scale->count() < 1) return std::nullopt;
    if (c.zero == kAbsent)
      return is_byte(graph_.value(c.codes).type.element) ? std::optional(c) : std::nullopt;
    const auto* zero = constant(c.zero);
    if (zero == nullptr || !is_byte(zero->type()) || zero->count() != c.scale->count()) return std::nullopt;
    return c;
  }

  // The weights, with one scale or one for each output channel.
  std::optional<Codes> weights_of(const Node& node) const {
    const auto* from = producer(node.inputs[1]);
    const auto w = dequantized(from);
    if (!w) return std::nullopt;
    const auto* codes = constant(w->codes);
    if (codes == nullptr || codes->dims().size() < 3) return std::nullopt;
    const bool by_channel = from->integer("axis") == 0 && w->scale->count() == codes->dims()[0];
    if (w->scale->count() != 1 && !by_channel) return std::nullopt;
    return w;
  }

  // Behind what commutes with taking a constant from each value: largest values of windows.
  Result<std::optional<Codes>> operand_of(ValueId id) {
    const auto* node = producer(id);
    if (auto c = dequantized(node)) return c->scale->count() == 1 ? c : std::nullopt;
    if (node == nullptr) return std::nullopt;
    if (node->op == Op::Sub) {
      const auto* less = constant(node->inputs[1]);
      if (less == nullptr || less->count() != 1 || less->type() != DataType::f32) return std::nullopt;
      auto c = TENON_TRY(operand_of(node->inputs[0]));
      if (c) c->moved += In<float>{less->data()}[0];
      return c;
    }
    if (node->op != Op::MaxPool || node->has_output(1)) return std::nullopt;
    auto c = TENON_TRY(operand_of(node->inputs[0]));
    if (!c) return std::nullopt;
    auto& pooled = pooled_.try_emplace(id, kAbsent).first->second;
    if (pooled == kAbsent)
      pooled = TENON_TRY(builder_.node(Op::MaxPool, {c->codes}, node->attributes, node->source));
    c->codes = pooled;
    return c;
  }

  Result<ValueId> constant_of(const Dims& dims, std::span<const float> values) {
    return builder_.constant("scale", TENON_TRY(Tensor::of<float>(DataType::f32, dims, values)));
  }

  Result<bool> replace(const Node& node) {
    const auto w = weights_of(node);
    if (!w) return false;
    const auto x = TENON_TRY(operand_of(node.inputs[0]));
    if (!x) return false;
    const auto& codes = *constant(w->codes);
    const auto emit = [&](Op op, std::initializer_list<ValueId> inputs, Attributes attributes = {}) {
      return builder_.node(op, inputs, std::move(attributes), node.source);
    };
    std::vector<float> scales;
    for (std::int64_t i = 0; i < w->scale->count(); ++i)
      scales.push_back(In<float>{x->scale->data()}[0] * In<float>{w->scale->data()}[i]);
    Dims channels(codes.dims().size(), 1);
    channels[1] = w->scale->count();
    const auto sums =
        TENON_TRY(emit(Op::ConvInteger, {x->codes, w->codes, x->zero, w->zero}, node.attributes));
    constexpr std::int64_t kFloat = 1;
    auto value = TENON_TRY(emit(Op::Cast, {sums}, {{"to", kFloat}}));
    std::vector<ValueId> terms;
    const auto scale = TENON_TRY(constant_of(channels, scales));
    if (x->moved != 0) terms.push_back(TENON_TRY(moved_sums(node, *x, *w)));
    if (node.has_input(2)) {
      std::vector<std::int64_t> axes;
      for (std::size_t i = 1; i + 1 < codes.dims().size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
      const Dims count{static_cast<std::int64_t>(axes.size())};
      const auto list = TENON_TRY(builder_.constant(
          "axes",
          TENON_TRY(Tensor::of<std::int64_t>(DataType::i64, count, std::span<const std::int64_t>(axes)))));
      terms.push_back(TENON_TRY(emit(Op::Unsqueeze, {node.inputs[2], list})));
    }
    if (terms.empty()) {
      TENON_TRY(builder_.add_node(Op::Mul, std::array{value, scale}, node.outputs, {}, node.source));
      return true;
    }
    value = TENON_TRY(emit(Op::Mul, {value, scale}));
    for (std::size_t i = 0; i + 1 < terms.size(); ++i) value = TENON_TRY(emit(Op::Add, {value, terms[i]}));
    TENON_TRY(builder_.add_node(Op::Add, std::array{value, terms.back()}, node.outputs, {}, node.source));
    return true;
  }

  static bool has_padding(const Node& node) {
    const auto pads = node.integers("pads");
    const auto& automatic = node.text("auto_pad");
    return (automatic != "NOTSET" && automatic != "VALID") ||
           std::any_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad != 0; });
  }

  // What the part taken from each value changes: the convolution of that constant. Without padding, which stays zero, that
  // is one number for each channel; else it is known once the shape is.
  Result<ValueId> moved_sums(const Node& node, const Codes& x, const Codes& w) {
    const float less = -x.moved;
    if (!has_padding(node)) return constant_of_channels(w, less);
    const auto part = TENON_TRY(constant_of({}, std::span(&less, 1)));
    const auto shape = TENON_TRY(builder_.node(Op::Shape, {x.codes}, {}, node.source));
    const auto parts = TENON_TRY(builder_.node(Op::Expand, {part, shape}, {}, node.source));
    return builder_.node(Op::Conv, {parts, node.inputs[1]}, node.attributes, node.source);
  }

  // The sum of each channel's weights, times `factor`.
  Result<ValueId> constant_of_channels(const Codes& w, float factor) {
    const auto& codes = *constant(w.codes);
    const auto channels = codes.dims()[0];
    const auto rest = channels == 0 ? 0 : codes.count() / channels;
    const auto zeros = w.zero == kAbsent ? Tensor() : *constant(w.zero);
    const auto at = [](const Tensor& tensor, std::int64_t i) {
      const auto byte = static_cast<std::uint8_t>(tensor.data()[i]);
      return tensor.type() == DataType::i8 ? static_cast<std::int8_t>(byte) : static_cast<std::int32_t>(byte);
    };
    std::vector<float> sums;
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto own = w.scale->count() == 1 ? 0 : c;
      std::int64_t sum = zeros.defined() ? -rest * at(zeros, own) : 0;
      for (std::int64_t i = 0; i < rest; ++i) sum += at(codes, c * rest + i);
      sums.push_back(factor * In<float>{w.scale->data()}[own] * static_cast<float>(sum));
    }
    Dims dims(codes.dims().size(), 1);
    dims[1] = channels;
    return constant_of(dims, sums);
  }

  const Graph& graph_;
  GraphBuilder builder_;
  std::map<ValueId, ValueId> pooled_;  // largest values of windows, by their real form
};

}  // namespace

Result<Graph> fold_into_integer_sums(const Graph& graph, const Limits& limits) {
  return IntegerSums(graph, limits).run();
}

}  // namespace tenon::kernels
