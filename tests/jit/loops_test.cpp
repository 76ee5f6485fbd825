// Loops over linear memory: split by a range test in front, they must trap where and as they would without, with
// the stores before the trap done and none after; and the copy that is in bounds is vectorised.
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

// Loops as compilers write them: by index, unrolled, downwards, over several arrays, with a condition, and with
// addresses that wrap. ADR is the type of addresses.
constexpr const char* kLoops = R"(
  (memory (export "m") MEMORY 1 1)
  (func (export "fill") (param $p ADR) (param $n i32) (result ADR)
    (loop $l
      (i32.store (local.get $p) (local.get $n))
      (local.set $p (ADR.add (local.get $p) (ADR.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $p))
  (func (export "sum") (param $p ADR) (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
      (local.set $p (ADR.add (local.get $p) (ADR.const 4)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "add") (param $p ADR) (param $q ADR) (param $n i32) (local $i i32)
    (loop $l
      (f32.store offset=8 (ADR.add (local.get $p) (ADR.shl INDEX (ADR.const 2)))
        (f32.add (f32.load (ADR.add (local.get $p) (ADR.shl INDEX (ADR.const 2))))
                 (f32.load offset=4 (ADR.add (local.get $q) (ADR.shl INDEX (ADR.const 2))))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func (export "unrolled") (param $p ADR) (param $n i32) (result i64) (local $a ADR) (local $s i64)
    (loop $l
      (i64.store (local.get $p) (i64.add (i64.load (local.get $p)) (local.get $s)))
      (local.set $a (ADR.add (local.get $p) (ADR.const 8)))
      (i64.store (local.get $a) (i64.add (i64.load (local.get $a)) (i64.const 3)))
      (local.set $s (i64.add (local.get $s) (i64.load (ADR.sub (local.get $p) (ADR.const 8)))))
      (local.set $p (ADR.add (local.get $p) (ADR.const 16)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 2)))))
    (local.get $s))
  (func (export "down") (param $p ADR) (param $n i32)
    (loop $l
      (local.set $p (ADR.sub (local.get $p) (ADR.const 2)))
      (i32.store16 (local.get $p) (local.get $n))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "condition") (param $p ADR) (param $n i32) (local $i i32)
    (loop $l
      (if (i32.and (local.get $i) (i32.const 4))
        (then (i32.store8 (ADR.add (local.get $p) INDEX) (local.get $i))))
      (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func (export "same") (param $p ADR) (param $n i32)
    (loop $l
      (i32.store (local.get $p) (i32.add (i32.load (local.get $p)) (local.get $n)))
      (i32.store offset=65532 (local.get $p) (local.get $n))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// How bounds are checked: by faults, in code, in code with 64-bit addresses.
enum class Bounds : u8 { guarded, checked, memory64 };

class Loops : public testing::TestWithParam<std::tuple<u32, Bounds>> {};
INSTANTIATE_TEST_SUITE_P(OptLevels, Loops,
                         testing::Combine(testing::Range(0u, 4u),
                                          testing::Values(Bounds::guarded, Bounds::checked,
                                                          Bounds::memory64)));

TEST_P(Loops, TrapAsInTheInterpreter) {
  const auto [level, bounds] = GetParam();
  const bool is64 = bounds == Bounds::memory64;
  std::string loops = replaced(kLoops, "ADR", is64 ? "i64" : "i32");
  loops = replaced(loops, "INDEX", is64 ? "(i64.extend_i32_u (local.get $i))" : "(local.get $i)");
  loops = replaced(loops, "MEMORY", is64 ? "i64" : "");
  Guest interpreted(loops, Guest::interpreter());
  Guest::Options options = Guest::at_level(level);
  if (bounds == Bounds::checked) options.limits.memory_reservation = 0;
  Guest compiled(loops, options);
  auto memory = [](Guest& g) { return std::get<Memory*>(*g.instance().find_export("m"))->desc().base; };
  for (const char* name : {"fill", "sum", "add", "unrolled", "down", "condition", "same"})
    for (u64 start :
         {u64{0}, u64{4}, u64{8}, u64{16}, u64{1000}, u64{40000}, u64{65528}, u64{65532}, u64{65535},
          u64{65536}, u64{0xffff'fff0}, u64{0xffff'fffc}, ~u64{0}, ~u64{0} - 7, ~u64{0} - 15, u64{1} << 63})
      for (u64 count : {2u, 4u, 30u, 1000u, 16384u, 20000u}) {
        const u64 from = is64 ? start : static_cast<u32>(start);
        const bool two = std::string_view(name) == "add";
        const std::vector<u64> args =
            two ? std::vector<u64>{from, 65536 - from / 2, count} : std::vector<u64>{from, count};
        const Outcome a = interpreted.call(name, args), b = compiled.call(name, args);
        const std::string what =
            std::string(name) + " " + std::to_string(start) + " " + std::to_string(count);
        ASSERT_EQ(a.status, b.status) << what;
        ASSERT_EQ(a.trap, b.trap) << what;
        // Merged accesses may be known by function only.
        if (bounds != Bounds::guarded) ASSERT_EQ(a.offsets, b.offsets) << what;
        if (a.status == Status::ok) ASSERT_EQ(a.as_u32(), b.as_u32()) << what;
        ASSERT_EQ(std::memcmp(memory(interpreted), memory(compiled), 65536), 0) << what;
      }
}

TEST(LoopsIr, HotLoopIsVectorised) {
  const auto folder = std::filesystem::temp_directory_path() / ("tenon-loops-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  for (u32 level : {2u, 3u}) {
    Guest::Options options = Guest::at_level(level);
    options.jit.dump_ir = folder.string();
    Guest g(R"((memory 1)
      (func (export "axpy") (param $x i32) (param $y i32) (param $n i32) (param $a f32)
        (loop $l
          (f32.store (local.get $y)
            (f32.add (f32.load (local.get $y)) (f32.mul (local.get $a) (f32.load (local.get $x)))))
          (local.set $x (i32.add (local.get $x) (i32.const 4)))
          (local.set $y (i32.add (local.get $y) (i32.const 4)))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))",
            options);
    std::string ir;
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      std::ifstream in(file.path());
      ir.append(std::istreambuf_iterator<char>(in), {});
    }
    EXPECT_THAT(ir, testing::ContainsRegex("fmul <[0-9]+ x float>")) << level;
    EXPECT_THAT(ir, testing::HasSubstr("call void asm sideeffect unwind"))
        << "the copy that may trap, " << level;
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tenon::jit
