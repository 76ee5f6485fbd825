// Shape rules of operators that address elements by index operands.
#include "kernels/element.h"
#include "kernels/infer.h"

namespace tenon::kernels::shape {

namespace {
Result<void> check_indices(InferContext& c, std::size_t operand) {
  if (!c.has(operand) ||
      (c.inputs[operand].type != DataType::i64 && c.inputs[operand].type != DataType::i32)) {
    return c.invalid("indices must be int32 or int64");
  }
  return {};
}

// One element of any numeric type as an integer.
Result<std::int64_t> scalar_integer(InferContext& c, std::size_t operand) {
  const auto tensor = TENON_TRY(c.contents(operand));
  if (tensor.count() != 1) return c.invalid(fmt::format("operand {} must hold one element", operand));
  std::int64_t value = 0;
  const bool known = dispatch(NumericTypes{}, tensor.type(), [&]<class T>() {
    value = static_cast<std::int64_t>(static_cast<Compute<T>>(In<T>{tensor.data()}[0]));
  });
  if (!known) return c.invalid(fmt::format("operand {} must be a number", operand));
  return value;
}
}  // namespace

Result<void> gather_elements(InferContext& c) {
  TENON_TRY(check_indices(c, 1));
  const auto& in = c.dims(0);
  const auto& indices = c.dims(1);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  bool fits = in.size() == indices.size();
  for (std::size_t i = 0; fits && i < in.size(); ++i) fits = i == axis || indices[i] <= in[i];
  if (!fits) return c.invalid(fmt::format("indices {} do not fit {}", to_string(indices), to_string(in)));
  return c.set(0, indices);
}

Result<void> scatter_elements(InferContext& c) {
  TENON_TRY(gather_elements(c));
  if (!c.has(2) || !(c.dims(2) == c.dims(1))) return c.invalid("updates and indices differ in shape");
  if (c.inputs[2].type != c.inputs[0].type) return c.invalid("updates have another type than the data");
  return c.set(0, c.dims(0));
}

// Rows of the indices address the leading dims (after the batch dims); the rest of the operand follows.
Result<void> gather_nd(InferContext& c) {
  TENON_TRY(check_indices(c, 1));
  const auto& in = c.dims(0);
  const auto& indices = c.dims(1);
  const auto batch = c.node.integer("batch_dims");
  if (in.empty() || indices.empty() || batch < 0 ||
      batch >= static_cast<std::int64_t>(std::min(in.size(), indices.size()))) {
    return c.invalid(fmt::format("{} batch dims of {} and {}", batch, to_string(in), to_string(indices)));
  }
  const auto b = static_cast<std::size_t>(batch);
  for (std::size_t i = 0; i < b; ++i) {
    if (in[i] != indices[i]) return c.invalid("batch dims differ");
  }
  const auto depth = indices.back();
  if (depth < 1 || depth > static_cast<std::int64_t>(in.size() - b)) {
    return c.invalid(fmt::format("index rows of {} for {}", depth, to_string(in)));
  }
  Dims out;
  const auto tail = in.size() - b - static_cast<std::size_t>(depth);
  if (indices.size() - 1 + tail > Dims::kMaxRank) return c.invalid("rank is not supported");
  for (std::size_t i = 0; i + 1 < indices.size(); ++i) out.push_back(indices[i]);
  for (std::size_t i = in.size() - tail; i < in.size(); ++i) out.push_back(in[i]);
  return c.set(0, out);
}

Result<void> scatter_nd(InferContext& c) {
  TENON_TRY(check_indices(c, 1));
  const auto& in = c.dims(0);
  const auto& indices = c.dims(1);
  if (in.empty() || indices.empty() || indices.back() < 1 ||
      indices.back() > static_cast<std::int64_t>(in.size())) {
    return c.invalid(fmt::format("indices {} do not fit {}", to_string(indices), to_string(in)));
  }
  Dims updates;
  for (std::size_t i = 0; i + 1 < indices.size(); ++i) updates.push_back(indices[i]);
  for (auto i = static_cast<std::size_t>(indices.back()); i < in.size(); ++i) {
    if (updates.size() == Dims::kMaxRank) return c.invalid("rank is not supported");
    updates.push_back(in[i]);
  }
  if (!c.has(2) || !(c.dims(2) == updates) || c.inputs[2].type != c.inputs[0].type) {
    return c.invalid(fmt::format("updates must be {} of the data's type", to_string(updates)));
  }
  return c.set(0, in);
}

Result<void> one_hot(InferContext& c) {
  const auto depth = TENON_TRY(scalar_integer(c, 1));
  if (depth < 0) return c.invalid(fmt::format("depth {}", depth));
  if (!c.has(2) || c.dims(2) != Dims{2}) return c.invalid("values must be [off, on]");
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), c.dims(0).size() + 1));
  if (c.dims(0).size() == Dims::kMaxRank) return c.invalid("rank is not supported");
  auto out = c.dims(0);
  out.insert(axis, depth);
  return c.set(0, out);
}

Result<void> cum_sum(InferContext& c) {
  if (!c.has(1)) return c.invalid("the axis is missing");
  if (c.inputs[1].constant.defined())
    TENON_TRY(normalize_axis(TENON_TRY(scalar_integer(c, 1)), c.dims(0).size()));
  return c.set(0, c.dims(0));
}

Result<void> trilu(InferContext& c) {
  if (c.dims(0).size() < 2) return c.invalid("a matrix has two dims at least");
  return c.set(0, c.dims(0));
}

Result<void> reverse_sequence(InferContext& c) {
  const auto& in = c.dims(0);
  const auto batch = TENON_TRY(normalize_axis(c.node.integer("batch_axis"), in.size()));
  const auto time = TENON_TRY(normalize_axis(c.node.integer("time_axis"), in.size()));
  if (batch == time || batch > 1 || time > 1) return c.invalid("batch_axis and time_axis must be 0 and 1");
  if (c.dims(1) != Dims{in[batch]} || c.inputs[1].type != DataType::i64) {
    return c.invalid("sequence_lens must be int64, one for each of the batch");
  }
  return c.set(0, in);
}

Result<void> eye_like(InferContext& c) {
  if (c.dims(0).size() != 2) return c.invalid("a matrix is expected");
  return c.set(0, c.dims(0));
}

Result<void> detection_post_process(InferContext& c) {
  const auto &boxes = c.dims(0), &scores = c.dims(1);
  const auto classes = c.node.integer("classes"), each = c.node.integer("classes_per_detection"),
             most = c.node.integer("detections");
  if (boxes.size() != 3 || boxes[0] != 1 || boxes[2] < 4 || scores.size() != 3 || scores[0] != 1 ||
      scores[1] != boxes[1] || c.dims(2) != Dims{boxes[1], 4})
    return c.invalid(fmt::format("boxes {}, scores {}, anchors {}", to_string(boxes), to_string(scores),
                                 to_string(c.dims(2))));
  if (classes < 1 || (scores[2] != classes && scores[2] - 1 != classes))
    return c.invalid(fmt::format("{} classes and {} scores of a box", classes, scores[2]));
  constexpr std::int64_t kMost = 1 << 16;
  if (most < 1 || most > kMost || each < 1 || each > std::min(classes, kMost) || most * each > kMost ||
      c.node.integer("detections_per_class") < 1)
    return c.invalid(fmt::format("{} detections of {} classes each", most, each));
  const auto scales = c.node.reals("scales");
  if (scales.size() != 4 || !std::ranges::all_of(scales, [](float s) { return s > 0; }))
    return c.invalid("the scales of boxes must be four positive numbers");
  for (std::size_t i = 0; i < c.outputs.size(); ++i)
    TENON_TRY(c.set(i, i == 0 ? Dims{1, most * each, 4} : i < 3 ? Dims{1, most * each} : Dims{1}));
  return {};
}

Result<void> top_k(InferContext& c) {
  const auto& in = c.dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const auto k = TENON_TRY(scalar_integer(c, 1));
  if (k < 0 || k > in[axis]) return c.invalid(fmt::format("k = {} for a dimension of {}", k, in[axis]));
  auto out = in;
  out[axis] = k;
  TENON_TRY(c.set(0, out));
  if (c.outputs.size() < 2) return {};
  return c.set(1, out);
}

}  // namespace tenon::kernels::shape
