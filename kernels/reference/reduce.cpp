// The oracle of reductions and softmax: every output element on its own, from the definition; integers wrap, all else is
// in double.
#include <cmath>
#include <optional>

#include "kernels/infer.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels::reference {
namespace {

// Nothing when the result is a real number that is cut to an integer.
template <class T>
std::optional<T> combine_integers(Op op, const std::vector<T>& x) {
  std::uint64_t sum = 0, squares = 0, absolute = 0, product = 1;
  T high = std::numeric_limits<T>::lowest(), low = std::numeric_limits<T>::max();
  for (const auto v : x) {
    const auto bits = static_cast<std::uint64_t>(v);
    sum += bits;
    squares += bits * bits;
    absolute += v < 0 ? 0 - bits : bits;
    product *= bits;
    high = std::max(high, v);
    low = std::min(low, v);
  }
  using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
  switch (op) {
    case Op::ReduceL1: return static_cast<T>(absolute);
    case Op::ReduceMax: return high;
    case Op::ReduceMean: return static_cast<T>(static_cast<Wide>(sum) / static_cast<Wide>(x.size()));
    case Op::ReduceMin: return low;
    case Op::ReduceProd: return static_cast<T>(product);
    case Op::ReduceSum: return static_cast<T>(sum);
    case Op::ReduceSumSquare: return static_cast<T>(squares);
    default: return std::nullopt;
  }
}

double combine(Op op, const std::vector<double>& x) {
  double sum = 0, squares = 0, absolute = 0, product = 1;
  double high = -std::numeric_limits<double>::infinity(), low = -high;
  for (const auto v : x) {
    sum += v;
    squares += v * v;
    absolute += std::abs(v);
    product *= v;
    high = std::isnan(v) || v > high ? v : high;
    low = std::isnan(v) || v < low ? v : low;
  }
  switch (op) {
    case Op::ReduceL1: return absolute;
    case Op::ReduceL2: return std::sqrt(squares);
    case Op::ReduceLogSum: return std::log(sum);
    case Op::ReduceLogSumExp: {
      double total = 0;
      const double shift = std::isfinite(high) ? high : 0;
      for (const auto v : x) total += std::exp(v - shift);
      return std::log(total) + shift;
    }
    case Op::ReduceMax: return high;
    case Op::ReduceMean: return sum / static_cast<double>(x.size());
    case Op::ReduceMin: return low;
    case Op::ReduceProd: return product;
    case Op::ReduceSumSquare: return squares;
    default: return sum;
  }
}

}  // namespace

KernelResult reduce(const LowerContext& c) {
  const auto type = c.inputs[0].type;
  // Empty sums of integers have limits of their own.
  if (type == DataType::boolean || product(c.in_dims(0)) == 0) return fast::reduce(c);
  InferContext infer(c.node, c.inputs);
  const auto axes = TENON_TRY(reduced_axes(infer));
  const auto in = c.in_dims(0);
  const auto op = c.node.op;
  return kernel_of("reference", [=](const KernelCall& call) -> Result<void> {
    Dims kept;
    for (std::size_t d = 0; d < in.size(); ++d) {
      if (!axes[d]) kept.push_back(in[d]);
    }
    // The positions that each output element is made of.
    std::vector<std::vector<std::int64_t>> groups(static_cast<std::size_t>(product(kept)));
    for (std::int64_t i = 0, n = product(in); i < n; ++i) {
      std::int64_t rest = i, at = 0, pitch = 1;
      for (std::size_t d = in.size(); d-- > 0;) {
        if (!axes[d]) {
          at += rest % in[d] * pitch;
          pitch *= in[d];
        }
        rest /= in[d];
      }
      groups[static_cast<std::size_t>(at)].push_back(i);
    }
    for (std::size_t o = 0; o < groups.size(); ++o) {
      const auto at = static_cast<std::int64_t>(o);
      bool done = false;
      dispatch(IntegerTypes{}, type, [&]<class T>() {
        std::vector<T> x;
        for (const auto i : groups[o]) x.push_back(In<T>{call.in[0]}[i]);
        const auto y = combine_integers(op, x);
        done = y.has_value();
        if (y) Out<T>{call.out[0]}.set(at, *y);
      });
      if (done) continue;
      std::vector<double> x;
      for (const auto i : groups[o]) x.push_back(get_number(type, call.in[0], i));
      set_number(type, call.out[0], at, combine(op, x));
    }
    return {};
  });
}

KernelResult softmax(const LowerContext& c) {
  const auto in = c.in_dims(0);
  if (in.empty()) return fail(ErrorCode::invalid_argument, "operand is a scalar");
  const auto axis = TENON_TRY(normalize_axis(c.node.integer("axis"), in.size()));
  const auto type = c.inputs[0].type;
  const auto op = c.node.op;
  return kernel_of("reference", [=](const KernelCall& call) -> Result<void> {
    const auto extent = in[axis], inner = product(in, axis + 1, in.size());
    for (std::int64_t i = 0, n = product(in); i < n; ++i) {
      const auto first = i / (extent * inner) * extent * inner + i % inner;
      const auto own = i / inner % extent;
      std::vector<double> x;
      for (std::int64_t k = 0; k < extent; ++k) x.push_back(get_number(type, call.in[0], first + k * inner));
      const auto best = std::max_element(x.begin(), x.end());
      double sum = 0;
      for (const auto v : x) sum += std::exp(v - *best);
      const double e = x[static_cast<std::size_t>(own)] - *best;
      const double y = op == Op::Softmax      ? std::exp(e) / sum
                       : op == Op::LogSoftmax ? e - std::log(sum)
                                              : (best - x.begin() == own ? 1.0 : 0.0);
      set_number(type, call.out[0], i, y);
    }
    return {};
  });
}

}  // namespace tenon::kernels::reference
