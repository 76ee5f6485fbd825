// Fourier transforms and mel filters: DFT, STFT, MelWeightMatrix. Transforms are direct sums over a table of
// sines, exact and without restrictions on length.
#include <cmath>
#include <numbers>

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace {

Result<std::int64_t> one_integer(InferContext& c, std::size_t operand) {
  const auto list = TENON_TRY(c.integers(operand));
  if (list.size() != 1) return fail(ErrorCode::invalid_argument, "operand {} must be one number", operand);
  return list[0];
}

Result<double> one_number(InferContext& c, std::size_t operand) {
  const auto tensor = TENON_TRY(c.contents(operand));
  if (tensor.count() != 1 || tensor.type() == DataType::string)
    return fail(ErrorCode::invalid_argument, "operand {} must be one number", operand);
  return get_number(tensor.type(), tensor.data(), 0);
}

struct DftGeometry {
  std::size_t axis = 0;
  std::int64_t length = 0;  // of the transform
  bool inverse = false, onesided = false, complex = false;
  // From half a spectrum, whose other half is its mirror image, to real numbers.
  bool to_real() const { return inverse && onesided; }
};

// X [..., n, ..., 1 or 2], optional length, optional axis (opset 20 form; the default is the last but one).
Result<DftGeometry> dft_geometry(InferContext& c) {
  const auto& in = c.dims(0);
  if (in.size() < 2 || (in.back() != 1 && in.back() != 2))
    return c.invalid(fmt::format("operand {}", to_string(in)));
  DftGeometry g;
  std::int64_t axis = -2;
  if (c.has(2)) axis = TENON_TRY(one_integer(c, 2));
  g.axis = TENON_TRY(normalize_axis(axis, in.size()));
  if (g.axis + 1 == in.size()) return c.invalid("the axis holds real and imaginary parts");
  g.inverse = c.node.integer("inverse") != 0;
  g.onesided = c.node.integer("onesided") != 0;
  g.complex = in.back() == 2;
  g.length = c.has(1) ? TENON_TRY(one_integer(c, 1)) : g.to_real() ? 2 * (in[g.axis] - 1) : in[g.axis];
  if (g.length < 1 || g.length > (1 << 24))
    return c.invalid(fmt::format("a transform of length {}", g.length));
  if (g.to_real() && !g.complex) return c.invalid("an inverse one-sided transform needs complex operands");
  return g;
}

struct Table {
  std::vector<double> cosine, sine;
  Table(std::int64_t n, bool inverse) {
    for (std::int64_t k = 0; k < n; ++k) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
      cosine.push_back(std::cos(angle));
      sine.push_back(inverse ? std::sin(angle) : -std::sin(angle));
    }
  }
};

}  // namespace

namespace shape {

Result<void> dft(InferContext& c) {
  const auto g = TENON_TRY(dft_geometry(c));
  auto out = c.dims(0);
  out[g.axis] = g.onesided && !g.inverse ? g.length / 2 + 1 : g.length;
  out.back() = g.to_real() ? 1 : 2;
  return c.set(0, out);
}

// signal [batch, samples, 1 or 2], frame step, window, frame length.
Result<void> stft(InferContext& c) {
  const auto& in = c.dims(0);
  if (in.size() != 3 || (in[2] != 1 && in[2] != 2))
    return c.invalid(fmt::format("operand {}", to_string(in)));
  const auto step = TENON_TRY(one_integer(c, 1));
  std::int64_t length = 0;
  if (c.has(3))
    length = TENON_TRY(one_integer(c, 3));
  else if (c.has(2) && c.dims(2).size() == 1)
    length = c.dims(2)[0];
  if (step < 1 || length < 1 || length > in[1])
    return c.invalid(fmt::format("frames of {} each {} in {} samples", length, step, in[1]));
  if (c.has(2) && (c.dims(2).size() != 1 || c.dims(2)[0] != length || c.inputs[2].type != c.inputs[0].type)) {
    return c.invalid(fmt::format("window {} for frames of {}", to_string(c.dims(2)), length));
  }
  const bool onesided = c.node.integer("onesided") != 0;
  return c.set(0, {in[0], (in[1] - length) / step + 1, onesided ? length / 2 + 1 : length, 2});
}

Result<void> mel_weights(InferContext& c) {
  const auto bins = TENON_TRY(one_integer(c, 0)), length = TENON_TRY(one_integer(c, 1));
  if (bins < 1 || length < 1 || bins > (1 << 20) || length > (1 << 24))
    return c.invalid(fmt::format("{} bins of {}", bins, length));
  TENON_TRY(one_number(c, 2));
  TENON_TRY(one_number(c, 3));
  TENON_TRY(one_number(c, 4));
  return c.set(0, {length / 2 + 1, bins});
}

}  // namespace shape

namespace {

KernelResult dft_kernel(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto g = TENON_TRY(dft_geometry(infer));
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto type = c.inputs[0].type;
  return kernel_of("tenon dft", [=](const KernelCall& call) -> Result<void> {
    const Table table(g.length, g.inverse);
    const auto parts = g.complex ? 2 : 1;
    const auto outer = product(in, 0, g.axis), inner = product(in, g.axis + 1, in.size() - 1);
    // Shorter operands count as zero-padded.
    const auto given = std::min(in[g.axis], g.to_real() ? g.length / 2 + 1 : g.length);
    const double scale = g.inverse ? 1 / static_cast<double>(g.length) : 1;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        for (std::int64_t k = 0; k < out[g.axis]; ++k) {
          double re = 0, im = 0;
          for (std::int64_t n = 0; n < given; ++n) {
            const auto at = ((o * in[g.axis] + n) * inner + i) * parts;
            const double mirrored = g.to_real() && n > 0 && 2 * n != g.length ? 2 : 1;
            const double x = mirrored * get_number(type, call.in[0], at),
                         y = g.complex ? mirrored * get_number(type, call.in[0], at + 1) : 0;
            const auto t = static_cast<std::size_t>(k * n % g.length);
            re += x * table.cosine[t] - y * table.sine[t];
            im += x * table.sine[t] + y * table.cosine[t];
          }
          const auto at = ((o * out[g.axis] + k) * inner + i) * out.back();
          set_number(type, call.out[0], at, re * scale);
          if (!g.to_real()) set_number(type, call.out[0], at + 1, im * scale);
        }
      }
    }
    return {};
  });
}

KernelResult stft_kernel(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto step = TENON_TRY(one_integer(infer, 1));
  const auto length = c.has(3) ? TENON_TRY(one_integer(infer, 3)) : c.in_dims(2)[0];
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto type = c.inputs[0].type;
  return kernel_of("tenon stft", [=](const KernelCall& call) -> Result<void> {
    const Table table(length, false);
    const auto parts = in[2];
    const bool window = call.in.size() > 2 && call.in[2] != nullptr;
    for (std::int64_t frame = 0; frame < out[0] * out[1]; ++frame) {
      const auto first = frame / out[1] * in[1] + frame % out[1] * step;
      for (std::int64_t k = 0; k < out[2]; ++k) {
        double re = 0, im = 0;
        for (std::int64_t n = 0; n < length; ++n) {
          const double w = window ? get_number(type, call.in[2], n) : 1;
          const auto at = (first + n) * parts;
          const double x = w * get_number(type, call.in[0], at),
                       y = parts == 2 ? w * get_number(type, call.in[0], at + 1) : 0;
          const auto t = static_cast<std::size_t>(k * n % length);
          re += x * table.cosine[t] - y * table.sine[t];
          im += x * table.sine[t] + y * table.cosine[t];
        }
        set_number(type, call.out[0], (frame * out[2] + k) * 2, re);
        set_number(type, call.out[0], (frame * out[2] + k) * 2 + 1, im);
      }
    }
    return {};
  });
}

// Triangular filters between mel-spaced edges, in whole spectrogram bins as the ONNX definition computes
// them.
KernelResult mel_kernel(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto bins = TENON_TRY(one_integer(infer, 0)), length = TENON_TRY(one_integer(infer, 1));
  const double rate = TENON_TRY(one_number(infer, 2)), low = TENON_TRY(one_number(infer, 3)),
               high = TENON_TRY(one_number(infer, 4));
  const auto type = c.outputs[0].type;
  const auto rows = c.outputs[0].dims[0];
  return kernel_of("tenon mel", [=](const KernelCall& call) -> Result<void> {
    const auto mel = [](double hz) { return 2595 * std::log10(1 + hz / 700); };
    const double from = mel(low), step = (mel(high) - from) / static_cast<double>(bins + 2);
    std::vector<std::int64_t> edges;
    for (std::int64_t i = 0; i < bins + 2; ++i) {
      const double hz = 700 * (std::pow(10, (static_cast<double>(i) * step + from) / 2595) - 1);
      const double edge = std::floor(static_cast<double>(length + 1) * hz / rate);
      edges.push_back(edge >= 0 && edge < 1e15 ? static_cast<std::int64_t>(edge) : 0);
    }
    for (std::int64_t i = 0; i < rows * bins; ++i) set_number(type, call.out[0], i, 0);
    const auto put = [&](std::int64_t row, std::int64_t bin, double v) {
      if (row >= 0 && row < rows) set_number(type, call.out[0], row * bins + bin, v);
    };
    for (std::int64_t b = 0; b < bins; ++b) {
      const auto i = static_cast<std::size_t>(b);
      const auto left = edges[i], center = edges[i + 1], right = edges[i + 2];
      if (center == left) {
        put(center, b, 1);
      } else {
        for (auto r = left; r <= std::min(center, rows); ++r)
          put(r, b, static_cast<double>(r - left) / static_cast<double>(center - left));
      }
      for (auto r = center; r < std::min(right, rows); ++r)
        put(r, b, static_cast<double>(right - r) / static_cast<double>(right - center));
    }
    return {};
  });
}

}  // namespace

KernelResult fast::signal(const LowerContext& c) {
  switch (c.node.op) {
    case Op::DFT: return dft_kernel(c);
    case Op::STFT: return stft_kernel(c);
    default: return mel_kernel(c);
  }
}

}  // namespace tenon::kernels
