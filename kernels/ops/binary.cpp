// Element-wise operators of several operands with broadcasting: binary, variadic, where.
#include <cmath>

#include "kernels/element.h"
#include "kernels/ops/broadcast.h"
#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels {
namespace {

// A row of a result: operands advance by 0 or 1 element. One such function for each operator and type;
// everything around it is compiled once.
using Row = void (*)(const std::byte* a, std::int64_t sa, const std::byte* b, std::int64_t sb, std::byte* out,
                     std::int64_t n);

template <class A, class B, class R, class F>
void row(const std::byte* pa, std::int64_t sa, const std::byte* pb, std::int64_t sb, std::byte* to,
         std::int64_t n) {
  const F f{};
  const In<A> a{pa};
  const In<B> b{pb};
  const Out<R> out{to};
  if constexpr (std::is_same_v<A, float> && std::is_same_v<B, float>) {
    if (sa == 1 && sb == 1) {
      for (std::int64_t i = 0; i < n; ++i) out.set(i, static_cast<R>(f(a[i], b[i])));
      return;
    }
    if (sa == 1 && sb == 0) {
      const B y = b[0];
      for (std::int64_t i = 0; i < n; ++i) out.set(i, static_cast<R>(f(a[i], y)));
      return;
    }
  }
#pragma clang loop vectorize(disable) unroll(disable)
  for (std::int64_t i = 0; i < n; ++i) out.set(i, static_cast<R>(f(a[i * sa], b[i * sb])));
}

struct RowKernel {
  Row function = nullptr;
  std::int64_t a_bytes = 0, b_bytes = 0, out_bytes = 0;
};

template <class A, class B, class R, class F>
RowKernel zip(F) {
  return {row<A, B, R, F>, sizeof(A), sizeof(B), sizeof(R)};
}

std::unique_ptr<Kernel> zip_kernel(const LowerContext& c, const RowKernel& r) {
  if (r.function == nullptr) return nullptr;
  const auto plan = Broadcast::make(c.outputs[0].dims, c.inputs.first(2));
  const auto threads = c.threads;
  return kernel_of("tenon binary", [=](const KernelCall& call) -> Result<void> {
    const auto sa = plan.strides[0].back(), sb = plan.strides[1].back();
    plan.for_each_row(threads, [&](std::int64_t to, const std::int64_t* at, std::int64_t n) {
      r.function(call.in[0] + at[0] * r.a_bytes, sa, call.in[1] + at[1] * r.b_bytes, sb,
                 call.out[0] + to * r.out_bytes, n);
    });
    return {};
  });
}

// Integer division and remainder: x / 0 is 0 and the one overflow wraps, so that no data can trap.
template <class T>
T divide(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (y == -1)
        return static_cast<T>(std::make_unsigned_t<T>(0) - static_cast<std::make_unsigned_t<T>>(x));
    }
  }
  return static_cast<T>(x / y);
}

template <class T>
T modulo(T x, T y, bool c_style) {
  if constexpr (std::is_integral_v<T>) {
    if (y == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (y == -1) return 0;
      const auto r = static_cast<T>(x % y);
      return !c_style && r != 0 && (r < 0) != (y < 0) ? static_cast<T>(r + y) : r;
    }
    return static_cast<T>(x % y);
  } else {
    const auto r = std::fmod(x, y);
    return !c_style && r != 0 && (r < 0) != (y < 0) ? r + y : r;
  }
}

template <class T, class E>
T power(T x, E y) {
  if constexpr (std::is_integral_v<T> && std::is_integral_v<E>) {
    if (y < 0) return x == 1 ? 1 : static_cast<T>(std::pow(static_cast<double>(x), static_cast<double>(y)));
    using U = std::uint64_t;
    U base = static_cast<U>(x), out = 1;
    for (auto e = static_cast<U>(y); e != 0; e >>= 1) {
      if (e & 1) out *= base;
      base *= base;
    }
    return static_cast<T>(out);
  } else if constexpr (std::is_integral_v<T>) {
    const auto v = std::pow(static_cast<double>(x), static_cast<double>(y));
    return std::abs(v) < 9e18 ? static_cast<T>(static_cast<std::int64_t>(v)) : T(0);
  } else {
    const auto e = static_cast<T>(y);
    if (e == T(2)) return x * x;  // common, and exact
    return std::pow(x, e);
  }
}

template <class T>
RowKernel arithmetic(const LowerContext& c) {
  using C = Compute<T>;
  // Unsigned arithmetic gives wrapping without undefined behaviour; narrow types promote to int, where u16 *
  // u16 may overflow.
  const auto wrap = []<class F>(F) {
    return [](T x, T y) {
      constexpr F f{};
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(f(static_cast<std::uint64_t>(x), static_cast<std::uint64_t>(y)));
      } else {
        return f(static_cast<C>(x), static_cast<C>(y));
      }
    };
  };
  switch (c.node.op) {
    case Op::Add: return zip<T, T, T>(wrap([](auto x, auto y) { return x + y; }));
    case Op::Sub: return zip<T, T, T>(wrap([](auto x, auto y) { return x - y; }));
    case Op::Mul: return zip<T, T, T>(wrap([](auto x, auto y) { return x * y; }));
    case Op::Div: return zip<T, T, T>([](T x, T y) { return divide<C>(x, y); });
    case Op::PRelu: return zip<T, T, T>([](T x, T y) { return C(x) < C(0) ? C(x) * C(y) : C(x); });
    case Op::Mod:
      if (c.node.integer("fmod") != 0) return zip<T, T, T>([](T x, T y) { return modulo<C>(x, y, true); });
      return zip<T, T, T>([](T x, T y) { return modulo<C>(x, y, false); });
    case Op::Equal: return zip<T, T, bool_t>([](T x, T y) { return C(x) == C(y); });
    case Op::Greater: return zip<T, T, bool_t>([](T x, T y) { return C(x) > C(y); });
    case Op::GreaterOrEqual: return zip<T, T, bool_t>([](T x, T y) { return C(x) >= C(y); });
    case Op::Less: return zip<T, T, bool_t>([](T x, T y) { return C(x) < C(y); });
    case Op::LessOrEqual: return zip<T, T, bool_t>([](T x, T y) { return C(x) <= C(y); });
    case Op::Max:
      return zip<T, T, T>([](T x, T y) {
        if constexpr (kIsFloat<T>) {
          if (std::isnan(C(x))) return C(x);
        }
        return C(x) > C(y) ? C(x) : C(y);
      });
    case Op::Min:
      return zip<T, T, T>([](T x, T y) {
        if constexpr (kIsFloat<T>) {
          if (std::isnan(C(x))) return C(x);
        }
        return C(x) < C(y) ? C(x) : C(y);
      });
    default: return {};
  }
}

template <class T>
RowKernel bitwise(const LowerContext& c) {
  switch (c.node.op) {
    case Op::BitwiseAnd: return zip<T, T, T>([](T x, T y) { return static_cast<T>(x & y); });
    case Op::BitwiseOr: return zip<T, T, T>([](T x, T y) { return static_cast<T>(x | y); });
    case Op::BitwiseXor: return zip<T, T, T>([](T x, T y) { return static_cast<T>(x ^ y); });
    case Op::BitShift: {
      constexpr T kBits = sizeof(T) * 8;
      using U = std::make_unsigned_t<T>;
      if (c.node.text("direction") == "LEFT") {
        return zip<T, T, T>([](T x, T y) {
          return y < 0 || y >= kBits ? T(0)
                                     : static_cast<T>(static_cast<std::uint64_t>(static_cast<U>(x)) << y);
        });
      }
      return zip<T, T, T>(
          [](T x, T y) { return y < 0 || y >= kBits ? T(0) : static_cast<T>(static_cast<U>(x) >> y); });
    }
    default: return {};
  }
}

RowKernel logical(const LowerContext& c) {
  using B = bool_t;
  switch (c.node.op) {
    case Op::And: return zip<B, B, B>([](B x, B y) { return x && y; });
    case Op::Or: return zip<B, B, B>([](B x, B y) { return x || y; });
    case Op::Xor: return zip<B, B, B>([](B x, B y) { return bool(x) != bool(y); });
    case Op::Equal: return zip<B, B, B>([](B x, B y) { return bool(x) == bool(y); });
    default: return {};
  }
}

// Exponents of the base's own type have loops; others become doubles first.
std::unique_ptr<Kernel> pow_kernel(const LowerContext& c) {
  const auto type = c.inputs[0].type, exponent = c.inputs[1].type;
  if (type == exponent) {
    RowKernel r;
    dispatch(NumericTypes{}, type, [&]<class T>() {
      r = zip<T, T, T>([](T x, T y) { return power<Compute<T>, Compute<T>>(x, y); });
    });
    return zip_kernel(c, r);
  }
  if (exponent == DataType::string || exponent == DataType::boolean) return nullptr;
  const auto plan = Broadcast::make(c.outputs[0].dims, c.inputs.first(2));
  return kernel_of("tenon pow", [=](const KernelCall& call) -> Result<void> {
    const auto sa = plan.strides[0].back(), sb = plan.strides[1].back();
    plan.for_each_row(1, [&](std::int64_t to, const std::int64_t* at, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        const auto x = get_number(type, call.in[0], at[0] + i * sa),
                   y = get_number(exponent, call.in[1], at[1] + i * sb);
        set_number(type, call.out[0], to + i, std::pow(x, y));
      }
    });
    return {};
  });
}

std::unique_ptr<Kernel> copy_one(const LowerContext& c) {
  const auto bytes = static_cast<std::size_t>(product(c.outputs[0].dims)) * element_bytes(c.outputs[0].type);
  return kernel_of("tenon copy", [=](const KernelCall& call) -> Result<void> {
    std::memcpy(call.out[0], call.in[0], bytes);
    return {};
  });
}

// Any number of operands: the sum, mean, maximum or minimum accumulates in the output, row by row.
template <class T>
std::unique_ptr<Kernel> accumulate(const LowerContext& c) {
  using C = Compute<T>;
  const auto op = c.node.op;
  if (c.inputs.size() == 1) return copy_one(c);
  std::vector<Broadcast> plans;
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    plans.push_back(Broadcast::make(c.outputs[0].dims, c.inputs.subspan(i, 1)));
  const auto threads = c.threads;
  const auto scale = op == Op::Mean ? 1.0 / static_cast<double>(c.inputs.size()) : 1.0;
  return kernel_of("tenon variadic", [=](const KernelCall& call) -> Result<void> {
    for (std::size_t k = 0; k < plans.size(); ++k) {
      const bool first = k == 0, last = k + 1 == plans.size();
      const auto stride = plans[k].strides[0].back();
      plans[k].for_each_row(threads, [&](std::int64_t to, const std::int64_t* at, std::int64_t n) {
        const auto in = In<T>{call.in[k]}.at(at[0]);
        const auto out = Out<T>{call.out[0]}.at(to);
        for (std::int64_t i = 0; i < n; ++i) {
          C x = in[i * stride];
          if (!first) {
            const C y = out[i];
            if (op == Op::Max) {
              x = x > y || x != x ? x : y;
            } else if (op == Op::Min) {
              x = x < y || x != x ? x : y;
            } else if constexpr (kIsFloat<T>) {
              x = y + x;
            }
          }
          if constexpr (kIsFloat<T>) {
            if (last && op == Op::Mean) x = static_cast<C>(static_cast<double>(x) * scale);
          }
          out.set(i, static_cast<T>(x));
        }
      });
    }
    return {};
  });
}

}  // namespace

KernelResult fast::binary(const LowerContext& c) {
  const auto type = c.inputs[0].type;
  RowKernel r;
  if (c.node.op == Op::Pow) {
    auto kernel = pow_kernel(c);
    if (!kernel) return no_kernel(c);
    return kernel;
  }
  if (type == DataType::boolean) {
    r = logical(c);
  } else if (type == DataType::string && c.node.op == Op::Equal) {
    r = zip<std::string, std::string, bool_t>(
        [](const std::string& x, const std::string& y) { return x == y; });
  } else {
    dispatch(NumericTypes{}, type, [&]<class T>() { r = arithmetic<T>(c); });
    if (r.function == nullptr) dispatch(IntegerTypes{}, type, [&]<class T>() { r = bitwise<T>(c); });
  }
  auto kernel = zip_kernel(c, r);
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::variadic(const LowerContext& c) {
  std::unique_ptr<Kernel> kernel;
  const bool ordering = c.node.op == Op::Max || c.node.op == Op::Min;
  if (ordering && c.inputs.size() == 2) {
    RowKernel r;
    dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() { r = arithmetic<T>(c); });
    kernel = zip_kernel(c, r);
  } else if (ordering) {
    dispatch(NumericTypes{}, c.inputs[0].type, [&]<class T>() { kernel = accumulate<T>(c); });
  } else {
    dispatch(FloatTypes{}, c.inputs[0].type, [&]<class T>() { kernel = accumulate<T>(c); });
  }
  if (!kernel) return no_kernel(c);
  return kernel;
}

KernelResult fast::where(const LowerContext& c) {
  const auto plan = Broadcast::make(c.outputs[0].dims, c.inputs.first(3));
  const auto threads = c.threads;
  std::unique_ptr<Kernel> kernel;
  dispatch_moved(c.outputs[0].type, [&]<class T>() {
    kernel = kernel_of("tenon where", [=](const KernelCall& call) -> Result<void> {
      const auto sc = plan.strides[0].back(), sx = plan.strides[1].back(), sy = plan.strides[2].back();
      plan.for_each_row(threads, [&](std::int64_t to, const std::int64_t* at, std::int64_t n) {
        const auto condition = In<bool_t>{call.in[0]}.at(at[0]);
        const auto x = In<T>{call.in[1]}.at(at[1]);
        const auto y = In<T>{call.in[2]}.at(at[2]);
        const auto out = Out<T>{call.out[0]}.at(to);
        for (std::int64_t i = 0; i < n; ++i) out.set(i, condition[i * sc] ? x[i * sx] : y[i * sy]);
      });
      return {};
    });
  });
  return kernel;
}

}  // namespace tenon::kernels
