// Compiled code for one store: gives instances the code of their modules and lets host functions be called by
// it. What compiles is a function from outside (tenon-jit.so); without one, only code that modules already
// have (artefacts) runs.
#pragma once
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/native/module_code.h"
#include "engine/native/ranges.h"
#include "engine/native/tiering.h"
#include "engine/runtime/store.h"

namespace tenon {

struct NativeOptions : CompileOptions, CodeChecks {
  CompileFn compile = nullptr;
  // Compile each module as a whole before its first instruction runs (--engine=jit).
  bool eager = true;
  // Otherwise: compile what turns out to be hot.
  TieringOptions tiering = {};
  // What is compiled goes through an artefact in memory, as it would from a file (--engine=aot).
  bool as_artefact = false;
  // Told when a module got code, on the thread that compiled it (for the cache); may be empty.
  std::function<void(const Module&)> compiled;
  // Told, once for each module, what is left to the interpreter and why; none: printed to stderr.
  std::function<void(const std::string&)> notice;
};

class NativeTier final : public Compiler {
 public:
  NativeTier(Store& store, NativeOptions options);
  ~NativeTier() override;

  Result<void> adopt(Instance& instance) override;
  void make_callable(FuncRef& func) override;
  ArrayEntry sample(FuncRef& func, u64 loop) override;
  // On the store's own thread: sets the entries of functions whose code was published since.
  void pick_up();
  const NativeOptions& options() const { return options_; }

 private:
  struct Adopted {
    Instance* instance;
    ModuleCode::Variant* code;
    u32 objects = 0;  // of the code that the instance has
  };
  void compile_whole(const std::shared_ptr<const Module>& module, ModuleCode::Variant& code);
  Result<void> compile(const std::shared_ptr<const Module>& shared, const CompileRequest& request,
                       ModuleCode::Variant& code);
  void tell_if_unfit(ModuleCode& code, const ModuleCode::Variant& used) const;
  bool pick_up(Adopted& adopted);
  void take_thunks(const CodeObject& code);
  void set_thunks();
  const ThunkAddresses* thunks_of(TypeId type);
  void set_entry(Instance& instance, FuncIdx f, const void* native_entry);
  void notify(const std::string& message) const;

  Store& store_;
  NativeOptions options_;
  std::vector<Adopted> adopted_;
  Tiering tiering_;
  std::vector<std::shared_ptr<const Module>> unfinished_;   // compiled as a whole but for what is oversized
  std::unordered_map<std::string, ThunkAddresses> thunks_;  // by signature_key
  std::unordered_map<u32, const ThunkAddresses*> thunks_of_type_;  // by TypeId
  std::vector<FuncRef*> waiting_;  // host functions of signatures that no compiled code has met
  std::vector<RangeSet::Node*> memory_nodes_;
};

// The compiler of tenon-jit.so, which the first call loads. Errors also: those of loading it.
Result<CompiledImage> compile_by_plugin(const CompileRequest& request);
// A NativeTier with it. Errors: those of loading it.
Result<std::unique_ptr<Compiler>> make_jit_tier(Store& store, NativeOptions options);

}  // namespace tenon
