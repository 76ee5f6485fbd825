// Drives lowering, optimisation, code generation and linking of a request's units in parallel.
#include "jit/compiler.h"

#include <fmt/format.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/FileSystem.h>
#include <llvm/Support/raw_ostream.h>

#include <atomic>
#include <set>
#include <thread>

#include "jit/codegen/linker.h"
#include "jit/codegen/target.h"
#include "jit/lower/func_lowering.h"
#include "jit/lower/inlining.h"
#include "jit/lower/plan.h"
#include "jit/lower/thunks.h"

namespace tenon::jit {
namespace {

// A unit before and after compilation.
struct UnitWork {
  std::string name;
  u8 opt_level;
  std::vector<FuncIdx> functions = {};
  std::vector<const FuncType*> thunks = {};
  std::vector<OsrLoop> loops = {};
  Result<void> status{};
  std::unique_ptr<llvm::MemoryBuffer> object = nullptr;
  bool dispatch_tables = false;  // of the image are defined in it
};

Result<void> verify(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (!llvm::verifyModule(module, &stream)) return {};
  return std::unexpected(
      Error{ErrorCategory::unsupported, "the compiler made invalid IR: " + stream.str(), {}});
}

void dump(const llvm::Module& module, const CompileOptions& options, const std::string& name) {
  if (options.dump_ir.empty()) return;
  std::error_code error;
  llvm::raw_fd_ostream out(options.dump_ir + "/" + name + ".ll", error);
  if (!error) module.print(out, nullptr);
}

Result<void> compile_unit(Target& target, const ModulePlan& plan, UnitWork& work) {
  const CompileOptions& options = plan.options;
  Unit unit(work.name, target.data_layout(), target.triple(), tuning_of(options));
  for (const FuncIdx f : work.functions) TRY(FuncLowering(unit, plan, f).run());
  for (const OsrLoop& loop : work.loops) TRY(FuncLowering(unit, plan, loop).run());
  for (const FuncType* type : work.thunks) lower_thunks(unit, *type);
  if (work.dispatch_tables) define_dispatch_tables(unit, plan);
  TRY(lower_inline_copies(unit, plan));
  unit.finish();
  if (options.verify_ir) TRY(verify(unit.module()));
  target.set_opt_level(work.opt_level);
  target.optimise(unit.module());
  dump(unit.module(), options, work.name);
  if (options.verify_ir) TRY(verify(unit.module()));
  TRY_ASSIGN(work.object, target.emit(unit.module()));
  return {};
}

u32 threads_of(const CompileOptions& options) {
  return options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
}

// Compiles units on as many threads as the options say; the first error of any.
Result<void> compile_units(const ModulePlan& plan, std::vector<UnitWork>& units) {
  const size_t threads = std::min<size_t>(threads_of(plan.options), units.size());
  std::atomic<size_t> next{0};
  auto run = [&] {
    auto target = Target::create(plan.options);
    for (size_t i; (i = next++) < units.size();) {
      UnitWork& work = units[i];
      work.status = target ? compile_unit(**target, plan, work) : std::unexpected(target.error());
    }
  };
  std::vector<std::thread> pool;
  for (size_t t = 1; t < threads; ++t) pool.emplace_back(run);
  run();
  for (std::thread& t : pool) t.join();
  for (UnitWork& work : units) TRY(std::move(work.status));
  return {};
}

// A function of this weight and more is a unit of its own, with cheaper passes: LLVM's time grows faster than
// functions do.
constexpr u32 kLargeFunction = 20'000;
// Units are large enough to share what each of them costs, and small enough that the memory of those in work is
// bounded however large the module is.
constexpr u64 kSmallestUnit = 4'000, kLargestUnit = 40'000;

// Contiguous runs of functions, about equal in weight, enough of them to keep all threads busy to the end.
std::vector<UnitWork> split(const ModulePlan& plan) {
  u64 total = 0;
  for (const u32 weight : plan.weights) total += weight;
  const u64 unit_size =
      std::clamp<u64>(total / (u64{8} * threads_of(plan.options)), kSmallestUnit, kLargestUnit);
  std::vector<UnitWork> units;
  u64 size = unit_size;
  for (u32 f = plan.module->imported_functions; f < plan.compiled.size(); ++f) {
    if (!plan.compiled[f]) continue;
    const bool large = plan.weights[f] >= kLargeFunction;
    if (large || size >= unit_size) {
      const u8 level = plan.options.opt_level;
      units.push_back({fmt::format("u{}", units.size()), large ? std::min<u8>(level, 1) : level});
      size = 0;
    }
    units.back().functions.push_back(FuncIdx{f});
    size += large ? unit_size : plan.weights[f];
  }
  return units;
}

// Thunks of these types, or of all that code of the module can call with or be called with.
UnitWork thunks_of(const Module& module, const std::optional<std::vector<TypeId>>& wanted, u8 opt_level) {
  UnitWork work{"thunks", opt_level};
  std::set<std::string> keys;
  auto add = [&](TypeId id) {
    const FuncType* type = module.type_registry().get(id).func();
    if (type && keys.insert(signature_key(*type)).second) work.thunks.push_back(type);
  };
  if (wanted) {
    for (const TypeId id : *wanted) add(id);
    return work;
  }
  for (const TypeId id : module.types) add(id);
  for (const Function& f : module.functions) add(f.type);
  return work;
}

}  // namespace

Result<CompiledImage> compile_image(const CompileRequest& request) {
  TRY_ASSIGN(ModulePlan plan, make_plan(request));
  std::vector<UnitWork> units = split(plan);
  const u8 level = plan.options.opt_level;
  if (!plan.loops.empty()) units.push_back({.name = "loops", .opt_level = level, .loops = plan.loops});
  if (UnitWork thunks = thunks_of(*request.module, request.thunks, std::min<u8>(level, 1));
      !thunks.thunks.empty())
    units.push_back(std::move(thunks));
  if (!units.empty()) units.front().dispatch_tables = true;
  TRY(compile_units(plan, units));
  ObjectLinker linker;
  for (const UnitWork& work : units) TRY(linker.add(*work.object));
  TRY_ASSIGN(ImageParts parts, linker.link());
  parts.config = request.config;
  parts.whole = !request.functions.has_value();
  parts.functions_of_module = static_cast<u32>(request.module->functions.size());
  return CompiledImage{write_image(parts), std::move(plan.notice), std::move(plan.left_out)};
}

Result<std::unique_ptr<Compiler>> create_compiler(Store& store, JitOptions options) {
  TRY_ASSIGN(auto target, Target::create(options));  // a processor that we can compile for
  options.compile = &compile_image;
  return std::make_unique<NativeTier>(store, std::move(options));
}

}  // namespace tenon::jit
