// Reductions over any set of axes, and the position of extremes. Floats accumulate in double where the sum is
// long.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/strided.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

// The operand's axes, split into kept ones (outer loop) and reduced ones, merged where contiguous.
struct ReducePlan {
  Dims outer, outer_strides, inner, inner_strides;
  std::int64_t count = 0, length = 0;

  static ReducePlan make(const Dims& in, const std::vector<bool>& axes) {
    const auto strides = strides_of(in);
    StridedCopy kept, reduced;
    for (std::size_t i = 0; i < in.size(); ++i) {
      auto& part = axes[i] ? reduced : kept;
      part.dims.push_back(in[i]);
      part.strides.push_back(strides[i]);
    }
    kept.merge();
    reduced.merge();
    return {kept.dims,       kept.strides,       reduced.dims,
            reduced.strides, product(kept.dims), product(reduced.dims)};
  }

  // Calls f(first element, stride, count) for each run of reduced elements of output `o`.
  template <class F>
  void for_each_run(std::int64_t o, F&& f) const {
    if (length == 0) return;
    std::int64_t at = 0;
    for (std::size_t d = outer.size(); d-- > 0;) {
      at += o % outer[d] * outer_strides[d];
      o /= outer[d];
    }
    const auto rank = inner.size();
    const auto run = inner[rank - 1];
    for (std::int64_t r = 0, runs = length / run; r < runs; ++r) {
      auto rest = r;
      auto from = at;
      for (std::size_t d = rank - 1; d-- > 0;) {
        from += rest % inner[d] * inner_strides[d];
        rest /= inner[d];
      }
      f(from, inner_strides[rank - 1], run);
    }
  }
};

template <class T, class Acc, class Step, class Finish>
std::unique_ptr<Kernel> reduce_with(const LowerContext& c, const ReducePlan& plan, Acc start, Step step,
                                    Finish finish) {
  const auto threads = c.threads;
  return kernel_of("tenon reduce", [=](const KernelCall& call) -> Result<void> {
    const In<T> in{call.in[0]};
    const Out<T> out{call.out[0]};
    parallel_for(threads, plan.count,
                 std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(plan.length, 1)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (auto o = begin; o < end; ++o) {
                     Acc acc = start;
                     plan.for_each_run(o, [&](std::int64_t from, std::int64_t stride, std::int64_t n) {
                       const auto run = in.at(from);
                       for (std::int64_t i = 0; i < n; ++i) acc = step(acc, run[i * stride]);
                     });
                     out.set(o, static_cast<T>(finish(acc)));
                   }
                 });
    return {};
  });
}

template <class T>
std::unique_ptr<Kernel> sums(const LowerContext& c, const ReducePlan& plan) {
  // Integers wrap in 64 bits; floats add in double.
  using A = std::conditional_t<kIsFloat<T>, double, std::int64_t>;
  using W = std::conditional_t<kIsFloat<T>, double, std::uint64_t>;
  const auto add = [](A a, A b) { return static_cast<A>(static_cast<W>(a) + static_cast<W>(b)); };
  const auto multiply = [](A a, A b) { return static_cast<A>(static_cast<W>(a) * static_cast<W>(b)); };
  const auto length = static_cast<double>(plan.length);
  const auto same = [](A a) { return a; };
  switch (c.node.op) {
    case Op::ReduceSum:
      return reduce_with<T, A>(c, plan, A(0), [=](A a, T x) { return add(a, static_cast<A>(x)); }, same);
    case Op::ReduceMean:
      return reduce_with<T, A>(
          c, plan, A(0), [=](A a, T x) { return add(a, static_cast<A>(x)); },
          [=](A a) {
            if constexpr (kIsFloat<T>) return a / length;
            return length == 0 ? A(0) : a / static_cast<A>(length);
          });
    case Op::ReduceProd:
      return reduce_with<T, A>(c, plan, A(1), [=](A a, T x) { return multiply(a, static_cast<A>(x)); }, same);
    case Op::ReduceSumSquare:
      return reduce_with<T, A>(
          c, plan, A(0), [=](A a, T x) { return add(a, multiply(static_cast<A>(x), static_cast<A>(x))); },
          same);
    case Op::ReduceL1:
      return reduce_with<T, A>(
          c, plan, A(0),
          [=](A a, T x) {
            const auto v = static_cast<A>(x);
            return add(a, v < 0 ? multiply(A(-1), v) : v);
          },
          same);
    case Op::ReduceL2:
      return reduce_with<T, double>(
          c, plan, 0.0,
          [](double a, T x) {
            const auto v = static_cast<double>(x);
            return a + v * v;
          },
          [](double a) { return std::sqrt(a); });
    case Op::ReduceLogSum:
      return reduce_with<T, double>(
          c, plan, 0.0, [](double a, T x) { return a + static_cast<double>(x); },
          [](double a) {
            const auto v = std::log(a);
            if constexpr (kIsFloat<T>) return v;
            return std::isfinite(v) ? v : 0.0;
          });
    default: return nullptr;
  }
}

template <class T>
std::unique_ptr<Kernel> extremes(const LowerContext& c, const ReducePlan& plan) {
  using C = std::conditional_t<std::is_same_v<T, bool_t>, int, Compute<T>>;
  using L = std::numeric_limits<C>;
  constexpr C kLow = kIsFloat<T> ? -L::infinity() : std::is_same_v<T, bool_t> ? C(0) : L::lowest();
  constexpr C kHigh = kIsFloat<T> ? L::infinity() : std::is_same_v<T, bool_t> ? C(1) : L::max();
  const auto finish = [](C a) {
    if constexpr (std::is_same_v<T, bool_t>)
      return a != 0;
    else
      return a;
  };
  if (c.node.op == Op::ReduceMax) {
    return reduce_with<T, C>(
        c, plan, kLow, [](C a, T x) { return C(x) > a || C(x) != C(x) ? C(x) : a; }, finish);
  }
  return reduce_with<T, C>(
      c, plan, kHigh, [](C a, T x) { return C(x) < a || C(x) != C(x) ? C(x) : a; }, finish);
}

// Two passes: the maximum first, so that no exponential overflows.
template <class T>
std::unique_ptr<Kernel> log_sum_exp(const LowerContext& c, const ReducePlan& plan) {
  return kernel_of("tenon reduce", [=](const KernelCall& call) -> Result<void> {
    const In<T> in{call.in[0]};
    const Out<T> out{call.out[0]};
    for (std::int64_t o = 0; o < plan.count; ++o) {
      double high = -std::numeric_limits<double>::infinity(), sum = 0;
      plan.for_each_run(o, [&](std::int64_t from, std::int64_t stride, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          high = std::max(high, static_cast<double>(in[from + i * stride]));
      });
      const double shift = std::isfinite(high) ? high : 0;
      plan.for_each_run(o, [&](std::int64_t from, std::int64_t stride, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          sum += std::exp(static_cast<double>(in[from + i * stride]) - shift);
      });
      const double value = std::log(sum) + shift;
      if constexpr (kIsFloat<T>)
        out.set(o, static_cast<T>(static_cast<Compute<T>>(value)));
      else
        out.set(o, std::isfinite(value) ? static_cast<T>(value) : T(0));
    }
    return {};
  });
}

}  // namespace

KernelResult fast::reduce(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto plan = ReducePlan::make(c.in_dims(0), TENON_TRY(reduced_axes(infer)));
  const auto type = c.inputs[0].type;
  std::unique_ptr<Kernel> kernel;
  if (c.node.op == Op::ReduceMax || c.node.op == Op::ReduceMin) {
    dispatch(RawTypes{}, type, [&]<class T>() { kernel = extremes<T>(c, plan); });
  } else if (c.node.op == Op::ReduceLogSumExp) {
    dispatch(NumericTypes{}, type, [&]<class T>() { kernel = log_sum_exp<T>(c, plan); });
  } else {
    dispatch(NumericTypes{}, type, [&]<class T>() { kernel = sums<T>(c, plan); });
  }
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::arg_reduce(const LowerContext& c) {
  const auto& in = c.in_dims(0);
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const auto outer = product(in, 0, axis), extent = in[axis], inner = product(in, axis + 1, in.size());
  const bool last = c.node.integer("select_last_index") != 0, maximum = c.node.op == Op::ArgMax;
  std::unique_ptr<Kernel> kernel;
  dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon arg_reduce", [=](const KernelCall& call) -> Result<void> {
      using C = Compute<T>;
      const In<T> in{call.in[0]};
      const Out<std::int64_t> out{call.out[0]};
      for (std::int64_t o = 0; o < outer; ++o) {
        for (std::int64_t i = 0; i < inner; ++i) {
          const auto at = [&](std::int64_t k) { return static_cast<C>(in[(o * extent + k) * inner + i]); };
          std::int64_t best = 0;
          C value = at(0);
          for (std::int64_t k = 1; k < extent; ++k) {
            const C x = at(k);
            if (maximum ? x > value || (last && x == value) : x < value || (last && x == value)) {
              best = k;
              value = x;
            }
          }
          out.set(o * inner + i, best);
        }
      }
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
