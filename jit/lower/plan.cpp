// Decisions before lowering: one pass over imports, memories and code.
#include "jit/lower/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/reader.h"
#include "engine/validate/func_validator.h"
#include "jit/codegen/target.h"

namespace tenon::jit {
namespace {

// What one pass over a function's code finds.
struct Survey {
  bool has_try = false;     // contains try or try_table
  bool tail_calls = false;  // contains some
  u64 weight = 0;           // about how many LLVM instructions and phi operands it becomes
};

class Surveyor {
 public:
  // Marks functions called by return_call in `tail_targets`, and tables that instructions may change in
  // `changed_tables`.
  Surveyor(const Module& module, FuncIdx f, std::vector<bool>& tail_targets,
           std::vector<bool>& changed_tables)
      : module_(module),
        function_(module.functions[f.value]),
        tail_targets_(tail_targets),
        changed_tables_(changed_tables) {
    arities_.push_back(module.func_type(f).results.size());
  }
  Result<Survey> run(u64 weight_limit) {
    CodeReader reader(module_, function_.body, function_.offset);
    std::vector<LocalRun> runs;
    Instr instr;
    if (reader.read_locals(runs)) {
      for (const LocalRun& r : runs) survey_.weight += r.count;
      while (reader.next(instr)) {
        note_table(instr);
        if (survey_.weight <= weight_limit) add(instr);
      }
    }
    if (reader.error()) return std::unexpected(*reader.error());
    return survey_;
  }

 private:
  const FuncType& type(TypeId id) const { return *module_.type_registry().get(id).func(); }
  // Operands that a branch to the label carries; labels of dead code may be unknown here.
  u64 arity(u32 label) const { return label < arities_.size() ? arities_[arities_.size() - 1 - label] : 0; }
  void add_call(const FuncType& t) { survey_.weight += t.params.size() + t.results.size(); }
  void open(const Instr& i) {
    u64 params = 0, results = i.block.kind == BlockType::Kind::value;
    if (i.block.kind == BlockType::Kind::type) {
      const FuncType& t = type(module_.types[i.block.type.value]);
      params = t.params.size();
      results = t.results.size();
    }
    survey_.weight += params + results;
    arities_.push_back(i.op == Op::loop ? params : results);
  }
  void note_table(const Instr& i) {
    switch (i.op) {
      case Op::table_set:
      case Op::table_grow:
      case Op::table_fill:
      case Op::table_copy: changed_tables_[i.index] = true; break;
      case Op::table_init: changed_tables_[i.index2] = true; break;
      default: break;
    }
  }
  void add(const Instr& i) {
    ++survey_.weight;
    survey_.has_try |= i.op == Op::try_ || i.op == Op::try_table;
    if (i.op == Op::return_call) tail_targets_[i.index] = true;
    if (i.op == Op::return_call || i.op == Op::return_call_indirect || i.op == Op::return_call_ref)
      survey_.tail_calls = true;
    switch (op_info(i.op).imm) {
      case Imm::block:
      case Imm::try_table: open(i); break;
      case Imm::br_label:
        survey_.weight += arity(i.index);
        if (i.op == Op::delegate && !arities_.empty()) arities_.pop_back();
        break;
      case Imm::br_table:
        for (u32 label : i.targets) survey_.weight += 1 + arity(label);
        break;
      case Imm::func:
        if (i.op != Op::ref_func) add_call(type(module_.functions[i.index].type));
        break;
      case Imm::type:
        if (i.op == Op::struct_new)
          survey_.weight += module_.type_registry().get(module_.types[i.index]).struct_()->fields.size();
        break;
      case Imm::type_u32: survey_.weight += i.index2; break;
      case Imm::type_table: add_call(type(module_.types[i.index])); break;
      default:
        if (i.op == Op::end && !arities_.empty()) arities_.pop_back();
        if (i.op == Op::call_ref || i.op == Op::return_call_ref) add_call(type(module_.types[i.index]));
        break;
    }
  }

  const Module& module_;
  const Function& function_;
  std::vector<u64> arities_;  // of open labels, the function's own first
  std::vector<bool>& tail_targets_;
  std::vector<bool>& changed_tables_;
  Survey survey_;
};

// Decides what is compiled, within the budget.
Result<void> plan_functions(ModulePlan& plan, const CompileRequest& request) {
  const Module& module = *plan.module;
  const PlanOptions& options = plan.options;
  const DecodeOptions& decode = request.decode;
  std::vector<FuncIdx> wanted;
  if (request.functions)
    wanted = *request.functions;
  else
    for (u32 f = module.imported_functions; f < module.functions.size(); ++f) wanted.push_back(FuncIdx{f});
  const char* instead = options.worker ? "left to a child process" : "interpreted";
  u64 total = 0;
  std::vector<bool> changed_tables(module.tables.size());
  for (const FuncIdx func : wanted) {
    const u32 f = func.value;
    // A body that does not validate traps when the interpreter first meets it.
    if (decode.lazy_bodies && !validate_function(module, FuncIdx{f}, decode.limits)) continue;
    TRY_ASSIGN(const Survey survey,
               Surveyor(module, FuncIdx{f}, plan.wide, changed_tables).run(options.max_function_weight));
    if (survey.weight > options.max_function_weight && plan.notice.empty())
      plan.notice = fmt::format("{} is beyond the compiler's budget of {} operations: {}",
                                module.function_name(FuncIdx{f}), options.max_function_weight, instead);
    if (survey.tail_calls) plan.wide[f] = true;
    plan.compiled[f] = survey.weight <= options.max_function_weight;
    if (!plan.compiled[f]) {
      plan.left_out.push_back(func);
      continue;
    }
    plan.weights[f] = static_cast<u32>(std::min<u64>(survey.weight, ~u32{0}));
    total += survey.weight;
  }
  plan.known_tables.resize(module.tables.size());
  if (!request.functions) plan.known_tables = known_tables(module, changed_tables);
  if (total > options.max_module_weight) {
    plan.notice = fmt::format("the module has {} operations, the compiler's budget is {}: {}", total,
                              options.max_module_weight, instead);
    plan.left_out = wanted;
    plan.compiled.assign(plan.compiled.size(), false);
    plan.weights.assign(plan.weights.size(), 0);
  }
  return {};
}

// Handlers of exceptions keep operands where only the function's beginning has put them: no entry at loops.
Result<void> plan_loops(ModulePlan& plan, const CompileRequest& request) {
  const u64 limit = plan.options.max_function_weight;
  for (const OsrLoop& loop : request.loops) {
    std::vector<bool> tail_targets(plan.wide.size()), changed_tables(plan.module->tables.size());
    TRY_ASSIGN(const Survey survey,
               Surveyor(*plan.module, loop.function, tail_targets, changed_tables).run(limit));
    if (survey.weight > limit) plan.left_out.push_back(loop.function);
    if (survey.has_try || survey.weight > limit) continue;
    plan.loops.push_back(loop);
    for (size_t f = 0; f < tail_targets.size(); ++f)
      if (tail_targets[f]) plan.wide[f] = true;
  }
  return {};
}

}  // namespace

ModulePlan::ModulePlan(const CompileRequest& request)
    : module(request.module),
      layout(*request.module),
      options{request.options, request.config.checks},
      decode(request.decode),
      has_fma(request.options.cpu().has(CpuFeature::fma)),
      memories(request.config.memories),
      faults(std::ranges::any_of(memories, &MemoryPlan::guarded)),
      compiled(request.module->functions.size()),
      wide(request.module->functions.size()),
      weights(request.module->functions.size()),
      native_import(request.config.native_import) {
  for (u32 t = 0; t < module->types.size(); ++t) type_index.try_emplace(module->types[t].value, t);
}

std::string symbol_name(FuncIdx f) { return fmt::format("f{}", f.value); }

Result<ModulePlan> make_plan(const CompileRequest& request) {
  ModulePlan plan(request);
  TRY(plan_functions(plan, request));
  TRY(plan_loops(plan, request));
  std::ranges::sort(plan.left_out, {}, &FuncIdx::value);
  const auto repeated = std::ranges::unique(plan.left_out, {}, &FuncIdx::value);
  plan.left_out.erase(repeated.begin(), repeated.end());
  return plan;
}

}  // namespace tenon::jit
