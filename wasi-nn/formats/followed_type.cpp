// One function for each shape rule that importers' questions depend on; see followed_type.h.
#include "wasi-nn/formats/followed_type.h"

#include <algorithm>
#include <cstring>

namespace tenon::nn {
namespace {

using kernels::Attributes;
using kernels::DataType;
using kernels::Dim;
using kernels::GraphBuilder;
using kernels::kAbsent;
using kernels::Op;
using kernels::Tensor;
using kernels::ValueId;
using kernels::ValueType;

using Shape = std::optional<std::vector<Dim>>;

struct Question {
  const GraphBuilder& builder;
  Op op;
  std::span<const ValueId> inputs;
  const Attributes& attributes;

  Shape shape(size_t i) const {
    if (i >= inputs.size() || inputs[i] == kAbsent) return std::nullopt;
    const auto& value = builder.value(inputs[i]);
    if (!value.constant.defined()) return value.type.shape;
    std::vector<Dim> dims;
    for (const int64_t dim : value.constant.dims()) dims.push_back(Dim::constant(dim));
    return dims;
  }
  DataType element(size_t i) const {
    if (i >= inputs.size() || inputs[i] == kAbsent) return DataType::undefined;
    return builder.value(inputs[i]).type.element;
  }
  std::optional<std::vector<int64_t>> integers(size_t i) const {
    if (i >= inputs.size() || inputs[i] == kAbsent) return std::nullopt;
    const Tensor& tensor = builder.value(inputs[i]).constant;
    if (!tensor.defined()) return std::nullopt;
    return integers_of(tensor);
  }
  // Length of operand i, a vector.
  std::optional<size_t> length(size_t i) const {
    const Shape dims = shape(i);
    if (!dims || dims->size() != 1 || !(*dims)[0].is_constant()) return std::nullopt;
    const auto count = static_cast<size_t>((*dims)[0].value);
    return count <= kernels::Dims::kMaxRank ? std::optional(count) : std::nullopt;
  }
  int64_t integer(std::string_view name, int64_t fallback) const {
    for (const auto& attribute : attributes) {
      const auto* value = std::get_if<int64_t>(&attribute.value);
      if (attribute.name == name && value) return *value;
    }
    return fallback;
  }
  const std::vector<int64_t>* list(std::string_view name) const {
    for (const auto& attribute : attributes) {
      const auto* value = std::get_if<std::vector<int64_t>>(&attribute.value);
      if (attribute.name == name && value) return value;
    }
    return nullptr;
  }
};

std::vector<Dim> unknown_dims(size_t rank) { return std::vector<Dim>(rank, Dim::unknown()); }

std::optional<size_t> axis_in(int64_t axis, size_t rank) {
  if (axis < 0) axis += static_cast<int64_t>(rank);
  return axis >= 0 && axis < static_cast<int64_t>(rank) ? std::optional(static_cast<size_t>(axis))
                                                        : std::nullopt;
}

Shape same_as_first(const Question& q) { return q.shape(0); }

Shape same_rank(const Question& q) {
  const Shape first = q.shape(0);
  return first ? Shape(unknown_dims(first->size())) : std::nullopt;
}

Shape broadcast(const Question& q) {
  std::vector<Dim> result;
  for (size_t i = 0; i < q.inputs.size(); ++i) {
    const Shape shape = q.shape(i);
    if (!shape) return std::nullopt;
    if (shape->size() > result.size())
      result.insert(result.begin(), shape->size() - result.size(), Dim::constant(1));
    for (size_t k = 0; k < shape->size(); ++k) {
      Dim& own = result[result.size() - shape->size() + k];
      const Dim& other = (*shape)[k];
      if (own.value == 1) {
        own = other;
      } else if (other.value != 1 && !own.is_constant()) {
        own = other.is_constant() ? other : Dim::unknown();
      }
    }
  }
  return result;
}

Shape reshape(const Question& q) {
  const auto dims = q.integers(1);
  if (!dims) {
    const auto rank = q.length(1);
    return rank ? Shape(unknown_dims(*rank)) : std::nullopt;
  }
  std::vector<Dim> result;
  for (const int64_t dim : *dims) result.push_back(dim > 0 ? Dim::constant(dim) : Dim::unknown());
  return result;
}

Shape squeeze(const Question& q) {
  Shape shape = q.shape(0);
  const auto axes = q.integers(1);
  if (!shape || !axes) return std::nullopt;
  std::vector<bool> gone(shape->size());
  for (const int64_t axis : *axes) {
    if (const auto at = axis_in(axis, shape->size())) gone[*at] = true;
  }
  std::vector<Dim> result;
  for (size_t i = 0; i < gone.size(); ++i) {
    if (!gone[i]) result.push_back((*shape)[i]);
  }
  return result;
}

Shape unsqueeze(const Question& q) {
  const Shape shape = q.shape(0);
  const auto axes = q.integers(1);
  if (!shape || !axes) return std::nullopt;
  std::vector<bool> added(shape->size() + axes->size());
  for (const int64_t axis : *axes) {
    if (const auto at = axis_in(axis, added.size())) added[*at] = true;
  }
  std::vector<Dim> result;
  auto next = shape->begin();
  for (const bool is_new : added) {
    if (!is_new && next == shape->end()) return std::nullopt;
    result.push_back(is_new ? Dim::constant(1) : *next++);
  }
  return result;
}

Shape transpose(const Question& q) {
  const Shape shape = q.shape(0);
  const auto* perm = q.list("perm");
  if (!perm) return same_rank(q);
  std::vector<Dim> result;
  for (const int64_t axis : *perm) {
    const auto at = shape ? axis_in(axis, shape->size()) : std::nullopt;
    result.push_back(at ? (*shape)[*at] : Dim::unknown());
  }
  return result;
}

// Elements that a slice takes from an axis.
Dim sliced(const Dim& dim, int64_t start, int64_t end, int64_t step) {
  if (!dim.is_constant() || step == 0) return Dim::unknown();
  const auto place = [&](int64_t at) {
    return at < 0 ? std::max(at, -dim.value) + dim.value : std::min(at, dim.value);
  };
  if (step != 1) return Dim::unknown();
  return Dim::constant(std::max<int64_t>(place(end) - place(start), 0));
}

Shape slice(const Question& q) {
  Shape shape = q.shape(0);
  const auto starts = q.integers(1), ends = q.integers(2), steps = q.integers(4);
  auto axes = q.integers(3);
  if (!shape) return std::nullopt;
  const bool has_axes = q.inputs.size() > 3 && q.inputs[3] != kAbsent;
  if (!starts || !ends || starts->size() != ends->size() || (has_axes && !axes)) return same_rank(q);
  for (size_t i = 0; i < starts->size(); ++i) {
    const int64_t axis = axes && i < axes->size() ? (*axes)[i] : static_cast<int64_t>(i);
    const auto at = axis_in(axis, shape->size());
    if (!at) return std::nullopt;
    const bool steps_known = q.inputs.size() < 5 || (steps && i < steps->size());
    (*shape)[*at] = steps_known ? sliced((*shape)[*at], (*starts)[i], (*ends)[i], steps ? (*steps)[i] : 1)
                                : Dim::unknown();
  }
  return shape;
}

Shape concat(const Question& q) {
  Shape result = q.shape(0);
  if (!result) return std::nullopt;
  const auto axis = axis_in(q.integer("axis", 0), result->size());
  if (!axis) return std::nullopt;
  int64_t sum = 0;
  for (size_t i = 0; i < q.inputs.size(); ++i) {
    const Shape shape = q.shape(i);
    const bool known = sum >= 0 && shape && shape->size() == result->size() && (*shape)[*axis].is_constant();
    if (!known || __builtin_add_overflow(sum, (*shape)[*axis].value, &sum)) sum = -1;
  }
  (*result)[*axis] = sum < 0 ? Dim::unknown() : Dim::constant(sum);
  return result;
}

Shape split(const Question& q) {
  Shape result = q.shape(0);
  if (!result) return std::nullopt;
  const auto axis = axis_in(q.integer("axis", 0), result->size());
  if (!axis) return std::nullopt;
  (*result)[*axis] = Dim::unknown();
  return result;
}

Shape expand(const Question& q) {
  const auto length = q.length(1);
  const Shape shape = q.shape(0);
  if (!length || !shape) return std::nullopt;
  return unknown_dims(std::max(*length, shape->size()));
}

Shape gather(const Question& q) {
  const Shape data = q.shape(0), indices = q.shape(1);
  if (!data || !indices) return std::nullopt;
  const auto axis = axis_in(q.integer("axis", 0), data->size());
  if (!axis) return std::nullopt;
  std::vector<Dim> result(data->begin(), data->begin() + static_cast<std::ptrdiff_t>(*axis));
  result.insert(result.end(), indices->begin(), indices->end());
  result.insert(result.end(), data->begin() + static_cast<std::ptrdiff_t>(*axis) + 1, data->end());
  return result;
}

Shape gather_nd(const Question& q) {
  const Shape data = q.shape(0), indices = q.shape(1);
  if (!data || !indices || indices->empty() || !indices->back().is_constant()) return std::nullopt;
  int64_t rank = static_cast<int64_t>(data->size() + indices->size()) - 1;
  if (__builtin_sub_overflow(rank, indices->back().value, &rank) ||
      __builtin_sub_overflow(rank, q.integer("batch_dims", 0), &rank)) {
    return std::nullopt;
  }
  if (rank < 0 || rank > static_cast<int64_t>(kernels::Dims::kMaxRank)) return std::nullopt;
  return unknown_dims(static_cast<size_t>(rank));
}

Shape one_hot(const Question& q) {
  const Shape shape = q.shape(0);
  return shape ? Shape(unknown_dims(shape->size() + 1)) : std::nullopt;
}

Shape shape_of(const Question& q) {
  const Shape shape = q.shape(0);
  return std::vector<Dim>{shape ? Dim::constant(static_cast<int64_t>(shape->size())) : Dim::unknown()};
}

Shape scalar(const Question&) { return std::vector<Dim>(); }
Shape vector(const Question&) { return unknown_dims(1); }

Shape constant_of_shape(const Question& q) {
  const auto length = q.length(0);
  return length ? Shape(unknown_dims(*length)) : std::nullopt;
}

Shape reduce(const Question& q) {
  Shape shape = q.shape(0);
  if (!shape) return std::nullopt;
  const bool keep = q.integer("keepdims", 1) != 0;
  const auto axes = q.integers(1);
  if (q.inputs.size() > 1 && !axes) return keep ? same_rank(q) : std::nullopt;
  std::vector<bool> reduced(shape->size(), !axes);
  if (axes && axes->empty() && q.integer("noop_with_empty_axes", 0) == 0)
    std::fill(reduced.begin(), reduced.end(), true);
  for (const int64_t axis : axes.value_or(std::vector<int64_t>())) {
    if (const auto at = axis_in(axis, shape->size())) reduced[*at] = true;
  }
  std::vector<Dim> result;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i]) result.push_back((*shape)[i]);
    if (reduced[i] && keep) result.push_back(Dim::constant(1));
  }
  return result;
}

Shape arg_reduce(const Question& q) {
  Shape shape = q.shape(0);
  if (!shape) return std::nullopt;
  const auto axis = axis_in(q.integer("axis", 0), shape->size());
  if (!axis) return std::nullopt;
  if (q.integer("keepdims", 1) != 0) {
    (*shape)[*axis] = Dim::constant(1);
  } else {
    shape->erase(shape->begin() + static_cast<std::ptrdiff_t>(*axis));
  }
  return shape;
}

// Batch of the data, channels of the filter.
Shape conv(const Question& q) {
  const Shape data = q.shape(0), filter = q.shape(1);
  if (!data || data->size() < 2) return std::nullopt;
  std::vector<Dim> result = unknown_dims(data->size());
  result[0] = (*data)[0];
  if (filter && !filter->empty()) result[1] = (*filter)[0];
  return result;
}

Shape pool(const Question& q) {
  const Shape data = q.shape(0);
  if (!data || data->size() < 2) return std::nullopt;
  std::vector<Dim> result = unknown_dims(data->size());
  result[0] = (*data)[0];
  result[1] = (*data)[1];
  return result;
}

Shape matmul(const Question& q) {
  const Shape a = q.shape(0), b = q.shape(1);
  if (!a || !b || a->size() < 2 || b->size() < 2) return std::nullopt;
  std::vector<Dim> result = unknown_dims(std::max(a->size(), b->size()));
  result[result.size() - 2] = (*a)[a->size() - 2];
  result.back() = b->back();
  return result;
}

Shape by_operator(const Question& q) {
  if (q.op == Op::NonZero) return unknown_dims(2);
  if (q.op == Op::NonMaxSuppression) return std::vector<Dim>{Dim::unknown(), Dim::constant(3)};
  return std::nullopt;
}

struct Row {
  std::string_view rule;  // in the shape column of ops.def
  Shape (*follow)(const Question&);
};
constexpr Row kRows[] = {
    {"same_as_first", same_as_first},
    {"broadcast", broadcast},
    {"reshape", reshape},
    {"squeeze", squeeze},
    {"unsqueeze", unsqueeze},
    {"transpose", transpose},
    {"slice", slice},
    {"expand", expand},
    {"depth_to_space", same_rank},
    {"space_to_depth", same_rank},
    {"concat", concat},
    {"split", split},
    {"tile", same_rank},
    {"pad", same_rank},
    {"resize", same_rank},
    {"gather", gather},
    {"gather_elements", same_rank},
    {"gather_nd", gather_nd},
    {"scatter_elements", same_as_first},
    {"scatter_nd", same_as_first},
    {"one_hot", one_hot},
    {"cum_sum", same_as_first},
    {"trilu", same_as_first},
    {"reverse_sequence", same_as_first},
    {"top_k", same_rank},
    {"shape_of", shape_of},
    {"scalar", scalar},
    {"constant_of_shape", constant_of_shape},
    {"range", vector},
    {"reduce", reduce},
    {"arg_reduce", arg_reduce},
    {"conv", conv},
    {"conv_transpose", same_rank},
    {"pool", pool},
    {"global_pool", pool},
    {"matmul", matmul},
    {"dynamic", by_operator},
};

// The columns of ops.def that say how results follow from operands.
struct OpColumns {
  std::string_view result, shape;
};
constexpr OpColumns kOps[] = {
#define NN_OP(name, min_in, max_in, min_out, max_out, attributes, types, result, shape, ...) \
  {#result, #shape},
#include "kernels/ops.def"
#undef NN_OP
};

DataType element_of(const Question& q, std::string_view rule) {
  if (rule == "same" || rule == "pooled") return q.element(0);
  if (rule == "second") return q.element(1);
  if (rule == "third") return q.element(2);
  if (rule == "boolean") return DataType::boolean;
  if (rule == "i64" || rule == "selected") return DataType::i64;
  if (rule == "i32") return DataType::i32;
  if (rule == "f32") return DataType::f32;
  if (rule == "quantized") return q.element(2);
  if (rule == "value") {
    for (const auto& attribute : q.attributes) {
      if (const auto* tensor = std::get_if<Tensor>(&attribute.value)) return tensor->type();
    }
    return DataType::f32;
  }
  if (rule == "to") return kernels::data_type_of(q.integer("to", 0));
  return DataType::undefined;
}

}  // namespace

std::optional<std::vector<int64_t>> integers_of(const Tensor& tensor) {
  const auto read = [&]<typename T>(T) {
    std::vector<int64_t> values;
    for (int64_t i = 0; i < tensor.count(); ++i) {
      T value;
      std::memcpy(&value, tensor.data() + static_cast<size_t>(i) * sizeof value, sizeof value);
      values.push_back(static_cast<int64_t>(value));
    }
    return values;
  };
  switch (tensor.type()) {
    case DataType::i64: return read(int64_t{});
    case DataType::i32: return read(int32_t{});
    case DataType::i16: return read(int16_t{});
    case DataType::i8: return read(int8_t{});
    case DataType::u8: return read(uint8_t{});
    default: return std::nullopt;
  }
}

ValueType followed_type(const GraphBuilder& builder, Op op, std::span<const ValueId> inputs,
                        const Attributes& attributes) {
  const Question question{builder, op, inputs, attributes};
  const OpColumns& columns = kOps[static_cast<size_t>(op)];
  ValueType type = ValueType::unranked(element_of(question, columns.result));
  const auto* row = std::ranges::find(kRows, columns.shape, &Row::rule);
  if (row != std::end(kRows)) type.shape = row->follow(question);
  if (type.shape && type.shape->size() > kernels::Dims::kMaxRank) type.shape = std::nullopt;
  return type;
}

}  // namespace tenon::nn
