// Reading images at computed places: GridSample, AffineGrid, RoiAlign, CropAndResize; and putting patches or maxima back:
// Col2Im, MaxUnpool.
#include <cmath>

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace shape {

Result<void> grid_sample(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& grid = c.dims(1);
  if (in.size() < 3 || grid.size() != in.size() || grid[0] != in[0] ||
      grid.back() != static_cast<std::int64_t>(in.size()) - 2) {
    return c.invalid(fmt::format("operand {} with grid {}", to_string(in), to_string(grid)));
  }
  Dims out{in[0], in[1]};
  for (std::size_t i = 1; i + 1 < grid.size(); ++i) out.push_back(grid[i]);
  return c.set(0, out);
}

Result<void> affine_grid(InferContext& c) {
  const auto size = TENON_TRY(Dims::from(TENON_TRY(c.integers(1))));
  const auto spatial = static_cast<std::int64_t>(size.size()) - 2;
  const auto& theta = c.dims(0);
  if ((spatial != 2 && spatial != 3) || theta.size() != 3 || theta[0] != size[0] || theta[1] != spatial ||
      theta[2] != spatial + 1) {
    return c.invalid(fmt::format("theta {} for size {}", to_string(theta), to_string(size)));
  }
  Dims out{size[0]};
  for (std::size_t i = 2; i < size.size(); ++i) out.push_back(size[i]);
  out.push_back(spatial);
  return c.set(0, out);
}

Result<void> roi_align(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& rois = c.dims(1);
  const auto height = c.node.integer("output_height"), width = c.node.integer("output_width");
  if (in.size() != 4 || rois.size() != 2 || rois[1] != 4 || c.dims(2).size() != 1 ||
      c.dims(2)[0] != rois[0] || height < 1 || width < 1 || c.inputs[1].type != c.inputs[0].type ||
      c.inputs[2].type != DataType::i64 || c.node.integer("sampling_ratio") < 0) {
    return c.invalid(fmt::format("operand {} with regions {}", to_string(in), to_string(rois)));
  }
  return c.set(0, {rois[0], in[1], height, width});
}

Result<void> crop_and_resize(InferContext& c) {
  const auto& in = c.dims(0);
  const auto& boxes = c.dims(1);
  if (in.size() != 4 || boxes.size() != 2 || boxes[1] != 4 || c.dims(2).size() != 1 ||
      c.dims(2)[0] != boxes[0] || !is_float(c.inputs[1].type) || c.inputs[2].type != DataType::i64) {
    return c.invalid(fmt::format("operand {} with boxes {}", to_string(in), to_string(boxes)));
  }
  const auto size = TENON_TRY(c.integers(3));
  if (size.size() != 2 || size[0] < 1 || size[1] < 1)
    return c.invalid("the size must be two positive numbers");
  return c.set(0, {boxes[0], in[1], size[0], size[1]});
}

Result<void> col2im(InferContext& c) {
  const auto image = TENON_TRY(Dims::from(TENON_TRY(c.integers(1))));
  const auto block = TENON_TRY(Dims::from(TENON_TRY(c.integers(2))));
  const auto& in = c.dims(0);
  if (in.size() != 3 || image.empty() || image.size() != block.size() ||
      TENON_TRY(element_count(block)) == 0 || in[1] % TENON_TRY(element_count(block)) != 0) {
    return c.invalid(
        fmt::format("operand {}, image {}, block {}", to_string(in), to_string(image), to_string(block)));
  }
  Dims full{1, 1}, out{in[0], in[1] / product(block)};
  for (const auto dim : image) {
    full.push_back(dim);
    out.push_back(dim);
  }
  const auto window = TENON_TRY(sliding_window(c.node, full, {block.data(), block.size()}));
  std::int64_t places = 1;
  for (const auto n : window.output) places *= n;
  if (places != in[2]) return c.invalid(fmt::format("{} patches, the operand has {}", places, in[2]));
  return c.set(0, out);
}

Result<void> max_unpool(InferContext& c) {
  const auto& in = c.dims(0);
  if (in.size() < 3 || !(c.dims(1) == in) || c.inputs[1].type != DataType::i64)
    return c.invalid("indices must have the operand's dims");
  if (c.has(2)) {
    const auto out = TENON_TRY(Dims::from(TENON_TRY(c.integers(2))));
    if (out.size() != in.size()) return c.invalid("output_shape has another rank");
    return c.set(0, out);
  }
  const auto kernel = c.node.integers("kernel_shape"), strides = c.node.integers("strides"),
             pads = c.node.integers("pads");
  const auto spatial = in.size() - 2;
  if (kernel.size() != spatial || (!strides.empty() && strides.size() != spatial) ||
      (!pads.empty() && pads.size() != 2 * spatial)) {
    return c.invalid("kernel_shape, strides or pads do not fit");
  }
  Dims out{in[0], in[1]};
  for (std::size_t i = 0; i < spatial; ++i) {
    const auto stride = strides.empty() ? 1 : strides[i];
    std::int64_t dim = 0;
    if (__builtin_mul_overflow(in[i + 2] - 1, stride, &dim)) return c.invalid("dimensions overflow");
    dim += kernel[i] - (pads.empty() ? 0 : pads[i] + pads[i + spatial]);
    if (dim < 0 || dim > (std::int64_t{1} << 40)) return c.invalid(fmt::format("dimension {}", dim));
    out.push_back(dim);
  }
  return c.set(0, out);
}

}  // namespace shape

namespace {

enum class Padding { zeros, border, reflection };

double reflect(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  double t = std::fmod(std::abs(x - low), 2 * range);
  return low + (t > range ? 2 * range - t : t);
}

// An image plane (or volume) read at real coordinates.
struct Sampler {
  const std::vector<double>* data;
  std::int64_t base;
  Dims dims;  // spatial
  Padding padding;
  bool align;

  double at(const std::array<std::int64_t, 3>& where) const {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < dims.size(); ++d) {
      auto x = where[d];
      if (padding == Padding::zeros) {
        if (x < 0 || x >= dims[d]) return 0;
      } else if (padding == Padding::border) {
        x = std::clamp<std::int64_t>(x, 0, dims[d] - 1);
      } else {
        const double high = static_cast<double>(dims[d] - 1);
        const double r = align ? reflect(static_cast<double>(x), 0, high)
                               : reflect(static_cast<double>(x), -0.5, high + 0.5);
        x = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::nearbyint(r)), 0, dims[d] - 1);
      }
      offset = offset * dims[d] + x;
    }
    return (*data)[static_cast<std::size_t>(base + offset)];
  }

  static void weights(double t, int taps, double* w) {
    if (taps == 2) {
      w[0] = 1 - t;
      w[1] = t;
      return;
    }
    constexpr double a = -0.75;
    const auto near = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
    const auto far = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
    w[0] = far(t + 1);
    w[1] = near(t);
    w[2] = near(1 - t);
    w[3] = far(2 - t);
  }

  // taps 1: nearest, 2: linear, 4: cubic, in each dimension.
  double read(const std::array<double, 3>& x, int taps) const {
    std::array<std::int64_t, 3> first{}, where{};
    double w[3][4] = {};
    std::int64_t count = 1;
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (taps == 1) {
        first[d] = static_cast<std::int64_t>(std::nearbyint(x[d]));
        w[d][0] = 1;
      } else {
        const double low = std::floor(x[d]);
        first[d] = static_cast<std::int64_t>(low) - (taps == 4 ? 1 : 0);
        weights(x[d] - low, taps, w[d]);
      }
      count *= taps;
    }
    double sum = 0;
    for (std::int64_t k = 0; k < count; ++k) {
      auto rest = k;
      double weight = 1;
      for (std::size_t d = dims.size(); d-- > 0;) {
        const auto t = rest % taps;
        rest /= taps;
        where[d] = first[d] + t;
        weight *= w[d][t];
      }
      if (weight != 0) sum += weight * at(where);
    }
    return sum;
  }
};

KernelResult grid_sample_kernel(const LowerContext& c) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto& mode = c.node.text("mode");
  const auto& name = c.node.text("padding_mode");
  const int taps = mode == "nearest" ? 1 : mode == "linear" || mode == "bilinear" ? 2 : 4;
  if (taps == 4 && mode != "cubic" && mode != "bicubic") return c.unsupported(fmt::format("mode '{}'", mode));
  if (name != "zeros" && name != "border" && name != "reflection")
    return c.unsupported(fmt::format("padding_mode '{}'", name));
  const auto padding = name == "zeros"    ? Padding::zeros
                       : name == "border" ? Padding::border
                                          : Padding::reflection;
  const bool align = c.node.integer("align_corners") != 0;
  const auto type = c.inputs[0].type, grid_type = c.inputs[1].type;
  const auto spatial = in.size() - 2;
  if (spatial > 3) return c.unsupported(fmt::format("rank {}", in.size()));
  if (product(in) == 0 && product(out) != 0) return c.unsupported("an empty image");
  return kernel_of("tenon grid_sample", [=](const KernelCall& call) -> Result<void> {
    const auto image = get_numbers(type, call.in[0], product(in));
    Dims plane;
    for (std::size_t d = 0; d < spatial; ++d) plane.push_back(in[d + 2]);
    const auto size = product(plane), places = product(out, 2, out.size());
    for (std::int64_t n = 0; n < in[0]; ++n) {
      for (std::int64_t p = 0; p < places; ++p) {
        std::array<double, 3> x{};
        for (std::size_t d = 0; d < spatial; ++d) {
          // The grid lists x before y before z; dims are z, y, x.
          const auto at = (n * places + p) * static_cast<std::int64_t>(spatial) +
                          static_cast<std::int64_t>(spatial - 1 - d);
          const double g = get_number(grid_type, call.in[1], at), extent = static_cast<double>(plane[d]);
          double v = align ? (g + 1) / 2 * (extent - 1) : ((g + 1) * extent - 1) / 2;
          if (padding == Padding::border) v = std::clamp(v, 0.0, extent - 1);
          if (padding == Padding::reflection)
            v = align ? reflect(v, 0, extent - 1) : reflect(v, -0.5, extent - 0.5);
          x[d] = std::isfinite(v) ? std::clamp(v, -1e9, 1e9) : -1e9;
        }
        for (std::int64_t ch = 0; ch < in[1]; ++ch) {
          const Sampler sampler{&image, (n * in[1] + ch) * size, plane, padding, align};
          set_number(type, call.out[0], (n * in[1] + ch) * places + p, sampler.read(x, taps));
        }
      }
    }
    return {};
  });
}

KernelResult affine_grid_kernel(const LowerContext& c) {
  const auto out = c.outputs[0].dims;
  const bool align = c.node.integer("align_corners") != 0;
  const auto type = c.inputs[0].type;
  return kernel_of("tenon affine_grid", [=](const KernelCall& call) -> Result<void> {
    const auto spatial = out.back();
    const auto places = product(out, 1, out.size() - 1);
    for (std::int64_t i = 0; i < out[0] * places; ++i) {
      std::array<double, 4> x{};
      auto rest = i % places;
      for (auto d = spatial; d-- > 0;) {  // coordinates in the order x, y, z
        const auto extent = out[static_cast<std::size_t>(d + 1)];
        const auto at = static_cast<double>(rest % extent), n = static_cast<double>(extent);
        rest /= extent;
        x[static_cast<std::size_t>(spatial - 1 - d)] =
            align ? (extent == 1 ? -1.0 : -1 + 2 * at / (n - 1)) : (2 * at + 1) / n - 1;
      }
      x[static_cast<std::size_t>(spatial)] = 1;
      for (std::int64_t r = 0; r < spatial; ++r) {
        double sum = 0;
        for (std::int64_t k = 0; k <= spatial; ++k) {
          sum += get_number(type, call.in[0], (i / places * spatial + r) * (spatial + 1) + k) *
                 x[static_cast<std::size_t>(k)];
        }
        set_number(type, call.out[0], i * spatial + r, sum);
      }
    }
    return {};
  });
}

// Linear interpolation as RoiAlign defines it: nothing beyond one pixel outside.
double roi_value(const std::vector<double>& plane, std::int64_t base, std::int64_t height, std::int64_t width,
                 double y, double x, bool maximum) {
  if (!(y >= -1 && y <= static_cast<double>(height) && x >= -1 && x <= static_cast<double>(width))) return 0;
  y = std::max(y, 0.0);
  x = std::max(x, 0.0);
  auto y0 = static_cast<std::int64_t>(y), x0 = static_cast<std::int64_t>(x);
  auto y1 = y0 + 1, x1 = x0 + 1;
  if (y0 >= height - 1) y0 = y1 = height - 1, y = static_cast<double>(y0);
  if (x0 >= width - 1) x0 = x1 = width - 1, x = static_cast<double>(x0);
  const double ly = y - static_cast<double>(y0), lx = x - static_cast<double>(x0);
  const auto at = [&](std::int64_t r, std::int64_t k) {
    return plane[static_cast<std::size_t>(base + r * width + k)];
  };
  const double a = (1 - ly) * (1 - lx) * at(y0, x0), b = (1 - ly) * lx * at(y0, x1),
               d = ly * (1 - lx) * at(y1, x0), e = ly * lx * at(y1, x1);
  return maximum ? std::max({a, b, d, e}) : a + b + d + e;
}

KernelResult roi_align_kernel(const LowerContext& c) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto type = c.inputs[0].type;
  const bool maximum = c.node.text("mode") == "max";
  const bool half = c.node.text("coordinate_transformation_mode") == "half_pixel";
  const double scale = c.node.real("spatial_scale");
  const auto ratio = c.node.integer("sampling_ratio");
  if (product(in) == 0) return c.unsupported("an empty image");
  auto kernel = kernel_of("tenon roi_align", [=](const KernelCall& call) -> Result<void> {
    const auto image = get_numbers(type, call.in[0], product(in));
    for (std::int64_t r = 0; r < out[0]; ++r) {
      const auto batch = In<std::int64_t>{call.in[2]}[r];
      if (batch < 0 || batch >= in[0])
        return fail(ErrorCode::runtime_error, "batch index {} of {}", batch, in[0]);
      double corner[4];
      for (std::int64_t k = 0; k < 4; ++k)
        corner[k] = get_number(type, call.in[1], r * 4 + k) * scale - (half ? 0.5 : 0);
      double width = corner[2] - corner[0], height = corner[3] - corner[1];
      if (!half) {
        width = std::max(width, 1.0);
        height = std::max(height, 1.0);
      }
      if (!(std::abs(width) < 1e6 && std::abs(height) < 1e6))
        return fail(ErrorCode::runtime_error, "a region of {} by {}", width, height);
      const double bin_h = height / static_cast<double>(out[2]), bin_w = width / static_cast<double>(out[3]);
      const auto steps_h = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(bin_h));
      const auto steps_w = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(bin_w));
      for (std::int64_t p = 0; p < product(out, 1, 4); ++p) {
        const auto ch = p / (out[2] * out[3]), ph = p / out[3] % out[2], pw = p % out[3];
        double sum = 0, best = 0;
        for (std::int64_t i = 0; i < steps_h * steps_w; ++i) {
          const double y = corner[1] + (static_cast<double>(ph) + (static_cast<double>(i / steps_w) + 0.5) /
                                                                      static_cast<double>(steps_h)) *
                                           bin_h;
          const double x = corner[0] + (static_cast<double>(pw) + (static_cast<double>(i % steps_w) + 0.5) /
                                                                      static_cast<double>(steps_w)) *
                                           bin_w;
          const double v =
              roi_value(image, (batch * in[1] + ch) * in[2] * in[3], in[2], in[3], y, x, maximum);
          sum += v;
          best = i == 0 ? v : std::max(best, v);
        }
        const auto count = static_cast<double>(std::max<std::int64_t>(steps_h * steps_w, 1));
        set_number(type, call.out[0], r * product(out, 1, 4) + p, maximum ? best : sum / count);
      }
    }
    return {};
  });
  kernel->can_fail = true;
  return kernel;
}

// Where along an axis of `extent` pixels the centre of row `at` of `count` lies in a box from `low` to `high`.
double crop_place(double low, double high, std::int64_t at, std::int64_t count, std::int64_t extent) {
  const auto last = static_cast<double>(extent - 1);
  if (count == 1) return 0.5 * (low + high) * last;
  return low * last + static_cast<double>(at) * (high - low) * last / static_cast<double>(count - 1);
}

// A place inside a plane, interpolated.
double pixel(DataType type, const std::byte* image, std::int64_t plane, std::int64_t height,
             std::int64_t width, double y, double x) {
  const auto y0 = static_cast<std::int64_t>(y), x0 = static_cast<std::int64_t>(x);
  const auto y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
  const double ly = y - static_cast<double>(y0), lx = x - static_cast<double>(x0);
  const auto at = [&](std::int64_t r, std::int64_t k) {
    return get_number(type, image, plane + r * width + k);
  };
  const double top = at(y0, x0) + (at(y0, x1) - at(y0, x0)) * lx;
  const double bottom = at(y1, x0) + (at(y1, x1) - at(y1, x0)) * lx;
  return top + (bottom - top) * ly;
}

KernelResult crop_and_resize_kernel(const LowerContext& c) {
  const auto in = c.in_dims(0), out = c.outputs[0].dims;
  const auto type = c.inputs[0].type, box_type = c.inputs[1].type;
  const double outside = c.node.real("extrapolation_value");
  const auto& mode = c.node.text("mode");
  if (mode != "bilinear" && mode != "nearest") return c.unsupported(fmt::format("mode '{}'", mode));
  const bool nearest = mode == "nearest";
  if (product(in) == 0) return c.unsupported("an empty image");
  const auto threads = c.threads;
  auto kernel = kernel_of("tenon crop_and_resize", [=](const KernelCall& call) -> Result<void> {
    const auto rows = out[0] * out[2];
    for (std::int64_t box = 0; box < out[0]; ++box) {
      const auto image = In<std::int64_t>{call.in[2]}[box];
      if (image < 0 || image >= in[0]) return fail(ErrorCode::runtime_error, "image {} of {}", image, in[0]);
    }
    // Row `row` of all crops, in all channels.
    const auto crop_row = [&](std::int64_t row) {
      const auto box = row / out[2], oy = row % out[2];
      const auto image = In<std::int64_t>{call.in[2]}[box];
      const auto corner = [&](std::int64_t k) { return get_number(box_type, call.in[1], box * 4 + k); };
      const double y = crop_place(corner(0), corner(2), oy, out[2], in[2]);
      const bool y_inside = y >= 0 && y <= static_cast<double>(in[2] - 1);
      for (std::int64_t ox = 0; ox < out[3]; ++ox) {
        const double x = crop_place(corner(1), corner(3), ox, out[3], in[3]);
        const bool inside = y_inside && x >= 0 && x <= static_cast<double>(in[3] - 1);
        for (std::int64_t ch = 0; ch < out[1]; ++ch) {
          double value = outside;
          if (inside) {
            const double py = nearest ? std::round(y) : y, px = nearest ? std::round(x) : x;
            value = pixel(type, call.in[0], (image * in[1] + ch) * in[2] * in[3], in[2], in[3], py, px);
          }
          set_number(type, call.out[0], ((box * out[1] + ch) * out[2] + oy) * out[3] + ox, value);
        }
      }
    };
    parallel_for(threads, rows, 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto row = begin; row < end; ++row) crop_row(row);
    });
    return {};
  });
  kernel->can_fail = true;
  return kernel;
}

KernelResult col2im_kernel(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto image = TENON_TRY(infer.integers(1)), block = TENON_TRY(infer.integers(2));
  const auto out = c.outputs[0].dims, in = c.in_dims(0);
  Dims full{1, 1};
  for (const auto dim : image) full.push_back(dim);
  const auto window = TENON_TRY(sliding_window(c.node, full, block));
  const auto type = c.inputs[0].type;
  auto kernel = kernel_of("tenon col2im", [=](const KernelCall& call) -> Result<void> {
    const auto size = product(out, 2, out.size()), places = in[2];
    std::int64_t taps = 1;
    for (const auto b : block) taps *= b;
    std::vector<double> sums(static_cast<std::size_t>(size));
    for (std::int64_t plane = 0; plane < out[0] * out[1]; ++plane) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::int64_t k = 0; k < taps; ++k) {
        for (std::int64_t p = 0; p < places; ++p) {
          auto tap = k, place = p;
          std::int64_t to = 0, pitch = 1;
          bool inside = true;
          for (std::size_t d = block.size(); d-- > 0;) {
            const auto x = place % window.output[d] * window.strides[d] - window.pads_begin[d] +
                           tap % block[d] * window.dilations[d];
            place /= window.output[d];
            tap /= block[d];
            inside = inside && x >= 0 && x < image[d];
            to += x * pitch;
            pitch *= image[d];
          }
          if (inside)
            sums[static_cast<std::size_t>(to)] +=
                get_number(type, call.in[0], (plane * taps + k) * places + p);
        }
      }
      for (std::int64_t i = 0; i < size; ++i)
        set_number(type, call.out[0], plane * size + i, sums[static_cast<std::size_t>(i)]);
    }
    return {};
  });
  return kernel;
}

KernelResult max_unpool_kernel(const LowerContext& c) {
  const auto count = product(c.in_dims(0));
  const auto out = c.outputs[0].dims;
  const auto type = c.inputs[0].type;
  auto kernel = kernel_of("tenon max_unpool", [=](const KernelCall& call) -> Result<void> {
    const auto total = product(out);
    std::memset(call.out[0], 0, static_cast<std::size_t>(total) * element_bytes(type));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = In<std::int64_t>{call.in[1]}[i];
      if (at < 0 || at >= total) return fail(ErrorCode::runtime_error, "index {} in {} elements", at, total);
      set_number(type, call.out[0], at, get_number(type, call.in[0], i));
    }
    return {};
  });
  kernel->can_fail = true;
  return kernel;
}

}  // namespace

KernelResult fast::sampling(const LowerContext& c) {
  switch (c.node.op) {
    case Op::GridSample: return grid_sample_kernel(c);
    case Op::AffineGrid: return affine_grid_kernel(c);
    case Op::RoiAlign: return roi_align_kernel(c);
    case Op::CropAndResize: return crop_and_resize_kernel(c);
    case Op::Col2Im: return col2im_kernel(c);
    default: return max_unpool_kernel(c);
  }
}

}  // namespace tenon::kernels
