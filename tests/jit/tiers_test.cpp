// The same program interpreted and compiled: every memory instruction, shuffles, and generated programs.
#include <fmt/format.h>

#include <random>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

// Runs every export of both with the arguments and compares status, results and memory.
void compare(Guest& a, Guest& b, std::string_view name, const std::vector<u64>& args,
             const std::string& what) {
  const Outcome x = a.call(name, args), y = b.call(name, args);
  ASSERT_EQ(x.status, y.status) << what;
  EXPECT_EQ(x.trap, y.trap) << what;
  EXPECT_EQ(x.trace, y.trace) << what;
  EXPECT_EQ(x.offsets, y.offsets) << what;
  if (x.status != Status::ok) return;
  for (size_t i = 0; i < x.slots.size(); ++i) EXPECT_EQ(x.slots[i].u64_, y.slots[i].u64_) << what;
}

const char* type_name(char letter) {
  return letter == 'i'   ? "i32"
         : letter == 'l' ? "i64"
         : letter == 'f' ? "f32"
         : letter == 'd' ? "f64"
                         : "v128";
}

std::string function_of_access(const OpInfo& info, size_t n, u64 offset) {
  std::string params, args;
  for (u32 p = 0; p < info.signature.param_count; ++p) {
    const char letter = info.signature.params[p];
    params += fmt::format(" {}", letter == 'a' ? "i32" : type_name(letter));
    args += fmt::format("(local.get {})", p);
  }
  std::string results;
  if (info.signature.result_count) results = fmt::format("(result {})", type_name(info.signature.results[0]));
  // 32-bit results are widened: the upper half of their slot is undefined.
  std::string access =
      fmt::format("({} offset={} {} {})", info.text, offset, info.imm == Imm::memarg_lane ? "0" : "", args);
  if (results == "(result i32)") {
    results = "(result i64)";
    access = "(i64.extend_i32_u " + access + ")";
  } else if (results == "(result f32)") {
    results = "(result i64)";
    access = "(i64.extend_i32_u (i32.reinterpret_f32 " + access + "))";
  }
  return fmt::format("(func (export \"{}\") (param{}) {} {})\n", n, params, results, access);
}

TEST(Tiers, EveryMemoryInstructionAgrees) {
  std::vector<Op> ops;
  for (size_t n = 0; n < kOpCount; ++n) {
    const Op op = static_cast<Op>(n);
    const OpInfo& info = op_info(op);
    const bool waits = op == Op::memory_atomic_wait32 || op == Op::memory_atomic_wait64;
    if (info.width != 0 && !info.signature.by_hand && !waits) ops.push_back(op);
  }
  ASSERT_GT(ops.size(), 100u);
  for (const char* memory : {"(memory 1)", "(memory 1 1 shared)"}) {
    std::string wat = memory;
    for (size_t n = 0; n < ops.size(); ++n) wat += function_of_access(op_info(ops[n]), n, n % 3 == 0 ? 8 : 0);
    wat += "(func (export \"word\") (param i32) (result i64) (i64.load (local.get 0)))";
    for (u32 level : {0u, 2u}) {
      Guest interpreted(wat, Guest::interpreter());
      Guest compiled(wat, Guest::at_level(level));
      ASSERT_TRUE(interpreted.ok() && compiled.ok());
      std::mt19937_64 random(level);
      for (int round = 0; round < 30; ++round)
        for (size_t n = 0; n < ops.size(); ++n) {
          const OpInfo& info = op_info(ops[n]);
          std::vector<u64> args{(random() & 3) == 0 ? 65536 - 8 - random() % 24
                                                    : (random() & 0xfff) & ~u64{15}};
          if (random() % 8 == 0) args[0] += random() % 16;
          for (u32 p = 1; p < info.signature.param_count; ++p) {
            args.push_back(random());
            if (info.signature.params[p] == 'v') args.push_back(random());
          }
          const std::string what = fmt::format("{} at {} with {:#x}", info.text, args[0], args.back());
          compare(interpreted, compiled, std::to_string(n), args, what);
          if (testing::Test::HasFatalFailure()) return;
          if (args[0] + 16 <= 65536)
            compare(interpreted, compiled, "word", {args[0]}, what + ", memory after");
        }
    }
  }
}

TEST(Tiers, ShufflesAgree) {
  std::mt19937 random(1);
  std::string wat;
  for (int n = 0; n < 60; ++n) {
    std::string lanes;
    for (int k = 0; k < 16; ++k) lanes += fmt::format(" {}", n < 16 ? (n + k) % 32 : random() % 32);
    wat += fmt::format(
        "(func (export \"{}\") (param v128 v128) (result v128) (i8x16.shuffle{} (local.get 0) (local.get "
        "1)))",
        n, lanes);
  }
  Guest a(wat, Guest::interpreter()), b(wat);
  for (int n = 0; n < 60; ++n)
    compare(a, b, std::to_string(n),
            {0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908, 0x1716'1514'1312'1110, 0x1f1e'1d1c'1b1a'1918},
            fmt::format("shuffle {}", n));
}

// Writes functions of nested blocks, loops, branches, arithmetic and memory accesses. Loops count down, so
// all end.
class Generator {
 public:
  explicit Generator(u32 seed) : random_(seed) {}
  std::string module() {
    std::string wat =
        "(memory (export \"m\") 1) (global $g (mut i64) (i64.const 1)) (table 4 funcref)\n"
        "(type $t (func (param i32 i64) (result i64)))\n(elem (i32.const 0) $f0 $f1 $f2)\n";
    for (int f = 0; f < 3; ++f) {
      function_ = f;
      budget_ = 60;
      wat += fmt::format("(func $f{0} (export \"f{0}\") (type $t) (local i32 i64 i32)\n{1}{2})\n", f,
                         statements(0), wide(3));
    }
    return wat;
  }

 private:
  u32 pick(u32 n) { return static_cast<u32>(random_() % n); }
  std::string i32_local() { return std::to_string(std::array{0, 2}[pick(2)]); }
  std::string i64_local() { return std::to_string(std::array{1, 3}[pick(2)]); }
  std::string address() {
    return fmt::format("(i32.and {} (i32.const {}))", word(1), pick(20) == 0 ? 0x1ffff : 0xffff);
  }
  std::string word(int depth) {
    if (depth <= 0 || --budget_ < 0)
      return pick(2) ? "(local.get " + i32_local() + ")"
                     : fmt::format("(i32.const {})", static_cast<i32>(random_()));
    static constexpr const char* kOps[] = {"add",   "sub",  "mul",  "xor",   "and",   "or",  "shl",
                                           "shr_u", "rotl", "lt_s", "div_s", "rem_u", "ge_u"};
    switch (pick(5)) {
      case 0: return fmt::format("(i32.load8_s {})", address());
      case 1: return fmt::format("(i32.wrap_i64 {})", wide(depth - 1));
      case 2: return fmt::format("(select {} {} {})", word(depth - 1), word(depth - 1), word(depth - 1));
      default:
        return fmt::format("(i32.{} {} {})", kOps[pick(std::size(kOps))], word(depth - 1), word(depth - 1));
    }
  }
  std::string wide(int depth) {
    if (depth <= 0 || --budget_ < 0)
      return pick(2) ? "(local.get " + i64_local() + ")"
                     : fmt::format("(i64.const {})", static_cast<i64>(random_()));
    static constexpr const char* kOps[] = {"add", "sub", "mul", "xor", "rotr", "shr_s", "div_u", "rem_s"};
    switch (pick(7)) {
      case 0: return fmt::format("(i64.load {})", address());
      case 1: return fmt::format("(i64.extend_i32_s {})", word(depth - 1));
      case 2: return "(global.get $g)";
      case 3:
        return fmt::format("(block $b (result i64) {} (br_if $b {} {}) (drop) {})", statements(3),
                           wide(depth - 1), word(1), wide(0));
      case 4:
        if (function_ > 0)
          return fmt::format("(call $f{} {} {})", pick(static_cast<u32>(function_)), word(1), wide(1));
        [[fallthrough]];
      default:
        return fmt::format("(i64.{} {} {})", kOps[pick(std::size(kOps))], wide(depth - 1), wide(depth - 1));
    }
  }
  std::string statements(int depth) {
    std::string out;
    for (u32 n = 1 + pick(3); n > 0 && --budget_ > 0; --n) out += statement(depth);
    return out;
  }
  std::string statement(int depth) {
    switch (pick(depth < 3 ? 9 : 5)) {
      case 0: return fmt::format("(local.set {} {})\n", i32_local(), word(3));
      case 1: return fmt::format("(local.set {} {})\n", i64_local(), wide(3));
      case 2: return fmt::format("(i32.store16 {} {})\n", address(), word(2));
      case 3: return fmt::format("(i64.store offset=4 {} {})\n", address(), wide(2));
      case 4: return fmt::format("(global.set $g {})\n", wide(2));
      case 5:
        return fmt::format("(if {} (then {}) (else {}))\n", word(2), statements(depth + 1),
                           statements(depth + 1));
      case 6:
        return fmt::format("(block $x (block $y (br_table $y $x $y {}) ) {})\n", word(2),
                           statements(depth + 1));
      case 7:
        return fmt::format("(drop (call_indirect (type $t) {} {} (i32.const {})))\n", word(1), wide(1),
                           function_ == 0 ? 3 : static_cast<int>(pick(static_cast<u32>(function_))));
      default:
        return fmt::format(
            "(local.set 4 (i32.const {})) (loop $l {} (br_if $l (local.tee 4 (i32.sub (local.get 4) "
            "(i32.const 1)))))\n",
            1 + pick(5), statement(3) + statement(3));
    }
  }

  std::mt19937 random_;
  int budget_ = 0;
  int function_ = 0;
};

TEST(Tiers, GeneratedProgramsAgree) {
  std::mt19937_64 random(3);
  for (u32 seed = 0; seed < 40; ++seed) {
    const std::string wat = Generator(seed).module();
    Guest interpreted(wat, Guest::interpreter()), compiled(wat, Guest::at_level(seed % 4));
    ASSERT_TRUE(interpreted.ok() && compiled.ok()) << wat;
    for (int round = 0; round < 12; ++round) {
      const std::string name = "f" + std::to_string(round % 3);
      const std::vector<u64> args{round < 3 ? static_cast<u64>(round) : static_cast<u32>(random()), random()};
      compare(interpreted, compiled, name, args,
              fmt::format("seed {} {}({:#x})\n{}", seed, name, fmt::join(args, ", "), wat));
      auto memory = [](Guest& g) { return std::get<Memory*>(*g.instance().find_export("m")); };
      ASSERT_EQ(std::memcmp(memory(interpreted)->desc().base, memory(compiled)->desc().base, 65536), 0)
          << seed;
      if (testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace tenon::jit
