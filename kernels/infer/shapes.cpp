// Shape rules of element-wise operators, views, data movement and reductions.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"

namespace tenon::kernels {
namespace shape {

// Sizes depend on data: the interpreter runs the node.
Result<void> dynamic(InferContext& c) {
  c.needs_value = true;
  return c.invalid("the size of the result depends on data");
}

Result<void> same_as_first(InferContext& c) { return c.set(0, c.dims(0)); }

Result<void> broadcast(InferContext& c) {
  // Where and Pow mix types; all others take one.
  const std::size_t first = c.node.op == Op::Where ? 1 : 0;
  Dims out = c.dims(0);
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return c.invalid(fmt::format("operand {} is missing", i));
    if (c.node.op != Op::Pow && i > first && c.inputs[i].type != c.inputs[first].type) {
      return c.invalid(fmt::format("operands have types {} and {}", to_string(c.inputs[first].type),
                                   to_string(c.inputs[i].type)));
    }
    out = TENON_TRY(broadcast_dims(out, c.dims(i)));
  }
  return c.set(0, out);
}

Result<void> scalar(InferContext& c) { return c.set(0, {}); }

Result<void> reshape(InferContext& c) {
  const auto wanted = TENON_TRY(c.integers(1));
  if (wanted.size() > Dims::kMaxRank)
    return c.invalid(fmt::format("rank {} is not supported", wanted.size()));
  const auto& in = c.dims(0);
  const bool allow_zero = c.node.integer("allowzero") != 0;
  Dims out;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    auto dim = wanted[i];
    if (dim == -1) {
      if (open) return c.invalid("more than one dimension is -1");
      open = i;
      dim = 1;
    } else if (dim == 0 && !allow_zero) {
      if (i >= in.size())
        return c.invalid(fmt::format("dimension {} is 0, operand has rank {}", i, in.size()));
      dim = in[i];
    } else if (dim < 0) {
      return c.invalid(fmt::format("dimension {} is {}", i, dim));
    }
    out.push_back(dim);
  }
  const auto count = TENON_TRY(element_count(in));
  const auto known = TENON_TRY(element_count(out));
  if (open) {
    if (known == 0 ? count != 0 : count % known != 0) {
      return c.invalid(fmt::format("{} does not fit {}", to_string(in), to_string(out)));
    }
    out[*open] = known == 0 ? 0 : count / known;
  } else if (known != count) {
    return c.invalid(fmt::format("{} cannot become {}", to_string(in), to_string(out)));
  }
  return c.set(0, out);
}

Result<void> flatten(InferContext& c) {
  const auto& in = c.dims(0);
  const auto rank = static_cast<std::int64_t>(in.size());
  auto axis = c.node.integer("axis");
  if (axis < -rank || axis > rank) return c.invalid(fmt::format("axis {} is outside rank {}", axis, rank));
  if (axis < 0) axis += rank;
  TENON_TRY(element_count(in));
  const auto a = static_cast<std::size_t>(axis);
  return c.set(0, {product(in, 0, a), product(in, a, in.size())});
}

Result<void> squeeze(InferContext& c) {
  const auto& in = c.dims(0);
  std::vector<bool> drop(in.size(), false);
  if (c.has(1)) {
    for (const auto axis : TENON_TRY(c.integers(1))) drop[TENON_TRY(normalize_axis(axis, in.size()))] = true;
  } else {
    for (std::size_t i = 0; i < in.size(); ++i) drop[i] = in[i] == 1;
  }
  Dims out;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!drop[i]) {
      out.push_back(in[i]);
    } else if (in[i] != 1) {
      return c.invalid(fmt::format("dimension {} is {}, not 1", i, in[i]));
    }
  }
  return c.set(0, out);
}

Result<void> unsqueeze(InferContext& c) {
  const auto axes = TENON_TRY(c.integers(1));
  const auto rank = c.dims(0).size() + axes.size();
  if (rank > Dims::kMaxRank) return c.invalid(fmt::format("rank {} is not supported", rank));
  std::vector<bool> added(rank, false);
  for (const auto axis : axes) {
    const auto a = TENON_TRY(normalize_axis(axis, rank));
    if (added[a]) return c.invalid(fmt::format("axis {} is given twice", axis));
    added[a] = true;
  }
  Dims out;
  for (std::size_t i = 0, from = 0; i < rank; ++i) out.push_back(added[i] ? 1 : c.dims(0)[from++]);
  return c.set(0, out);
}

Result<void> transpose(InferContext& c) {
  const auto& in = c.dims(0);
  const auto perm = c.node.integers("perm");
  Dims out(in.size(), 0);
  if (perm.empty()) {
    for (std::size_t i = 0; i < in.size(); ++i) out[i] = in[in.size() - 1 - i];
    return c.set(0, out);
  }
  if (perm.size() != in.size())
    return c.invalid(fmt::format("perm has {} axes, operand {}", perm.size(), in.size()));
  std::vector<bool> seen(in.size(), false);
  for (std::size_t i = 0; i < in.size(); ++i) {
    const auto axis = TENON_TRY(normalize_axis(perm[i], in.size()));
    if (seen[axis]) return c.invalid(fmt::format("perm names axis {} twice", perm[i]));
    seen[axis] = true;
    out[i] = in[axis];
  }
  return c.set(0, out);
}

Result<void> slice(InferContext& c) {
  const auto starts = TENON_TRY(c.integers(1)), ends = TENON_TRY(c.integers(2));
  std::vector<std::int64_t> axes, steps;
  if (c.has(3)) axes = TENON_TRY(c.integers(3));
  if (c.has(4)) steps = TENON_TRY(c.integers(4));
  return c.set(0, TENON_TRY(slice_bounds(c.dims(0), starts, ends, axes, steps)).count);
}

Result<void> expand(InferContext& c) {
  const auto wanted = TENON_TRY(Dims::from(TENON_TRY(c.integers(1))));
  return c.set(0, TENON_TRY(broadcast_dims(c.dims(0), wanted)));
}

static Result<std::int64_t> block_size(InferContext& c) {
  const auto block = c.node.integer("blocksize");
  if (c.dims(0).size() != 4) return c.invalid(fmt::format("operand has rank {}, not 4", c.dims(0).size()));
  if (block < 1 || block > (1 << 15)) return c.invalid(fmt::format("blocksize {}", block));
  return block;
}

Result<void> depth_to_space(InferContext& c) {
  const auto b = TENON_TRY(block_size(c));
  const auto& in = c.dims(0);
  const auto& mode = c.node.text("mode");
  if (mode != "DCR" && mode != "CRD") return c.invalid(fmt::format("mode '{}'", mode));
  if (in[1] % (b * b) != 0) return c.invalid(fmt::format("{} channels are no multiple of {}", in[1], b * b));
  if (in[2] > (std::int64_t{1} << 40) || in[3] > (std::int64_t{1} << 40))
    return c.invalid("dimensions overflow");
  return c.set(0, {in[0], in[1] / (b * b), in[2] * b, in[3] * b});
}

Result<void> space_to_depth(InferContext& c) {
  const auto b = TENON_TRY(block_size(c));
  const auto& in = c.dims(0);
  if (in[2] % b != 0 || in[3] % b != 0)
    return c.invalid(fmt::format("{} is no multiple of {}", to_string(in), b));
  if (in[1] > (std::int64_t{1} << 30)) return c.invalid("dimensions overflow");
  return c.set(0, {in[0], in[1] * b * b, in[2] / b, in[3] / b});
}

Result<void> concat(InferContext& c) {
  auto out = c.dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), out.size()));
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    if (!c.has(i)) return c.invalid(fmt::format("operand {} is missing", i));
    if (c.inputs[i].type != c.inputs[0].type) {
      return c.invalid(fmt::format("operands have types {} and {}", to_string(c.inputs[0].type),
                                   to_string(c.inputs[i].type)));
    }
    auto dims = c.dims(i);
    if (dims.size() != out.size()) return c.invalid(fmt::format("ranks {} and {}", out.size(), dims.size()));
    const auto along = dims[axis];
    dims[axis] = out[axis];
    if (!(dims == out)) {
      return c.invalid(fmt::format("shapes {} and {} do not join on axis {}", to_string(c.dims(0)),
                                   to_string(c.dims(i)), axis));
    }
    if (__builtin_add_overflow(out[axis], along, &out[axis])) return c.invalid("dimensions overflow");
  }
  return c.set(0, out);
}

Result<void> split(InferContext& c) {
  const auto& in = c.dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const auto parts = static_cast<std::int64_t>(c.node.outputs.size());
  std::vector<std::int64_t> sizes;
  if (c.has(1)) {
    sizes = TENON_TRY(c.integers(1));
  } else {
    // The last part takes what is left (opset 18); num_outputs is the count of outputs.
    if (c.node.has("num_outputs") && c.node.integer("num_outputs") != parts) {
      return c.invalid(
          fmt::format("num_outputs is {}, the node has {}", c.node.integer("num_outputs"), parts));
    }
    const auto part = (in[axis] + parts - 1) / parts;
    for (std::int64_t i = 0; i < parts; ++i) {
      sizes.push_back(std::clamp<std::int64_t>(in[axis] - i * part, 0, part));
    }
  }
  if (sizes.size() != c.node.outputs.size()) {
    return c.invalid(fmt::format("{} sizes for {} outputs", sizes.size(), parts));
  }
  std::int64_t total = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || __builtin_add_overflow(total, sizes[i], &total)) return c.invalid("negative size");
    auto out = in;
    out[axis] = sizes[i];
    TENON_TRY(c.set(i, out));
  }
  if (total != in[axis])
    return c.invalid(fmt::format("parts add up to {}, the axis has {}", total, in[axis]));
  return {};
}

Result<void> tile(InferContext& c) {
  const auto repeats = TENON_TRY(c.integers(1));
  auto out = c.dims(0);
  if (repeats.size() != out.size())
    return c.invalid(fmt::format("{} repeats for rank {}", repeats.size(), out.size()));
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    if (repeats[i] < 0 || __builtin_mul_overflow(out[i], repeats[i], &out[i])) {
      return c.invalid(fmt::format("repeat {}", repeats[i]));
    }
  }
  return c.set(0, out);
}

Result<void> pad(InferContext& c) {
  const auto pads = TENON_TRY(pad_amounts(c));
  auto out = c.dims(0);
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(pads.begin[i], pads.end[i], &sum) ||
        __builtin_add_overflow(out[i], sum, &out[i])) {
      return c.invalid("dimensions overflow");
    }
    if (out[i] < 0) return c.invalid(fmt::format("dimension {} would be {}", i, out[i]));
  }
  return c.set(0, out);
}

Result<void> gather(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& indices = c.dims(1);
  if (!c.has(1) || (c.inputs[1].type != DataType::i64 && c.inputs[1].type != DataType::i32)) {
    return c.invalid("indices must be int32 or int64");
  }
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  if (in.size() + indices.size() - 1 > Dims::kMaxRank) return c.invalid("rank is not supported");
  Dims out;
  for (std::size_t i = 0; i < axis; ++i) out.push_back(in[i]);
  for (const auto dim : indices) out.push_back(dim);
  for (std::size_t i = axis + 1; i < in.size(); ++i) out.push_back(in[i]);
  return c.set(0, out);
}

Result<void> shape_of(InferContext& c) {
  const auto rank = static_cast<std::int64_t>(c.dims(0).size());
  const auto clamp = [&](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const auto start = clamp(c.node.integer("start"));
  const auto end = c.node.has("end") ? clamp(c.node.integer("end")) : rank;
  return c.set(0, {std::max<std::int64_t>(end - start, 0)});
}

Result<void> constant_of_shape(InferContext& c) {
  const auto* value = c.node.tensor("value");
  if (value != nullptr && value->count() != 1) return c.invalid("value must have one element");
  return c.set(0, TENON_TRY(Dims::from(TENON_TRY(c.integers(0)))));
}

Result<void> range(InferContext& c) {
  double bounds[3] = {};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto tensor = TENON_TRY(c.contents(i));
    if (tensor.count() != 1 || tensor.type() != c.inputs[0].type)
      return c.invalid("operands must be scalars of one type");
    dispatch(NumericTypes{}, tensor.type(),
             [&]<class T>() { bounds[i] = static_cast<double>(In<T>{tensor.data()}[0]); });
  }
  const auto count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (!(std::abs(count) < 9e15)) return c.invalid("the range has no end");
  return c.set(0, {std::max<std::int64_t>(static_cast<std::int64_t>(count), 0)});
}

Result<void> reduce(InferContext& c) {
  const auto axes = TENON_TRY(reduced_axes(c));
  const bool keep = c.node.integer("keepdims") != 0;
  Dims out;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (!axes[i]) out.push_back(c.dims(0)[i]);
    if (axes[i] && keep) out.push_back(1);
  }
  return c.set(0, out);
}

Result<void> arg_reduce(InferContext& c) {
  auto out = c.dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), out.size()));
  if (out[axis] == 0) return c.invalid("the axis is empty");
  if (c.node.integer("keepdims") != 0) {
    out[axis] = 1;
  } else {
    out.erase(axis);
  }
  return c.set(0, out);
}

}  // namespace shape

Result<SliceBounds> slice_bounds(const Dims& dims, std::span<const std::int64_t> starts,
                                 std::span<const std::int64_t> ends, std::span<const std::int64_t> axes,
                                 std::span<const std::int64_t> steps) {
  const auto bad = [](std::string text) {
    return std::unexpected(Error{ErrorCode::invalid_argument, std::move(text)});
  };
  if (starts.size() != ends.size() || (!axes.empty() && axes.size() != starts.size()) ||
      (!steps.empty() && steps.size() != starts.size()) || starts.size() > dims.size()) {
    return bad(fmt::format("{} starts, {} ends, {} axes, {} steps for rank {}", starts.size(), ends.size(),
                           axes.size(), steps.size(), dims.size()));
  }
  SliceBounds b{Dims(dims.size(), 0), Dims(dims.size(), 1), dims};
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto axis = axes.empty() ? i : TENON_TRY(normalize_axis(axes[i], dims.size()));
    const auto dim = dims[axis];
    const auto step = steps.empty() ? 1 : steps[i];
    if (step == 0) return bad("step is 0");
    // Steps beyond the dimension pick one element anyway; clamped, nothing below can overflow.
    const auto bounded = std::clamp<std::int64_t>(step, -dim - 1, dim + 1);
    const auto place = [&](std::int64_t at, std::int64_t low, std::int64_t high) {
      return std::clamp(at < 0 ? at + dim : at, low, high);
    };
    const auto start =
        step > 0 ? place(starts[i], 0, dim) : place(starts[i], std::min<std::int64_t>(0, dim - 1), dim - 1);
    const auto end = step > 0 ? place(ends[i], 0, dim) : place(ends[i], -1, dim - 1);
    b.start[axis] = start;
    b.step[axis] = bounded;
    const auto span = bounded > 0 ? end - start + bounded - 1 : end - start + bounded + 1;
    b.count[axis] = dim == 0 ? 0 : std::max<std::int64_t>(0, span / bounded);
  }
  return b;
}

Result<std::vector<bool>> reduced_axes(InferContext& c) {
  const auto rank = c.dims(0).size();
  std::vector<std::int64_t> axes;
  if (c.has(1)) axes = TENON_TRY(c.integers(1));
  if (axes.empty()) return std::vector<bool>(rank, c.node.integer("noop_with_empty_axes") == 0);
  std::vector<bool> flags(rank, false);
  for (const auto axis : axes) flags[TENON_TRY(normalize_axis(axis, rank))] = true;
  return flags;
}

Result<PadAmounts> pad_amounts(InferContext& c) {
  const auto rank = c.dims(0).size();
  const auto pads = TENON_TRY(c.integers(1));
  PadAmounts out{Dims(rank, 0), Dims(rank, 0)};
  if (c.has(3)) {
    const auto axes = TENON_TRY(c.integers(3));
    if (pads.size() != 2 * axes.size())
      return c.invalid(fmt::format("{} pads for {} axes", pads.size(), axes.size()));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const auto axis = TENON_TRY(normalize_axis(axes[i], rank));
      out.begin[axis] = pads[i];
      out.end[axis] = pads[i + axes.size()];
    }
    return out;
  }
  if (pads.size() != 2 * rank) return c.invalid(fmt::format("{} pads for rank {}", pads.size(), rank));
  for (std::size_t i = 0; i < rank; ++i) {
    out.begin[i] = pads[i];
    out.end[i] = pads[i + rank];
  }
  return out;
}

}  // namespace tenon::kernels
