// Each fixed-signature numeric row of opcodes.def × edge values, sem:: against slow references that are
// written another way: integers in 128 bits, floating point in __float128 with one rounding, vectors lane by
// lane. A row without a reference fails.
#include "engine/sem/sem.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <string>

namespace tenon {
namespace {

using Wide128 = __int128;
using UWide128 = unsigned __int128;
using Quad = __float128;

// A value of any type by its bits, and a trap instead of one.
struct Value {
  UWide128 bits = 0;
  TrapCode trap = TrapCode::none;
};
Value trap(TrapCode code) { return {0, code}; }

u64 low_mask(u32 bits) { return bits == 64 ? ~u64{0} : (u64{1} << bits) - 1; }
i64 as_signed(u64 v, u32 bits) { return static_cast<i64>(v << (64 - bits)) >> (64 - bits); }

// Integers of `bits` bits, for scalars and lanes alike.
using IntRef = std::function<Value(u64 a, u64 b, u32 bits)>;

Value of(Wide128 v, u32 bits) { return {static_cast<u64>(v) & low_mask(bits)}; }
Value truth(bool b) { return {b}; }
Wide128 clamp(Wide128 v, Wide128 lo, Wide128 hi) { return v < lo ? lo : v > hi ? hi : v; }

IntRef signed_compare(bool (*f)(i64, i64)) {
  return [f](u64 a, u64 b, u32 n) { return truth(f(as_signed(a, n), as_signed(b, n))); };
}
IntRef unsigned_compare(bool (*f)(u64, u64)) {
  return [f](u64 a, u64 b, u32) { return truth(f(a, b)); };
}
u32 bit_count(u64 a) {
  u32 n = 0;
  for (; a; a >>= 1) n += a & 1;
  return n;
}

const std::map<std::string, IntRef, std::less<>>& int_refs() {
  static const std::map<std::string, IntRef, std::less<>> refs = {
      {"eqz", [](u64 a, u64, u32) { return truth(a == 0); }},
      {"eq", unsigned_compare([](u64 a, u64 b) { return a == b; })},
      {"ne", unsigned_compare([](u64 a, u64 b) { return a != b; })},
      {"lt_u", unsigned_compare([](u64 a, u64 b) { return a < b; })},
      {"gt_u", unsigned_compare([](u64 a, u64 b) { return a > b; })},
      {"le_u", unsigned_compare([](u64 a, u64 b) { return a <= b; })},
      {"ge_u", unsigned_compare([](u64 a, u64 b) { return a >= b; })},
      {"lt_s", signed_compare([](i64 a, i64 b) { return a < b; })},
      {"gt_s", signed_compare([](i64 a, i64 b) { return a > b; })},
      {"le_s", signed_compare([](i64 a, i64 b) { return a <= b; })},
      {"ge_s", signed_compare([](i64 a, i64 b) { return a >= b; })},
      {"clz",
       [](u64 a, u64, u32 n) {
         u32 i = 0;
         while (i < n && !(a >> (n - 1 - i) & 1)) ++i;
         return of(i, n);
       }},
      {"ctz",
       [](u64 a, u64, u32 n) {
         u32 i = 0;
         while (i < n && !(a >> i & 1)) ++i;
         return of(i, n);
       }},
      {"popcnt", [](u64 a, u64, u32 n) { return of(bit_count(a), n); }},
      {"add", [](u64 a, u64 b, u32 n) { return of(Wide128(a) + b, n); }},
      {"sub", [](u64 a, u64 b, u32 n) { return of(Wide128(a) - b, n); }},
      {"mul", [](u64 a, u64 b, u32 n) { return Value{static_cast<u64>(UWide128(a) * b) & low_mask(n)}; }},
      {"div_s",
       [](u64 a, u64 b, u32 n) {
         if (b == 0) return trap(TrapCode::integer_divide_by_zero);
         const Wide128 q = Wide128(as_signed(a, n)) / as_signed(b, n);
         return q == Wide128(1) << (n - 1) ? trap(TrapCode::integer_overflow) : of(q, n);
       }},
      {"div_u",
       [](u64 a, u64 b, u32 n) { return b == 0 ? trap(TrapCode::integer_divide_by_zero) : of(a / b, n); }},
      {"rem_s",
       [](u64 a, u64 b, u32 n) {
         return b == 0 ? trap(TrapCode::integer_divide_by_zero)
                       : of(Wide128(as_signed(a, n)) % as_signed(b, n), n);
       }},
      {"rem_u",
       [](u64 a, u64 b, u32 n) { return b == 0 ? trap(TrapCode::integer_divide_by_zero) : of(a % b, n); }},
      {"and", [](u64 a, u64 b, u32 n) { return of(a & b, n); }},
      {"or", [](u64 a, u64 b, u32 n) { return of(a | b, n); }},
      {"xor", [](u64 a, u64 b, u32 n) { return of(a ^ b, n); }},
      {"shl", [](u64 a, u64 b, u32 n) { return of(UWide128(a) << (b % n), n); }},
      {"shr_u", [](u64 a, u64 b, u32 n) { return of(a >> (b % n), n); }},
      {"shr_s", [](u64 a, u64 b, u32 n) { return of(as_signed(a, n) >> (b % n), n); }},
      {"rotl",
       [](u64 a, u64 b, u32 n) {
         for (u64 i = b % n; i > 0; --i) a = (a << 1 | a >> (n - 1)) & low_mask(n);
         return of(a, n);
       }},
      {"rotr",
       [](u64 a, u64 b, u32 n) {
         for (u64 i = b % n; i > 0; --i) a = (a >> 1 | a << (n - 1)) & low_mask(n);
         return of(a, n);
       }},
      {"extend8_s", [](u64 a, u64, u32 n) { return of(as_signed(a & 0xff, 8), n); }},
      {"extend16_s", [](u64 a, u64, u32 n) { return of(as_signed(a & 0xffff, 16), n); }},
      {"extend32_s", [](u64 a, u64, u32 n) { return of(as_signed(a & 0xffff'ffff, 32), n); }},
      // Of lanes only.
      {"abs", [](u64 a, u64, u32 n) { return of(as_signed(a, n) < 0 ? -Wide128(as_signed(a, n)) : a, n); }},
      {"neg", [](u64 a, u64, u32 n) { return of(-Wide128(a), n); }},
      {"min_s", [](u64 a, u64 b, u32 n) { return as_signed(a, n) < as_signed(b, n) ? Value{a} : Value{b}; }},
      {"max_s", [](u64 a, u64 b, u32 n) { return as_signed(a, n) > as_signed(b, n) ? Value{a} : Value{b}; }},
      {"min_u", [](u64 a, u64 b, u32) { return a < b ? Value{a} : Value{b}; }},
      {"max_u", [](u64 a, u64 b, u32) { return a > b ? Value{a} : Value{b}; }},
      {"avgr_u", [](u64 a, u64 b, u32 n) { return of((Wide128(a) + b + 1) / 2, n); }},
      {"add_sat_s",
       [](u64 a, u64 b, u32 n) {
         const Wide128 top = Wide128(1) << (n - 1);
         return of(clamp(Wide128(as_signed(a, n)) + as_signed(b, n), -top, top - 1), n);
       }},
      {"sub_sat_s",
       [](u64 a, u64 b, u32 n) {
         const Wide128 top = Wide128(1) << (n - 1);
         return of(clamp(Wide128(as_signed(a, n)) - as_signed(b, n), -top, top - 1), n);
       }},
      {"add_sat_u", [](u64 a, u64 b, u32 n) { return of(clamp(Wide128(a) + b, 0, low_mask(n)), n); }},
      {"sub_sat_u", [](u64 a, u64 b, u32 n) { return of(clamp(Wide128(a) - b, 0, low_mask(n)), n); }},
      {"q15mulr_sat_s",
       [](u64 a, u64 b, u32 n) {
         const Wide128 p = Wide128(as_signed(a, n)) * as_signed(b, n) + 0x4000;
         return of(clamp(p >> 15, -32768, 32767), n);
       }},
  };
  return refs;
}

// Floating point. U holds the bits of F.
template <class F, class U>
struct Float {
  static constexpr u32 kMantissa = std::numeric_limits<F>::digits - 1;
  static constexpr U kSign = U{1} << (sizeof(U) * 8 - 1);
  static constexpr U kQuiet = U{1} << (kMantissa - 1);
  static constexpr U kExponent = ((kSign - 1) >> kMantissa) << kMantissa;
  static F value(UWide128 bits) { return std::bit_cast<F>(static_cast<U>(bits)); }
  static U bits(F v) { return std::bit_cast<U>(v); }
  static bool is_nan(U b) { return (b & ~kSign) > kExponent; }
  static bool is_canonical(U b) { return (b & ~kSign) == (kExponent | kQuiet); }

  // Spec: exec/numerics, NaN propagation. Canonical if all NaN operands are, else arithmetic.
  static bool allowed_nan(U result, U a, U b) {
    if (!is_nan(result) || !(result & kQuiet)) return false;
    const bool all_canonical = (!is_nan(a) || is_canonical(a)) && (!is_nan(b) || is_canonical(b));
    return !all_canonical || is_canonical(result);
  }

  // To an integral value, away from `double` rounding functions: adds and compares in quad precision.
  static Quad integral(Quad x, int mode) {  // −1 floor, 1 ceil, 0 to nearest even, 2 towards zero
    const Quad big = Quad(1) * (u64{1} << 62) * 4;
    if (x != x || x >= big || x <= -big) return x;
    const Wide128 t = static_cast<Wide128>(x);
    const Quad rest = x - static_cast<Quad>(t);
    Wide128 r = t;
    if (mode == -1 && rest < 0) r = t - 1;
    if (mode == 1 && rest > 0) r = t + 1;
    const Quad half = Quad(0.5);
    if (mode == 0) {
      if (rest > half || (rest == half && (t & 1))) r = t + 1;
      if (rest < -half || (rest == -half && (t & 1))) r = t - 1;
    }
    return static_cast<Quad>(r);
  }
  // The result is r, with the sign of x if it is zero.
  static U with_sign_of(Quad r, F x) {
    U b = bits(static_cast<F>(r));
    return r == 0 ? (bits(x) & kSign) : b;
  }

  // True if `got` is a correct result of the operation.
  static bool check(std::string_view op, U a, U b, UWide128 got) {
    const F x = value(a), y = value(b);
    const Quad qx = x, qy = y;
    const U r = static_cast<U>(got);
    if (op == "eq") return got == (qx == qy);
    if (op == "ne") return got == !(qx == qy);
    if (op == "lt") return got == (qx < qy);
    if (op == "gt") return got == (qx > qy);
    if (op == "le") return got == (qx <= qy);
    if (op == "ge") return got == (qx >= qy);
    if (op == "abs") return r == (a & ~kSign);
    if (op == "neg") return r == (a ^ kSign);
    if (op == "copysign") return r == ((a & ~kSign) | (b & kSign));
    if (op == "pmin") return r == (qy < qx ? b : a);
    if (op == "pmax") return r == (qx < qy ? b : a);
    const bool unary = op == "ceil" || op == "floor" || op == "trunc" || op == "nearest" || op == "sqrt";
    if (is_nan(a) || (!unary && is_nan(b))) return allowed_nan(r, a, unary ? a : b);
    if (op == "ceil") return r == with_sign_of(integral(qx, 1), x);
    if (op == "floor") return r == with_sign_of(integral(qx, -1), x);
    if (op == "trunc") return r == with_sign_of(integral(qx, 2), x);
    if (op == "nearest") return r == with_sign_of(integral(qx, 0), x);
    if (op == "min" || op == "max") {
      const bool min = op == "min";
      if (qx == qy) return r == (min ? a | b : a & b);
      return r == ((qx < qy) == min ? a : b);
    }
    if (op == "sqrt") return check_sqrt(x, r);
    Quad exact = 0;
    if (op == "add")
      exact = qx + qy;
    else if (op == "sub")
      exact = qx - qy;
    else if (op == "mul")
      exact = qx * qy;
    else if (op == "div")
      exact = qx / qy;
    else
      return false;
    // 113 bits are more than twice the precision plus two: rounding twice is rounding once.
    if (exact != exact) return is_canonical(r);
    return r == bits(static_cast<F>(exact));
  }
  static bool check_sqrt(F x, U r) {
    if (x < 0) return is_canonical(r);
    if (x == 0 || bits(x) == kExponent) return r == bits(x);
    // The neighbours' midpoints, squared exactly, enclose x.
    const Quad low = (Quad(value(r)) + Quad(value(r - 1))) / 2,
               high = (Quad(value(r)) + Quad(value(r + 1))) / 2;
    return low * low <= Quad(x) && Quad(x) <= high * high;
  }
};

// Conversions by quad precision, which holds every operand exactly.
template <class F, class U>
Value trunc_ref(UWide128 bits, u32 width, bool is_signed, bool saturate) {
  const Quad x = Float<F, U>::value(bits);
  if (x != x) return saturate ? Value{0} : trap(TrapCode::invalid_conversion);
  const Quad two_n = static_cast<Quad>(Wide128(1) << (is_signed ? width - 1 : width));
  const Quad lo = is_signed ? -two_n : Quad(0), hi = two_n - 1;
  const bool inside = x > lo - 1 && x < hi + 1;
  if (!inside && !saturate) return trap(TrapCode::integer_overflow);
  const Quad t = x <= lo ? lo : x >= hi ? hi : x;
  return of(static_cast<Wide128>(t), width);
}

bool check_conversion(std::string_view name, UWide128 a, Value got) {
  auto same = [&](Value v) { return v.bits == got.bits && v.trap == got.trap; };
  const u32 to = name.starts_with("i64") ? 64 : 32;
  const bool is_signed = name.ends_with("_s"), sat = name.find("trunc_sat") != name.npos;
  if (name.find("trunc") != name.npos)
    return same(name.find("_f32") != name.npos ? trunc_ref<f32, u32>(a, to, is_signed, sat)
                                               : trunc_ref<f64, u64>(a, to, is_signed, sat));
  if (name == "i32.wrap_i64") return got.bits == static_cast<u32>(a);
  if (name == "i64.extend_i32_s") return got.bits == static_cast<u64>(as_signed(static_cast<u64>(a), 32));
  if (name == "i64.extend_i32_u") return got.bits == a;
  if (name.find("reinterpret") != name.npos) return got.bits == a;
  if (name == "f64.promote_f32") {
    const f32 x = Float<f32, u32>::value(a);
    if (x != x)
      return Float<f64, u64>::is_nan(static_cast<u64>(got.bits)) &&
             (!Float<f32, u32>::is_canonical(static_cast<u32>(a)) ||
              Float<f64, u64>::is_canonical(static_cast<u64>(got.bits))) &&
             (got.bits & Float<f64, u64>::kQuiet);
    return got.bits == Float<f64, u64>::bits(static_cast<f64>(static_cast<Quad>(x)));
  }
  if (name == "f32.demote_f64") {
    const f64 x = Float<f64, u64>::value(a);
    if (x != x)
      return Float<f32, u32>::is_nan(static_cast<u32>(got.bits)) && (got.bits & Float<f32, u32>::kQuiet) &&
             (!Float<f64, u64>::is_canonical(static_cast<u64>(a)) ||
              Float<f32, u32>::is_canonical(static_cast<u32>(got.bits)));
    return got.bits == Float<f32, u32>::bits(static_cast<f32>(static_cast<Quad>(x)));
  }
  // fNN.convert_iNN_x
  const u32 from = name.find("_i64") != name.npos ? 64 : 32;
  const Wide128 v = is_signed ? Wide128(as_signed(static_cast<u64>(a), from)) : Wide128(static_cast<u64>(a));
  if (name.starts_with("f32"))
    return got.bits == Float<f32, u32>::bits(static_cast<f32>(static_cast<Quad>(v)));
  return got.bits == Float<f64, u64>::bits(static_cast<f64>(static_cast<Quad>(v)));
}

// Running a row by its letters.
template <class T>
T take(UWide128 bits) {
  T v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
template <class T>
UWide128 give(T v) {
  UWide128 bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  return bits;
}
template <class R, class... P>
Value call(R (*f)(P...), const UWide128* args) {
  TrapCode code = TrapCode::none;
  auto arg = [&]<class T>(std::type_identity<T>, size_t i) -> T {
    if constexpr (std::is_same_v<T, TrapCode&>)
      return code;
    else
      return take<T>(args[i]);
  };
  const R r = [&]<size_t... i>(std::index_sequence<i...>) {
    return f(arg(std::type_identity<P>{}, i)...);
  }(std::index_sequence_for<P...>{});
  return {give(r), code};
}

template <Op op>
Value run(const UWide128* args) {
  if constexpr (kHasSem<op> && op_info(op).width == 0 && op_info(op).signature.result_count != 0)
    return call(kSem<op>, args);
  else
    return {};
}
using Runner = Value (*)(const UWide128*);
constexpr Runner kRunners[] = {
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) &run<Op::id>,
#include "engine/opcodes.def"
};
bool is_numeric(Op op) {
  const OpInfo& i = op_info(op);
  return sem_function(op) && i.width == 0 && i.signature.result_count != 0;
}

// Edge values.
std::vector<u64> int_edges(u32 bits) {
  const u64 top = u64{1} << (bits - 1), mask = low_mask(bits);
  std::vector<u64> v = {0,  1,  2,  3,   5,   7,   8,   31,     32,     33,
                        63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff};
  for (u64 x : {top, top - 1, top + 1, mask, mask - 1, mask / 3, mask / 5 * 2, u64{0x8000'0000},
                u64{0x7fff'ffff}, u64{0xffff'ffff}, u64{0x0123'4567'89ab'cdef}, u64{0xdead'beef}})
    v.push_back(x & mask);
  for (u64& x : v) x &= mask;
  return v;
}
template <class F, class U>
std::vector<u64> float_edges() {
  using L = std::numeric_limits<F>;
  std::vector<u64> out;
  for (F f : {F(0),
              L::denorm_min(),
              3 * L::denorm_min(),
              L::min(),
              L::min() - L::denorm_min(),
              L::max(),
              L::epsilon(),
              F(0.1),
              F(0.5),
              F(0.49999999999999994),
              F(1),
              1 + L::epsilon(),
              1 - L::epsilon() / 2,
              F(1.5),
              F(2.5),
              F(3.5),
              F(4.5),
              F(3.14159265358979),
              F(127.5),
              F(2147483647),
              F(2147483648),
              F(2147483649.0),
              F(4294967295),
              F(4294967296),
              F(9223372036854775807),
              F(18446744073709551615.0),
              F(4503599627370497.5),
              F(8388609.5),
              F(9007199254740993),
              L::max() / 2,
              L::infinity()}) {
    out.push_back(Float<F, U>::bits(f));
    out.push_back(Float<F, U>::bits(-f));
  }
  const U q = Float<F, U>::kQuiet, e = Float<F, U>::kExponent, s = Float<F, U>::kSign;
  for (U nan : {U(e | q), U(s | e | q), U(e | q | 5), U(e | 1), U(s | e | (q >> 1)), U(e | (q - 1))})
    out.push_back(nan);
  return out;
}
std::vector<u64> edges(char letter) {
  switch (letter) {
    case 'i': return int_edges(32);
    case 'l': return int_edges(64);
    case 'f': return float_edges<f32, u32>();
    default: return float_edges<f64, u64>();
  }
}

bool has_vector(const OpSignature& s) {
  return s.params[0] == 'v' || s.params[1] == 'v' || s.results[0] == 'v';
}

std::string show(Op op, UWide128 a, UWide128 b, Value got) {
  char text[200];
  std::snprintf(text, sizeof text, "%s(%016llx%016llx, %016llx%016llx) = %016llx%016llx trap %d",
                std::string(op_info(op).text).c_str(), (unsigned long long)(a >> 64), (unsigned long long)a,
                (unsigned long long)(b >> 64), (unsigned long long)b, (unsigned long long)(got.bits >> 64),
                (unsigned long long)got.bits, static_cast<int>(got.trap));
  return text;
}

bool check_scalar(Op op, u64 a, u64 b, Value got) {
  const std::string_view name = op_info(op).text;
  const std::string_view type = name.substr(0, 3), mnemonic = name.substr(4);
  const bool conversion = mnemonic.find("_i32") != mnemonic.npos || mnemonic.find("_i64") != mnemonic.npos ||
                          mnemonic.find("_f32") != mnemonic.npos || mnemonic.find("_f64") != mnemonic.npos;
  if (conversion) return check_conversion(name, a, got);
  if (type == "f32")
    return Float<f32, u32>::check(mnemonic, static_cast<u32>(a), static_cast<u32>(b), got.bits);
  if (type == "f64") return Float<f64, u64>::check(mnemonic, a, b, got.bits);
  const auto ref = int_refs().find(mnemonic);
  if (ref == int_refs().end()) return false;
  const Value expected = ref->second(a, b, type == "i32" ? 32 : 64);
  return expected.bits == got.bits && expected.trap == got.trap;
}

TEST(Sem, EveryScalarRowAgreesWithItsReferenceOnEdgeValues) {
  u32 rows = 0;
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const OpSignature& sig = op_info(op).signature;
    if (!is_numeric(op) || has_vector(sig) || sig.result_count != 1) continue;
    ++rows;
    const std::vector<u64> as = edges(sig.params[0]),
                           bs = sig.param_count == 2 ? edges(sig.params[1]) : std::vector<u64>{0};
    for (u64 a : as)
      for (u64 b : bs) {
        const UWide128 args[] = {a, b, 0, 0};
        const Value got = kRunners[i](args);
        ASSERT_TRUE(check_scalar(op, a, b, got)) << show(op, a, b, got);
      }
  }
  EXPECT_EQ(rows, 136u);  // opcodes 0x45 to 0xc4, and eight saturating conversions
}

TEST(Sem, WideArithmeticIsThatOf128Bits) {
  const auto join = [](u64 lo, u64 hi) { return UWide128(hi) << 64 | lo; };
  const auto check = [&](sem::Wide got, UWide128 wanted) {
    EXPECT_EQ(got.lo, static_cast<u64>(wanted));
    EXPECT_EQ(got.hi, static_cast<u64>(wanted >> 64));
  };
  for (u64 a : int_edges(64))
    for (u64 b : int_edges(64)) {
      check(sem::i64_mul_wide_u(a, b), UWide128(a) * b);
      check(sem::i64_mul_wide_s(a, b),
            static_cast<UWide128>(Wide128(static_cast<i64>(a)) * static_cast<i64>(b)));
      check(sem::i64_add128(a, b, b, ~a), join(a, b) + join(b, ~a));
      check(sem::i64_sub128(a, b, b, ~a), join(a, b) - join(b, ~a));
    }
}

// Vectors: lanes are taken apart here and compared one by one.
struct Lanes {
  std::array<u8, 16> bytes{};
  explicit Lanes(UWide128 v) { std::memcpy(bytes.data(), &v, 16); }
  Lanes() = default;
  u64 get(u32 lane, u32 bits) const {
    u64 v = 0;
    std::memcpy(&v, bytes.data() + lane * bits / 8, bits / 8);
    return v;
  }
  void set(u32 lane, u32 bits, u64 v) { std::memcpy(bytes.data() + lane * bits / 8, &v, bits / 8); }
  UWide128 value() const {
    UWide128 v;
    std::memcpy(&v, bytes.data(), 16);
    return v;
  }
};
u32 lane_bits(std::string_view shape) {
  if (shape.ends_with("x16")) return 8;
  if (shape.ends_with("x8")) return 16;
  return shape.ends_with("x4") ? 32 : 64;
}

// Vectors whose lanes go through the edge values, shifted against each other.
std::vector<UWide128> vector_edges(std::string_view shape) {
  const u32 bits = lane_bits(shape);
  const std::vector<u64> e = shape == "f32x4"   ? float_edges<f32, u32>()
                             : shape == "f64x2" ? float_edges<f64, u64>()
                                                : int_edges(bits);
  std::vector<UWide128> out;
  for (size_t start = 0; start < e.size(); ++start) {
    Lanes v;
    for (u32 lane = 0; lane < 128 / bits; ++lane) v.set(lane, bits, e[(start + lane * 7) % e.size()]);
    out.push_back(v.value());
  }
  return out;
}

// Instructions that work lane by lane: the scalar reference decides. Nothing for the others.
std::optional<bool> check_lanewise(std::string_view name, UWide128 a, UWide128 b, Value got) {
  const std::string_view shape = name.substr(0, 5), op = name.substr(6);
  const u32 bits = lane_bits(shape);
  const Lanes x(a), y(b), r(got.bits);
  static const std::vector<std::string_view> comparisons = {
      "eq", "ne", "lt", "gt", "le", "ge", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"};
  const bool compare = std::find(comparisons.begin(), comparisons.end(), op) != comparisons.end();
  const bool shift = op == "shl" || op == "shr_s" || op == "shr_u";
  const bool floating = shape[0] == 'f';
  if (!floating && !int_refs().contains(op)) return std::nullopt;
  static const std::vector<std::string_view> float_ops = {"abs",   "neg",     "sqrt", "ceil", "floor",
                                                          "trunc", "nearest", "add",  "sub",  "mul",
                                                          "div",   "min",     "max",  "pmin", "pmax"};
  if (floating && !compare && std::find(float_ops.begin(), float_ops.end(), op) == float_ops.end())
    return std::nullopt;
  for (u32 lane = 0; lane < 128 / bits; ++lane) {
    const u64 p = x.get(lane, bits), q = shift ? static_cast<u32>(b) : y.get(lane, bits);
    u64 v = r.get(lane, bits);
    if (compare) {
      if (v != 0 && v != low_mask(bits)) return false;
      v &= 1;
    }
    if (shape == "f32x4") {
      if (!Float<f32, u32>::check(op, static_cast<u32>(p), static_cast<u32>(q), v)) return false;
    } else if (shape == "f64x2") {
      if (!Float<f64, u64>::check(op, p, q, v)) return false;
    } else if (int_refs().find(op)->second(p, q, bits).bits != v) {
      return false;
    }
  }
  return true;
}

// The others, as loops over lanes.
u64 extended(const Lanes& v, u32 lane, u32 bits, bool sign) {
  const u64 x = v.get(lane, bits);
  return sign ? static_cast<u64>(as_signed(x, bits)) : x;
}
std::optional<Lanes> crossing_ref(std::string_view name, UWide128 a, UWide128 b) {
  const Lanes x(a), y(b);
  Lanes r;
  const u32 bits = lane_bits(name.substr(0, 5)), half = bits / 2, n = 128 / bits;
  const bool sign = name.ends_with("_s");
  auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (has("narrow")) {
    const Wide128 lo = sign ? -(Wide128(1) << (bits - 1)) : 0, hi = sign ? -lo - 1 : Wide128(low_mask(bits));
    for (u32 i = 0; i < n; ++i) {
      const Lanes& from = i < n / 2 ? x : y;
      r.set(i, bits, static_cast<u64>(clamp(as_signed(from.get(i % (n / 2), bits * 2), bits * 2), lo, hi)));
    }
    return r;
  }
  if (has(".extend_") || has("extmul")) {
    const u32 first = has("_high_") ? n : 0;
    for (u32 i = 0; i < n; ++i)
      r.set(i, bits,
            extended(x, first + i, half, sign) * (has("extmul") ? extended(y, first + i, half, sign) : 1));
    return r;
  }
  if (has("extadd_pairwise")) {
    for (u32 i = 0; i < n; ++i)
      r.set(i, bits, extended(x, 2 * i, half, sign) + extended(x, 2 * i + 1, half, sign));
    return r;
  }
  if (name == "i32x4.dot_i16x8_s" || name == "i16x8.relaxed_dot_i8x16_i7x16_s") {
    for (u32 i = 0; i < n; ++i)
      r.set(i, bits,
            extended(x, 2 * i, half, true) * extended(y, 2 * i, half, true) +
                extended(x, 2 * i + 1, half, true) * extended(y, 2 * i + 1, half, true));
    return r;
  }
  if (name == "i8x16.swizzle") {
    for (u32 i = 0; i < 16; ++i) r.set(i, 8, y.get(i, 8) < 16 ? x.get(static_cast<u32>(y.get(i, 8)), 8) : 0);
    return r;
  }
  if (has("f32x4.convert") || has("f64x2.convert") || has("trunc")) return std::nullopt;  // lanes_converted
  if (name == "v128.not") return Lanes(~a);
  if (name == "v128.and") return Lanes(a & b);
  if (name == "v128.andnot") return Lanes(a & ~b);
  if (name == "v128.or") return Lanes(a | b);
  if (name == "v128.xor") return Lanes(a ^ b);
  return std::nullopt;
}

// Conversions between lanes: the scalar instruction on each.
std::optional<bool> check_lanes_converted(std::string_view name, UWide128 a, Value got) {
  struct Row {
    std::string_view vector, scalar;
    u32 from, to, lanes;
  };
  static constexpr Row kRows[] = {
      {"i32x4.trunc_sat_f32x4_s", "i32.trunc_sat_f32_s", 32, 32, 4},
      {"i32x4.trunc_sat_f32x4_u", "i32.trunc_sat_f32_u", 32, 32, 4},
      {"i32x4.relaxed_trunc_f32x4_u", "i32.trunc_sat_f32_u", 32, 32, 4},
      {"i32x4.trunc_sat_f64x2_s_zero", "i32.trunc_sat_f64_s", 64, 32, 2},
      {"i32x4.trunc_sat_f64x2_u_zero", "i32.trunc_sat_f64_u", 64, 32, 2},
      {"i32x4.relaxed_trunc_f64x2_u_zero", "i32.trunc_sat_f64_u", 64, 32, 2},
      {"f32x4.convert_i32x4_s", "f32.convert_i32_s", 32, 32, 4},
      {"f32x4.convert_i32x4_u", "f32.convert_i32_u", 32, 32, 4},
      {"f64x2.convert_low_i32x4_s", "f64.convert_i32_s", 32, 64, 2},
      {"f64x2.convert_low_i32x4_u", "f64.convert_i32_u", 32, 64, 2},
      {"f32x4.demote_f64x2_zero", "f32.demote_f64", 64, 32, 2},
      {"f64x2.promote_low_f32x4", "f64.promote_f32", 32, 64, 2},
  };
  for (const Row& row : kRows) {
    if (row.vector != name) continue;
    const Lanes x(a), r(got.bits);
    for (u32 i = 0; i < row.lanes; ++i)
      if (!check_conversion(row.scalar, x.get(i, row.from), {r.get(i, row.to)})) return false;
    for (u32 i = row.lanes; i < 128 / row.to; ++i)
      if (r.get(i, row.to) != 0) return false;
    return true;
  }
  return std::nullopt;
}

// Reductions to a scalar.
std::optional<u64> reduction_ref(std::string_view name, UWide128 a) {
  if (name == "v128.any_true") return a != 0;
  const u32 bits = lane_bits(name.substr(0, 5));
  const Lanes x(a);
  u64 mask = 0, all = 1;
  for (u32 i = 0; i < 128 / bits; ++i) {
    mask |= (x.get(i, bits) >> (bits - 1)) << i;
    all &= x.get(i, bits) != 0;
  }
  if (name.ends_with(".bitmask")) return mask;
  if (name.ends_with(".all_true")) return all;
  return std::nullopt;
}

// Relaxed instructions whose result is not that of the plain one: as x86-64 has them.
std::optional<Lanes> relaxed_ref(std::string_view name, UWide128 a, UWide128 b) {
  const Lanes x(a), y(b);
  Lanes r;
  if (name == "i8x16.relaxed_swizzle") {
    for (u32 i = 0; i < 16; ++i)
      r.set(i, 8, y.get(i, 8) & 0x80 ? 0 : x.get(static_cast<u32>(y.get(i, 8) & 15), 8));
    return r;
  }
  if (name == "i16x8.relaxed_q15mulr_s") {
    for (u32 i = 0; i < 8; ++i) {
      const i64 product = static_cast<i16>(x.get(i, 16)) * i64{static_cast<i16>(y.get(i, 16))};
      r.set(i, 16, static_cast<u16>((product + 0x4000) >> 15));
    }
    return r;
  }
  if (name == "i32x4.relaxed_trunc_f32x4_s") {
    for (u32 i = 0; i < 4; ++i) {
      const f32 v = std::bit_cast<f32>(static_cast<u32>(x.get(i, 32)));
      r.set(i, 32,
            v > -2147483904.0f && v < 2147483648.0f ? static_cast<u32>(static_cast<i32>(v)) : 0x8000'0000u);
    }
    return r;
  }
  if (name == "i32x4.relaxed_trunc_f64x2_s_zero") {
    for (u32 i = 0; i < 2; ++i) {
      const f64 v = std::bit_cast<f64>(x.get(i, 64));
      r.set(i, 32,
            v > -2147483649.0 && v < 2147483648.0 ? static_cast<u32>(static_cast<i32>(v)) : 0x8000'0000u);
    }
    return r;
  }
  const bool min = name.ends_with(".relaxed_min");
  if (!min && !name.ends_with(".relaxed_max")) return std::nullopt;
  const u32 bits = name.starts_with("f32x4") ? 32 : 64;
  for (u32 i = 0; i < 128 / bits; ++i) {
    const u64 p = x.get(i, bits), q = y.get(i, bits);
    const double v = bits == 32 ? std::bit_cast<f32>(static_cast<u32>(p)) : std::bit_cast<f64>(p);
    const double w = bits == 32 ? std::bit_cast<f32>(static_cast<u32>(q)) : std::bit_cast<f64>(q);
    r.set(i, bits, (min ? v < w : v > w) ? p : q);
  }
  return r;
}

std::optional<bool> check_vector(std::string_view name, UWide128 a, UWide128 b, Value got) {
  if (auto r = reduction_ref(name, a)) return got.bits == *r;
  if (auto r = check_lanes_converted(name, a, got)) return r;
  if (auto r = crossing_ref(name, a, b)) return got.bits == r->value();
  if (auto r = relaxed_ref(name, a, b)) return got.bits == r->value();
  return check_lanewise(name, a, b, got);
}

TEST(Sem, EveryVectorRowAgreesWithItsReferenceOnEdgeValues) {
  u32 rows = 0;
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const OpInfo& info = op_info(op);
    const OpSignature& sig = info.signature;
    if (!is_numeric(op) || sig.params[0] != 'v' || info.imm != Imm::none || sig.param_count > 2) continue;
    ++rows;
    const std::string_view name = info.text;
    std::string_view shape = name.starts_with("v128") ? "i8x16" : name.substr(0, 5);
    for (std::string_view from : {"f32x4", "f64x2"})
      if (name.find(std::string("_") + std::string(from)) != name.npos) shape = from;
    const std::vector<UWide128> as = vector_edges(shape);
    std::vector<UWide128> bs = as;
    if (sig.param_count == 1) bs = {0};
    if (sig.params[1] == 'i') bs = {0, 1, 7, 8, 9, 31, 32, 63, 64, 65, 0xffff'ffff};
    for (UWide128 a : as)
      for (UWide128 b : bs) {
        const UWide128 args[] = {a, b, 0, 0};
        const Value got = kRunners[i](args);
        const std::optional<bool> right = check_vector(name, a, b, got);
        ASSERT_TRUE(right.has_value()) << name << " has no reference";
        ASSERT_TRUE(*right) << show(op, a, b, got);
      }
  }
  EXPECT_GT(rows, 180u);
}

// Fused where the processor does it in one step.
template <class F>
UWide128 multiply_add(UWide128 a, UWide128 b, UWide128 c, bool negate) {
  constexpr u32 kBits = 8 * sizeof(F);
  using Bits = std::conditional_t<sizeof(F) == 4, u32, u64>;
  Lanes r;
  for (u32 i = 0; i < 128 / kBits; ++i) {
    auto lane = [i](UWide128 v) { return std::bit_cast<F>(static_cast<Bits>(Lanes(v).get(i, kBits))); };
    const F x = negate ? -lane(a) : lane(a);
    const F product = x * lane(b);
    r.set(
        i, kBits,
        std::bit_cast<Bits>(sem::detail::host_has_fma() ? std::fma(x, lane(b), lane(c)) : product + lane(c)));
  }
  return r.value();
}
// Equal bits; of two NaN operands an addition may give either.
bool same_lanes(UWide128 got, UWide128 wanted, std::string_view name) {
  if (got == wanted) return true;
  const auto same = [&]<class F>(F) {
    const auto a = std::bit_cast<std::array<F, 16 / sizeof(F)>>(got), b = std::bit_cast<decltype(a)>(wanted);
    return std::ranges::equal(
        a, b, [](F x, F y) { return (x != x && y != y) || std::memcmp(&x, &y, sizeof(F)) == 0; });
  };
  return name.starts_with("f32x4") ? same(f32{}) : name.starts_with("f64x2") && same(f64{});
}

TEST(Sem, RowsOfThreeVectorsAgreeBitByBitOrLaneByLane) {
  const std::vector<UWide128> es = vector_edges("f32x4");
  for (size_t i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    const std::string_view name = op_info(op).text;
    if (!is_numeric(op) || op_info(op).signature.param_count != 3) continue;
    for (UWide128 a : es)
      for (UWide128 b : {es[3], es[20], es[41]})
        for (UWide128 c : {es[0], es[9], ~a}) {
          const UWide128 args[] = {a, b, c, 0};
          const Value got = kRunners[i](args);
          auto vec = [](UWide128 v) { return take<V128>(v); };
          UWide128 wanted = 0;
          if (name == "v128.bitselect") {
            wanted = (a & c) | (b & ~c);
          } else if (name.ends_with("laneselect")) {
            const u32 bits = name.starts_with("i16x8") ? 8 : lane_bits(name.substr(0, 5));
            Lanes r;
            for (u32 lane = 0; lane < 128 / bits; ++lane)
              r.set(lane, bits,
                    (Lanes(c).get(lane, bits) >> (bits - 1) ? Lanes(a) : Lanes(b)).get(lane, bits));
            wanted = r.value();
          } else if (name == "i32x4.relaxed_dot_i8x16_i7x16_add_s")
            wanted = give(sem::i32x4_add(
                sem::i32x4_extadd_pairwise_i16x8_s(sem::i16x8_relaxed_dot_i8x16_i7x16_s(vec(a), vec(b))),
                vec(c)));
          else if (name == "f32x4.relaxed_madd")
            wanted = multiply_add<f32>(a, b, c, false);
          else if (name == "f32x4.relaxed_nmadd")
            wanted = multiply_add<f32>(a, b, c, true);
          else if (name == "f64x2.relaxed_madd")
            wanted = multiply_add<f64>(a, b, c, false);
          else if (name == "f64x2.relaxed_nmadd")
            wanted = multiply_add<f64>(a, b, c, true);
          else
            FAIL() << name << " has no reference";
          ASSERT_TRUE(same_lanes(got.bits, wanted, name)) << show(op, a, b, got);
        }
  }
}

TEST(Sem, LanesAreSplatExtractedReplacedAndShuffled) {
  Lanes x, y;
  for (u32 i = 0; i < 16; ++i) {
    x.set(i, 8, 0xf0 + i);
    y.set(i, 8, 0x10 + i);
  }
  const V128 a = take<V128>(x.value()), b = take<V128>(y.value());
  for (u8 lane = 0; lane < 16; ++lane) {
    EXPECT_EQ(sem::i8x16_extract_lane_u(a, lane), 0xf0u + lane);
    EXPECT_EQ(sem::i8x16_extract_lane_s(a, lane), 0xffff'fff0u + lane);
    Lanes r(give(sem::i8x16_replace_lane(a, 0x1234, lane)));
    for (u8 other = 0; other < 16; ++other) EXPECT_EQ(r.get(other, 8), other == lane ? 0x34u : 0xf0u + other);
  }
  EXPECT_EQ(sem::i16x8_extract_lane_s(a, 7), 0xffff'fffeu);
  EXPECT_EQ(sem::i16x8_extract_lane_u(a, 7), 0xfffeu);
  EXPECT_EQ(sem::i64x2_extract_lane(b, 1), 0x1f1e'1d1c'1b1a'1918u);
  const u32 signalling = 0x7fa0'0001;
  EXPECT_EQ(std::bit_cast<u32>(sem::f32x4_extract_lane(sem::f32x4_splat(std::bit_cast<f32>(signalling)), 3)),
            signalling);
  Lanes order;
  for (u32 i = 0; i < 16; ++i) order.set(i, 8, (i * 7) % 32);
  Lanes r(give(sem::i8x16_shuffle(a, b, take<V128>(order.value()))));
  for (u32 i = 0; i < 16; ++i) {
    const u32 from = (i * 7) % 32;
    EXPECT_EQ(r.get(i, 8), from < 16 ? 0xf0u + from : 0x10u + from - 16);
  }
}

TEST(Sem, LoadsExtendAndStoresTruncate) {
  const u8 bytes[16] = {0x80, 0xff, 0x7f, 0x81, 1, 2, 3, 0x84, 5, 6, 7, 8, 9, 10, 11, 12};
  EXPECT_EQ(sem::i32_load8_s(bytes), 0xffff'ff80u);
  EXPECT_EQ(sem::i32_load8_u(bytes), 0x80u);
  EXPECT_EQ(sem::i64_load16_s(bytes), 0xffff'ffff'ffff'ff80u);
  EXPECT_EQ(sem::i64_load32_s(bytes), 0xffff'ffff'817f'ff80u);
  EXPECT_EQ(sem::i64_load32_u(bytes), 0x817f'ff80u);
  EXPECT_EQ(Lanes(give(sem::v128_load8x8_s(bytes))).get(0, 16), 0xff80u);
  EXPECT_EQ(Lanes(give(sem::v128_load16x4_u(bytes))).get(1, 32), 0x817fu);
  EXPECT_EQ(Lanes(give(sem::v128_load32_zero(bytes))).get(1, 32), 0u);
  u8 out[8]{};
  sem::i64_store16(out, 0x1234'5678);
  EXPECT_EQ(out[0], 0x78);
  EXPECT_EQ(out[1], 0x56);
  EXPECT_EQ(out[2], 0);
  alignas(8) u8 cell[8] = {0xff, 0, 0, 0, 9, 0, 0, 0};
  EXPECT_EQ(sem::i32_atomic_rmw8_add_u(cell, 0x102), 0xffu);
  EXPECT_EQ(cell[0], 1);
  EXPECT_EQ(cell[1], 0);
  EXPECT_EQ(sem::i64_atomic_rmw32_cmpxchg_u(cell + 4, 9, 0x1'0000'0007), 9u);
  EXPECT_EQ(cell[4], 7);
}

}  // namespace
}  // namespace tenon
