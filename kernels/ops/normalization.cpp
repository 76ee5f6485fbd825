// Softmax and its kin along any axis, batch normalisation, local response normalisation.
#include <cmath>

#include "kernels/element.h"
#include "kernels/ops/families.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kGrain = 4096;

template <class T>
void softmax_line(In<T> in, Out<T> out, std::int64_t n, std::int64_t stride, bool logarithm) {
  using C = Compute<T>;
  C high = -std::numeric_limits<C>::infinity();
  for (std::int64_t i = 0; i < n; ++i) high = std::max(high, static_cast<C>(in[i * stride]));
  double sum = 0;
  if (logarithm) {
    for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<C>(in[i * stride]) - high);
    const C rest = static_cast<C>(std::log(sum));  // not added to `high`, where it would lose digits
    for (std::int64_t i = 0; i < n; ++i)
      out.set(i * stride, static_cast<T>(static_cast<C>(in[i * stride]) - high - rest));
    return;
  }
  // In and out may be the caller's memory, which can change meanwhile: exponentials are kept in the output.
  for (std::int64_t i = 0; i < n; ++i) {
    const C e = std::exp(static_cast<C>(in[i * stride]) - high);
    sum += e;
    out.set(i * stride, static_cast<T>(e));
  }
  const C scale = static_cast<C>(1 / sum);
  for (std::int64_t i = 0; i < n; ++i)
    out.set(i * stride, static_cast<T>(static_cast<C>(out[i * stride]) * scale));
}

template <class T>
void hardmax_line(In<T> in, Out<T> out, std::int64_t n, std::int64_t stride) {
  using C = Compute<T>;
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < n; ++i) {
    if (static_cast<C>(in[i * stride]) > static_cast<C>(in[best * stride])) best = i;
  }
  for (std::int64_t i = 0; i < n; ++i) out.set(i * stride, static_cast<T>(static_cast<C>(i == best ? 1 : 0)));
}

}  // namespace

KernelResult fast::softmax(const LowerContext& c) {
  const auto& dims = c.in_dims(0);
  if (dims.empty()) return fail(ErrorCode::invalid_argument, "operand is a scalar");
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), dims.size()));
  const auto outer = product(dims, 0, axis), extent = dims[axis],
             inner = product(dims, axis + 1, dims.size());
  const auto op = c.node.op;
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon softmax", [=](const KernelCall& call) -> Result<void> {
      if (extent == 0) return {};
      parallel_for(threads, outer * inner, std::max<std::int64_t>(1, kGrain / extent),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto line = begin; line < end; ++line) {
                       const auto at = line / inner * extent * inner + line % inner;
                       const auto in = In<T>{call.in[0]}.at(at);
                       const auto out = Out<T>{call.out[0]}.at(at);
                       if (op == Op::Hardmax)
                         hardmax_line<T>(in, out, extent, inner);
                       else
                         softmax_line<T>(in, out, extent, inner, op == Op::LogSoftmax);
                     }
                   });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

// y = (x - mean) / sqrt(var + epsilon) * scale + bias for each channel; the statistics may have another float
// type.
KernelResult fast::batch_norm(const LowerContext& c) {
  if (c.node.integer("training_mode") != 0) return c.unsupported("training_mode is not supported");
  const auto& dims = c.in_dims(0);
  const auto channels = dims.size() < 2 ? 1 : dims[1];
  const auto outer = dims.empty() ? 1 : dims[0];
  const auto inner = dims.size() < 2 ? 1 : product(dims, 2, dims.size());
  for (std::size_t i = 1; i < 5; ++i) {
    if (product(c.in_dims(i)) != channels || !is_float(c.inputs[i].type)) {
      return fail(ErrorCode::invalid_argument, "operand {} must have {} floats", i, channels);
    }
  }
  if (c.inputs[1].type != c.inputs[2].type || c.inputs[3].type != c.inputs[4].type) {
    return fail(ErrorCode::invalid_argument, "scale and bias, mean and variance must pair in type");
  }
  const double epsilon = c.node.real("epsilon");
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() {
    dispatch(FloatTypes{}, c.inputs[1].type, [&]<class S>() {
      dispatch(FloatTypes{}, c.inputs[3].type, [&]<class M>() {
        kernel = kernel_of("tenon batch_norm", [=](const KernelCall& call) -> Result<void> {
          parallel_for(
              threads, outer * channels, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(inner, 1)),
              [&](std::int64_t begin, std::int64_t end) {
                for (auto line = begin; line < end; ++line) {
                  const auto channel = line % channels;
                  const double factor = static_cast<double>(In<S>{call.in[1]}[channel]) /
                                        std::sqrt(static_cast<double>(In<M>{call.in[4]}[channel]) + epsilon);
                  const double offset = static_cast<double>(In<S>{call.in[2]}[channel]) -
                                        static_cast<double>(In<M>{call.in[3]}[channel]) * factor;
                  const auto in = In<T>{call.in[0]}.at(line * inner);
                  const auto out = Out<T>{call.out[0]}.at(line * inner);
                  using C = Compute<T>;
                  const C f = static_cast<C>(factor), b = static_cast<C>(offset);
                  for (std::int64_t i = 0; i < inner; ++i)
                    out.set(i, static_cast<T>(static_cast<C>(in[i]) * f + b));
                }
              });
          return {};
        });
      });
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::lrn(const LowerContext& c) {
  const auto& dims = c.in_dims(0);
  if (dims.size() < 2) return fail(ErrorCode::invalid_argument, "operand has rank {}", dims.size());
  const auto size = c.node.integer("size");
  if (size < 1 || size > (1 << 20)) return fail(ErrorCode::invalid_argument, "size {}", size);
  const auto outer = dims[0], channels = dims[1], inner = product(dims, 2, dims.size());
  const double alpha = c.node.real("alpha"), beta = c.node.real("beta"), bias = c.node.real("bias");
  const auto before = (size - 1) / 2, after = size - 1 - before;
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon lrn", [=](const KernelCall& call) -> Result<void> {
      const In<T> in{call.in[0]};
      const Out<T> out{call.out[0]};
      parallel_for(threads, outer * inner, std::max<std::int64_t>(1, kGrain / channels),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto line = begin; line < end; ++line) {
                       const auto at = line / inner * channels * inner + line % inner;
                       for (std::int64_t ch = 0; ch < channels; ++ch) {
                         double sum = 0;
                         for (auto k = std::max<std::int64_t>(0, ch - before);
                              k <= std::min(channels - 1, ch + after); ++k) {
                           const auto v = static_cast<double>(in[at + k * inner]);
                           sum += v * v;
                         }
                         const auto x = static_cast<double>(in[at + ch * inner]);
                         const auto y = x / std::pow(bias + alpha / static_cast<double>(size) * sum, beta);
                         out.set(at + ch * inner, static_cast<T>(static_cast<Compute<T>>(y)));
                       }
                     }
                   });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
