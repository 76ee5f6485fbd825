// Compiling in a child process: the same code comes back, limits end the child and not us, and oversized functions
// get their code while the interpreter runs them. Needs the `tenon` program beside the tests.
#include "engine/aot/worker.h"

#include <unistd.h>

#include "engine/native/tier_queue.h"
#include "jit/compiler.h"
#include "tests/jit/guest.h"

namespace tenon::jit {
namespace {

constexpr const char* kSmall = R"((module (func $f (export "f") (param i32) (result i32)
  (i32.add (local.get 0) (i32.const 5))) (func (param i64) (drop (call $f (i32.const 1))))))";

// One function of `n` additions of memory cells, and what it gives for 7 where the memory is empty.
std::string large(int n) {
  std::string wat = "(module (memory 1) (func (export \"f\") (param i32) (result i32)";
  for (int i = 0; i < n; ++i)
    wat += "(local.set 0 (i32.add (local.get 0) (i32.load (i32.and (local.get 0) (i32.const 255)))))";
  return wat + "(local.get 0)))";
}

// The same result from a function of `n` locals, and from one with a jump table of `n` targets.
std::string many_locals(int n) {
  std::string wat = "(module (func (export \"f\") (param i32) (result i32) (local";
  for (int i = 0; i < n; ++i) wat += " i32";
  return wat + ") (local.get 0)))";
}
std::string giant_br_table(int n) {
  std::string wat = "(module (func (export \"f\") (param i32) (result i32) (block (block (br_table";
  for (int i = 0; i < n; ++i) wat += i % 2 ? " 0" : " 1";
  return wat + " 0 (local.get 0)))) (local.get 0)))";
}

WorkerLimits limits() {
  WorkerLimits out;
  out.program = TENON_BINARY_DIR "/tenon";
  return out;
}

struct Worker : testing::Test {
  std::shared_ptr<Engine> engine = std::make_shared<Engine>();
  std::shared_ptr<const Module> decode(const std::string& wat) const {
    auto module = engine->compile(Guest::assemble(wat));
    EXPECT_TRUE(module) << module.error().message;
    return *module;
  }
  static CompileRequest request(const Module& module, const WorkerLimits& worker = limits()) {
    CompileRequest out{&module, expected_config(module, {}), {}, {}, {}, {}, {}};
    out.options.worker = worker;
    return out;
  }
};

TEST_F(Worker, GivesTheCodeThatThisProcessWouldMake) {
  const auto module = decode(kSmall);
  for (const bool part : {false, true}) {
    CompileRequest wanted = request(*module);
    if (part) wanted.functions = {FuncIdx{1}};
    auto theirs = compile_in_child(wanted);
    auto ours = compile_image(wanted);
    ASSERT_TRUE(theirs) << theirs.error().message;
    ASSERT_TRUE(ours) << ours.error().message;
    EXPECT_EQ(theirs->image, ours->image);
  }
}

TEST_F(Worker, EndsWhenNobodyWantsItsCode) {
  const auto module = decode(large(5'000));
  int asked = 0;
  const auto compiled = compile_in_child(request(*module), [&] { return ++asked == 1; });
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().category, ErrorCategory::limit);
}

TEST_F(Worker, RunsOutOfTimeAlone) {
  const auto module = decode(large(20'000));
  WorkerLimits short_time = limits();
  short_time.cpu_seconds = 1;
  const auto compiled = compile_in_child(for_child(request(*module, short_time), {FuncIdx{0}}));
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().category, ErrorCategory::limit);
  EXPECT_THAT(compiled.error().message, testing::HasSubstr("longer than its limit"));
}

TEST_F(Worker, RunsOutOfMemoryAlone) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "sanitizers take more address space than any limit grants";
#endif
  const auto module = decode(kSmall);
  WorkerLimits small = limits();
  small.memory_bytes = u64{60} << 20;  // less than the compiler itself takes
  const auto compiled = compile_in_child(request(*module, small));
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().message, testing::HasSubstr("compiling in a child process"));
}

TEST_F(Worker, AMissingProgramIsAnError) {
  const auto module = decode(kSmall);
  WorkerLimits nowhere = limits();
  nowhere.program = "/nowhere/tenon";
  const auto compiled = compile_in_child(request(*module, nowhere));
  ASSERT_FALSE(compiled);
  EXPECT_THAT(compiled.error().message, testing::HasSubstr("No such file"));
}

// Compiled as a whole or by heat, a function beyond the budget is interpreted until the child's code is there.
constexpr std::string (*kShapes[])(int) = {&large, &many_locals, &giant_br_table};
struct Oversized : Worker, testing::WithParamInterface<std::tuple<size_t, bool>> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Oversized,
                         testing::Combine(testing::Range<size_t>(0, std::size(kShapes)), testing::Bool()));

TEST_P(Oversized, FunctionsComeLater) {
  const auto [shape, eager] = GetParam();
  const auto module = decode(kShapes[shape](2'100));
  Store store(engine);
  NativeOptions options;
  options.compile = &compile_image;
  options.max_function_weight = 2'000;
  options.worker = limits();
  options.eager = eager;
  options.tiering.automatic = !eager;
  std::string notice;
  options.notice = [&](const std::string& n) { notice += n; };
  store.set_compiler(std::make_unique<NativeTier>(store, options));
  auto instance = store.instantiate(module, {});
  ASSERT_TRUE(instance);
  FuncRef* f = std::get<FuncRef*>(*(*instance)->find_export("f"));
  EXPECT_EQ(eager, notice.contains("left to a child process")) << notice;
  auto run = [&] {
    Slot slots[1] = {{.u64_ = 7}};
    EXPECT_EQ(store.call(f, slots), Status::ok);
    return slots[0].u32_;
  };
  EXPECT_EQ(run(), 7u);
  if (!eager)  // as when it got hot
    TierQueue::of_process().add({.module = module,
                                 .code = module->code().variants().at(0),
                                 .options = options,
                                 .decode = {},
                                 .compile = &compile_image,
                                 .functions = {FuncIdx{0}}});
  TierQueue::of_process().drain();
  static_cast<NativeTier*>(store.compiler())->pick_up();
  EXPECT_NE(f->array_entry, &interpret);
  EXPECT_EQ(run(), 7u);
}

}  // namespace
}  // namespace tenon::jit
