// Every fixed-signature numeric and vector instruction, compiled, against the functions that define its
// meaning (engine/sem), on edge values: with operands from parameters, and with constant ones that LLVM
// folds.
#include <fmt/format.h>

#include <cmath>
#include <random>

#include "engine/sem/sem.h"
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

struct Expected {
  TrapCode trap = TrapCode::none;
  Slot slots[2] = {};
};
constexpr u8 kLane = 1;

template <class T>
T take(const Slot*& in, Expected& out) {
  using U = std::remove_cvref_t<T>;
  if constexpr (std::is_same_v<U, V128>) {
    V128 v{in[0].u64_, in[1].u64_};
    in += 2;
    return v;
  } else if constexpr (std::is_same_v<U, f32>) {
    return (in++)->f32_;
  } else if constexpr (std::is_same_v<U, f64>) {
    return (in++)->f64_;
  } else if constexpr (std::is_same_v<U, u8>) {
    return kLane;
  } else {
    return static_cast<T>((in++)->u64_);
  }
}

template <class R>
void put(const R& r, Expected& out) {
  if constexpr (std::is_same_v<R, V128>) {
    out.slots[0].u64_ = r[0];
    out.slots[1].u64_ = r[1];
  } else if constexpr (sizeof(R) == 16) {
    std::memcpy(out.slots, &r, 16);
  } else {
    std::memcpy(out.slots, &r, sizeof r);
  }
}

template <class R, class... P>
Expected evaluate(R (*fn)(P...), const Slot* in) {
  Expected out;
  auto arg = [&]<class T>(std::type_identity<T>) -> T {
    if constexpr (std::is_same_v<T, TrapCode&>)
      return out.trap;
    else
      return take<T>(in, out);
  };
  // Braces: arguments are taken from left to right.
  std::tuple<P...> args{arg(std::type_identity<P>{})...};
  if constexpr (std::is_void_v<R>)
    std::apply(fn, args);
  else
    put(std::apply(fn, args), out);
  return out;
}

struct Case {
  Op op;
  Expected (*expected)(const Slot*);
};

template <Op op>
constexpr bool tested() {
  constexpr const OpInfo& info = op_info(op);
  return kHasSem<op> && !info.signature.by_hand && info.width == 0 &&
         (info.imm == Imm::none || info.imm == Imm::lane) && info.signature.result_count > 0;
}
template <Op op>
void add(std::vector<Case>& cases) {
  if constexpr (tested<op>()) cases.push_back({op, [](const Slot* in) { return evaluate(kSem<op>, in); }});
}
std::vector<Case> all_cases() {
  std::vector<Case> cases;
#define OP(id, prefix, opcode, text, imm, signature, feature, cst, width) add<Op::id>(cases);
#include "engine/opcodes.def"
  return cases;
}

constexpr u64 kInts32[] = {0,    1,      2,      31,          32,          0x7f,        0x80,
                           0xff, 0x7fff, 0x8000, 0x7fff'ffff, 0x8000'0000, 0xffff'ffff, 0x1234'5678};
constexpr u64 kInts64[] = {0,
                           1,
                           63,
                           64,
                           0x80,
                           0x8000,
                           0x7fff'ffff,
                           0x8000'0000,
                           0xffff'ffff,
                           0x7fff'ffff'ffff'ffff,
                           0x8000'0000'0000'0000,
                           ~u64{0},
                           0x0123'4567'89ab'cdef};
std::vector<u64> floats32() {
  std::vector<u64> v{0x7f80'0001, 0xffc0'0000, 0x7fc0'1234, 0x7f80'0000,
                     0xff80'0000, 0x0000'0001, 0x8000'0001};
  for (f32 f : {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, 1.5f, 2.5f, -2.5f, 3.4e38f, 2147483648.0f, 2147483520.0f,
                -2147483648.0f, -2147483904.0f, 4294967296.0f, 4294967040.0f, 9.2233720368547758e18f,
                -0.9999999f, 1.8446744073709552e19f, 8388609.0f})
    v.push_back(std::bit_cast<u32>(f));
  return v;
}
std::vector<u64> floats64() {
  std::vector<u64> v{0x7ff0'0000'0000'0001, 0xfff8'0000'0000'0000, 0x7ff8'0000'0000'1234,
                     0x7ff0'0000'0000'0000, 0xfff0'0000'0000'0000, 1};
  for (f64 f : {0.0,
                -0.0,
                1.0,
                -1.0,
                0.5,
                1.5,
                2.5,
                -2.5,
                1e300,
                2147483647.0,
                2147483648.0,
                -2147483648.5,
                -2147483649.0,
                4294967295.5,
                4294967296.0,
                9223372036854775807.0,
                -9223372036854775808.0,
                1.8446744073709552e19,
                -0.99999,
                1e-310,
                3.5e38})
    v.push_back(std::bit_cast<u64>(f));
  return v;
}

// The values of one operand; v128 ones take two.
std::vector<std::vector<u64>> operands(char letter) {
  std::vector<std::vector<u64>> out;
  auto add = [&](auto&& values) {
    for (u64 v : values) out.push_back({v});
  };
  switch (letter) {
    case 'i': add(kInts32); break;
    case 'l': add(kInts64); break;
    case 'f': add(floats32()); break;
    case 'd': add(floats64()); break;
    default: {
      std::mt19937_64 random(7);
      out = {{0, 0},
             {~u64{0}, ~u64{0}},
             {0x8080'8080'8080'8080, 0x7f7f'7f7f'7f7f'7f7f},
             {0x8000'8000'7fff'7fff, 0x8000'0000'7fff'ffff},
             {0x8000'0000'0000'0000, 0x7fff'ffff'ffff'ffff},
             {0x0706'0504'0302'0100, 0xff10'0f0e'0d0c'8b0a}};
      const auto f = floats32();
      for (size_t i = 0; i + 3 < f.size(); i += 3)
        out.push_back({f[i] | f[i + 1] << 32, f[i + 2] | f[i + 3] << 32});
      const auto d = floats64();
      for (size_t i = 0; i + 1 < d.size(); i += 2) out.push_back({d[i], d[i + 1]});
      for (int i = 0; i < 4; ++i) out.push_back({random(), random()});
    }
  }
  return out;
}

const char* type_name(char letter) {
  return letter == 'i'   ? "i32"
         : letter == 'l' ? "i64"
         : letter == 'f' ? "f32"
         : letter == 'd' ? "f64"
                         : "v128";
}
std::string constant(char letter, const std::vector<u64>& v) {
  switch (letter) {
    case 'i': return fmt::format("(i32.const {})", v[0]);
    case 'l': return fmt::format("(i64.const {})", v[0]);
    case 'f': return fmt::format("(f32.reinterpret_i32 (i32.const {}))", v[0]);
    case 'd': return fmt::format("(f64.reinterpret_i64 (i64.const {}))", v[0]);
    default: return fmt::format("(v128.const i64x2 {} {})", v[0], v[1]);
  }
}

std::string function(const OpInfo& info, std::string_view name,
                     const std::vector<std::vector<u64>>* constants) {
  std::string params, results, args;
  for (u32 p = 0; p < info.signature.param_count; ++p) {
    const char letter = info.signature.params[p];
    if (constants) {
      args += constant(letter, (*constants)[p]);
    } else {
      params += fmt::format("(param {})", type_name(letter));
      args += fmt::format("(local.get {})", p);
    }
  }
  for (u32 r = 0; r < info.signature.result_count; ++r)
    results += fmt::format("(result {})", type_name(info.signature.results[r]));
  return fmt::format("(func (export \"{}\") {} {} ({} {} {}))\n", name, params, results, info.text,
                     info.imm == Imm::lane ? "1" : "", args);
}

template <class Bits>
bool same_float(Bits a, Bits b) {
  constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
  constexpr Bits kInfinity = sizeof(Bits) == 4 ? Bits{0x7f80'0000} : static_cast<Bits>(0x7ff0'0000'0000'0000);
  constexpr Bits kQuiet = sizeof(Bits) == 4 ? Bits{0x0040'0000} : static_cast<Bits>(0x0008'0000'0000'0000);
  const bool nan_a = (a & ~kSign) > kInfinity, nan_b = (b & ~kSign) > kInfinity;
  return nan_a && nan_b ? (a & kQuiet) == (b & kQuiet) : a == b;
}

// Bit for bit, but for the payload and sign of NaN, which Wasm leaves open.
bool same(const OpInfo& info, const Slot* expected, const Slot* actual) {
  const char result = info.signature.results[0];
  if (result == 'i') return expected[0].u32_ == actual[0].u32_;
  if (result == 'f') return same_float(expected[0].u32_, actual[0].u32_);
  if (result == 'd') return same_float(expected[0].u64_, actual[0].u64_);
  const bool two = result == 'v' || info.signature.result_count == 2;
  for (u32 half = 0; half < (two ? 2u : 1u); ++half) {
    const u64 e = expected[half].u64_, a = actual[half].u64_;
    if (e == a) continue;
    if (info.text.starts_with("f64x2") && same_float(e, a)) continue;
    if (info.text.starts_with("f32x4") && same_float(static_cast<u32>(e), static_cast<u32>(a)) &&
        same_float(static_cast<u32>(e >> 32), static_cast<u32>(a >> 32)))
      continue;
    return false;
  }
  return true;
}

void check(const OpInfo& info, const Expected& expected, const Outcome& actual, const std::string& what) {
  ASSERT_EQ(expected.trap, actual.trap) << what;
  if (expected.trap != TrapCode::none) return;
  EXPECT_TRUE(same(info, expected.slots, actual.slots.data()))
      << what
      << fmt::format(": expected {:#x} {:#x}, got {:#x} {:#x}", expected.slots[0].u64_,
                     expected.slots[1].u64_, actual.slots[0].u64_, actual.slots.back().u64_);
}

// Calls f with every combination of operands, or a sample of them.
template <class F>
void combinations(const OpInfo& info, size_t at_most, F f) {
  std::vector<std::vector<std::vector<u64>>> values;
  size_t total = 1;
  for (u32 p = 0; p < info.signature.param_count; ++p) {
    values.push_back(operands(info.signature.params[p]));
    total *= values.back().size();
  }
  const size_t step = std::max<size_t>(1, total / at_most) | 1;
  for (size_t n = 0; n < total; n += step) {
    std::vector<std::vector<u64>> chosen;
    size_t rest = n;
    for (const auto& v : values) {
      chosen.push_back(v[rest % v.size()]);
      rest /= v.size();
    }
    f(chosen);
  }
}

std::vector<u64> flatten(const std::vector<std::vector<u64>>& operands) {
  std::vector<u64> out;
  for (const auto& o : operands) out.insert(out.end(), o.begin(), o.end());
  return out;
}
Expected expect(const Case& c, const std::vector<u64>& args) {
  std::vector<Slot> slots;
  for (u64 a : args) slots.push_back({.u64_ = a});
  return c.expected(slots.data());
}

class Numeric : public testing::TestWithParam<u32> {};
INSTANTIATE_TEST_SUITE_P(OptLevels, Numeric, testing::Values(0u, 2u, 3u));

TEST_P(Numeric, EveryInstructionAgreesWithItsMeaning) {
  const std::vector<Case> cases = all_cases();
  ASSERT_GT(cases.size(), 300u);
  std::string wat;
  for (size_t i = 0; i < cases.size(); ++i) wat += function(op_info(cases[i].op), std::to_string(i), nullptr);
  Guest guest(wat, Guest::at_level(GetParam()));
  ASSERT_TRUE(guest.ok());
  for (size_t i = 0; i < cases.size(); ++i) {
    const OpInfo& info = op_info(cases[i].op);
    combinations(info, 700, [&](const std::vector<std::vector<u64>>& chosen) {
      const auto args = flatten(chosen);
      check(info, expect(cases[i], args), guest.call(std::to_string(i), args),
            fmt::format("{} {:#x}", info.text, fmt::join(args, " ")));
    });
  }
}

TEST_P(Numeric, ConstantOperandsFoldToTheSameResults) {
  const std::vector<Case> cases = all_cases();
  struct Folded {
    size_t index;
    std::vector<u64> args;
  };
  std::vector<Folded> folded;
  std::string wat;
  for (size_t i = 0; i < cases.size(); ++i)
    combinations(op_info(cases[i].op), 12, [&](const std::vector<std::vector<u64>>& chosen) {
      wat += function(op_info(cases[i].op), std::to_string(folded.size()), &chosen);
      folded.push_back({i, flatten(chosen)});
    });
  Guest guest(wat, Guest::at_level(GetParam()));
  ASSERT_TRUE(guest.ok());
  for (size_t n = 0; n < folded.size(); ++n) {
    const Case& c = cases[folded[n].index];
    check(op_info(c.op), expect(c, folded[n].args), guest.call(std::to_string(n)),
          fmt::format("{} {:#x} (constant)", op_info(c.op).text, fmt::join(folded[n].args, " ")));
  }
}

TEST_P(Numeric, NeutralConstantsDoNotLetSignallingNansThrough) {
  Guest g(R"(
    (func (export "mul") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 1)))
    (func (export "div") (param f64) (result f64) (f64.div (local.get 0) (f64.const 1)))
    (func (export "neg") (param f64) (result f64) (f64.mul (local.get 0) (f64.const -1)))
    (func (export "sub") (param f64) (result f64) (f64.sub (local.get 0) (f64.const 0)))
    (func (export "add") (param f32) (result f32) (f32.add (local.get 0) (f32.const -0)))
    (func (export "demote") (param f32) (result f32) (f32.demote_f64 (f64.promote_f32 (local.get 0))))
    (func (export "promote") (param f64) (result f64) (f64.promote_f32 (f32.demote_f64 (local.get 0))))
    (func (export "min") (param f32) (result f32) (f32.min (local.get 0) (local.get 0)))
    (func (export "mul4") (param v128) (result v128) (f32x4.mul (local.get 0) (f32x4.splat (f32.const 1))))
    (func (export "sub4") (param v128) (result v128)
      (f32x4.sub (local.get 0) (v128.const f32x4 0 0 0 0)))
    (func (export "ceil") (param f64) (result f64) (f64.ceil (local.get 0)))
    (func (export "through_local") (param f32) (result f32) (local f32)
      (local.set 1 (f32.const 1)) (f32.mul (local.get 0) (local.get 1))))",
          Guest::at_level(GetParam()));
  const u64 snan32 = 0x7f80'0001, snan64 = 0x7ff0'0000'0000'0001;
  for (const char* name : {"mul", "add", "demote", "min", "through_local"})
    EXPECT_EQ(g.call(name, {snan32}).as_u32() & 0x7fc0'0000u, 0x7fc0'0000u) << name;
  for (const char* name : {"div", "neg", "sub", "promote", "ceil"})
    EXPECT_EQ(g.call(name, {snan64}).as_u64() & 0x7ff8'0000'0000'0000u, 0x7ff8'0000'0000'0000u) << name;
  for (const char* name : {"mul4", "sub4"})
    EXPECT_EQ(g.call(name, {snan32 << 32 | snan32, 0}).as_u64() & 0x7fc0'0000'7fc0'0000u,
              0x7fc0'0000'7fc0'0000u)
        << name;
}

}  // namespace
}  // namespace tenon::jit
