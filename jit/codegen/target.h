// LLVM's back end for this host: optimises one unit's IR and emits an object file. Linking is in linker.h.
#pragma once
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>

#include "engine/aot/cpu.h"
#include "engine/error.h"
#include "engine/native/code_image.h"

namespace tenon::jit {

// One for each compiling thread.
class Target {
 public:
  // Errors: unsupported, when the processor lacks what compiled code assumes (SSE 4.1).
  static Result<std::unique_ptr<Target>> create(const CompileOptions& options);
  llvm::DataLayout data_layout() const { return machine_->createDataLayout(); }
  const llvm::Triple& triple() const { return machine_->getTargetTriple(); }
  // For what is compiled next: 0 to 3.
  void set_opt_level(u8 level);
  void optimise(llvm::Module& module);
  // Errors: unsupported, with LLVM's message.
  Result<std::unique_ptr<llvm::MemoryBuffer>> emit(llvm::Module& module);

 private:
  Target() = default;
  std::unique_ptr<llvm::TargetMachine> machine_;
  u8 opt_level_ = 2;
};

// The processor to tune code for: this machine's, unless the options name other features.
std::string tuning_of(const CompileOptions& options);

}  // namespace tenon::jit
