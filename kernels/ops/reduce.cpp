// Reductions over any set of axes, and the position of extremes. Floats accumulate in double where the sum is
// long.
#include <cmath>

#include "kernels/element.h"
#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"
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

// How one reduction runs over an element: an accumulator of double for floats, of 64 bits for integers.
enum class Kind { sum, mean, product, squares, absolute, euclid, log_sum, maximum, minimum };

Kind kind_of(Op op) {
  switch (op) {
    case Op::ReduceSum: return Kind::sum;
    case Op::ReduceMean: return Kind::mean;
    case Op::ReduceProd: return Kind::product;
    case Op::ReduceSumSquare: return Kind::squares;
    case Op::ReduceL1: return Kind::absolute;
    case Op::ReduceL2: return Kind::euclid;
    case Op::ReduceLogSum: return Kind::log_sum;
    case Op::ReduceMax: return Kind::maximum;
    default: return Kind::minimum;
  }
}

// Adds a run of elements to the accumulator. A is double, or an integer of 64 bits, whose arithmetic wraps.
template <class T, class A>
A add_run(Kind kind, In<T> in, std::int64_t stride, std::int64_t n, A acc) {
  using W = std::conditional_t<std::is_same_v<A, double>, double, std::uint64_t>;
  const auto over = [&](auto step) {
    if (stride == 1) {
      for (std::int64_t i = 0; i < n; ++i) acc = step(acc, static_cast<A>(in[i]));
    } else {
      for (std::int64_t i = 0; i < n; ++i) acc = step(acc, static_cast<A>(in[i * stride]));
    }
    return acc;
  };
  switch (kind) {
    case Kind::sum:
    case Kind::mean:
    case Kind::log_sum:
      return over([](A a, A x) { return static_cast<A>(static_cast<W>(a) + static_cast<W>(x)); });
    case Kind::product:
      return over([](A a, A x) { return static_cast<A>(static_cast<W>(a) * static_cast<W>(x)); });
    case Kind::squares:
    case Kind::euclid:
      return over(
          [](A a, A x) { return static_cast<A>(static_cast<W>(a) + static_cast<W>(x) * static_cast<W>(x)); });
    case Kind::absolute:
      return over([](A a, A x) {
        return static_cast<A>(static_cast<W>(a) +
                              static_cast<W>(x < 0 ? W(0) - static_cast<W>(x) : static_cast<W>(x)));
      });
    case Kind::maximum: return over([](A a, A x) { return x > a || x != x ? x : a; });
    case Kind::minimum: return over([](A a, A x) { return x < a || x != x ? x : a; });
  }
  return acc;
}

template <class T, class A>
std::unique_ptr<Kernel> reduction(const LowerContext& c, const ReducePlan& plan) {
  using L = std::numeric_limits<A>;
  const auto kind = kind_of(c.node.op);
  const A low = std::is_same_v<A, double> ? -L::infinity() : static_cast<A>(L::lowest());
  const A high = std::is_same_v<A, double> ? L::infinity() : L::max();
  const A start = kind == Kind::product   ? A(1)
                  : kind == Kind::maximum ? low
                  : kind == Kind::minimum ? high
                                          : A(0);
  const auto threads = c.threads;
  return kernel_of("tenon reduce", [=](const KernelCall& call) -> Result<void> {
    const In<T> in{call.in[0]};
    const Out<T> out{call.out[0]};
    const auto length = static_cast<double>(plan.length);
    parallel_for(
        threads, plan.count, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(plan.length, 1)),
        [&](std::int64_t begin, std::int64_t end) {
          for (auto o = begin; o < end; ++o) {
            A acc = start;
            plan.for_each_run(o, [&](std::int64_t from, std::int64_t stride, std::int64_t n) {
              acc = add_run<T, A>(kind, in.at(from), stride, n, acc);
            });
            if constexpr (std::is_same_v<T, bool_t>) {
              out.set(o, T(plan.length == 0 ? kind == Kind::minimum : acc != 0));
              continue;
            } else if constexpr (!kIsFloat<T>) {
              if (kind != Kind::euclid && kind != Kind::log_sum) {
                out.set(o,
                        static_cast<T>(kind == Kind::mean && plan.length != 0 ? acc / A(plan.length) : acc));
                continue;
              }
            }
            double value = static_cast<double>(acc);
            if (kind == Kind::mean) value /= length;
            if (kind == Kind::euclid) value = std::sqrt(value);
            if (kind == Kind::log_sum) value = std::log(value);
            if constexpr (kIsFloat<T>) {
              out.set(o, static_cast<T>(static_cast<Compute<T>>(value)));
            } else {
              set_number(kDataTypeOf<T>, call.out[0], o, value);
            }
          }
        });
    return {};
  });
}

// Two passes: the maximum first, so that no exponential overflows.
std::unique_ptr<Kernel> log_sum_exp(const LowerContext& c, const ReducePlan& plan) {
  const auto type = c.inputs[0].type;
  return kernel_of("tenon reduce", [=](const KernelCall& call) -> Result<void> {
    for (std::int64_t o = 0; o < plan.count; ++o) {
      double high = -std::numeric_limits<double>::infinity(), sum = 0;
      plan.for_each_run(o, [&](std::int64_t from, std::int64_t stride, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          high = std::max(high, get_number(type, call.in[0], from + i * stride));
      });
      const double shift = std::isfinite(high) ? high : 0;
      plan.for_each_run(o, [&](std::int64_t from, std::int64_t stride, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i)
          sum += std::exp(get_number(type, call.in[0], from + i * stride) - shift);
      });
      set_number(type, call.out[0], o, std::log(sum) + shift);
    }
    return {};
  });
}

}  // namespace

KernelResult fast::reduce(const LowerContext& c) {
  InferContext infer(c.node, c.inputs);
  const auto plan = ReducePlan::make(c.in_dims(0), TENON_TRY(reduced_axes(infer)));
  if (c.node.op == Op::ReduceLogSumExp) return log_sum_exp(c, plan);
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = reduction<T, double>(c, plan); });
  dispatch(IntegerTypes{}, c.inputs[0].type, [&]<class T>() {
    kernel = reduction<T, std::conditional_t<std::is_same_v<T, std::uint64_t>, T, std::int64_t>>(c, plan);
  });
  dispatch(TypeList<bool_t>{}, c.inputs[0].type,
           [&]<class T>() { kernel = reduction<T, std::int64_t>(c, plan); });
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
