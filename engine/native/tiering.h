// When code is compiled under --engine=auto: counts where a store's interpreter spends its time, asks for
// compilation of what is hot, and knows which loops compiled code can take over. Belongs to a NativeTier.
#pragma once
#include <unordered_map>
#include <vector>

#include "engine/native/tier_queue.h"
#include "engine/runtime/store.h"

namespace tenon {

struct TieringOptions {
  bool automatic = false;
  // Compile at the first call, take loops over at their first iteration, and wait for both (tests). Needs
  // NativeOptions::compile.
  bool stress = false;
};

class Tiering {
 public:
  Tiering(Store& store, TieringOptions options, CompileOptions compile_options, CompileFn compile);

  // Compiled code of the instance is in `code`.
  void adopt(Instance& instance, ModuleCode::Variant& code);
  // Compiler::sample, when what was published has been taken up.
  ArrayEntry sample(FuncRef& func, u64 loop);
  // Of the instances that can have code.
  std::vector<std::shared_ptr<const Module>> modules() const;
  // Under stress, before sample(): compiles what sample() is about to be asked for.
  void compile_now(FuncRef& func, u64 loop);

 private:
  struct Guest {
    std::shared_ptr<const Module> module;
    ModuleCode::Variant* code;
    std::vector<bool> called = {};  // by function index, under stress
  };
  Guest* guest_of(const FuncRef& func);
  TierJob new_job(Guest& guest) const;
  TierJob job_for(Guest& guest, FuncIdx f, u64 loop) const;
  void ask(Guest& guest, FuncIdx f, u64 loop) const;

  Store& store_;
  TieringOptions options_;
  CompileOptions compile_options_;
  CompileFn compile_;
  std::unordered_map<const VMContext*, Guest> guests_;
};

}  // namespace tenon
