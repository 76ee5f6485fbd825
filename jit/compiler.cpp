// Drives lowering, optimisation, code generation and linking of a module's units in parallel, and sets the
// entries of its functions.
#include "jit/compiler.h"

#include <fmt/format.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Support/FileSystem.h>
#include <llvm/Support/raw_ostream.h>

#include <atomic>
#include <charconv>
#include <deque>
#include <thread>

#include "jit/codegen/linker.h"
#include "jit/codegen/target.h"
#include "jit/lower/func_lowering.h"
#include "jit/lower/plan.h"
#include "jit/lower/thunks.h"
#include "jit/runtime/helpers.h"
#include "jit/runtime/raise.h"
#include "jit/runtime/ranges.h"

namespace tenon::jit {
namespace {

struct ThunkAddresses {
  u64 array_entry, native_entry;
};

// A unit before and after compilation.
struct UnitWork {
  std::string name;
  std::vector<FuncIdx> functions;
  std::vector<const FuncType*> thunks;
  Result<void> status{};
  std::unique_ptr<llvm::MemoryBuffer> object;
  ObjectTables tables;
};

Result<void> verify(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  if (!llvm::verifyModule(module, &stream)) return {};
  return std::unexpected(
      Error{ErrorCategory::unsupported, "the compiler made invalid IR: " + stream.str(), {}});
}

void dump(const llvm::Module& module, const JitOptions& options, const std::string& name) {
  if (options.dump_ir.empty()) return;
  std::error_code error;
  llvm::raw_fd_ostream out(options.dump_ir + "/" + name + ".ll", error);
  if (!error) module.print(out, nullptr);
}

Result<void> compile_unit(Target& target, const ModulePlan* plan, const JitOptions& options, UnitWork& work) {
  Unit unit(work.name, target.data_layout(), target.triple());
  for (FuncIdx f : work.functions) TRY(FuncLowering(unit, *plan, f).run());
  for (const FuncType* type : work.thunks) lower_thunks(unit, *type);
  unit.finish();
  if (options.verify_ir) TRY(verify(unit.module()));
  target.optimise(unit.module());
  dump(unit.module(), options, work.name);
  if (options.verify_ir) TRY(verify(unit.module()));
  TRY_ASSIGN(work.object, target.emit(unit.module()));
  TRY_ASSIGN(work.tables, read_object_tables(*work.object));
  return {};
}

// Compiles units on as many threads as the options say; the first error of any.
Result<void> compile_units(const ModulePlan* plan, const JitOptions& options, std::vector<UnitWork>& units) {
  const u32 processors = std::max(1u, std::thread::hardware_concurrency());
  const size_t threads = std::min<size_t>(options.threads ? options.threads : processors, units.size());
  std::atomic<size_t> next{0};
  auto run = [&] {
    auto target = Target::create(options.opt_level);
    for (size_t i; (i = next++) < units.size();) {
      UnitWork& work = units[i];
      work.status = target ? compile_unit(**target, plan, options, work) : std::unexpected(target.error());
    }
  };
  std::vector<std::thread> pool;
  for (size_t t = 1; t < threads; ++t) pool.emplace_back(run);
  run();
  for (std::thread& t : pool) t.join();
  for (UnitWork& work : units) TRY(std::move(work.status));
  return {};
}

class JitCompiler final : public Compiler {
 public:
  JitCompiler(Store& store, JitOptions options, std::unique_ptr<CodeLinker> linker)
      : store_(store), options_(std::move(options)), linker_(std::move(linker)) {
    store.context().helpers = helper_table(store.context().helpers);
    install_fault_handler();
  }
  ~JitCompiler() override {
    for (auto* node : code_nodes_) code_ranges().remove(node);
    for (auto* node : memory_nodes_) guarded_memories().remove(node);
  }

  Result<void> adopt(Instance& instance) override;
  void make_callable(FuncRef& func) override;

 private:
  std::vector<UnitWork> split(const ModulePlan& plan);
  UnitWork thunks_for(const std::vector<const FuncType*>& types);
  Result<void> compile(const ModulePlan* plan, const Module* module, std::vector<UnitWork> units);
  Result<void> compile_module(const ModulePlan& plan, const std::vector<const FuncType*>& types);
  void register_code(const Module* module, const UnitWork& unit);
  void notify(const std::string& message) const;
  void set_entries(Instance& instance, const ModulePlan& plan);

  Store& store_;
  JitOptions options_;
  std::unique_ptr<CodeLinker> linker_;
  std::unordered_map<std::string, ThunkAddresses> thunks_;  // by signature_key
  std::unordered_map<std::string, u64> symbols_;            // of the module compiled last
  std::deque<CodeObject> code_objects_;
  std::vector<RangeSet::Node*> code_nodes_, memory_nodes_;
  u32 modules_ = 0;
};

// Contiguous runs of functions, about equal in size, enough of them to keep all threads busy to the end.
std::vector<UnitWork> JitCompiler::split(const ModulePlan& plan) {
  const Module& module = *plan.module;
  u64 total = 0;
  for (const Function& f : module.functions) total += f.body.size();
  const u32 threads = options_.threads ? options_.threads : std::max(1u, std::thread::hardware_concurrency());
  constexpr u64 kSmallestUnit = 4096;
  const u64 unit_size = std::max<u64>(kSmallestUnit, total / (4 * threads));
  std::vector<UnitWork> units;
  u64 size = unit_size;
  for (u32 f = module.imported_functions; f < module.functions.size(); ++f) {
    if (!plan.compiled[f]) continue;
    if (size >= unit_size) {
      units.push_back({fmt::format("m{}u{}", modules_, units.size()), {}, {}, {}, {}, {}});
      size = 0;
    }
    units.back().functions.push_back(FuncIdx{f});
    size += module.functions[f].body.size();
  }
  return units;
}

UnitWork JitCompiler::thunks_for(const std::vector<const FuncType*>& types) {
  UnitWork work{fmt::format("m{}thunks", modules_), {}, {}, {}, {}, {}};
  for (const FuncType* type : types)
    if (thunks_.try_emplace(signature_key(*type)).second) work.thunks.push_back(type);
  return work;
}

Result<void> JitCompiler::compile(const ModulePlan* plan, const Module* module, std::vector<UnitWork> units) {
  TRY(compile_units(plan, options_, units));
  std::vector<std::string> wanted;
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects;
  for (UnitWork& unit : units) {
    for (FuncIdx f : unit.functions) wanted.push_back(symbol_name(f));
    for (const FuncType* type : unit.thunks) {
      const ThunkNames names(signature_key(*type));
      wanted.insert(wanted.end(), {names.array_entry, names.native_entry});
    }
    objects.push_back(std::move(unit.object));
  }
  TRY_ASSIGN(auto addresses, linker_->link(std::move(objects), wanted));
  symbols_.clear();
  for (size_t i = 0; i < wanted.size(); ++i) symbols_[wanted[i]] = addresses[i];
  for (const UnitWork& unit : units) {
    register_code(module, unit);
    for (const FuncType* type : unit.thunks) {
      const ThunkNames names(signature_key(*type));
      thunks_[signature_key(*type)] = {symbols_[names.array_entry], symbols_[names.native_entry]};
    }
  }
  return {};
}

void JitCompiler::register_code(const Module* module, const UnitWork& unit) {
  CodeObject& code = code_objects_.emplace_back();
  code.module = module;
  for (const ObjectSymbol& s : unit.tables.functions) {
    auto found = symbols_.find(s.name);
    if (found != symbols_.end()) code.base = reinterpret_cast<const u8*>(found->second - s.offset);
    u32 index = 0;
    const char* end = s.name.data() + s.name.size();
    if (s.name[0] == 'f' && std::from_chars(s.name.data() + 1, end, index).ptr == end)
      code.functions.push_back({static_cast<u32>(s.offset), static_cast<u32>(s.offset + s.size), index});
  }
  std::ranges::sort(code.functions, {}, &CodeFunction::begin);
  code.size = unit.tables.code_size;
  code.lines = unit.tables.lines;
  code_nodes_.push_back(code_ranges().add(code.base, code.size, &code));
}

void JitCompiler::set_entries(Instance& instance, const ModulePlan& plan) {
  const Module& module = *plan.module;
  for (u32 f = 0; f < module.functions.size(); ++f) {
    FuncRef* ref = instance.func(FuncIdx{f});
    const ThunkAddresses& thunks = thunks_.at(signature_key(module.func_type(FuncIdx{f})));
    if (plan.compiled[f]) {
      ref->native_entry = reinterpret_cast<void*>(symbols_.at(symbol_name(FuncIdx{f})));
      ref->native_context = instance.vm();
      ref->array_entry = reinterpret_cast<ArrayEntry>(thunks.array_entry);
    } else if (!ref->native_entry) {
      ref->native_entry = reinterpret_cast<void*>(thunks.native_entry);
      ref->native_context = ref;
    }
  }
}

void JitCompiler::notify(const std::string& message) const {
  if (options_.notice)
    options_.notice(message);
  else
    fmt::print(stderr, "tenon: {}\n", message);
}

Result<void> JitCompiler::adopt(Instance& instance) {
  const Module& module = instance.module();
  TRY_ASSIGN(ModulePlan plan, make_plan(instance, options_));
  ++modules_;
  std::vector<const FuncType*> types;
  for (const Function& f : module.functions) types.push_back(module.type_registry().get(f.type).func());
  if (auto done = compile_module(plan, types); !done) {
    // The interpreter goes on; compiled code of other modules needs a way in.
    plan.notice = done.error().message + ": interpreted";
    plan.compiled.assign(plan.compiled.size(), false);
    TRY(compile_module(plan, types));
  }
  if (!plan.notice.empty()) notify(plan.notice);
  for (u32 m = 0; m < module.memories.size(); ++m) {
    const MemoryDesc& desc = instance.memory(MemoryIdx{m})->desc();
    if (plan.memories[m].guarded)
      memory_nodes_.push_back(guarded_memories().add(desc.base, desc.reserved, nullptr));
  }
  set_entries(instance, plan);
  return {};
}

Result<void> JitCompiler::compile_module(const ModulePlan& plan, const std::vector<const FuncType*>& types) {
  std::vector<UnitWork> units = split(plan);
  UnitWork thunks = thunks_for(types);
  if (!thunks.thunks.empty()) units.push_back(std::move(thunks));
  auto compiled = compile(&plan, plan.module, std::move(units));
  if (!compiled) std::erase_if(thunks_, [](const auto& t) { return t.second.native_entry == 0; });
  return compiled;
}

void JitCompiler::make_callable(FuncRef& func) {
  const FuncType& type = *store_.types().get(func.type).func();
  UnitWork work = thunks_for({&type});
  if (!work.thunks.empty()) {
    ++modules_;
    std::vector<UnitWork> units;
    units.push_back(std::move(work));
    if (auto done = compile(nullptr, nullptr, std::move(units)); !done) {
      thunks_.erase(signature_key(type));
      return notify(done.error().message);
    }
  }
  func.native_entry = reinterpret_cast<void*>(thunks_.at(signature_key(type)).native_entry);
  func.native_context = &func;
}

}  // namespace

Result<std::unique_ptr<Compiler>> create_compiler(Store& store, const JitOptions& options) {
  TRY_ASSIGN(auto target, Target::create(options.opt_level));  // a processor that we can compile for
  TRY_ASSIGN(auto linker, CodeLinker::create());
  return std::make_unique<JitCompiler>(store, options, std::move(linker));
}

}  // namespace tenon::jit
