// Convolutions, pools and matrix products as plain loops with double accumulators: the oracle for oneDNN's
// primitives, and the kernels for element types and shapes that those do not take.
#include <cmath>

#include "kernels/dnnl/primitives.h"
#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

template <class T>
using Sum = std::conditional_t<kIsFloat<T>, double, std::int64_t>;

template <class T>
T narrow(Sum<T> value) {
  if constexpr (kIsFloat<T>)
    return static_cast<T>(static_cast<Compute<T>>(value));
  else
    return static_cast<T>(value);
}

// Positions of a window: calls f(kernel offset, input offset or -1 in the padding) for output position `at`.
struct WindowWalk {
  Window window;
  Dims in, out;  // spatial
  std::int64_t taps = 1, in_size = 1, out_size = 1;

  WindowWalk(Window w, const Dims& input) : window(std::move(w)) {
    for (std::size_t i = 0; i < window.kernel.size(); ++i) {
      in.push_back(input[i + 2]);
      out.push_back(window.output[i]);
      taps *= window.kernel[i];
    }
    in_size = product(in);
    out_size = product(out);
  }

  template <class F>
  void for_each_tap(std::int64_t at, F&& f) const {
    std::array<std::int64_t, Dims::kMaxRank> base{};
    const auto rank = in.size();
    for (std::size_t d = rank; d-- > 0;) {
      base[d] = at % out[d] * window.strides[d] - window.pads_begin[d];
      at /= out[d];
    }
    for (std::int64_t k = 0; k < taps; ++k) {
      auto rest = k;
      std::int64_t from = 0, pitch = 1;
      for (std::size_t d = rank; d-- > 0;) {
        const auto x = base[d] + rest % window.kernel[d] * window.dilations[d];
        rest /= window.kernel[d];
        if (x < 0 || x >= in[d]) from = -1;
        if (from >= 0) from += x * pitch;
        pitch *= in[d];
      }
      f(k, from);
    }
  }
};

template <class T>
std::unique_ptr<Kernel> conv_loops(const LowerContext& c, WindowWalk walk) {
  const auto in = c.in_dims(0), weights = c.in_dims(1);
  const auto group = c.node.integer("group");
  const auto channels = in[1] / group, outputs = weights[0] / group;
  const auto threads = c.threads;
  return kernel_of("tenon conv", [=](const KernelCall& call) -> Result<void> {
    const In<T> x{call.in[0]}, w{call.in[1]};
    const bool bias = call.in.size() > 2 && call.in[2] != nullptr;
    parallel_for(threads, in[0] * weights[0], 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto plane = begin; plane < end; ++plane) {
        const auto n = plane / weights[0], o = plane % weights[0];
        const auto first = n * in[1] + o / outputs * channels;
        for (std::int64_t at = 0; at < walk.out_size; ++at) {
          Sum<T> sum = bias ? static_cast<Sum<T>>(In<T>{call.in[2]}[o]) : 0;
          walk.for_each_tap(at, [&](std::int64_t k, std::int64_t from) {
            if (from < 0) return;
            for (std::int64_t i = 0; i < channels; ++i) {
              sum += static_cast<Sum<T>>(x[(first + i) * walk.in_size + from]) *
                     static_cast<Sum<T>>(w[(o * channels + i) * walk.taps + k]);
            }
          });
          Out<T>{call.out[0]}.set(plane * walk.out_size + at, narrow<T>(sum));
        }
      }
    });
    return {};
  });
}

// Scatters each input element through the window, one output plane at a time in a double buffer.
template <class T>
std::unique_ptr<Kernel> conv_transpose_loops(const LowerContext& c, Window window) {
  const auto in = c.in_dims(0), weights = c.in_dims(1);
  const auto group = c.node.integer("group");
  const auto channels = in[1] / group, outputs = weights[1];
  // The same walk with input and output exchanged: a tap's input position is where it lands in the output.
  Dims landing{1, 1};
  for (const auto dim : window.output) landing.push_back(dim);
  Window mirrored = window;
  for (std::size_t i = 0; i < mirrored.output.size(); ++i) mirrored.output[i] = in[i + 2];
  const WindowWalk walk(std::move(mirrored), landing);
  auto kernel = kernel_of("tenon conv_transpose", [=](const KernelCall& call) -> Result<void> {
    const In<T> x{call.in[0]}, w{call.in[1]};
    auto* sums = reinterpret_cast<double*>(call.scratch);
    const bool bias = call.in.size() > 2 && call.in[2] != nullptr;
    for (std::int64_t n = 0; n < in[0]; ++n) {
      for (std::int64_t o = 0; o < outputs * group; ++o) {
        std::fill_n(sums, walk.in_size, bias ? static_cast<double>(In<T>{call.in[2]}[o]) : 0.0);
        for (std::int64_t i = 0; i < channels; ++i) {
          const auto channel = o / outputs * channels + i;
          for (std::int64_t at = 0; at < walk.out_size; ++at) {
            const auto v = static_cast<double>(x[(n * in[1] + channel) * walk.out_size + at]);
            walk.for_each_tap(at, [&](std::int64_t k, std::int64_t to) {
              if (to >= 0)
                sums[to] += v * static_cast<double>(w[(channel * outputs + o % outputs) * walk.taps + k]);
            });
          }
        }
        for (std::int64_t p = 0; p < walk.in_size; ++p) {
          Out<T>{call.out[0]}.set((n * outputs * group + o) * walk.in_size + p,
                                  static_cast<T>(static_cast<Compute<T>>(sums[p])));
        }
      }
    }
    return {};
  });
  kernel->scratch_bytes = static_cast<std::size_t>(walk.in_size) * sizeof(double);
  return kernel;
}

template <class T>
std::unique_ptr<Kernel> max_pool_loops(const LowerContext& c, WindowWalk walk) {
  const auto planes = c.in_dims(0)[0] * c.in_dims(0)[1];
  const bool column_major = c.node.integer("storage_order") != 0;
  return kernel_of("tenon max_pool", [=](const KernelCall& call) -> Result<void> {
    using C = Compute<T>;
    for (std::int64_t p = 0; p < planes; ++p) {
      const auto in = In<T>{call.in[0]}.at(p * walk.in_size);
      for (std::int64_t at = 0; at < walk.out_size; ++at) {
        C best = kIsFloat<T> ? -std::numeric_limits<C>::infinity() : std::numeric_limits<C>::lowest();
        std::int64_t where = -1;
        walk.for_each_tap(at, [&](std::int64_t, std::int64_t from) {
          if (from < 0) return;
          const C x = in[from];
          if (where < 0 || x > best || (best != best && x == x)) {  // NaN only where there is no number
            best = x;
            where = from;
          }
        });
        Out<T>{call.out[0]}.set(p * walk.out_size + at, static_cast<T>(best));
        if (call.out.size() < 2 || call.out[1] == nullptr) continue;
        if (column_major) {  // spatial indices counted with the first dimension fastest
          std::int64_t rest = std::max<std::int64_t>(where, 0), index = 0;
          std::array<std::int64_t, Dims::kMaxRank> coordinate{};
          for (std::size_t d = walk.in.size(); d-- > 0;) {
            coordinate[d] = rest % walk.in[d];
            rest /= walk.in[d];
          }
          for (std::size_t d = walk.in.size(); d-- > 0;) index = index * walk.in[d] + coordinate[d];
          where = index;
        }
        Out<std::int64_t>{call.out[1]}.set(p * walk.out_size + at, p * walk.in_size + where);
      }
    }
    return {};
  });
}

template <class T>
std::unique_ptr<Kernel> average_pool_loops(const LowerContext& c, WindowWalk walk) {
  const auto planes = c.in_dims(0)[0] * c.in_dims(0)[1];
  const bool include = c.node.integer("count_include_pad") != 0;
  return kernel_of("tenon average_pool", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t p = 0; p < planes; ++p) {
      const auto in = In<T>{call.in[0]}.at(p * walk.in_size);
      for (std::int64_t at = 0; at < walk.out_size; ++at) {
        double sum = 0;
        std::int64_t count = 0;
        walk.for_each_tap(at, [&](std::int64_t, std::int64_t from) {
          if (from < 0) return;
          sum += static_cast<double>(in[from]);
          ++count;
        });
        if (include) {
          // Taps within the declared padding count, those that ceil_mode adds beyond it do not.
          count = 1;
          auto rest = at;
          for (std::size_t d = walk.in.size(); d-- > 0;) {
            const auto& w = walk.window;
            const auto start = rest % walk.out[d] * w.strides[d] - w.pads_begin[d];
            rest /= walk.out[d];
            std::int64_t taps = 0;
            for (std::int64_t k = 0; k < w.kernel[d]; ++k)
              taps += start + k * w.dilations[d] < walk.in[d] + w.pads_end[d];
            count *= taps;
          }
        }
        const double y = count == 0 ? 0 : sum / static_cast<double>(count);
        Out<T>{call.out[0]}.set(p * walk.out_size + at, static_cast<T>(static_cast<Compute<T>>(y)));
      }
    }
    return {};
  });
}

template <class T>
std::unique_ptr<Kernel> lp_pool_loops(const LowerContext& c, WindowWalk walk) {
  const auto planes = c.in_dims(0)[0] * c.in_dims(0)[1];
  const auto p_norm = static_cast<double>(c.node.integer("p"));
  return kernel_of("tenon lp_pool", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t p = 0; p < planes; ++p) {
      const auto in = In<T>{call.in[0]}.at(p * walk.in_size);
      for (std::int64_t at = 0; at < walk.out_size; ++at) {
        double sum = 0;
        walk.for_each_tap(at, [&](std::int64_t, std::int64_t from) {
          if (from >= 0) sum += std::pow(std::abs(static_cast<double>(in[from])), p_norm);
        });
        Out<T>{call.out[0]}.set(p * walk.out_size + at,
                                static_cast<T>(static_cast<Compute<T>>(std::pow(sum, 1 / p_norm))));
      }
    }
    return {};
  });
}

// One matrix product of a batch; strides let transposed operands be read where they lie.
template <class T>
void multiply(In<T> a, std::int64_t a_row, std::int64_t a_column, In<T> b, std::int64_t b_row,
              std::int64_t b_column, std::int64_t m, std::int64_t k, std::int64_t n,
              const std::function<void(std::int64_t, std::int64_t, Sum<T>)>& store) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      using W = std::conditional_t<kIsFloat<T>, double, std::uint64_t>;  // integers wrap
      W sum = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        sum += static_cast<W>(a[i * a_row + l * a_column]) * static_cast<W>(b[l * b_row + j * b_column]);
      }
      store(i, j, static_cast<Sum<T>>(sum));
    }
  }
}

// alpha · sum + beta · c. Integers wrap, unless the factors make real numbers of them.
template <class T>
T scaled_sum(double alpha, Sum<T> sum, double beta, T c) {
  if constexpr (!kIsFloat<T>) {
    if (alpha == 1 && beta == 1)
      return static_cast<T>(static_cast<std::uint64_t>(sum) + static_cast<std::uint64_t>(c));
  }
  T y{};
  set_number(kDataTypeOf<T>, reinterpret_cast<std::byte*>(&y), 0,
             alpha * static_cast<double>(sum) + beta * static_cast<double>(c));
  return y;
}

Dims leading(const Dims& dims) {
  Dims out = dims;
  out.resize(dims.size() < 2 ? 0 : dims.size() - 2);
  return out;
}

}  // namespace

KernelResult fast::conv(const LowerContext& c) {
  if (auto kernel = dnnl_plain(c, lower_convolution)) return kernel;
  const auto& weights = c.in_dims(1);
  const std::vector<std::int64_t> taps(weights.begin() + 2, weights.end());
  const WindowWalk walk(TENON_TRY(sliding_window(c.node, c.in_dims(0), taps)), c.in_dims(0));
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = conv_loops<T>(c, walk); });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::conv_transpose(const LowerContext& c) {
  if (auto kernel = dnnl_plain(c, lower_convolution)) return kernel;
  const auto& weights = c.in_dims(1);
  const std::vector<std::int64_t> taps(weights.begin() + 2, weights.end());
  const auto window = TENON_TRY(transposed_window(c.node, c.in_dims(0), taps));
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = conv_transpose_loops<T>(c, window); });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::pool(const LowerContext& c) {
  if (auto kernel = dnnl_plain(c, lower_pool)) return kernel;
  const WindowWalk walk(TENON_TRY(sliding_window(c.node, c.in_dims(0), c.node.integers("kernel_shape"))),
                        c.in_dims(0));
  std::unique_ptr<Kernel> kernel;
  if (c.node.op == Op::MaxPool) {
    dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() { kernel = max_pool_loops<T>(c, walk); });
  } else if (c.node.op == Op::AveragePool) {
    dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = average_pool_loops<T>(c, walk); });
  } else {
    dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = lp_pool_loops<T>(c, walk); });
  }
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::global_pool(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto planes = in[0] * in[1], size = product(in, 2, in.size());
  const auto op = c.node.op;
  const auto threads = c.threads;
  const double p = op == Op::GlobalLpPool ? static_cast<double>(c.node.integer("p")) : 1;
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon global_pool", [=](const KernelCall& call) -> Result<void> {
      parallel_for(threads, planes, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(size, 1)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto plane = begin; plane < end; ++plane) {
                       const auto x = In<T>{call.in[0]}.at(plane * size);
                       double value = op != Op::GlobalMaxPool ? 0
                                      : size == 0             ? -std::numeric_limits<double>::infinity()
                                                              : std::numeric_limits<double>::quiet_NaN();
                       for (std::int64_t i = 0; i < size; ++i) {
                         const auto v = static_cast<double>(x[i]);
                         if (op == Op::GlobalMaxPool)
                           value = std::fmax(value, v);  // NaN only where there is no number
                         else
                           value += op == Op::GlobalLpPool ? std::pow(std::abs(v), p) : v;
                       }
                       if (op == Op::GlobalAveragePool) value /= static_cast<double>(size);
                       if (op == Op::GlobalLpPool) value = std::pow(value, 1 / p);
                       Out<T>{call.out[0]}.set(plane, static_cast<T>(static_cast<Compute<T>>(value)));
                     }
                   });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::matmul(const LowerContext& c) {
  if (auto kernel = dnnl_plain(c, lower_matmul)) return kernel;
  auto a = c.in_dims(0), b = c.in_dims(1);
  if (a.size() == 1) a.insert(0, 1);
  if (b.size() == 1) b.push_back(1);
  const auto m = a[a.size() - 2], k = a.back(), n = b.back();
  const auto batch = TENON_TRY(broadcast_dims(leading(a), leading(b)));
  // Offsets of each operand's matrix for each member of the batch.
  std::vector<std::int64_t> a_at, b_at;
  const auto offsets = [&](const Dims& dims, std::int64_t size, std::vector<std::int64_t>& at) {
    const auto own = leading(dims);
    const auto strides = strides_of(own);
    for (std::int64_t i = 0; i < product(batch); ++i) {
      std::int64_t offset = 0, rest = i;
      for (std::size_t d = batch.size(); d-- > 0;) {
        const auto x = rest % batch[d];
        rest /= batch[d];
        if (d + own.size() >= batch.size()) {
          const auto e = d + own.size() - batch.size();
          offset += own[e] == 1 ? 0 : x * strides[e];
        }
      }
      at.push_back(offset * size);
    }
  };
  offsets(a, m * k, a_at);
  offsets(b, k * n, b_at);
  std::unique_ptr<Kernel> kernel;
  dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon matmul", [=](const KernelCall& call) -> Result<void> {
      for (std::size_t i = 0; i < a_at.size(); ++i) {
        const auto out = Out<T>{call.out[0]}.at(static_cast<std::int64_t>(i) * m * n);
        multiply<T>(In<T>{call.in[0]}.at(a_at[i]), k, 1, In<T>{call.in[1]}.at(b_at[i]), n, 1, m, k, n,
                    [&](std::int64_t row, std::int64_t column, Sum<T> sum) {
                      out.set(row * n + column, narrow<T>(sum));
                    });
      }
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::gemm(const LowerContext& c) {
  if (auto kernel = dnnl_plain(c, lower_matmul)) return kernel;
  const auto m = c.outputs[0].dims[0], n = c.outputs[0].dims[1];
  const bool ta = c.node.integer("transA") != 0, tb = c.node.integer("transB") != 0;
  const auto k = c.in_dims(0)[ta ? 0 : 1];
  const double alpha = c.node.real("alpha"), beta = c.node.real("beta");
  std::int64_t c_row = 0, c_column = 0;
  if (c.has(2)) {
    const auto& dims = c.in_dims(2);
    c_column = !dims.empty() && dims.back() != 1 ? 1 : 0;
    c_row = dims.size() == 2 && dims[0] != 1 ? dims[1] : 0;
  }
  std::unique_ptr<Kernel> kernel;
  dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon gemm", [=](const KernelCall& call) -> Result<void> {
      const bool add = call.in.size() > 2 && call.in[2] != nullptr;
      const Out<T> out{call.out[0]};
      multiply<T>({call.in[0]}, ta ? 1 : k, ta ? m : 1, {call.in[1]}, tb ? 1 : n, tb ? k : 1, m, k, n,
                  [&](std::int64_t row, std::int64_t column, Sum<T> sum) {
                    const auto third = add ? In<T>{call.in[2]}[row * c_row + column * c_column] : T(0);
                    out.set(row * n + column, scaled_sum<T>(alpha, sum, add ? beta : 1, third));
                  });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
