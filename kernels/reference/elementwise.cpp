// The oracle of element-wise operators: one loop over output coordinates, everything in double, no
// broadcasting tricks.
#include <cmath>

#include "kernels/ops/families.h"
#include "kernels/ops/number.h"

namespace tenon::kernels::reference {
namespace {

// Offset in an operand of the element that broadcasts to output element `at`.
std::int64_t source(const Dims& out, const Dims& in, std::int64_t at) {
  std::int64_t offset = 0, pitch = 1;
  for (std::size_t d = out.size(); d-- > 0;) {
    const auto x = at % out[d];
    at /= out[d];
    if (d + in.size() < out.size()) break;
    const auto own = in[d + in.size() - out.size()];
    offset += (own == 1 ? 0 : x) * pitch;
    pitch *= own;
  }
  return offset;
}

struct Element {
  DataType type;
  Dims dims;
};

// out[i] = f(values of the operands at i)
template <class F>
std::unique_ptr<Kernel> map(const LowerContext& c, F f) {
  std::vector<Element> in;
  for (const auto& operand : c.inputs)
    in.push_back({operand.present ? operand.type : DataType::undefined, operand.dims});
  const Element out{c.outputs[0].type, c.outputs[0].dims};
  return kernel_of("reference", [=](const KernelCall& call) -> Result<void> {
    std::vector<double> x(in.size());
    for (std::int64_t i = 0, n = product(out.dims); i < n; ++i) {
      for (std::size_t k = 0; k < in.size(); ++k) {
        if (in[k].type != DataType::undefined)
          x[k] = get_number(in[k].type, call.in[k], source(out.dims, in[k].dims, i));
      }
      set_number(out.type, call.out[0], i, f(x));
    }
    return {};
  });
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// The function of a unary operator on a real number.
double apply(const Node& n, double x) {
  const double alpha = n.has("alpha") ? static_cast<double>(n.real("alpha")) : 0;
  switch (n.op) {
    case Op::Abs: return std::abs(x);
    case Op::Acos: return std::acos(x);
    case Op::Acosh: return std::acosh(x);
    case Op::Asin: return std::asin(x);
    case Op::Asinh: return std::asinh(x);
    case Op::Atan: return std::atan(x);
    case Op::Atanh: return std::atanh(x);
    case Op::Ceil: return std::ceil(x);
    case Op::Celu: return x > 0 ? x : alpha * std::expm1(x / alpha);
    case Op::Cos: return std::cos(x);
    case Op::Cosh: return std::cosh(x);
    case Op::Elu: return x < 0 ? alpha * std::expm1(x) : x;
    case Op::Erf: return std::erf(x);
    case Op::Exp: return std::exp(x);
    case Op::Floor: return std::floor(x);
    case Op::Gelu:
      if (n.text("approximate") == "tanh")
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      return x * normal_cdf(x);
    case Op::HardSigmoid: return std::clamp(alpha * x + static_cast<double>(n.real("beta")), 0.0, 1.0);
    case Op::HardSwish: return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
    case Op::IsInf: return std::isinf(x) && n.integer(x > 0 ? "detect_positive" : "detect_negative") != 0;
    case Op::IsNaN: return std::isnan(x);
    case Op::LeakyRelu: return x < 0 ? alpha * x : x;
    case Op::Log: return std::log(x);
    case Op::Mish: return x * std::tanh(softplus(x));
    case Op::Neg: return -x;
    case Op::Not: return x == 0;
    case Op::Reciprocal: return 1 / x;
    case Op::Relu: return x < 0 ? 0 : x;
    case Op::Round: return std::nearbyint(x);
    case Op::Selu: return static_cast<double>(n.real("gamma")) * (x > 0 ? x : alpha * std::expm1(x));
    case Op::Shrink: {
      const double lambda = n.real("lambd"), bias = n.real("bias");
      return x < -lambda ? x + bias : x > lambda ? x - bias : 0;
    }
    case Op::Sigmoid: return 1 / (1 + std::exp(-x));
    case Op::Sign: return x > 0 ? 1 : x < 0 ? -1 : x;
    case Op::Sin: return std::sin(x);
    case Op::Sinh: return std::sinh(x);
    case Op::Softplus: return softplus(x);
    case Op::Softsign: return x / (1 + std::abs(x));
    case Op::Sqrt: return std::sqrt(x);
    case Op::Tan: return std::tan(x);
    case Op::Tanh: return std::tanh(x);
    case Op::ThresholdedRelu: return x > alpha ? x : 0;
    default: return std::nan("");
  }
}

// Division, remainder and powers of integers: as C does, 0 where C has no answer, truncated powers.
double apply(const Node& n, bool integer, double x, double y) {
  switch (n.op) {
    case Op::Add: return x + y;
    case Op::Sub: return x - y;
    case Op::Mul: return x * y;
    case Op::Div: return integer ? (y == 0 ? 0 : std::trunc(x / y)) : x / y;
    case Op::Mod: {
      if (integer && y == 0) return 0;
      const double r = std::fmod(x, y);
      return n.integer("fmod") == 0 && r != 0 && (r < 0) != (y < 0) ? r + y : r;
    }
    case Op::Pow: return integer ? std::trunc(std::pow(x, y)) : std::pow(x, y);
    case Op::PRelu: return x < 0 ? x * y : x;
    case Op::And: return x != 0 && y != 0;
    case Op::Or: return x != 0 || y != 0;
    case Op::Xor: return (x != 0) != (y != 0);
    case Op::Equal: return x == y;
    case Op::Greater: return x > y;
    case Op::GreaterOrEqual: return x >= y;
    case Op::Less: return x < y;
    case Op::LessOrEqual: return x <= y;
    case Op::Max: return std::isnan(x) || x > y ? x : y;
    case Op::Min: return std::isnan(x) || x < y ? x : y;
    case Op::Sum:
    case Op::Mean: return x + y;
    default: return std::nan("");
  }
}

// What an integer of at most 32 bits keeps of a result: its low bits.
double wrapped(DataType type, double y) {
  if (!is_integer(type) || !(std::abs(y) < 9e18)) return y;
  const auto above = 64 - bit_width(type);
  const auto bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(y)) << above;
  const bool is_signed = type == DataType::i8 || type == DataType::i16 || type == DataType::i32;
  return is_signed ? static_cast<double>(static_cast<std::int64_t>(bits) >> above)
                   : static_cast<double>(bits >> above);
}

bool is_bitwise(Op op) {
  return op == Op::BitShift || op == Op::BitwiseAnd || op == Op::BitwiseOr || op == Op::BitwiseXor;
}

}  // namespace

// Bits have no meaning as real numbers, and doubles do not hold 64-bit integers: those share the fast loop.
KernelResult unary(const LowerContext& c) {
  const auto type = c.inputs[0].type;
  if (c.node.op == Op::BitwiseNot || type == DataType::i64 || type == DataType::u64) return fast::unary(c);
  const auto* node = &c.node;
  const auto result = c.outputs[0].type;
  return map(c, [=](const std::vector<double>& x) { return wrapped(result, apply(*node, x[0])); });
}

KernelResult clip(const LowerContext& c) {
  const bool low = c.has(1), high = c.has(2);
  return map(c, [=](const std::vector<double>& x) {
    double y = x[0];
    if (low && y < x[1]) y = x[1];
    if (high && y > x[2]) y = x[2];
    return y;
  });
}

KernelResult binary(const LowerContext& c) {
  const auto type = c.inputs[0].type;
  if (is_bitwise(c.node.op) || type == DataType::string || type == DataType::i64 || type == DataType::u64)
    return fast::binary(c);
  const auto* node = &c.node;
  // f32 products and quotients round once from double, which is the same as in f32.
  const bool integer = is_integer(type);
  const auto result = c.outputs[0].type;
  return map(
      c, [=](const std::vector<double>& x) { return wrapped(result, apply(*node, integer, x[0], x[1])); });
}

KernelResult variadic(const LowerContext& c) {
  const auto type = c.inputs[0].type;
  if (type == DataType::i64 || type == DataType::u64) return fast::variadic(c);
  const auto* node = &c.node;
  return map(c, [=](const std::vector<double>& x) {
    double y = x[0];
    for (std::size_t i = 1; i < x.size(); ++i) y = apply(*node, false, y, x[i]);
    return node->op == Op::Mean ? y / static_cast<double>(x.size()) : y;
  });
}

}  // namespace tenon::kernels::reference
