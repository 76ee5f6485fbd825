// One rule for each family of operators that works under any order of axes; see axis_order.h.
#include "kernels/axis_order.h"

#include <bit>
#include <cstring>

#include "kernels/ops.h"
#include "kernels/ops/strided.h"

namespace tenon::kernels {

bool is_permutation(std::span<const std::int64_t> perm) {
  std::uint64_t seen = 0;
  for (const auto axis : perm) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(std::min(perm.size(), Dims::kMaxRank))) return false;
    seen |= std::uint64_t{1} << axis;
  }
  return std::popcount(seen) == static_cast<int>(perm.size());
}

AxisOrder simplified(AxisOrder order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<std::int64_t>(i)) return order;
  }
  return {};
}

AxisOrder composed(const AxisOrder& order, std::span<const std::int64_t> perm) {
  AxisOrder out(perm.begin(), perm.end());
  if (!order.empty()) {
    for (auto& axis : out) axis = order[static_cast<std::size_t>(axis)];
  }
  return simplified(std::move(out));
}

AxisOrder inverse(const AxisOrder& order) {
  AxisOrder out(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    out[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  return out;
}

Dims reordered(const Dims& dims, const AxisOrder& order) {
  if (order.empty()) return dims;
  Dims out;
  for (const auto axis : order) out.push_back(dims[static_cast<std::size_t>(axis)]);
  return out;
}

Result<Tensor> reordered(const Tensor& tensor, const AxisOrder& order) {
  if (order.empty()) return tensor;
  const auto strides = strides_of(tensor.dims());
  StridedCopy copy{reordered(tensor.dims(), order), reordered(strides, order), 0};
  const auto dims = copy.dims;
  copy.merge();
  if (copy.dims.size() == 1 && copy.strides[0] == 1) return tensor.reshaped(dims);
  if (tensor.type() == DataType::string) return fail(ErrorCode::unsupported_operation, "strings");
  auto out = TENON_TRY(Tensor::allocate(tensor.type(), dims));
  if (out.count() > 0) copy.run(tensor.type(), tensor.data(), out.mutable_data(), 1);
  return out;
}

namespace {

using Integers = std::vector<std::int64_t>;

class Rule {
 public:
  Rule(const Node& node, std::span<const SeenOperand> operands, const AxisOrder& order)
      : node_(node), operands_(operands), order_(order) {
    form_.attributes = node.attributes;
    form_.constants.resize(node.inputs.size());
  }

  std::optional<StoredForm> finish() && {
    if (form_.outputs.empty()) form_.outputs.assign(node_.outputs.size(), order_);
    return std::move(form_);
  }

  // Element by element; other operands than the first are scalars.
  bool element_wise() { return in_order(0); }

  bool broadcast() {
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      if (!broadcast_operand(i)) return false;
    }
    return true;
  }

  // One scale, or one along an axis.
  bool quantisation() {
    if (!in_order(0) || constant(1) == nullptr || node_.integer("block_size") != 0) return false;
    return constant(1)->count() == 1 || map_axis("axis");
  }

  // Its scale and zero point are single.
  bool dynamic_quantisation() {
    if (node_.integer("by_row") != 0) return false;
    form_.outputs.assign(node_.outputs.size(), {});
    form_.outputs[0] = order_;
    return in_order(0);
  }

  bool concat() {
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      if (in_order(i)) continue;
      if (constant(i) == nullptr || constant(i)->dims().size() != order_.size() || !broadcast_operand(i))
        return false;
    }
    return map_axis("axis");
  }

  bool along_axis() { return in_order(0) && map_axis("axis"); }

  bool axis_operand() {
    const auto axes = integers(1);
    if (!in_order(0) || !axes || axes->size() != 1) return false;
    return set(1, mapped_axes(*axes));
  }

  bool reduce() {
    if (!in_order(0)) return false;
    std::optional<Integers> axes = has(1) ? integers(1) : Integers();
    if (!axes) return false;
    if (axes->empty()) {
      if (node_.integer("noop_with_empty_axes") != 0) return true;
      for (std::size_t i = 0; i < order_.size(); ++i) axes->push_back(static_cast<std::int64_t>(i));
    }
    const auto stored = mapped_axes(*axes);
    if (!stored || !set(1, stored)) return false;
    return drop_axes(*stored);
  }

  bool arg_reduce() {
    if (!along_axis()) return false;
    return drop_axes({std::get<std::int64_t>(attribute("axis"))});
  }

  bool pad() {
    if (!in_order(0)) return false;
    const auto rank = order_.size();
    if (has(3)) {
      const auto axes = integers(3);
      return axes && set(3, mapped_axes(*axes));
    }
    const auto pads = integers(1);
    if (!pads || pads->size() != 2 * rank) return false;
    Integers out(2 * rank);
    for (std::size_t i = 0; i < rank; ++i) {
      const auto at = static_cast<std::size_t>(order_[i]);
      out[at] = (*pads)[i];
      out[rank + at] = (*pads)[rank + i];
    }
    return set(1, out);
  }

  bool slice() {
    if (node_.op != Op::Slice || !in_order(0)) return false;
    if (has(3)) {
      const auto axes = integers(3);
      return axes && set(3, mapped_axes(*axes));
    }
    if (constant(1) == nullptr || constant(1)->count() > static_cast<std::int64_t>(order_.size()))
      return false;
    return set(3, Integers(order_.begin(), order_.begin() + constant(1)->count()));
  }

  bool resize() {
    if (!in_order(0) || (has(1) && (constant(1) == nullptr || constant(1)->count() != 0))) return false;
    if (!node_.integers("axes").empty()) {
      const auto given = node_.integers("axes");
      const auto axes = mapped_axes({given.begin(), given.end()});
      if (!axes) return false;
      attribute("axes") = *axes;
      return true;
    }
    return (!has(2) || constant(2)->count() == 0 || per_axis(2)) &&
           (!has(3) || constant(3)->count() == 0 || per_axis(3));
  }

  bool per_axis_operand() { return in_order(0) && has(1) && per_axis(1); }

  // An Expand's shape, which may have fewer axes than the result.
  bool expand() {
    const auto shape = integers(1);
    if (!in_order(0) || !shape || shape->size() > order_.size()) return false;
    Integers full(order_.size() - shape->size(), 1);
    full.insert(full.end(), shape->begin(), shape->end());
    Integers out(full.size());
    for (std::size_t i = 0; i < full.size(); ++i) out[static_cast<std::size_t>(order_[i])] = full[i];
    return set(1, out);
  }

  bool strided() { return node_.op == Op::Slice ? slice() : node_.op == Op::Expand && expand(); }
  bool view() { return node_.op == Op::Identity && in_order(0); }

 private:
  bool has(std::size_t i) const { return node_.has_input(i); }
  bool in_order(std::size_t i) const { return i < operands_.size() && operands_[i].in_order; }
  const Tensor* constant(std::size_t i) const {
    return i < operands_.size() ? operands_[i].constant : nullptr;
  }

  std::optional<Integers> integers(std::size_t i) const {
    if (constant(i) == nullptr || !is_integer(constant(i)->type()) ||
        constant(i)->count() > 2 * std::int64_t{Dims::kMaxRank})
      return std::nullopt;
    auto values = to_integers(*constant(i));
    if (!values) return std::nullopt;
    return *std::move(values);
  }

  bool set(std::size_t i, const std::optional<Integers>& values) {
    if (!values) return false;
    auto tensor =
        Tensor::of<std::int64_t>(DataType::i64, {static_cast<std::int64_t>(values->size())}, *values);
    if (!tensor) return false;
    if (form_.constants.size() <= i) form_.constants.resize(i + 1);
    form_.constants[i] = *std::move(tensor);
    return true;
  }

  AttributeValue& attribute(std::string_view name) {
    for (auto& a : form_.attributes) {
      if (a.name == name) return a.value;
    }
    return form_.attributes.emplace_back(Attribute{std::string(name), std::int64_t{0}}).value;
  }

  std::optional<std::int64_t> mapped_axis(std::int64_t axis) const {
    const auto rank = static_cast<std::int64_t>(order_.size());
    if (axis < -rank || axis >= rank) return std::nullopt;
    return order_[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)];
  }

  std::optional<Integers> mapped_axes(Integers axes) const {
    for (auto& axis : axes) {
      const auto mapped = mapped_axis(axis);
      if (!mapped) return std::nullopt;
      axis = *mapped;
    }
    return axes;
  }

  bool map_axis(std::string_view name) {
    const auto mapped = mapped_axis(node_.integer(name));
    if (mapped) attribute(name) = *mapped;
    return mapped.has_value();
  }

  // An operand with a value for each axis: scales, sizes, repeats.
  bool per_axis(std::size_t i) {
    if (constant(i) == nullptr || constant(i)->dims().size() != 1 ||
        constant(i)->count() != static_cast<std::int64_t>(order_.size()))
      return false;
    const auto& from = *constant(i);
    auto out = Tensor::allocate(from.type(), from.dims());
    if (!out) return false;
    const auto size = bit_width(from.type()) / 8;
    for (std::size_t k = 0; k < order_.size(); ++k)
      std::memcpy(out->mutable_data() + static_cast<std::size_t>(order_[k]) * size, from.data() + k * size,
                  size);
    form_.constants[i] = *std::move(out);
    return true;
  }

  // In order already, of one element, or a constant that can be brought into order.
  bool broadcast_operand(std::size_t i) {
    if (in_order(i) || operands_[i].single) return true;
    const auto* tensor = constant(i);
    if (tensor == nullptr || tensor->dims().size() > order_.size()) return false;
    if (tensor->dims().empty()) return true;
    Dims dims = tensor->dims();
    while (dims.size() < order_.size()) dims.insert(0, 1);
    const auto full = tensor->reshaped(dims);
    if (!full) return false;
    auto stored = reordered(*full, inverse(order_));
    if (!stored) return false;
    form_.constants[i] = *std::move(stored);
    return true;
  }

  // The order of what is left when a reduction takes these stored axes away.
  bool drop_axes(const Integers& stored) {
    if (node_.integer("keepdims") != 0) return true;
    const auto gone = [&](std::int64_t axis) { return std::ranges::find(stored, axis) != stored.end(); };
    AxisOrder left;
    for (const auto axis : order_) {
      if (gone(axis)) continue;
      std::int64_t position = 0;
      for (std::int64_t before = 0; before < axis; ++before) position += gone(before) ? 0 : 1;
      left.push_back(position);
    }
    form_.outputs.assign(node_.outputs.size(), simplified(std::move(left)));
    return true;
  }

  const Node& node_;
  std::span<const SeenOperand> operands_;
  const AxisOrder& order_;
  StoredForm form_;
};

struct FamilyRule {
  std::string_view family;
  bool (Rule::*apply)();
};
constexpr FamilyRule kRules[] = {
    {"unary", &Rule::element_wise},
    {"clip", &Rule::element_wise},
    {"cast", &Rule::element_wise},
    {"binary", &Rule::broadcast},
    {"variadic", &Rule::broadcast},
    {"where", &Rule::broadcast},
    {"quantize", &Rule::quantisation},
    {"dequantize", &Rule::quantisation},
    {"dynamic_quantize", &Rule::dynamic_quantisation},
    {"concat", &Rule::concat},
    {"split", &Rule::along_axis},
    {"softmax", &Rule::along_axis},
    {"top_k", &Rule::along_axis},
    {"cum_sum", &Rule::axis_operand},
    {"reduce", &Rule::reduce},
    {"arg_reduce", &Rule::arg_reduce},
    {"pad", &Rule::pad},
    {"strided", &Rule::strided},
    {"resize", &Rule::resize},
    {"tile", &Rule::per_axis_operand},
    {"view", &Rule::view},
};

}  // namespace

std::optional<StoredForm> on_stored(const Node& node, std::span<const SeenOperand> operands,
                                    const AxisOrder& order) {
  const auto* found = std::ranges::find(kRules, family(node.op), &FamilyRule::family);
  if (found == std::end(kRules)) return std::nullopt;
  Rule rule(node, operands, order);
  if (!(rule.*found->apply)()) return std::nullopt;
  return std::move(rule).finish();
}

}  // namespace tenon::kernels
