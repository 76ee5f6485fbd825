// Shape rules of convolutions, pools, matrix products, and the window arithmetic they share.
#include "kernels/infer.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kMaxSpatial = std::int64_t{1} << 31;

// Attributes of a window, completed and bounded so that no later sum or product overflows.
Result<Window> read_window(const Node& node, const Dims& input, std::span<const std::int64_t> kernel) {
  const auto rank = input.size() - 2;
  const auto bad = [](std::string text) {
    return std::unexpected(Error{ErrorCode::invalid_argument, std::move(text)});
  };
  if (kernel.size() != rank)
    return bad(fmt::format("kernel has {} dimensions, operand {} spatial ones", kernel.size(), rank));
  const auto list = [&](std::string_view name, std::size_t count, std::int64_t fallback,
                        std::int64_t low) -> Result<std::vector<std::int64_t>> {
    const auto given = node.integers(name);
    if (given.empty()) return std::vector<std::int64_t>(count, fallback);
    if (given.size() != count)
      return bad(fmt::format("{} has {} values, expected {}", name, given.size(), count));
    for (const auto v : given) {
      if (v < low || v >= kMaxSpatial) return bad(fmt::format("{} has value {}", name, v));
    }
    return std::vector<std::int64_t>(given.begin(), given.end());
  };
  Window w;
  w.kernel.assign(kernel.begin(), kernel.end());
  w.strides = TENON_TRY(list("strides", rank, 1, 1));
  w.dilations = TENON_TRY(list("dilations", rank, 1, 1));
  const auto pads = TENON_TRY(list("pads", 2 * rank, 0, 0));
  w.pads_begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  w.pads_end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  std::int64_t taps = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    if (w.kernel[i] < 1 || w.kernel[i] >= kMaxSpatial)
      return bad(fmt::format("kernel dimension {}", w.kernel[i]));
    if (input[i + 2] >= kMaxSpatial) return bad(fmt::format("spatial dimension {}", input[i + 2]));
    if (w.dilations[i] * (w.kernel[i] - 1) >= kMaxSpatial) return bad("dilated kernel is too large");
    taps *= w.kernel[i];
    if (taps >= kMaxSpatial) return bad("kernel is too large");
  }
  return w;
}

}  // namespace

Result<Window> sliding_window(const Node& node, const Dims& input, std::span<const std::int64_t> kernel) {
  auto w = TENON_TRY(read_window(node, input, kernel));
  const auto& auto_pad = node.text("auto_pad");
  const bool ceil_mode = node.integer("ceil_mode") != 0;
  for (std::size_t i = 0; i < w.kernel.size(); ++i) {
    const auto in = input[i + 2];
    const auto extent = w.dilations[i] * (w.kernel[i] - 1) + 1;
    const auto stride = w.strides[i];
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      const auto out = (in + stride - 1) / stride;
      const auto total = std::max<std::int64_t>(0, (out - 1) * stride + extent - in);
      w.pads_begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.pads_end[i] = total - w.pads_begin[i];
      w.output.push_back(out);
      continue;
    }
    if (auto_pad == "VALID")
      w.pads_begin[i] = w.pads_end[i] = 0;
    else if (auto_pad != "NOTSET" && !auto_pad.empty()) {
      return fail(ErrorCode::unsupported_operation, "auto_pad '{}' is not known", auto_pad);
    }
    const auto room = in + w.pads_begin[i] + w.pads_end[i] - extent;
    if (room < 0) {
      return fail(ErrorCode::invalid_argument,
                  "a window of {} does not fit {} elements with padding {} and {}", extent, in,
                  w.pads_begin[i], w.pads_end[i]);
    }
    auto out = (ceil_mode ? room + stride - 1 : room) / stride + 1;
    // A window that would start in the padding at the end is left out (ONNX since opset 19, PyTorch always).
    if (ceil_mode && (out - 1) * stride >= in + w.pads_begin[i]) --out;
    w.output.push_back(out);
  }
  return w;
}

Result<Window> transposed_window(const Node& node, const Dims& input, std::span<const std::int64_t> kernel) {
  auto w = TENON_TRY(read_window(node, input, kernel));
  const auto& auto_pad = node.text("auto_pad");
  const auto rank = w.kernel.size();
  auto extra = node.integers("output_padding");
  auto wanted = node.integers("output_shape");
  if (wanted.size() == rank + 2) wanted = wanted.subspan(2);
  if ((!extra.empty() && extra.size() != rank) || (!wanted.empty() && wanted.size() != rank)) {
    return fail(ErrorCode::invalid_argument,
                "output_padding or output_shape does not fit {} spatial dimensions", rank);
  }
  for (std::size_t i = 0; i < rank; ++i) {
    const auto adjust = extra.empty() ? 0 : extra[i];
    if (adjust < 0 || adjust >= kMaxSpatial)
      return fail(ErrorCode::invalid_argument, "output_padding {}", adjust);
    const auto extent = w.dilations[i] * (w.kernel[i] - 1) + 1;
    if (input[i + 2] == 0) return fail(ErrorCode::invalid_argument, "operand is empty");
    const auto full = (input[i + 2] - 1) * w.strides[i] + adjust + extent;
    std::int64_t out = full - w.pads_begin[i] - w.pads_end[i];
    const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
    if (!wanted.empty() || same) {
      out = wanted.empty() ? input[i + 2] * w.strides[i] : wanted[i];
      if (out < 1 || out >= kMaxSpatial) return fail(ErrorCode::invalid_argument, "output_shape has {}", out);
      const auto total = std::max<std::int64_t>(0, full - out);
      w.pads_begin[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.pads_end[i] = total - w.pads_begin[i];
    } else if (auto_pad == "VALID") {
      w.pads_begin[i] = w.pads_end[i] = 0;
      out = full;
    }
    if (out < 1 || out >= kMaxSpatial) return fail(ErrorCode::invalid_argument, "output dimension {}", out);
    w.output.push_back(out);
  }
  return w;
}

namespace shape {
namespace {

Result<void> need_spatial(InferContext& c) {
  if (c.dims(0).size() < 3)
    return c.invalid(fmt::format("operand has rank {}, at least 3 is needed", c.dims(0).size()));
  return {};
}

Dims with_spatial(std::int64_t n, std::int64_t channels, std::span<const std::int64_t> spatial) {
  Dims out{n, channels};
  for (const auto dim : spatial) out.push_back(dim);
  return out;
}

// kernel_shape, when given, must agree with the weights.
Result<std::vector<std::int64_t>> kernel_of_weights(InferContext& c) {
  const auto& weights = c.dims(1);
  if (weights.size() != c.dims(0).size()) {
    return c.invalid(fmt::format("weights have rank {}, operand {}", weights.size(), c.dims(0).size()));
  }
  std::vector<std::int64_t> kernel(weights.begin() + 2, weights.end());
  const auto given = c.node.integers("kernel_shape");
  if (!given.empty() && !std::equal(given.begin(), given.end(), kernel.begin(), kernel.end())) {
    return c.invalid(fmt::format("kernel_shape disagrees with weights {}", to_string(weights)));
  }
  return kernel;
}

Result<void> check_bias(InferContext& c, std::size_t operand, std::int64_t channels) {
  if (c.has(operand) && (c.dims(operand).size() != 1 || c.dims(operand)[0] != channels)) {
    return c.invalid(fmt::format("bias {} for {} channels", to_string(c.dims(operand)), channels));
  }
  return {};
}

Result<std::int64_t> check_groups(InferContext& c, std::int64_t channels) {
  const auto group = c.node.integer("group");
  if (group < 1 || channels % group != 0)
    return c.invalid(fmt::format("{} channels in {} groups", channels, group));
  return group;
}

}  // namespace

Result<void> conv(InferContext& c) {
  TENON_TRY(need_spatial(c));
  const auto& in = c.dims(0);
  const auto& weights = c.dims(1);
  const auto kernel = TENON_TRY(kernel_of_weights(c));
  const auto group = TENON_TRY(check_groups(c, in[1]));
  if (weights[1] != in[1] / group || weights[0] % group != 0) {
    return c.invalid(
        fmt::format("weights {} for operand {} in {} groups", to_string(weights), to_string(in), group));
  }
  if (c.node.op == Op::Conv) TENON_TRY(check_bias(c, 2, weights[0]));
  if (c.inputs[1].type != c.inputs[0].type && c.node.op == Op::Conv)
    return c.invalid("weights have another type");
  const auto window = TENON_TRY(sliding_window(c.node, in, kernel));
  return c.set(0, with_spatial(in[0], weights[0], window.output));
}

Result<void> conv_transpose(InferContext& c) {
  TENON_TRY(need_spatial(c));
  const auto& in = c.dims(0);
  const auto& weights = c.dims(1);
  const auto kernel = TENON_TRY(kernel_of_weights(c));
  const auto group = TENON_TRY(check_groups(c, in[1]));
  if (weights[0] != in[1])
    return c.invalid(fmt::format("weights {} for operand {}", to_string(weights), to_string(in)));
  std::int64_t channels = 0;
  if (__builtin_mul_overflow(weights[1], group, &channels)) return c.invalid("dimensions overflow");
  TENON_TRY(check_bias(c, 2, channels));
  if (c.inputs[1].type != c.inputs[0].type) return c.invalid("weights have another type");
  const auto window = TENON_TRY(transposed_window(c.node, in, kernel));
  return c.set(0, with_spatial(in[0], channels, window.output));
}

Result<void> pool(InferContext& c) {
  TENON_TRY(need_spatial(c));
  const auto& in = c.dims(0);
  const auto window = TENON_TRY(sliding_window(c.node, in, c.node.integers("kernel_shape")));
  const auto out = with_spatial(in[0], in[1], window.output);
  for (std::size_t i = 0; i < c.outputs.size(); ++i) TENON_TRY(c.set(i, out));
  return {};
}

Result<void> global_pool(InferContext& c) {
  const auto& in = c.dims(0);
  if (in.size() < 2) return c.invalid(fmt::format("operand has rank {}", in.size()));
  Dims out(in.size(), 1);
  out[0] = in[0];
  out[1] = in[1];
  return c.set(0, out);
}

// Numpy's matmul: vectors are promoted, leading dims broadcast.
Result<void> matmul(InferContext& c) {
  auto a = c.dims(0), b = c.dims(1);
  if (c.node.op == Op::MatMul && c.inputs[0].type != c.inputs[1].type)
    return c.invalid("operands have different types");
  if (a.empty() || b.empty()) return c.invalid("an operand is a scalar");
  const bool row = a.size() == 1, column = b.size() == 1;
  if (row) a.insert(0, 1);
  if (column) b.push_back(1);
  const auto m = a[a.size() - 2], k = a.back(), n = b.back();
  if (b[b.size() - 2] != k) {
    return c.invalid(fmt::format("{} and {} do not multiply", to_string(c.dims(0)), to_string(c.dims(1))));
  }
  a.resize(a.size() - 2);
  b.resize(b.size() - 2);
  auto out = TENON_TRY(broadcast_dims(a, b));
  if (!row) out.push_back(m);
  if (!column) out.push_back(n);
  return c.set(0, out);
}

Result<void> gemm(InferContext& c) {
  if (c.dims(0).size() != 2 || c.dims(1).size() != 2) return c.invalid("operands must be matrices");
  const bool ta = c.node.integer("transA") != 0, tb = c.node.integer("transB") != 0;
  const Dims out{c.dims(0)[ta ? 1 : 0], c.dims(1)[tb ? 0 : 1]};
  if (c.dims(0)[ta ? 0 : 1] != c.dims(1)[tb ? 1 : 0] || c.inputs[0].type != c.inputs[1].type) {
    return c.invalid(fmt::format("{} and {} do not multiply", to_string(c.dims(0)), to_string(c.dims(1))));
  }
  if (c.has(2)) {
    if (c.inputs[2].type != c.inputs[0].type || !(TENON_TRY(broadcast_dims(out, c.dims(2))) == out)) {
      return c.invalid(
          fmt::format("operand C {} does not broadcast to {}", to_string(c.dims(2)), to_string(out)));
    }
  }
  return c.set(0, out);
}

}  // namespace shape
}  // namespace tenon::kernels
