// Quantised operators, computed in integers: operands less their zero points are widened to 32 bits, products
// accumulate there, and results are scaled and rounded once, to nearest even.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/byte_table.h"
#include "kernels/ops/families.h"
#include "kernels/ops/requantize.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

using QuantizedTypes = TypeList<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t>;
using ByteTypes = TypeList<std::uint8_t, std::int8_t>;
constexpr std::int64_t kGrain = 16384;

// Which scale belongs to an element.
struct ScaleIndex {
  std::int64_t inner = 1, extent = 1, block = 1, blocks = 1;
  bool single = true;

  explicit ScaleIndex(const LowerContext& c) {
    const auto& in = c.in_dims(0);
    single = product(c.in_dims(1)) == 1;
    if (single) return;
    const auto given = c.node.integer("axis");
    const auto axis =
        static_cast<std::size_t>(given < 0 ? given + static_cast<std::int64_t>(in.size()) : given);
    inner = product(in, axis + 1, in.size());
    extent = in[axis];
    const auto size = c.node.integer("block_size");
    block = size;
    blocks = size > 0 ? (extent - 1) / size + 1 : 0;
  }
  std::int64_t of(std::int64_t i) const {
    if (single) return 0;
    const auto along = i / inner % extent;
    if (block == 0) return along;
    return (i / (inner * extent) * blocks + along / block) * inner + i % inner;
  }
};

// One scale: two loops without calls, which vectorise.
template <class T>
std::unique_ptr<Kernel> quantize_floats(const LowerContext& c) {
  const auto count = product(c.in_dims(0));
  const bool has_zero = c.has(2);
  const auto threads = c.threads;
  return kernel_of("tenon quantize", [=](const KernelCall& call) -> Result<void> {
    const float scale = In<float>{call.in[1]}[0];
    const float zero = has_zero ? static_cast<float>(In<T>{call.in[2]}[0]) : 0.0f;
    parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const In<float> x{call.in[0]};
      const Out<T> y{call.out[0]};
      for (auto i = begin; i < end; ++i) y.set(i, saturated<T>(std::nearbyint(x[i] / scale) + zero));
    });
    return {};
  });
}

template <class T>
std::unique_ptr<Kernel> dequantize_floats(const LowerContext& c) {
  const auto count = product(c.in_dims(0));
  const bool has_zero = c.has(2);
  const auto threads = c.threads;
  return kernel_of("tenon dequantize", [=](const KernelCall& call) -> Result<void> {
    const float scale = In<float>{call.in[1]}[0];
    const std::int32_t zero = has_zero ? In<T>{call.in[2]}[0] : 0;
    parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const In<T> x{call.in[0]};
      const Out<float> y{call.out[0]};
      for (auto i = begin; i < end; ++i) y.set(i, static_cast<float>(std::int32_t{x[i]} - zero) * scale);
    });
    return {};
  });
}

// float8 rounds the sum to its own precision, integers the quotient to a whole number.
template <class T>
T code_of(float scaled, float zero, bool saturate) {
  if constexpr (kIsFloat8<T>) {
    return T::from(static_cast<double>(scaled + zero), saturate);
  } else if constexpr (kIsSmall<T>) {
    return T::from(static_cast<double>(std::nearbyint(scaled) + zero));
  } else {
    return saturated<T>(std::nearbyint(scaled) + zero);
  }
}

template <class T>
std::unique_ptr<Kernel> quantize_to(const LowerContext& c) {
  const ScaleIndex index(c);
  const auto count = product(c.in_dims(0));
  const bool has_zero = c.has(2);
  const auto threads = c.threads;
  const auto scale_type = c.inputs[1].type;
  const bool saturate = c.node.integer("saturate") != 0;
  std::unique_ptr<Kernel> kernel;
  dispatch(TypeList<float, f16_t, bf16_t, double, std::int32_t>{}, c.inputs[0].type, [&]<class X>() {
    kernel = kernel_of("tenon quantize", [=](const KernelCall& call) -> Result<void> {
      dispatch(FloatTypes{}, scale_type, [&]<class S>() {
        parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
          for (auto i = begin; i < end; ++i) {
            const auto at = index.of(i);
            const auto scale = static_cast<float>(In<S>{call.in[1]}[at]);
            const auto zero = has_zero ? static_cast<float>(In<T>{call.in[2]}[at]) : 0.0f;
            const auto x = static_cast<float>(In<X>{call.in[0]}[i]);
            Out<T>{call.out[0]}.set(i, code_of<T>(x / scale, zero, saturate));
          }
        });
      });
      return {};
    });
  });
  return kernel;
}

template <class T>
std::unique_ptr<Kernel> dequantize_from(const LowerContext& c) {
  const ScaleIndex index(c);
  const auto count = product(c.in_dims(0));
  const bool has_zero = c.has(2);
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.outputs[0].type, [&]<class S>() {
    kernel = kernel_of("tenon dequantize", [=](const KernelCall& call) -> Result<void> {
      parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) {
          const auto at = index.of(i);
          using Wide = std::conditional_t<kIsSmall<T>, float, std::int64_t>;
          const Wide zero = has_zero ? static_cast<Wide>(In<T>{call.in[2]}[at]) : Wide(0);
          const auto difference = static_cast<Compute<S>>(static_cast<Wide>(In<T>{call.in[0]}[i]) - zero);
          const Compute<S> scale = In<S>{call.in[1]}[at];
          Out<S>{call.out[0]}.set(i, static_cast<S>(difference * scale));
        }
      });
      return {};
    });
  });
  return kernel;
}

// `count` elements of an 8-bit type as 32-bit integers, less a zero point that changes every `run` elements.
std::vector<std::int32_t> widened(DataType type, const std::byte* from, std::int64_t count,
                                  const std::byte* zero, std::int64_t zeros, std::int64_t run) {
  std::vector<std::int32_t> out(static_cast<std::size_t>(count));
  dispatch(ByteTypes{}, type, [&]<class T>() {
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int32_t z = zero ? In<T>{zero}[zeros == 1 ? 0 : i / run % zeros] : 0;
      out[static_cast<std::size_t>(i)] = In<T>{from}[i] - z;
    }
  });
  return out;
}

// sums[0..n) += factor · row[0..n), wrapping as 32-bit hardware does.
void add_scaled(std::int32_t factor, const std::int32_t* row, std::int64_t n, std::int32_t* sums) {
  if (factor == 0) return;
  const auto f = static_cast<std::uint32_t>(factor);
  for (std::int64_t j = 0; j < n; ++j) {
    sums[j] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sums[j]) +
                                        f * static_cast<std::uint32_t>(row[j]));
  }
}

// Scales and zero points of QLinear operators: x 0, 1, 2; w 3, 4, 5; y 6, 7.
Requantize requantize(const KernelCall& call, DataType x_type, DataType out, std::int64_t w_scales,
                      const std::string& rounding = "once") {
  const bool twice = rounding != "once";
  Requantize r;
  r.type = out;
  r.halves_up = rounding == "twice_up";
  const In<float> x_scale{call.in[1]}, w_scale{call.in[4]}, y_scale{call.in[6]};
  for (std::int64_t i = 0; twice && i < w_scales; ++i)
    r.fixed.push_back(FixedScale::of(multiplier_of(x_scale[0], w_scale[i], y_scale[0], x_type)));
  for (std::int64_t i = 0; i < w_scales; ++i) r.multipliers.push_back(x_scale[0] * w_scale[i] / y_scale[0]);
  dispatch(ByteTypes{}, out, [&]<class T>() { r.zero = static_cast<float>(In<T>{call.in[7]}[0]); });
  return r;
}

// Operand numbers of a quantised convolution or product; 0 stands for none where 0 cannot be meant.
struct Operands {
  std::size_t x, w, x_zero, w_zero, bias;
};
constexpr Operands kInteger{0, 1, 2, 3, 0}, kQLinear{0, 3, 2, 5, 8};

struct ConvPlan {
  Dims in, weights;
  std::int64_t group = 1, channels = 0, taps = 1, in_size = 1, out_size = 1;
  Window window;
  Dims in_spatial, out_spatial;

  // Row (channel, tap) of the group's columns: the input element under that tap for each output position, 0
  // outside.
  void fill_row(const std::int32_t* plane, std::int64_t tap, std::int32_t* row) const {
    const auto last = in_spatial.size() - 1;
    const auto lines = out_size == 0 ? 0 : out_size / out_spatial[last];
    const auto shift = tap % window.kernel[last] * window.dilations[last] - window.pads_begin[last];
    for (std::int64_t line = 0; line < lines; ++line) {
      // The input line under this tap, from all dimensions but the last.
      auto rest_at = line, rest_tap = tap / window.kernel[last], pitch = in_spatial[last];
      std::int64_t from = 0;
      bool inside = true;
      for (std::size_t d = last; d-- > 0;) {
        const auto x = rest_at % out_spatial[d] * window.strides[d] - window.pads_begin[d] +
                       rest_tap % window.kernel[d] * window.dilations[d];
        rest_at /= out_spatial[d];
        rest_tap /= window.kernel[d];
        inside = inside && x >= 0 && x < in_spatial[d];
        from += x * pitch;
        pitch *= in_spatial[d];
      }
      for (std::int64_t at = 0; at < out_spatial[last]; ++at, ++row) {
        const auto x = at * window.strides[last] + shift;
        *row = inside && x >= 0 && x < in_spatial[last] ? plane[from + x] : 0;
      }
    }
  }
};

Result<ConvPlan> plan_conv(const LowerContext& c, const Operands& o) {
  ConvPlan p;
  p.in = c.in_dims(o.x);
  p.weights = c.in_dims(o.w);
  p.group = c.node.integer("group");
  p.channels = p.in[1] / p.group;
  const std::vector<std::int64_t> kernel(p.weights.begin() + 2, p.weights.end());
  p.window = TENON_TRY(sliding_window(c.node, p.in, kernel));
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    p.taps *= kernel[i];
    p.in_spatial.push_back(p.in[i + 2]);
    p.out_spatial.push_back(p.window.output[i]);
  }
  p.in_size = product(p.in_spatial);
  p.out_size = product(p.out_spatial);
  return p;
}

// Both quantised convolutions; `finish` says how sums become the output.
template <class Finish>
KernelResult conv_kernel(const LowerContext& c, const Operands& o, Finish finish) {
  const auto p = TENON_TRY(plan_conv(c, o));
  const auto x_type = c.inputs[o.x].type, w_type = c.inputs[o.w].type;
  const auto operand_count = [&](std::size_t i) { return c.has(i) ? product(c.in_dims(i)) : 0; };
  const auto x_zeros = operand_count(o.x_zero), w_zeros = operand_count(o.w_zero);
  const bool bias = o.bias != 0 && c.has(o.bias);
  const auto threads = c.threads;
  if (x_zeros > 1) return c.unsupported("a zero point for each channel of the input");
  if (w_zeros > 1 && w_zeros != p.weights[0])
    return c.unsupported(fmt::format("{} zero points of weights", w_zeros));
  return kernel_of("tenon conv integer", [=](const KernelCall& call) -> Result<void> {
    const auto per_output = p.channels * p.taps, outputs = p.weights[0] / p.group;
    const auto w = widened(w_type, call.in[o.w], product(p.weights), w_zeros ? call.in[o.w_zero] : nullptr,
                           w_zeros, per_output);
    const auto x =
        widened(x_type, call.in[o.x], product(p.in), x_zeros ? call.in[o.x_zero] : nullptr, x_zeros, 1);
    const auto how = finish(call);
    parallel_for(threads, p.in[0] * p.group, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int32_t> columns(static_cast<std::size_t>(per_output * p.out_size));
      std::vector<std::int32_t> sums(static_cast<std::size_t>(p.out_size));
      for (auto part = begin; part < end; ++part) {
        const auto g = part % p.group;
        for (std::int64_t k = 0; k < per_output; ++k) {
          const auto* plane = x.data() + (part * p.channels + k / p.taps) * p.in_size;
          p.fill_row(plane, k % p.taps, columns.data() + k * p.out_size);
        }
        for (std::int64_t i = 0; i < outputs; ++i) {
          const auto channel = g * outputs + i;
          std::fill(sums.begin(), sums.end(), bias ? In<std::int32_t>{call.in[o.bias]}[channel] : 0);
          for (std::int64_t k = 0; k < per_output; ++k) {
            add_scaled(w[static_cast<std::size_t>(channel * per_output + k)], columns.data() + k * p.out_size,
                       p.out_size, sums.data());
          }
          const auto at = (part / p.group * p.weights[0] + channel) * p.out_size;
          how.write(sums.data(), p.out_size, channel, 0, call.out[0], at);
        }
      }
    });
    return {};
  });
}

// Both quantised products. Vectors are promoted and leading dims broadcast, as numpy does.
template <class Finish>
KernelResult matmul_kernel(const LowerContext& c, const Operands& o, Finish finish) {
  auto a = c.in_dims(o.x), b = c.in_dims(o.w);
  if (a.size() == 1) a.insert(0, 1);
  if (b.size() == 1) b.push_back(1);
  const auto m = a[a.size() - 2], k = a.back(), n = b.back();
  a.resize(a.size() - 2);
  b.resize(b.size() - 2);
  const auto batch = TENON_TRY(broadcast_dims(a, b));
  // Strides of a and b, in matrices, over the broadcast batch.
  const auto strides_over = [&](const Dims& own) {
    const auto dense = strides_of(own);
    Dims out(batch.size(), 0);
    for (std::size_t i = 0; i < own.size(); ++i)
      out[batch.size() - own.size() + i] = own[i] == 1 ? 0 : dense[i];
    return out;
  };
  const auto a_strides = strides_over(a), b_strides = strides_over(b);
  const auto x_type = c.inputs[o.x].type, w_type = c.inputs[o.w].type;
  const auto operand_count = [&](std::size_t i) { return c.has(i) ? product(c.in_dims(i)) : 0; };
  const auto x_zeros = operand_count(o.x_zero), w_zeros = operand_count(o.w_zero);
  if ((x_zeros > 1 && x_zeros != m) || (w_zeros > 1 && w_zeros != n)) {
    return c.unsupported("a zero point for each matrix");
  }
  const auto a_count = product(a) * m * k, b_count = product(b) * k * n;
  const auto threads = c.threads;
  return kernel_of("tenon matmul integer", [=](const KernelCall& call) -> Result<void> {
    const auto x = widened(x_type, call.in[o.x], a_count, x_zeros ? call.in[o.x_zero] : nullptr, x_zeros, k);
    const auto w = widened(w_type, call.in[o.w], b_count, w_zeros ? call.in[o.w_zero] : nullptr, w_zeros, 1);
    const auto how = finish(call);
    parallel_for(threads, product(batch) * m, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int32_t> sums(static_cast<std::size_t>(n));
      for (auto row = begin; row < end; ++row) {
        auto rest = row / m;
        std::int64_t a_at = 0, b_at = 0;
        for (std::size_t d = batch.size(); d-- > 0;) {
          a_at += rest % batch[d] * a_strides[d];
          b_at += rest % batch[d] * b_strides[d];
          rest /= batch[d];
        }
        std::fill(sums.begin(), sums.end(), 0);
        const auto* factors = x.data() + (a_at * m + row % m) * k;
        for (std::int64_t i = 0; i < k; ++i)
          add_scaled(factors[i], w.data() + (b_at * k + i) * n, n, sums.data());
        how.write(sums.data(), n, 0, 1, call.out[0], row * n);
      }
    });
    return {};
  });
}

const auto keep_sums = [](const KernelCall&) { return Requantize{}; };

// Scalars except for the weights' scale.
Result<std::int64_t> check_scales(const LowerContext& c, std::int64_t channels) {
  for (const std::size_t i : {1u, 2u, 6u, 7u}) {
    if (product(c.in_dims(i)) != 1) return c.unsupported(fmt::format("operand {} with several elements", i));
  }
  const auto scales = product(c.in_dims(4));
  if (scales != 1 && scales != channels) return c.unsupported(fmt::format("{} scales of weights", scales));
  return scales;
}

}  // namespace

KernelResult fast::quantize(const LowerContext& c) {
  std::unique_ptr<Kernel> kernel;
  const bool single = product(c.in_dims(1)) == 1 && c.inputs[1].type == DataType::f32;
  if (!c.reference && single && c.inputs[0].type == DataType::f32) {
    dispatch(ByteTypes{}, c.outputs[0].type, [&]<class T>() { kernel = quantize_floats<T>(c); });
    if (kernel) return kernel;
  }
  dispatch(QuantizedTypes{}, c.outputs[0].type, [&]<class T>() { kernel = quantize_to<T>(c); });
  dispatch(SmallTypes{}, c.outputs[0].type, [&]<class T>() { kernel = quantize_to<T>(c); });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::dequantize(const LowerContext& c) {
  std::unique_ptr<Kernel> kernel;
  const bool single = product(c.in_dims(1)) == 1 && c.inputs[1].type == DataType::f32;
  if (!c.reference && single && c.outputs[0].type == DataType::f32) {
    dispatch(ByteTypes{}, c.inputs[0].type, [&]<class T>() { kernel = dequantize_floats<T>(c); });
    if (kernel) return kernel;
  }
  dispatch(TypeList<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::int32_t>{}, c.inputs[0].type,
           [&]<class T>() { kernel = dequantize_from<T>(c); });
  dispatch(SmallTypes{}, c.inputs[0].type, [&]<class T>() { kernel = dequantize_from<T>(c); });
  if (!kernel) return no_kernel(c);
  return kernel;
}

namespace {

// Forms of dynamic quantisation: a scale and a zero point for values from `low` to `high`, a range that includes 0, so that 0
// has an exact code; and how a value becomes its code.
struct DynamicScale {
  float scale, zero;
};

struct OnnxForm {
  static DynamicScale of(float low, float high) {
    const float scale = high == low ? 1 : (high - low) / 255;
    return {scale, std::nearbyint(std::clamp(-low / scale, 0.0f, 255.0f))};
  }
  static float code(float x, const DynamicScale& s) { return std::nearbyint(x / s.scale) + s.zero; }
};

// tensor_utils::AsymmetricQuantizeFloats of TensorFlow Lite: the end of the range nearer to 0 decides where 0 lies; sums
// with the zero point are rounded, halves away from zero. Codes are those plus 128.
struct AsymmetricForm {
  static DynamicScale of(float lowest, float highest) {
    const double low = static_cast<double>(lowest), high = static_cast<double>(highest);
    if (low == high) return {1, 128};
    const double scale = (high - low) / 255;
    const double from_low = -128 - low / scale, from_high = 127 - high / scale;
    const bool low_is_nearer = 128 + std::abs(low / scale) < 127 + std::abs(high / scale);
    const double zero = std::round(std::clamp(low_is_nearer ? from_low : from_high, -128.0, 127.0));
    return {static_cast<float>(scale), static_cast<float>(zero + 128)};
  }
  static float code(float x, const DynamicScale& s) {
    return std::round((s.zero - 128) + x * (1.0f / s.scale)) + 128;
  }
};

// SymmetricQuantizeFloats, likewise: from -127 to 127.
struct SymmetricForm {
  static DynamicScale of(float low, float high) {
    const float range = std::max(-low, high);
    return {range == 0 ? 1 : range / 127, 128};
  }
  static float code(float x, const DynamicScale& s) {
    return std::clamp(std::round(x * (1.0f / s.scale)), -127.0f, 127.0f) + 128;
  }
};

template <class Form>
std::unique_ptr<Kernel> dynamic_quantize_as(const LowerContext& c) {
  const auto rows = c.node.integer("by_row") != 0 ? c.in_dims(0)[0] : 1;
  const auto count = rows == 0 ? 0 : product(c.in_dims(0)) / rows;
  const auto threads = c.threads;
  return kernel_of("tenon dynamic quantize", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto x = In<float>{call.in[0]}.at(row * count);
      float low = 0, high = 0;
      for (std::int64_t i = 0; i < count; ++i) {
        low = std::min(low, x[i]);
        high = std::max(high, x[i]);
      }
      const DynamicScale s = Form::of(low, high);
      if (call.out[0] != nullptr) {
        parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
          const Out<std::uint8_t> y{call.out[0] + row * count};
          for (auto i = begin; i < end; ++i) y.set(i, saturated<std::uint8_t>(Form::code(x[i], s)));
        });
      }
      if (call.out.size() > 1 && call.out[1]) Out<float>{call.out[1]}.set(row, s.scale);
      if (call.out.size() > 2 && call.out[2])
        Out<std::uint8_t>{call.out[2]}.set(row, saturated<std::uint8_t>(s.zero));
    }
    return {};
  });
}

}  // namespace

KernelResult fast::dynamic_quantize(const LowerContext& c) {
  if (c.inputs[0].type != DataType::f32) return no_kernel(c);
  const auto& form = c.node.text("form");
  if (form == "asymmetric") return dynamic_quantize_as<AsymmetricForm>(c);
  if (form == "symmetric") return dynamic_quantize_as<SymmetricForm>(c);
  return dynamic_quantize_as<OnnxForm>(c);
}

// A byte for each byte; codes count from the type's lowest value.
std::unique_ptr<Kernel> make_byte_table(const Tensor& table, DataType from, std::int64_t count, int threads) {
  std::array<std::byte, 256> by_bits;
  for (std::size_t i = 0; i < 256; ++i) by_bits[from == DataType::i8 ? (i + 128) % 256 : i] = table.data()[i];
  return kernel_of("tenon table", [=](const KernelCall& call) -> Result<void> {
    parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = begin; i < end; ++i) call.out[0][i] = by_bits[static_cast<std::uint8_t>(call.in[0][i])];
    });
    return {};
  });
}

KernelResult fast::conv_integer(const LowerContext& c) { return conv_kernel(c, kInteger, keep_sums); }
KernelResult fast::matmul_integer(const LowerContext& c) { return matmul_kernel(c, kInteger, keep_sums); }

KernelResult fast::qlinear_conv(const LowerContext& c) {
  const auto scales = TENON_TRY(check_scales(c, c.in_dims(3)[0]));
  const auto x_type = c.inputs[0].type, type = c.outputs[0].type;
  return conv_kernel(c, kQLinear, [=, rounding = c.node.text("rounding")](const KernelCall& call) {
    return requantize(call, x_type, type, scales, rounding);
  });
}

KernelResult fast::qlinear_matmul(const LowerContext& c) {
  const auto scales = TENON_TRY(check_scales(c, c.in_dims(3).back()));
  const auto x_type = c.inputs[0].type, type = c.outputs[0].type;
  return matmul_kernel(c, kQLinear,
                       [=](const KernelCall& call) { return requantize(call, x_type, type, scales); });
}

// The loops above are plain: they are their own reference.
#define SAME(name) \
  KernelResult reference::name(const LowerContext& c) { return fast::name(c); }
SAME(quantize)
SAME(dequantize)
SAME(dynamic_quantize)
SAME(conv_integer)
SAME(matmul_integer)
SAME(qlinear_conv)
SAME(qlinear_matmul)
#undef SAME

}  // namespace tenon::kernels
