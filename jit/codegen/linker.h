// Puts objects into executable memory (ORC with JITLink). Code is written first and made executable after:
// never both.
#pragma once
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/Support/MemoryBuffer.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"

namespace tenon::jit {

// All code of one Compiler; freed with it.
class CodeLinker {
 public:
  static Result<std::unique_ptr<CodeLinker>> create();
  ~CodeLinker();
  CodeLinker(const CodeLinker&) = delete;
  CodeLinker& operator=(const CodeLinker&) = delete;

  // Links objects that may refer to each other and to nothing else. Gives the addresses of `symbols`, in
  // order. Errors: unsupported, with LLVM's message (no executable memory, for one).
  Result<std::vector<u64>> link(std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects,
                                const std::vector<std::string>& symbols);

 private:
  CodeLinker() = default;
  std::unique_ptr<llvm::orc::ExecutionSession> session_;
  std::unique_ptr<llvm::orc::ObjectLinkingLayer> layer_;
  u32 libraries_ = 0;
};

}  // namespace tenon::jit
