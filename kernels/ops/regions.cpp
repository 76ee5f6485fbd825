// Windows whose places come from data: DeformConv moves each tap by an offset, MaxRoiPool pools within given regions. Plain
// loops in double precision, so they are their own reference.
#include <cmath>

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace shape {

Result<void> deform_conv(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& weights = c.dims(1);
  const auto group = c.node.integer("group"), offset_groups = c.node.integer("offset_group");
  if (in.size() != 4 || weights.size() != 4)
    return c.invalid(fmt::format("operand {}, weights {}: images only", to_string(in), to_string(weights)));
  if (group < 1 || offset_groups < 1 || in[1] % group != 0 || in[1] % offset_groups != 0 ||
      weights[0] % group != 0 || weights[1] != in[1] / group) {
    return c.invalid(fmt::format("weights {} for operand {} in {} groups, {} of offsets", to_string(weights),
                                 to_string(in), group, offset_groups));
  }
  const auto named = c.node.integers("kernel_shape");
  const std::int64_t kernel[] = {weights[2], weights[3]};
  if (!named.empty() && !std::ranges::equal(named, kernel))
    return c.invalid("kernel_shape is not that of the weights");
  const auto window = TENON_TRY(sliding_window(c.node, in, kernel));
  std::int64_t taps = 0;
  if (__builtin_mul_overflow(offset_groups, kernel[0] * kernel[1] * 2, &taps)) return c.invalid("overflow");
  const Dims out{in[0], weights[0], window.output[0], window.output[1]};
  if (!(c.dims(2) == Dims{in[0], taps, out[2], out[3]}))
    return c.invalid(fmt::format("offsets {} for results {}", to_string(c.dims(2)), to_string(out)));
  if (c.has(3) && !(c.dims(3) == Dims{weights[0]})) return c.invalid("the bias does not fit");
  if (c.has(4) && !(c.dims(4) == Dims{in[0], taps / 2, out[2], out[3]}))
    return c.invalid(fmt::format("mask {} for results {}", to_string(c.dims(4)), to_string(out)));
  for (std::size_t i = 1; i < 5; ++i)
    if (c.has(i) && c.inputs[i].type != c.inputs[0].type) return c.invalid("operands of different types");
  return c.set(0, out);
}

Result<void> max_roi_pool(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& regions = c.dims(1);
  const auto pooled = c.node.integers("pooled_shape");
  if (in.size() != 4 || regions.size() != 2 || regions[1] != 5 || pooled.size() != 2 || pooled[0] < 1 ||
      pooled[1] < 1 || c.inputs[1].type != c.inputs[0].type) {
    return c.invalid(fmt::format("operand {} with regions {}", to_string(in), to_string(regions)));
  }
  return c.set(0, {regions[0], in[1], pooled[0], pooled[1]});
}

}  // namespace shape

namespace {

// Linear interpolation in a plane that is zero outside.
double read_at(const double* plane, std::int64_t height, std::int64_t width, double y, double x) {
  if (!(y > -1 && x > -1 && y < static_cast<double>(height) && x < static_cast<double>(width))) return 0;
  const double low_y = std::floor(y), low_x = std::floor(x);
  const auto y0 = static_cast<std::int64_t>(low_y), x0 = static_cast<std::int64_t>(low_x);
  const auto at = [&](std::int64_t r, std::int64_t k) {
    return r < 0 || k < 0 || r >= height || k >= width ? 0 : plane[r * width + k];
  };
  const double fy = y - low_y, fx = x - low_x;
  return (1 - fy) * ((1 - fx) * at(y0, x0) + fx * at(y0, x0 + 1)) +
         fy * ((1 - fx) * at(y0 + 1, x0) + fx * at(y0 + 1, x0 + 1));
}

struct DeformConv {
  DataType type;
  Dims in, weights, out;
  Window window;
  std::int64_t group, offset_groups;
  int threads;

  // The operand's values that one place of the result reads, weighted by the mask: [channels][taps].
  void gather(const KernelCall& call, const std::vector<double>& image, std::int64_t n, std::int64_t place,
              std::vector<double>& taps) const {
    const auto kernel = weights[2] * weights[3], places = out[2] * out[3];
    const auto per_group = in[1] / offset_groups;
    for (std::int64_t g = 0; g < offset_groups; ++g) {
      for (std::int64_t t = 0; t < kernel; ++t) {
        const auto tap = (n * offset_groups + g) * kernel + t;
        const double dy = get_number(type, call.in[2], (tap * 2) * places + place),
                     dx = get_number(type, call.in[2], (tap * 2 + 1) * places + place);
        const double mask =
            call.in.size() > 4 && call.in[4] ? get_number(type, call.in[4], tap * places + place) : 1;
        const auto row =
            place / out[3] * window.strides[0] - window.pads_begin[0] + t / weights[3] * window.dilations[0];
        const auto column =
            place % out[3] * window.strides[1] - window.pads_begin[1] + t % weights[3] * window.dilations[1];
        for (auto ch = g * per_group; ch < (g + 1) * per_group; ++ch) {
          const auto* plane = image.data() + (n * in[1] + ch) * in[2] * in[3];
          taps[static_cast<std::size_t>(ch * kernel + t)] =
              mask *
              read_at(plane, in[2], in[3], static_cast<double>(row) + dy, static_cast<double>(column) + dx);
        }
      }
    }
  }

  Result<void> operator()(const KernelCall& call) const {
    const auto image = get_numbers(type, call.in[0], product(in));
    const auto w = get_numbers(type, call.in[1], product(weights));
    const bool biased = call.in.size() > 3 && call.in[3];
    const auto places = out[2] * out[3], depth = weights[1] * weights[2] * weights[3];
    parallel_for(threads, out[0] * places, 16, [&](std::int64_t begin, std::int64_t end) {
      std::vector<double> taps(static_cast<std::size_t>(in[1] * weights[2] * weights[3]));
      for (auto i = begin; i < end; ++i) {
        const auto n = i / places, place = i % places;
        gather(call, image, n, place, taps);
        for (std::int64_t o = 0; o < out[1]; ++o) {
          const auto* from = taps.data() + o / (out[1] / group) * depth;
          double sum = biased ? get_number(type, call.in[3], o) : 0;
          for (std::int64_t k = 0; k < depth; ++k)
            sum += from[k] * w[static_cast<std::size_t>(o * depth + k)];
          set_number(type, call.out[0], (n * out[1] + o) * places + place, sum);
        }
      }
    });
    return {};
  }
};

KernelResult deform_conv_kernel(const LowerContext& c) {
  const auto& weights = c.in_dims(1);
  const std::int64_t kernel[] = {weights[2], weights[3]};
  return kernel_of("tenon deform_conv",
                   DeformConv{c.inputs[0].type, c.in_dims(0), weights, c.outputs[0].dims,
                              TENON_TRY(sliding_window(c.node, c.in_dims(0), kernel)),
                              c.node.integer("group"), c.node.integer("offset_group"), c.threads});
}

// One region's bins along one axis: [first, last) of bin i.
struct Bins {
  double start, size;
  std::int64_t extent;
  std::pair<std::int64_t, std::int64_t> range(std::int64_t i) const {
    const auto clamp = [&](double x) {
      return static_cast<std::int64_t>(std::clamp(x, 0.0, static_cast<double>(extent)));
    };
    return {clamp(start + std::floor(static_cast<double>(i) * size)),
            clamp(start + std::ceil(static_cast<double>(i + 1) * size))};
  }
};

KernelResult max_roi_pool_kernel(const LowerContext& c) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto type = c.inputs[0].type;
  const double scale = c.node.real("spatial_scale");
  auto kernel = kernel_of("tenon max_roi_pool", [=](const KernelCall& call) -> Result<void> {
    const auto image = get_numbers(type, call.in[0], product(in));
    for (std::int64_t r = 0; r < out[0]; ++r) {
      double region[5];
      for (std::int64_t k = 0; k < 5; ++k) region[k] = get_number(type, call.in[1], r * 5 + k);
      if (!(region[0] >= 0 && region[0] < static_cast<double>(in[0])))
        return fail(ErrorCode::runtime_error, "batch index {} of {}", region[0], in[0]);
      for (auto k = 1; k < 5; ++k) {
        region[k] = std::round(region[k] * scale);
        if (!(std::abs(region[k]) < 1e9)) return fail(ErrorCode::runtime_error, "a region at {}", region[k]);
      }
      const auto batch = static_cast<std::int64_t>(region[0]);
      const Bins rows{region[2], std::max(region[4] - region[2] + 1, 1.0) / static_cast<double>(out[2]),
                      in[2]},
          columns{region[1], std::max(region[3] - region[1] + 1, 1.0) / static_cast<double>(out[3]), in[3]};
      for (std::int64_t p = 0; p < product(out, 1, 4); ++p) {
        const auto* plane = image.data() + (batch * in[1] + p / (out[2] * out[3])) * in[2] * in[3];
        const auto [top, bottom] = rows.range(p / out[3] % out[2]);
        const auto [left, right] = columns.range(p % out[3]);
        double best = top < bottom && left < right ? -std::numeric_limits<double>::infinity() : 0;
        for (auto y = top; y < bottom; ++y)
          for (auto x = left; x < right; ++x) best = std::max(best, plane[y * in[3] + x]);
        set_number(type, call.out[0], r * product(out, 1, 4) + p, best);
      }
    }
    return {};
  });
  kernel->can_fail = true;
  return kernel;
}

}  // namespace

KernelResult fast::regions(const LowerContext& c) {
  return c.node.op == Op::DeformConv ? deform_conv_kernel(c) : max_roi_pool_kernel(c);
}

}  // namespace tenon::kernels
