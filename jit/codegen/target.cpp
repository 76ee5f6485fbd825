// Optimisation pipelines and code generation.
#include "jit/codegen/target.h"

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/Analysis/LoopInfo.h>
#include <llvm/CodeGen/MachineModuleInfo.h>
#include <llvm/CodeGen/Passes.h>
#include <llvm/CodeGen/TargetPassConfig.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/SmallVectorMemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/VirtualFileSystem.h>
#include <llvm/TargetParser/Host.h>

#include "engine/once.h"
#include "jit/codegen/ordered_accesses.h"
#include "jit/passes/in_bounds.h"
#include "jit/passes/inline_small.h"
#include "jit/passes/stack_check.h"

namespace tenon::jit {
namespace {

// By optimisation level. Guests come from optimising compilers: measured on C kernels, what pays is turning
// locals into values, removing what Wasm's stack code and its address arithmetic repeat, and hoisting out of
// loops; the long pipeline of level 3 is for code that nobody optimised before. Passes work on functions: inlining comes before
// them (inline_small.h). No loop-idiom: it would call memset, which is not in the
// helper table.
struct Pipeline {
  const char* all;
  const char* with_loops;       // then, in functions that have some: the others' time goes by elsewhere
  const char* with_free_loops;  // then, in functions with loops that no barrier and no call ties down
};
constexpr Pipeline kPipelines[] = {
    {"", "", ""},
    {"sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>", "", ""},
    {"sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>",
     "loop-simplify,lcssa,loop-mssa(loop-rotate,licm),early-cse<memssa>,"
     "loop-simplify,lcssa,in-bounds",
     "early-cse,loop-mssa(licm),loop-vectorize,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
     "simplifycfg<forward-switch-cond;switch-range-to-icmp;switch-to-lookup;hoist-common-insts;sink-common-"
     "insts>"},
    {"sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,correlated-propagation,jump-"
     "threading,"
     "simplifycfg,reassociate,loop-simplify,lcssa,loop-mssa(loop-rotate,licm,simple-loop-unswitch<no-"
     "nontrivial>),"
     "simplifycfg,instcombine<no-verify-fixpoint>,loop(indvars,loop-deletion,loop-unroll-full),sroa,gvn,sccp,"
     "bdce,"
     "instcombine<no-verify-fixpoint>,jump-threading,correlated-propagation,adce,dse,loop-mssa(licm),"
     "simplifycfg,"
     "instcombine<no-verify-fixpoint>,loop-simplify,lcssa,in-bounds,early-cse,loop-mssa(licm),loop-vectorize,"
     "slp-"
     "vectorizer,vector-combine,loop-unroll<O2>,"
     "instcombine<no-verify-fixpoint>,loop-mssa(licm),"
     "simplifycfg<forward-switch-cond;switch-range-to-icmp;switch-to-lookup;hoist-common-insts;sink-common-"
     "insts>",
     "", ""},
};
constexpr size_t kLastPipeline = std::size(kPipelines) - 1;

constexpr llvm::CodeGenOptLevel kLevels[] = {llvm::CodeGenOptLevel::None, llvm::CodeGenOptLevel::Less,
                                             llvm::CodeGenOptLevel::Default,
                                             llvm::CodeGenOptLevel::Aggressive};

// Passes that gain nothing here and have only this switch: loop strength reduction, a tenth of the time, without which x86's
// addresses and its out-of-order cores do; what looks for library calls, which there are none of; what moves
// constants out of blocks, or scalars into mask registers.
constexpr llvm::StringRef kWithout[] = {"disable-lsr", "disable-constant-hoisting", "disable-mergeicmps",
                                        "disable-partial-libcall-inlining",
                                        "disable-x86-domain-reassignment"};

void set_flag(llvm::StringRef option) {
  auto& options = llvm::cl::getRegisteredOptions();
  if (auto found = options.find(option); found != options.end())
    found->second->addOccurrence(0, option, "true");
}

// An innermost loop in which instructions may move and be vectorised.
bool is_free(const llvm::Loop& loop) {
  return loop.isInnermost() && llvm::none_of(loop.blocks(), [](const llvm::BasicBlock* block) {
           return llvm::any_of(*block, [](const llvm::Instruction& i) {
             const auto* call = llvm::dyn_cast<llvm::CallBase>(&i);
             return call && !llvm::isa<llvm::IntrinsicInst>(call);
           });
         });
}

void initialise_llvm() {
  static Once once;
  once.call([] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    for (const llvm::StringRef option : kWithout) set_flag(option);
  });
}

}  // namespace

std::string tuning_of(const CompileOptions& options) {
  return options.cpu() == host_cpu_features() ? llvm::sys::getHostCPUName().str() : "generic";
}

Result<std::unique_ptr<Target>> Target::create(const CompileOptions& wanted) {
  initialise_llvm();
  const CpuFeatures cpu = wanted.cpu();
  if (!cpu.has(CpuFeature::sse4_1))
    return std::unexpected(
        Error{ErrorCategory::unsupported, "compiled code needs a processor with SSE 4.1", {}});
  const llvm::Triple triple(llvm::sys::getProcessTriple());
  std::string message;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target) return std::unexpected(Error{ErrorCategory::unsupported, "LLVM: " + message, {}});
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;  // two roundings stay two roundings
  std::unique_ptr<Target> result(new Target);
  result->opt_level_ = std::min<u8>(wanted.opt_level, 3);
  result->machine_.reset(target->createTargetMachine(triple, "x86-64-v2", llvm_features(cpu), options,
                                                     llvm::Reloc::PIC_, llvm::CodeModel::Small,
                                                     kLevels[result->opt_level_], true));
  return result;
}

void Target::optimise(llvm::Module& module) {
  const Pipeline& pipeline = kPipelines[std::min<size_t>(opt_level_, kLastPipeline)];
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  // Passes read no files: an empty file system of their own, where LLVM's would be shared by all threads.
  llvm::PassBuilder builder(machine_.get(), {}, std::nullopt, nullptr,
                            llvm::makeIntrusiveRefCnt<llvm::vfs::InMemoryFileSystem>());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.registerPipelineParsingCallback([](llvm::StringRef name, llvm::FunctionPassManager& passes,
                                             llvm::ArrayRef<llvm::PassBuilder::PipelineElement>) {
    if (name != "in-bounds") return false;
    passes.addPass(InBoundsPass());
    return true;
  });
  auto parse = [&](llvm::StringRef text) {
    llvm::FunctionPassManager passes;
    if (!text.empty())
      if (auto error = builder.parsePassPipeline(passes, text)) llvm::report_fatal_error(std::move(error));
    return passes;
  };
  llvm::FunctionPassManager simplify = parse(kPipelines[1].all), all = parse(pipeline.all),
                            with_loops = parse(pipeline.with_loops),
                            with_free_loops = parse(pipeline.with_free_loops), last;
  last.addPass(StackCheckPass());
  inline_small_functions(module, [&](llvm::Function& f) { simplify.run(f, functions); });
  functions.clear();
  // The pass manager itself drops analyses that a pass did not preserve; run by hand, this has to.
  auto run = [&](llvm::FunctionPassManager& passes, llvm::Function& f) {
    functions.invalidate(f, passes.run(f, functions));
  };
  for (llvm::Function& f : module) {
    if (f.isDeclaration()) continue;
    run(all, f);
    if (!functions.getResult<llvm::LoopAnalysis>(f).empty()) run(with_loops, f);
    if (llvm::any_of(functions.getResult<llvm::LoopAnalysis>(f).getLoopsInPreorder(),
                     [](const llvm::Loop* loop) { return is_free(*loop); }))
      run(with_free_loops, f);
    run(last, f);
    functions.clear(f, f.getName());  // nobody asks again
  }
}

void Target::set_opt_level(u8 level) {
  opt_level_ = std::min<u8>(level, 3);
  machine_->setOptLevel(kLevels[opt_level_]);
}

// As addPassesToEmitMC does, without passes that find nothing here: there are no variables to tell a debugger of,
// and instructions are scheduled before registers are allocated.
Result<std::unique_ptr<llvm::MemoryBuffer>> Target::emit(llvm::Module& module) {
  for (llvm::Function& f : module)
    if (!f.isDeclaration()) order_by_volatile(f);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  auto* info = new llvm::MachineModuleInfoWrapperPass(machine_.get());  // the pass manager owns them
  llvm::TargetPassConfig* config = machine_->createPassConfig(passes);
  config->setDisableVerify(true);
  passes.add(config);
  passes.add(info);
  for (const void* pass : {&llvm::LiveDebugValuesID, &llvm::PostRASchedulerID}) config->disablePass(pass);
  bool failed = config->addISelPasses();
  // LLVM's simpler instruction selector takes a tenth of the time, and leaves vectors and what else it does not know to the
  // other one; on the kernels of bench/engine its code is as fast.
  if (opt_level_ < 3) {
    machine_->setFastISel(true);
    config->setEnableTailMerge(
        false);  // it forgets which calls must not be merged: they have a place in backtraces
  }
  config->addMachinePasses();
  config->setInitialized();
  failed |= machine_->addAsmPrinter(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile,
                                    info->getMMI().getContext());
  passes.add(llvm::createFreeMachineFunctionPass());
  if (failed)
    return std::unexpected(
        Error{ErrorCategory::unsupported, "LLVM: no code generator for this processor", {}});
  passes.run(module);
  return std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(bytes), module.getModuleIdentifier(),
                                                         false);
}

}  // namespace tenon::jit
