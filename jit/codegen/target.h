// LLVM's back end for this host: optimises one unit's IR and emits an object file, and reads from it what the
// run time needs to know. Linking is in linker.h.
#pragma once
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"
#include "jit/options.h"
#include "jit/runtime/code_object.h"

namespace tenon::jit {

// One for each compiling thread.
class Target {
 public:
  // Errors: unsupported, when the processor lacks what compiled code assumes (SSE 4.1).
  static Result<std::unique_ptr<Target>> create(u8 opt_level);
  llvm::DataLayout data_layout() const { return machine_->createDataLayout(); }
  const llvm::Triple& triple() const { return machine_->getTargetTriple(); }
  void optimise(llvm::Module& module);
  // Errors: unsupported, with LLVM's message.
  Result<std::unique_ptr<llvm::MemoryBuffer>> emit(llvm::Module& module);

 private:
  Target() = default;
  std::unique_ptr<llvm::TargetMachine> machine_;
  u8 opt_level_ = 2;
};

// Where things are in an object's code; offsets from the start of its code section.
struct ObjectSymbol {
  std::string name;
  u64 offset, size;
};
struct ObjectTables {
  std::vector<ObjectSymbol> functions;  // global ones and local ones
  std::vector<CodeLine> lines;  // sorted; lines of the debug information are offsets in the Wasm module
  u64 code_size = 0;
};
Result<ObjectTables> read_object_tables(const llvm::MemoryBuffer& object);

// Whether the host has fused multiply-add.
bool host_has_fma();

}  // namespace tenon::jit
