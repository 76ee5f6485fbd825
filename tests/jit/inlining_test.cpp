// Calls of small functions that are inlined: what they compute, and the frames that backtraces still show.
#include <optional>

#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr const char* kWat = R"((module (memory 1) (table 4 funcref) (tag $e (param i32))
  (type $unary (func (param i32) (result i32)))
  (func $big (param i32) (result i32)
    (loop $l (br_if $l (i32.gt_u (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1))) (i32.const 100))))
    (i32.div_u (i32.const 100) (local.get 0)))
  (func $div (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func $load (param i32) (result i32) (i32.load (local.get 0)))
  (func $store (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func $next (param i32) (result i32) (call $load (i32.add (local.get 0) (i32.const 4))))
  (func $over (param i32) (result i32) (i32.mul (call $next (i32.shl (local.get 0) (i32.const 1))) (i32.const 3)))
  (func $through (param i32) (result i32) (call $big (local.get 0)))
  (func $indirect (param i32) (result i32) (call_indirect (type $unary) (i32.const 5) (local.get 0)))
  (func $throw (param i32) (throw $e (local.get 0)))
  (func $maybe (param i32) (result i32) (if (local.get 0) (then (call $throw (local.get 0)))) (i32.const 1))
  (func $even (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (unreachable))))
  (func $odd (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7))))
  (func $pair (param i64 i64) (result i64 i64 i64) (local.get 1) (local.get 0) (i64.add (local.get 0) (local.get 1)))

  (func (export "either") (param i32 i32) (result i32)
    (if (result i32) (local.get 0)
      (then (call $div (i32.const 7) (local.get 1)))
      (else (call $div (i32.const 7) (local.get 1)))))
  (func (export "both") (param i32 i32) (result i32)
    (i32.add (call $load (local.get 0)) (call $load (local.get 1))))
  (func (export "store") (param i32 i32)
    (call $store (i32.const 64) (i32.const 5)) (call $store (local.get 0) (local.get 1))
    (call $store (i32.const 64) (i32.const 6)))
  (func (export "nested") (param i32) (result i32) (call $over (local.get 0)))
  (func (export "through") (param i32) (result i32) (i32.add (call $through (local.get 0)) (i32.const 1)))
  (func (export "indirect") (param i32) (result i32) (call $indirect (local.get 0)))
  (func (export "uncaught") (param i32) (result i32) (call $maybe (local.get 0)))
  (func $tries (param i32) (result i32) (i32.mul (call $maybe (local.get 0)) (i32.const 10)))
  (func (export "caught") (param i32) (result i32)
    (block $h (result i32) (try_table (catch $e $h) (return (call $tries (local.get 0)))) (unreachable)))
  (func (export "recursive") (param i32) (result i32) (call $even (local.get 0)))
  (func (export "after") (param i32) (result i32)
    (i32.div_u (call $div (i32.const 8) (i32.const 2)) (local.get 0)))
  (func (export "sum") (param $n i32) (result i32) (local $s i32)
    (loop $l
      (local.set $s (i32.add (local.get $s) (call $load (i32.shl (local.get $n) (i32.const 2)))))
      (br_if $l (local.tee $n (i32.add (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func (export "three") (param i64 i64) (result i64) (local i64)
    (call $pair (local.get 0) (local.get 1)) (local.set 2) (i64.mul (local.get 2)) (i64.sub))
  (data (i32.const 0) "\01\00\00\00\02\00\00\00\03\00\00\00\04\00\00\00")))";

// Of the functions that an exception has left.
std::vector<std::string> names(Guest& g) {
  std::vector<std::string> out;
  for (const TraceFrame& f : g.store().trap().frames) out.push_back(f.module->function_name(f.function));
  return out;
}

class Inlining : public testing::TestWithParam<u32> {};

TEST_P(Inlining, ResultsTrapsAndFramesAreThoseOfPlainCalls) {
  Guest interpreter(kWat, Guest::interpreter()), plain(kWat, Guest::at_level(0));
  Guest inlined(kWat, Guest::at_level(GetParam()));
  ASSERT_TRUE(interpreter.ok() && plain.ok() && inlined.ok());
  struct Call {
    const char* name;
    std::vector<u64> args;
  };
  const Call calls[] = {
      {"either", {1, 0}},   {"either", {0, 0}},   {"either", {1, 2}},  {"both", {0, 4}},
      {"both", {65536, 0}}, {"both", {0, 65533}}, {"store", {8, 1}},   {"store", {65534, 1}},
      {"both", {64, 8}},    {"nested", {2}},      {"nested", {32767}}, {"through", {9000}},
      {"through", {1}},     {"indirect", {3}},    {"indirect", {4}},   {"uncaught", {0}},
      {"uncaught", {9}},    {"caught", {0}},      {"caught", {3}},     {"recursive", {7}},
      {"recursive", {8}},   {"after", {4}},       {"after", {0}},      {"sum", {16000}},
      {"three", {5, 9}}};
  for (const Call& c : calls) {
    SCOPED_TRACE(testing::Message() << c.name << " " << c.args[0]);
    const Outcome wanted = interpreter.call(c.name, c.args), exact = plain.call(c.name, c.args);
    const Outcome got = inlined.call(c.name, c.args);
    EXPECT_EQ(got.status, wanted.status);
    EXPECT_EQ(got.trap, wanted.trap);
    if (wanted.status == Status::ok) EXPECT_EQ(got.as_u32(), wanted.as_u32());
    EXPECT_EQ(got.trace, wanted.trace);
    EXPECT_EQ(got.offsets, exact.offsets);
    if (wanted.status != Status::exception) continue;
    EXPECT_EQ(names(inlined), names(interpreter));
    EXPECT_EQ(names(inlined).size(), 3u);
  }
}

INSTANTIATE_TEST_SUITE_P(OptLevels, Inlining, testing::Values(1u, 2u, 3u));

}  // namespace
}  // namespace tenon::jit
