// Resize, one axis after the other: each output position of an axis is a weighted sum of a few input
// positions.
#include "kernels/ops/resize.h"

#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kGrain = 16384;

// For each output position `taps` input positions and weights.
struct AxisPlan {
  std::int64_t outer = 1, in = 1, out = 1, inner = 1;
  std::int64_t taps = 1;
  std::vector<std::int64_t> index;
  std::vector<float> weight;
};

struct Mode {
  std::string coordinates, interpolation, nearest;
  double cubic_a = -0.75;
  bool exclude_outside = false, antialias = false;
};

// Where output position x lies on the input axis.
Result<double> source_position(const Mode& mode, const ResizedAxis& axis, std::int64_t at) {
  const double x = static_cast<double>(at), in = static_cast<double>(axis.in),
               out = static_cast<double>(axis.out);
  const double half_pixel = (x + 0.5) / axis.scale - 0.5;
  if (mode.coordinates == "half_pixel") return half_pixel;
  if (mode.coordinates == "pytorch_half_pixel") return axis.out > 1 ? half_pixel : 0;
  if (mode.coordinates == "asymmetric") return x / axis.scale;
  if (mode.coordinates == "align_corners") return axis.out > 1 ? x * (in - 1) / (out - 1) : 0;
  if (mode.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / axis.scale;
  if (mode.coordinates == "half_pixel_symmetric") {
    return in / 2 * (1 - out / (axis.scale * in)) + half_pixel;
  }
  if (mode.coordinates == "tf_crop_and_resize") {
    if (axis.out <= 1) return 0.5 * (axis.roi_start + axis.roi_end) * (in - 1);
    return axis.roi_start * (in - 1) + x * (axis.roi_end - axis.roi_start) * (in - 1) / (out - 1);
  }
  return fail(ErrorCode::unsupported_operation, "coordinate_transformation_mode '{}'", mode.coordinates);
}

Result<double> nearest(const Mode& mode, double x) {
  if (mode.nearest == "round_prefer_floor") return std::ceil(x - 0.5);
  if (mode.nearest == "round_prefer_ceil") return std::floor(x + 0.5);
  if (mode.nearest == "floor") return std::floor(x);
  if (mode.nearest == "ceil") return std::ceil(x);
  return fail(ErrorCode::unsupported_operation, "nearest_mode '{}'", mode.nearest);
}

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys' cubic with parameter a.
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

Result<AxisPlan> plan_axis(const Mode& mode, const ResizedAxis& axis) {
  AxisPlan plan;
  plan.in = axis.in;
  plan.out = axis.out;
  const bool is_nearest = mode.interpolation == "nearest", is_linear = mode.interpolation == "linear";
  if (!is_nearest && !is_linear && mode.interpolation != "cubic") {
    return fail(ErrorCode::unsupported_operation, "mode '{}'", mode.interpolation);
  }
  // Against aliasing the filter grows with the reduction.
  const double shrink = mode.antialias && !is_nearest ? std::min(axis.scale, 1.0) : 1;
  const double reach = std::floor((is_linear ? 1 : 2) / shrink);
  if (reach > 65536) return fail(ErrorCode::unsupported_operation, "a reduction by {}", 1 / axis.scale);
  plan.taps = is_nearest ? 1 : 2 * static_cast<std::int64_t>(reach) + 2;
  for (std::int64_t at = 0; at < axis.out; ++at) {
    const double x = TENON_TRY(source_position(mode, axis, at));
    const double last = static_cast<double>(axis.in - 1);
    if (is_nearest) {
      plan.index.push_back(static_cast<std::int64_t>(std::clamp(TENON_TRY(nearest(mode, x)), 0.0, last)));
      continue;
    }
    const double first = std::floor(std::clamp(x, -1e9, 1e9)) - reach;
    double sum = 0;
    std::vector<double> weights;
    for (std::int64_t t = 0; t < plan.taps; ++t) {
      const double position = first + static_cast<double>(t);
      const double distance = (position - x) * shrink;
      double weight = is_linear ? triangle(distance) : cubic(distance, mode.cubic_a);
      if (mode.exclude_outside && (position < 0 || position > last)) weight = 0;
      weights.push_back(weight);
      sum += weight;
      plan.index.push_back(static_cast<std::int64_t>(std::clamp(position, 0.0, last)));
    }
    for (const double weight : weights)
      plan.weight.push_back(static_cast<float>(sum == 0 ? 0 : weight / sum));
  }
  return plan;
}

// [outer, in, inner] → [outer, out, inner]
template <class C>
void apply(const AxisPlan& p, const C* from, C* to, int threads) {
  parallel_for(threads, p.outer * p.out, std::max<std::int64_t>(1, kGrain / p.inner),
               [&](std::int64_t begin, std::int64_t end) {
                 for (auto row = begin; row < end; ++row) {
                   const auto* source = from + row / p.out * p.in * p.inner;
                   auto* target = to + row * p.inner;
                   const auto first = static_cast<std::size_t>(row % p.out * p.taps);
                   std::fill_n(target, p.inner, C(0));
                   for (std::size_t t = first; t < first + static_cast<std::size_t>(p.taps); ++t) {
                     const C weight = static_cast<C>(p.weight[t]);
                     if (weight == 0) continue;
                     const auto* line = source + p.index[t] * p.inner;
                     for (std::int64_t i = 0; i < p.inner; ++i) target[i] += weight * line[i];
                   }
                 }
               });
}

// Axes that change, each seen as [outer, in, inner] after those before it are done.
Result<std::vector<AxisPlan>> plans_of(const Mode& mode, const std::vector<ResizedAxis>& axes) {
  std::vector<AxisPlan> plans;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].same) continue;
    auto plan = TENON_TRY(plan_axis(mode, axes[i]));
    for (std::size_t j = 0; j < i; ++j) plan.outer *= axes[j].out;
    for (std::size_t j = i + 1; j < axes.size(); ++j) plan.inner *= axes[j].in;
    plans.push_back(std::move(plan));
  }
  return plans;
}

template <class T>
T rounded(double value) {
  if constexpr (kIsFloat<T>) {
    return static_cast<T>(static_cast<Compute<T>>(value));
  } else {
    return static_cast<T>(std::clamp(std::trunc(value), static_cast<double>(std::numeric_limits<T>::min()),
                                     static_cast<double>(std::numeric_limits<T>::max())));
  }
}

// Output positions whose source lies outside the operand, for each axis; empty when the mode has none.
Result<std::vector<std::vector<bool>>> outside_positions(const Mode& mode,
                                                         const std::vector<ResizedAxis>& axes) {
  std::vector<std::vector<bool>> outside;
  if (mode.coordinates != "tf_crop_and_resize") return outside;
  for (const auto& axis : axes) {
    auto& flags = outside.emplace_back();
    for (std::int64_t at = 0; at < axis.out; ++at) {
      const double x = axis.same ? 0 : TENON_TRY(source_position(mode, axis, at));
      flags.push_back(x < 0 || x > static_cast<double>(axis.in - 1));
    }
  }
  return outside;
}

template <class T>
void extrapolate(const std::vector<std::vector<bool>>& outside, float value, std::byte* out,
                 std::int64_t count) {
  for (std::int64_t i = 0; !outside.empty() && i < count; ++i) {
    auto rest = i;
    bool any = false;
    for (std::size_t d = outside.size(); d-- > 0;) {
      const auto size = static_cast<std::int64_t>(outside[d].size());
      any = any || outside[d][static_cast<std::size_t>(rest % size)];
      rest /= size;
    }
    if (any) Out<T>{out}.set(i, rounded<T>(static_cast<double>(value)));
  }
}

// Sums in float, or double for doubles.
template <class T>
std::unique_ptr<Kernel> weighted(std::vector<AxisPlan> plans, std::vector<std::vector<bool>> outside,
                                 float extrapolation, std::int64_t in_count, std::int64_t count,
                                 int threads) {
  using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
  return kernel_of("tenon resize", [=](const KernelCall& call) -> Result<void> {
    std::vector<C> values(static_cast<std::size_t>(in_count)), next;
    for (std::int64_t i = 0; i < in_count; ++i)
      values[static_cast<std::size_t>(i)] = static_cast<C>(In<T>{call.in[0]}[i]);
    for (const auto& plan : plans) {
      next.resize(static_cast<std::size_t>(plan.outer * plan.out * plan.inner));
      apply(plan, values.data(), next.data(), threads);
      std::swap(values, next);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      Out<T>{call.out[0]}.set(i, rounded<T>(static_cast<double>(values[static_cast<std::size_t>(i)])));
    }
    extrapolate<T>(outside, extrapolation, call.out[0], count);
    return {};
  });
}

// Only moves elements.
template <class T>
std::unique_ptr<Kernel> picked(std::vector<AxisPlan> plans, std::vector<std::vector<bool>> outside,
                               float extrapolation, std::int64_t count, int threads) {
  return kernel_of("tenon resize nearest", [=](const KernelCall& call) -> Result<void> {
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
    if (plans.empty() && count > 0)
      std::memcpy(call.out[0], call.in[0], static_cast<std::size_t>(count * kSize));
    std::vector<std::byte> values;  // between two axes
    const std::byte* from = call.in[0];
    for (std::size_t k = 0; k < plans.size(); ++k) {
      const auto& p = plans[k];
      const auto run = p.inner * kSize;
      std::vector<std::byte> next;
      if (k + 1 < plans.size()) next.resize(static_cast<std::size_t>(p.outer * p.out * run));
      auto* to = k + 1 < plans.size() ? next.data() : call.out[0];
      parallel_for(threads, p.outer * p.out,
                   std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(run, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto row = begin; row < end; ++row) {
                       const auto at = row / p.out * p.in + p.index[static_cast<std::size_t>(row % p.out)];
                       std::memcpy(to + row * run, from + at * run, static_cast<std::size_t>(run));
                     }
                   });
      values = std::move(next);
      from = values.data();
    }
    extrapolate<T>(outside, extrapolation, call.out[0], count);
    return {};
  });
}

}  // namespace

KernelResult fast::resize(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto axes = TENON_TRY(resized_axes(infer));
  const Mode mode{c.node.text("coordinate_transformation_mode"),
                  c.node.text("mode"),
                  c.node.text("nearest_mode"),
                  static_cast<double>(c.node.real("cubic_coeff_a")),
                  c.node.integer("exclude_outside") != 0,
                  c.node.integer("antialias") != 0};
  auto plans = TENON_TRY(plans_of(mode, axes));
  auto outside = TENON_TRY(outside_positions(mode, axes));
  const auto extrapolation = c.node.real("extrapolation_value");
  const auto in_count = product(c.in_dims(0)), count = product(c.outputs[0].dims);
  std::unique_ptr<Kernel> kernel;
  dispatch(RawTypes{}, c.inputs[0].type, [&]<class T>() {
    if (mode.interpolation == "nearest") {
      kernel = picked<T>(std::move(plans), std::move(outside), extrapolation, count, c.threads);
    } else if constexpr (!std::is_same_v<T, bool_t>) {
      kernel = weighted<T>(std::move(plans), std::move(outside), extrapolation, in_count, count, c.threads);
    }
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

// The loops above are plain: they are their own reference.
KernelResult reference::resize(const LowerContext& c) { return fast::resize(c); }

}  // namespace tenon::kernels
