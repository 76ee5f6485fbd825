// Modules made to take more time or memory than their size justifies. That each test ends, within memory in
// proportion to its input, is what it shows; the errors' texts are decode_test.cpp's business.
#include <sys/resource.h>

#include "engine/runtime/store.h"
#include "module_bytes.h"

namespace tenon::test {
namespace {

// `bytes` may take this much for each of its bytes, beside what a program takes anyway.
class MemoryWatch {
 public:
  MemoryWatch(const Bytes& bytes, u64 factor) : allowed_(peak() + bytes.size() * factor + (u64{32} << 20)) {}
  ~MemoryWatch() {
#if !defined(TENON_SANITIZED)
    EXPECT_LT(peak(), allowed_) << "bytes at the most";
#endif
  }
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

 private:
  static u64 peak() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<u64>(usage.ru_maxrss) * 1024;
  }
  u64 allowed_;
};

void append(Bytes& to, const Bytes& what) { to.insert(to.end(), what.begin(), what.end()); }
Bytes repeated(u32 count, const Bytes& what) {
  Bytes all;
  for (u32 i = 0; i < count; ++i) append(all, what);
  return all;
}
// A section that is a vector of `count` entries.
Bytes entries(u8 id, u32 count, const Bytes& content) { return section(id, leb(count) + content); }

// Function 0, called with zeros; the low half of its first result, or what went wrong.
std::string run(const Bytes& bytes) {
  Store store(std::make_shared<Engine>());
  const auto module = store.engine().compile(bytes);
  if (!module) return module.error().message;
  const auto instance = store.instantiate(*module, {});
  if (!instance) return instance.error().message;
  const FuncType& type = (*module)->func_type(FuncIdx{0});
  std::vector<Slot> slots(std::max<u32>({type.param_slots, type.result_slots, 1}));
  const Status status = store.call((*instance)->func(FuncIdx{0}), slots.data());
  return status == Status::ok ? std::to_string(slots[0].u32_) : store.trap_error(status).message;
}

TEST(Hostile, AHundredThousandFunctionsOfFiftyThousandLocals) {
  constexpr u32 kCount = 100'000;
  const Bytes one =
      body({0x20, 0xcf, 0x86, 0x03, 0x1a}, Bytes{1} + leb(50'000) + Bytes{I32});  // local.get 49,999
  const Bytes bytes = kHeader + section(kType, vec({func_type({}, {})})) +
                      entries(kFunction, kCount, repeated(kCount, {0})) +
                      entries(kCode, kCount, repeated(kCount, one));
  const MemoryWatch watch(bytes, 40);
  EXPECT_OK(bytes);
}

TEST(Hostile, NestingUpToTheLimitIsValidatedAndRuns) {
  constexpr u32 kDepth = 99'999;
  const Bytes blocks = repeated(kDepth, {0x02, 0x7f}) + Bytes{0x41, 42} + repeated(kDepth, {0x0b});
  EXPECT_EQ(run(OneFunction{.results = {I32}, .code = blocks}.bytes()), "42");
  const Bytes out =
      repeated(kDepth, {0x02, 0x7f}) + Bytes{0x41, 43, 0x0c} + leb(kDepth) + repeated(kDepth, {0x0b});
  EXPECT_EQ(run(OneFunction{.results = {I32}, .code = out}.bytes()), "43");
  const Bytes ifs = repeated(kDepth, {0x41, 1, 0x04, 0x40}) + repeated(kDepth, {0x05, 0x0b});
  EXPECT_EQ(run(OneFunction{.code = ifs}.bytes()), "0");
  const Bytes tries =
      repeated(kDepth, {0x1f, 0x40, 1, 2, 0}) + repeated(kDepth, {0x0b});  // catch_all to itself
  EXPECT_EQ(run(OneFunction{.code = tries}.bytes()), "0");
}

TEST(Hostile, BrTablesOfAMillionTargets) {
  const auto table = [](u32 targets) {
    return OneFunction{.params = {I32}, .code = Bytes{0x20, 0, 0x0e} + leb(targets) + Bytes(targets + 1, 0)}
        .bytes();
  };
  const Bytes most = table(999'999);
  const MemoryWatch watch(most, 64);
  EXPECT_EQ(run(most), "0");
  EXPECT_ERROR("implementation limit exceeded: 1000001 targets of br_table, at most 1000000",
               table(1'000'000));
}

// Labels with many values each, all different, named again and again.
TEST(Hostile, BrTablesOfLabelsWithAThousandValues) {
  constexpr u32 kLabels = 40, kTargets = 200'000;
  OneFunction f{.params = {I32}, .results = Bytes(1000, I32)};
  Bytes code;
  for (u32 i = 1; i <= kLabels; ++i) {
    f.types.push_back(func_type(Bytes(i, I64), Bytes(1000, I32)));  // each a type of its own
    append(code, repeated(i == 1 ? 1 : i + 1, {0x42, 0}));          // one stays below the block
    append(code, Bytes{0x02} + leb(i));
    append(code, repeated(i, {0x1a}));
  }
  append(code, repeated(1000, {0x41, 7}) + Bytes{0x20, 0, 0x0e} + leb(kTargets));
  for (u32 i = 0; i <= kTargets; ++i) code.push_back(static_cast<u8>(kLabels - 1 - i % kLabels));
  append(code, repeated(kLabels - 1, {0x0b, 0x00}) + Bytes{0x0b});
  f.code = code;
  const Bytes bytes = f.bytes();
  const MemoryWatch watch(bytes, 64);
  EXPECT_EQ(run(bytes), "7");
}

// Each branch takes a thousand values with it, to another place than where they lie.
TEST(Hostile, BranchesWithAThousandValuesTakeLittleCode) {
  OneFunction f{.params = {I32}, .results = Bytes(1000, I32)};
  f.types.push_back(func_type({}, Bytes(1000, I32)));
  f.code = Bytes{0x02, 1, 0x42, 0} + repeated(1000, {0x41, 9}) + repeated(20'000, {0x20, 0, 0x0d, 0}) +
           Bytes{0x0c, 0, 0x0b};
  const Bytes bytes = f.bytes();
  const MemoryWatch watch(bytes, 64);
  EXPECT_EQ(run(bytes), "9");
}

TEST(Hostile, TypeSectionBombs) {
  constexpr u32 kMany = 300'000;
  const Bytes group = kHeader + section(kType, Bytes{1, 0x4e} + leb(kMany) + repeated(kMany, {0x5f, 0}));
  {
    const MemoryWatch watch(group, 400);
    EXPECT_OK(group) << "one group of empty structures";
  }
  const Bytes same = kHeader + entries(kType, kMany, repeated(kMany, func_type({I32}, {I32})));
  {
    const MemoryWatch watch(same, 40);
    EXPECT_OK(same) << "one function type again and again";
  }
  const Bytes wide =
      kHeader + entries(kType, 1000, repeated(1000, func_type(Bytes(1000, I32), Bytes(1000, I64))));
  {
    const MemoryWatch watch(wide, 40);
    EXPECT_OK(wide);
  }
  Bytes chains;
  for (u32 i = 0; i < 2000; ++i) {  // 64 deep, over and over, each with as many fields as its supertype
    for (u32 k = 0; k < 64; ++k) {
      append(chains, k == 0 ? Bytes{0x50, 0} : Bytes{0x50, 1} + leb(i * 64 + k - 1));
      append(chains, Bytes{0x5f} + leb(k % 16 + i % 2 * 16) + repeated(k % 16 + i % 2 * 16, {I32, 0}));
    }
  }
  const Bytes deep = kHeader + entries(kType, 2000 * 64, chains);
  const MemoryWatch watch(deep, 100);
  EXPECT_NE(outcome(deep), "") << "valid or not, it ends";
  EXPECT_ERROR("implementation limit exceeded: 1000001 types, at most 1000000",
               kHeader + section(kType, Bytes{1, 0x4e} + leb(1'000'001) + Bytes(2'000'002, 0)));
  EXPECT_ERROR("unknown type", kHeader + section(kType, {1, 0x50, 1, 0, 0x5f, 0}));  // its own supertype
}

// What a body's last instruction reads may lie far beyond its end; an error in a later section must not make
// that happen for every body.
TEST(Hostile, BodiesThatOverlapWhatFollows) {
  constexpr u32 kCount = 50'000;
  const Bytes one = sized({0, 0x0e, 0xff, 0xff, 0x03});  // br_table of 65,535 labels
  const Bytes bytes = kHeader + section(kType, vec({func_type({}, {})})) +
                      entries(kFunction, kCount, repeated(kCount, {0})) +
                      entries(kCode, kCount, repeated(kCount, one)) + section(kData, {0xff});
  const auto module = decode(bytes);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().category, ErrorCategory::malformed);
  EXPECT_TRUE(module.error().offset);
}

TEST(Hostile, ConstantExpressionsAsLongAsModules) {
  constexpr u32 kTerms = 200'000;
  const Bytes sum = repeated(kTerms, {0x41, 1}) + repeated(kTerms - 1, {0x6a}) + Bytes{0x0b};
  const Bytes bytes = kHeader + section(kType, vec({func_type({}, {I32})})) + section(kFunction, vec({{0}})) +
                      section(kGlobal, Bytes{1, I32, 0} + sum) + section(kCode, vec({body({0x23, 0})}));
  const MemoryWatch watch(bytes, 64);
  EXPECT_EQ(run(bytes), "200000");
}

TEST(Hostile, CallsOfManyResultsLeaveNoMoreThanTheLimitOfOperands) {
  const Bytes calls = repeated(999, {0x10, 0}) + Bytes{0x00};
  const Bytes bytes = OneFunction{.results = Bytes(1000, I32), .code = calls}.bytes();
  const MemoryWatch watch(bytes, 64);
  EXPECT_EQ(run(bytes), "call stack exhausted: a frame of 1000007 slots; the interpreter allows 65535");
}

}  // namespace
}  // namespace tenon::test
