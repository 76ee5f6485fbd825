// Element-wise operators of one operand: unary, clip, cast. f32 goes through oneDNN where it has the
// function.
#include <cmath>

#include "kernels/dnnl/primitives.h"
#include "kernels/element.h"
#include "kernels/ops/families.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kGrain = 16384;

// out[i] = f(in[i]); arithmetic in Compute<T>.
template <class T, class R, class F>
std::unique_ptr<Kernel> map(const LowerContext& c, F f) {
  const auto count = product(c.outputs[0].dims);
  const auto threads = c.threads;
  return kernel_of("tenon unary", [=](const KernelCall& call) -> Result<void> {
    const In<T> in{call.in[0]};
    const Out<R> out{call.out[0]};
    parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = begin; i < end; ++i) out.set(i, static_cast<R>(f(static_cast<Compute<T>>(in[i]))));
    });
    return {};
  });
}

template <class C>
C gelu(C x) {
  return C(0.5) * x * (1 + std::erf(x * C(0.70710678118654752440)));
}
template <class C>
C gelu_tanh(C x) {
  return C(0.5) * x * (1 + std::tanh(C(0.79788456080286535588) * (x + C(0.044715) * x * x * x)));
}
template <class C>
C softplus(C x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}
template <class C>
C sigmoid(C x) {
  // exp of a large positive number would overflow to a NaN in the other form.
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

template <class T>
std::unique_ptr<Kernel> float_unary(const LowerContext& c) {
  using C = Compute<T>;
  const auto& n = c.node;
  const C alpha = n.has("alpha") ? n.real("alpha") : 0;
#define ROW(op, ...) \
  case Op::op: return map<T, T>(c, [=](C x) -> C { return __VA_ARGS__; });
  switch (n.op) {
    ROW(Abs, std::abs(x))
    ROW(Acos, std::acos(x))
    ROW(Acosh, std::acosh(x))
    ROW(Asin, std::asin(x))
    ROW(Asinh, std::asinh(x))
    ROW(Atan, std::atan(x))
    ROW(Atanh, std::atanh(x))
    ROW(Ceil, std::ceil(x))
    ROW(Celu, std::max<C>(0, x) + std::min<C>(0, alpha * (std::exp(x / alpha) - 1)))
    ROW(Cos, std::cos(x))
    ROW(Cosh, std::cosh(x))
    ROW(Elu, x < 0 ? alpha * (std::exp(x) - 1) : x)
    ROW(Erf, std::erf(x))
    ROW(Exp, std::exp(x))
    ROW(Floor, std::floor(x))
    ROW(HardSwish, x * std::max<C>(0, std::min<C>(1, x / 6 + C(0.5))))
    ROW(LeakyRelu, x < 0 ? alpha * x : x)
    ROW(Log, std::log(x))
    ROW(Mish, x * std::tanh(softplus(x)))
    ROW(Neg, -x)
    ROW(Reciprocal, 1 / x)
    ROW(Relu, x < 0 ? C(0) : x)
    ROW(Round, std::nearbyint(x))
    ROW(Sigmoid, sigmoid(x))
    ROW(Sign, std::isnan(x) ? x : C((x > 0) - (x < 0)))
    ROW(Sin, std::sin(x))
    ROW(Sinh, std::sinh(x))
    ROW(Softplus, softplus(x))
    ROW(Softsign, x / (1 + std::abs(x)))
    ROW(Sqrt, std::sqrt(x))
    ROW(Tan, std::tan(x))
    ROW(Tanh, std::tanh(x))
    ROW(ThresholdedRelu, x > alpha ? x : C(0))
    case Op::Gelu:
      if (n.text("approximate") == "tanh") return map<T, T>(c, gelu_tanh<C>);
      return map<T, T>(c, gelu<C>);
    case Op::HardSigmoid: {
      const C beta = n.real("beta");
      return map<T, T>(c, [=](C x) { return std::max<C>(0, std::min<C>(1, alpha * x + beta)); });
    }
    case Op::Selu: {
      const C gamma = n.real("gamma");
      return map<T, T>(c, [=](C x) { return gamma * (x > 0 ? x : alpha * std::exp(x) - alpha); });
    }
    case Op::Shrink: {
      const C bias = n.real("bias"), lambda = n.real("lambd");
      return map<T, T>(c, [=](C x) { return x < -lambda ? x + bias : x > lambda ? x - bias : C(0); });
    }
    case Op::IsNaN: return map<T, bool_t>(c, [](C x) { return std::isnan(x); });
    case Op::IsInf: {
      const bool negative = n.integer("detect_negative") != 0, positive = n.integer("detect_positive") != 0;
      return map<T, bool_t>(c, [=](C x) { return std::isinf(x) && (x > 0 ? positive : negative); });
    }
    default: return nullptr;
  }
#undef ROW
}

// Integers wrap; negation and such happen unsigned, where that is defined.
template <class T>
std::unique_ptr<Kernel> integer_unary(const LowerContext& c) {
  using U = std::make_unsigned_t<T>;
  const auto& n = c.node;
  switch (n.op) {
    case Op::Abs:
      return map<T, T>(
          c, [](T x) { return static_cast<T>(x < 0 ? U(0) - static_cast<U>(x) : static_cast<U>(x)); });
    case Op::Neg: return map<T, T>(c, [](T x) { return static_cast<T>(U(0) - static_cast<U>(x)); });
    case Op::Sign: return map<T, T>(c, [](T x) { return static_cast<T>((x > 0) - (x < 0)); });
    case Op::Relu: return map<T, T>(c, [](T x) { return x < 0 ? T(0) : x; });
    case Op::BitwiseNot: return map<T, T>(c, [](T x) { return static_cast<T>(~x); });
    case Op::Erf: return map<T, T>(c, [](T x) { return static_cast<T>(std::erf(static_cast<double>(x))); });
    case Op::Shrink: {
      const double bias = n.real("bias"), lambda = n.real("lambd");
      return map<T, T>(c, [=](T x) {
        const auto v = static_cast<double>(x);
        return static_cast<T>(static_cast<std::int64_t>(v < -lambda ? v + bias : v > lambda ? v - bias : 0));
      });
    }
    default: return nullptr;
  }
}

// Conversion with ONNX's meaning where C++ leaves it undefined: out of range floats saturate to integers, NaN
// gives 0.
template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<To, bool_t>) {
    return x != From(0);
  } else if constexpr (std::is_integral_v<To> && kIsFloat<From>) {
    const auto v = static_cast<double>(x);
    if (std::isnan(v)) return To(0);
    // i32 and narrower wrap as ONNX Runtime does (through int64); beyond int64 it saturates.
    if (v >= 9223372036854775808.0) {
      if constexpr (std::is_same_v<To, std::uint64_t>)
        return v >= 18446744073709551616.0 ? ~std::uint64_t{0} : static_cast<To>(v);
      return static_cast<To>(std::numeric_limits<std::int64_t>::max());
    }
    if (v < -9223372036854775808.0) return static_cast<To>(std::numeric_limits<std::int64_t>::min());
    return static_cast<To>(static_cast<std::int64_t>(v));
  } else if constexpr (std::is_same_v<To, f16_t> || std::is_same_v<To, bf16_t>) {
    return static_cast<To>(static_cast<float>(x));
  } else {
    return static_cast<To>(static_cast<Compute<From>>(x));
  }
}

Result<double> parse_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != 0) return fail(ErrorCode::runtime_error, "'{}' is no number", text);
  return value;
}

template <class T>
std::string format_number(T x) {
  if constexpr (std::is_same_v<T, bool_t>) {
    return x ? "1" : "0";
  } else if constexpr (kIsFloat<T>) {
    const auto v = static_cast<double>(x);
    if (std::isnan(v)) return "NaN";
    if (std::isinf(v)) return v > 0 ? "INF" : "-INF";
    return fmt::format("{:.{}g}", v, std::is_same_v<T, double> ? 17 : 8);
  } else {
    return fmt::format("{}", x);
  }
}

KernelResult cast_strings(const LowerContext& c) {
  const auto count = product(c.outputs[0].dims);
  std::unique_ptr<Kernel> kernel;
  if (c.outputs[0].type == DataType::string) {
    dispatch(AllTypes{}, c.inputs[0].type, [&]<class From>() {
      kernel = kernel_of("tenon cast", [=](const KernelCall& call) -> Result<void> {
        const In<From> in{call.in[0]};
        const Out<std::string> out{call.out[0]};
        for (std::int64_t i = 0; i < count; ++i) {
          if constexpr (std::is_same_v<From, std::string>)
            out.set(i, in[i]);
          else
            out.set(i, format_number(in[i]));
        }
        return {};
      });
    });
  } else {
    dispatch(RawTypes{}, c.outputs[0].type, [&]<class To>() {
      kernel = kernel_of("tenon cast", [=](const KernelCall& call) -> Result<void> {
        const In<std::string> in{call.in[0]};
        const Out<To> out{call.out[0]};
        for (std::int64_t i = 0; i < count; ++i) out.set(i, convert<To>(TENON_TRY(parse_number(in[i]))));
        return {};
      });
    });
    if (kernel) kernel->can_fail = true;
  }
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace

KernelResult fast::unary(const LowerContext& c) {
  if (!c.reference) {
    if (auto kernel = dnnl_eltwise(c)) return kernel;
  }
  std::unique_ptr<Kernel> kernel;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = float_unary<T>(c); });
  dispatch(IntegerTypes{}, c.inputs[0].type, [&]<class T>() { kernel = integer_unary<T>(c); });
  if (c.node.op == Op::Not && c.inputs[0].type == DataType::boolean) {
    kernel = map<bool_t, bool_t>(c, [](bool_t x) { return !x; });
  }
  if (!kernel) return no_kernel(c);
  return kernel;
}

// Bounds are scalars, possibly computed; an absent one does not bound.
KernelResult fast::clip(const LowerContext& c) {
  std::unique_ptr<Kernel> kernel;
  for (std::size_t i = 1; i < c.inputs.size(); ++i) {
    if (c.has(i) && (c.inputs[i].type != c.inputs[0].type || product(c.inputs[i].dims) != 1)) {
      return fail(ErrorCode::invalid_argument, "bounds must be scalars of the operand's type");
    }
  }
  const auto count = product(c.outputs[0].dims);
  const auto threads = c.threads;
  dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() {
    using C = Compute<T>;
    kernel = kernel_of("tenon clip", [=](const KernelCall& call) -> Result<void> {
      const auto bound = [&](std::size_t i) -> const std::byte* {
        return i < call.in.size() ? call.in[i] : nullptr;
      };
      const bool has_low = bound(1) != nullptr, has_high = bound(2) != nullptr;
      const C low = has_low ? static_cast<C>(In<T>{bound(1)}[0]) : C(0);
      const C high = has_high ? static_cast<C>(In<T>{bound(2)}[0]) : C(0);
      const In<T> in{call.in[0]};
      const Out<T> out{call.out[0]};
      parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) {
          C x = static_cast<C>(in[i]);
          if (has_low) x = x < low ? low : x;
          if (has_high) x = x > high ? high : x;
          out.set(i, static_cast<T>(x));
        }
      });
      return {};
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::cast(const LowerContext& c) {
  const auto from = c.inputs[0].type, to = c.outputs[0].type;
  if (from == DataType::string || to == DataType::string) return cast_strings(c);
  std::unique_ptr<Kernel> kernel;
  dispatch(RawTypes{}, from, [&]<class From>() {
    dispatch(RawTypes{}, to, [&]<class To>() {
      const auto count = product(c.outputs[0].dims);
      const auto threads = c.threads;
      kernel = kernel_of("tenon cast", [=](const KernelCall& call) -> Result<void> {
        const In<From> in{call.in[0]};
        const Out<To> out{call.out[0]};
        parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
          for (auto i = begin; i < end; ++i) out.set(i, convert<To>(in[i]));
        });
        return {};
      });
    });
  });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
