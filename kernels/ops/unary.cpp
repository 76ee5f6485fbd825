// Element-wise operators of one operand: unary, clip, cast. f32 goes through oneDNN where it has the
// function.
#include <cmath>

#include "kernels/dnnl/primitives.h"
#include "kernels/element.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"
#include "kernels/parallel.h"

namespace tenon::kernels {
namespace {

constexpr std::int64_t kGrain = 16384;

// Attributes of the operators, in the order in which their lambdas use them.
struct Params {
  float a = 0, b = 0;
};

// out[i] = f(in[i]) over a range; one such function for each operator and type, everything around it is
// compiled once.
using Range = void (*)(const std::byte* in, std::byte* out, std::int64_t begin, std::int64_t end, Params p);

template <class T, class R, class F>
void range(const std::byte* from, std::byte* to, std::int64_t begin, std::int64_t end, Params p) {
  const F f{};
  const In<T> in{from};
  const Out<R> out{to};
  if constexpr (std::is_same_v<T, float>) {
    for (auto i = begin; i < end; ++i) out.set(i, static_cast<R>(f(in[i], p)));
  } else {
#pragma clang loop vectorize(disable) unroll(disable)
    for (auto i = begin; i < end; ++i) out.set(i, static_cast<R>(f(static_cast<Compute<T>>(in[i]), p)));
  }
}

template <class T, class R, class F>
Range map(F) {
  return range<T, R, F>;
}

std::unique_ptr<Kernel> range_kernel(const LowerContext& c, Range function, Params p) {
  if (function == nullptr) return nullptr;
  const auto count = product(c.outputs[0].dims);
  const auto threads = c.threads;
  return kernel_of("tenon unary", [=](const KernelCall& call) -> Result<void> {
    parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      function(call.in[0], call.out[0], begin, end, p);
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
Range float_unary(const Node& n) {
  using C = Compute<T>;
#define ROW(op, ...) \
  case Op::op: return map<T, T>([](C x, Params p) -> C { return __VA_ARGS__; });
  switch (n.op) {
    ROW(Abs, std::abs(x))
    ROW(Acos, std::acos(x))
    ROW(Acosh, std::acosh(x))
    ROW(Asin, std::asin(x))
    ROW(Asinh, std::asinh(x))
    ROW(Atan, std::atan(x))
    ROW(Atanh, std::atanh(x))
    ROW(Ceil, std::ceil(x))
    ROW(Celu, x > 0 ? x : C(p.a) * (std::exp(x / C(p.a)) - 1))
    ROW(Cos, std::cos(x))
    ROW(Cosh, std::cosh(x))
    ROW(Elu, x < 0 ? C(p.a) * (std::exp(x) - 1) : x)
    ROW(Erf, std::erf(x))
    ROW(Exp, std::exp(x))
    ROW(Floor, std::floor(x))
    ROW(HardSigmoid, std::clamp<C>(C(p.a) * x + C(p.b), 0, 1))
    ROW(HardSwish, x * std::clamp<C>(x / 6 + C(0.5), 0, 1))
    ROW(LeakyRelu, x < 0 ? C(p.a) * x : x)
    ROW(Log, std::log(x))
    ROW(Mish, x * std::tanh(softplus(x)))
    ROW(Neg, -x)
    ROW(Reciprocal, 1 / x)
    ROW(Relu, x < 0 ? C(0) : x)
    ROW(Round, std::nearbyint(x))
    ROW(Selu, C(p.b) * (x > 0 ? x : C(p.a) * std::exp(x) - C(p.a)))
    ROW(Shrink, x < -C(p.b) ? x + C(p.a) : x > C(p.b) ? x - C(p.a) : C(0))
    ROW(Sigmoid, sigmoid(x))
    ROW(Sign, std::isnan(x) ? x : C((x > 0) - (x < 0)))
    ROW(Sin, std::sin(x))
    ROW(Sinh, std::sinh(x))
    ROW(Softplus, softplus(x))
    ROW(Softsign, x / (1 + std::abs(x)))
    ROW(Sqrt, std::sqrt(x))
    ROW(Tan, std::tan(x))
    ROW(Tanh, std::tanh(x))
    ROW(ThresholdedRelu, x > C(p.a) ? x : C(0))
    case Op::Gelu:
      if (n.text("approximate") == "tanh") return map<T, T>([](C x, Params) { return gelu_tanh(x); });
      return map<T, T>([](C x, Params) { return gelu(x); });
    case Op::IsNaN: return map<T, bool_t>([](C x, Params) { return std::isnan(x); });
    case Op::IsInf:
      return map<T, bool_t>([](C x, Params p) { return std::isinf(x) && (x > 0 ? p.a != 0 : p.b != 0); });
    default: return nullptr;
  }
#undef ROW
}

// Integers wrap; negation and such happen unsigned, where that is defined.
template <class T>
Range integer_unary(const Node& n) {
  using U = std::make_unsigned_t<T>;
  switch (n.op) {
    case Op::Abs:
      return map<T, T>(
          [](T x, Params) { return static_cast<T>(x < 0 ? U(0) - static_cast<U>(x) : static_cast<U>(x)); });
    case Op::Neg: return map<T, T>([](T x, Params) { return static_cast<T>(U(0) - static_cast<U>(x)); });
    case Op::Sign: return map<T, T>([](T x, Params) { return static_cast<T>((x > 0) - (x < 0)); });
    case Op::Relu: return map<T, T>([](T x, Params) { return x < 0 ? T(0) : x; });
    case Op::BitwiseNot: return map<T, T>([](T x, Params) { return static_cast<T>(~x); });
    case Op::Erf:
      return map<T, T>([](T x, Params) { return static_cast<T>(std::erf(static_cast<double>(x))); });
    case Op::Shrink:
      return map<T, T>([](T x, Params p) {
        const double v = static_cast<double>(x), bias = p.a, lambda = p.b;
        return static_cast<T>(static_cast<std::int64_t>(v < -lambda ? v + bias : v > lambda ? v - bias : 0));
      });
    default: return nullptr;
  }
}

Params params_of(const Node& n) {
  switch (n.op) {
    case Op::HardSigmoid: return {n.real("alpha"), n.real("beta")};
    case Op::Selu: return {n.real("alpha"), n.real("gamma")};
    case Op::Shrink: return {n.real("bias"), n.real("lambd")};
    case Op::IsInf:
      return {static_cast<float>(n.integer("detect_positive")),
              static_cast<float>(n.integer("detect_negative"))};
    default: return {n.has("alpha") ? n.real("alpha") : 0, 0};
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

template <class From, class To>
void convert_range(const std::byte* from, std::byte* to, std::int64_t begin, std::int64_t end, Params) {
#pragma clang loop vectorize(disable) unroll(disable)
  for (auto i = begin; i < end; ++i) Out<To>{to}.set(i, convert<To>(In<From>{from}[i]));
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
    // The shortest text that reads back as the same number of its type.
    if constexpr (std::is_same_v<T, double>) return fmt::format("{}", x);
    return fmt::format("{}", static_cast<float>(x));
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

// From or to elements of few bits, through double.
KernelResult cast_small(const LowerContext& c) {
  const auto count = product(c.outputs[0].dims);
  const auto from = c.inputs[0].type;
  const bool saturate = c.node.integer("saturate") != 0;
  std::unique_ptr<Kernel> kernel;
  const auto each = [&]<class To>(auto convert_one) {
    const auto threads = c.threads;
    kernel = kernel_of("tenon cast", [=](const KernelCall& call) -> Result<void> {
      parallel_for(threads, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i)
          Out<To>{call.out[0]}.set(i, convert_one(get_number(from, call.in[0], i)));
      });
      return {};
    });
  };
  dispatch(SmallTypes{}, c.outputs[0].type, [&]<class To>() {
    each.template operator()<To>([saturate](double x) { return To::from(x, saturate); });
  });
  dispatch(RawTypes{}, c.outputs[0].type,
           [&]<class To>() { each.template operator()<To>([](double x) { return convert<To>(x); }); });
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace

KernelResult fast::unary(const LowerContext& c) {
  if (!c.reference) {
    if (auto kernel = dnnl_eltwise(c)) return kernel;
  }
  Range function = nullptr;
  dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { function = float_unary<T>(c.node); });
  dispatch(IntegerTypes{}, c.inputs[0].type, [&]<class T>() { function = integer_unary<T>(c.node); });
  if (c.node.op == Op::Not && c.inputs[0].type == DataType::boolean) {
    function = map<bool_t, bool_t>([](bool_t x, Params) { return !x; });
  }
  auto kernel = range_kernel(c, function, params_of(c.node));
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
  const bool small = from >= DataType::i4 || to >= DataType::i4;
  if (from == DataType::string || to == DataType::string) return small ? no_kernel(c) : cast_strings(c);
  if (small) return cast_small(c);
  Range function = nullptr;
  dispatch(RawTypes{}, from, [&]<class From>() {
    dispatch(RawTypes{}, to, [&]<class To>() { function = convert_range<From, To>; });
  });
  auto kernel = range_kernel(c, function, {});
  if (!kernel) return no_kernel(c);
  return kernel;
}

}  // namespace tenon::kernels
