// Moves Transpose nodes behind the operators that work under any order of axes, where they meet their inverse and
// vanish; see rewrite.h. What is left becomes strides when a plan is lowered.
#include <map>

#include "kernels/axis_order.h"
#include "kernels/ops.h"
#include "kernels/rewrite.h"

namespace tenon::kernels {
namespace {

class Sinking {
 public:
  Sinking(const Graph& graph, const Limits& limits) : graph_(graph), builder_(graph.file(), limits) {}

  Result<Graph> run() {
    TENON_TRY(copy_values());
    for (const auto& node : graph_.nodes()) TENON_TRY(visit(node));
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i)
      TENON_TRY(builder_.add_output(TENON_TRY(plain(graph_.outputs()[i])), graph_.output_name(i)));
    builder_.keep_states(graph_);
    return std::move(builder_).finish();
  }

 private:
  // How a value of the old graph is had: Transpose(stored, order).
  struct Form {
    ValueId stored;
    AxisOrder order;
    const Node* transpose = nullptr;  // the last that made it, for messages
    bool exists = true;               // under its own number too
  };

  // Values keep their numbers, so captures of subgraphs stay right.
  Result<void> copy_values() {
    for (std::size_t i = 0; i < graph_.values().size(); ++i) {
      const auto& value = graph_.values()[i];
      forms_.push_back({builder_.add_value(value.name, value.type), {}, nullptr, true});
    }
    for (const auto id : graph_.inputs()) TENON_TRY(builder_.define_input(id));
    for (const auto& capture : graph_.captures())
      TENON_TRY(builder_.define_capture(capture.inner, capture.outer));
    for (std::size_t i = 0; i < graph_.values().size(); ++i) {
      const auto& value = graph_.values()[i];
      if (value.origin == GraphValue::Origin::constant)
        TENON_TRY(builder_.define_constant(static_cast<ValueId>(i), value.constant));
    }
    return {};
  }

  Form& form(ValueId id) { return forms_[index(id)]; }

  Result<void> visit(const Node& node) {
    if (absorb(node)) return {};
    TENON_TRY(provide_captures(node));
    for (const auto id : node.inputs) {
      if (id != kAbsent && !form(id).order.empty()) {
        if (TENON_TRY(sink(node, form(id)))) return {};
        break;
      }
    }
    std::vector<ValueId> inputs;
    for (const auto id : node.inputs) inputs.push_back(id == kAbsent ? id : TENON_TRY(plain(id)));
    return emit(node.op, inputs, node.outputs, node.attributes, node.source);
  }

  // A Transpose only adds to the order that is pending.
  bool absorb(const Node& node) {
    const auto perm = node.integers("perm");
    if (node.op != Op::Transpose || node.inputs.size() != 1 || perm.empty() || !is_permutation(perm))
      return false;
    const auto& from = form(node.inputs[0]);
    if (from.order.empty() ? !may_have_rank(from.stored, perm) : from.order.size() != perm.size())
      return false;
    form(node.outputs[0]) = {from.stored, composed(from.order, perm), &node, false};
    return true;
  }

  // A Transpose of another rank must stay, to be refused. One without effect says nothing later, so it must be known.
  bool may_have_rank(ValueId id, std::span<const std::int64_t> perm) const {
    const auto& type = builder_.value(id).type;
    if (type.kind == ValueType::Kind::tensor && type.shape) return type.shape->size() == perm.size();
    return !std::ranges::is_sorted(perm);
  }

  // Bodies of subgraphs know values by their numbers.
  Result<void> provide_captures(const Node& node) {
    for (const auto& attribute : node.attributes) {
      const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value);
      if (body == nullptr || !*body) continue;
      for (const auto& capture : (*body)->captures()) {
        const auto id = TENON_TRY(plain(capture.outer));
        if (form(capture.outer).exists) continue;
        TENON_TRY(
            emit(Op::Identity, {&id, 1}, {&capture.outer, 1}, {}, form(capture.outer).transpose->source));
        form(capture.outer).exists = true;
      }
    }
    return {};
  }

  // The node on stored values, its results pending. `by` is copied: forms change on the way.
  Result<bool> sink(const Node& node, Form by) {
    std::vector<SeenOperand> seen;
    std::vector<Tensor> constants(node.inputs.size());
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      seen.emplace_back();
      const auto id = node.inputs[i];
      if (id == kAbsent) continue;
      const auto& own = form(id);
      const auto& value = builder_.value(own.stored);
      if (own.order == by.order || (own.order.empty() && is_line(value.type, by.order.size()))) {
        seen[i].in_order = true;
      } else if (value.constant.defined()) {
        constants[i] = TENON_TRY(reordered(value.constant, own.order));
        seen[i].constant = &constants[i];
      } else {
        seen[i].single =
            value.type.kind == ValueType::Kind::tensor && value.type.shape && value.type.shape->empty();
      }
    }
    const auto stored = on_stored(node, seen, by.order);
    if (!stored) return false;
    std::vector<ValueId> inputs;
    for (std::size_t i = 0; i < std::max(node.inputs.size(), stored->constants.size()); ++i) {
      const auto id = i < node.inputs.size() ? node.inputs[i] : kAbsent;
      if (i < stored->constants.size() && stored->constants[i]) {
        inputs.push_back(TENON_TRY(builder_.constant("reordered", *stored->constants[i])));
      } else if (id == kAbsent || form(id).order == by.order) {
        inputs.push_back(id == kAbsent ? id : form(id).stored);
      } else if (seen[i].in_order) {
        inputs.push_back(TENON_TRY(builder_.node(Op::Transpose, {form(id).stored},
                                                 {{"perm", inverse(by.order)}}, by.transpose->source)));
      } else {
        inputs.push_back(TENON_TRY(plain(id)));
      }
    }
    std::vector<ValueId> outputs;
    for (std::size_t i = 0; i < node.outputs.size(); ++i) {
      const auto id = node.outputs[i];
      const auto& order = stored->outputs[i];
      if (id == kAbsent || order.empty()) {
        outputs.push_back(id);
        continue;
      }
      const auto& value = graph_.value(id);
      outputs.push_back(builder_.add_value(value.name, stored_type(value.type, order)));
      form(id) = {outputs.back(), order, by.transpose, false};
    }
    TENON_TRY(emit(node.op, inputs, outputs, stored->attributes, node.source));
    return true;
  }

  // One axis of several elements at most: seen through any order, its bytes stay in place.
  static bool is_line(const ValueType& type, std::size_t rank) {
    if (type.kind != ValueType::Kind::tensor || !type.shape || type.shape->size() != rank) return false;
    const auto single = [](const Dim& dim) { return dim.value == 1; };
    return std::ranges::count_if(*type.shape, single) + 1 >= static_cast<std::ptrdiff_t>(rank);
  }

  static ValueType stored_type(const ValueType& seen, const AxisOrder& order) {
    auto type = seen;
    if (!type.shape || type.shape->size() != order.size()) {
      type.shape.reset();
    } else {
      for (std::size_t i = 0; i < order.size(); ++i)
        (*type.shape)[static_cast<std::size_t>(order[i])] = (*seen.shape)[i];
    }
    return type;
  }

  // The value as it is seen.
  Result<ValueId> plain(ValueId id) {
    auto& own = form(id);
    if (own.order.empty()) return own.stored;
    if (own.exists) return id;
    own.exists = true;
    const auto source = own.transpose->source;
    const Attributes perm{{"perm", own.order}};
    // Before the integers become floats, so that the operators around still meet as quantised ones.
    if (const auto it = dequantised_.find(index(own.stored)); it != dequantised_.end()) {
      auto operands = it->second.inputs;
      const auto element = builder_.value(operands[0]).type.element;
      operands[0] = TENON_TRY(builder_.node(Op::Transpose, {operands[0]}, perm, source));
      builder_.set_type(operands[0], ValueType::unranked(element));
      TENON_TRY(emit(Op::DequantizeLinear, operands, {&id, 1}, it->second.attributes, it->second.source));
      return id;
    }
    TENON_TRY(emit(Op::Transpose, {&own.stored, 1}, {&id, 1}, perm, source));
    return id;
  }

  Result<void> emit(Op op, std::span<const ValueId> inputs, std::span<const ValueId> outputs,
                    const Attributes& attributes, const Source& source) {
    if (op == Op::DequantizeLinear && inputs.size() > 1) {
      const auto& scale = builder_.value(inputs[1]).constant;
      if (scale.defined() && scale.count() == 1)
        dequantised_.emplace(index(outputs[0]),
                             Node{op, {inputs.begin(), inputs.end()}, {}, attributes, source});
    }
    return builder_.add_node(op, inputs, outputs, attributes, source);
  }

  const Graph& graph_;
  GraphBuilder builder_;
  std::vector<Form> forms_;                  // by number of the old graph's values
  std::map<std::size_t, Node> dequantised_;  // by result: those with one scale
};

}  // namespace

Result<Graph> sink_transposes(const Graph& graph, const Limits& limits) {
  return Sinking(graph, limits).run();
}

}  // namespace tenon::kernels
