// CodeLinker: one bare JITDylib for each set of objects.
#include "jit/codegen/linker.h"

#include <fmt/format.h>
#include <llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/TaskDispatch.h>

namespace tenon::jit {
namespace {

Error link_error(llvm::Error error) {
  return {ErrorCategory::unsupported, "linking compiled code: " + llvm::toString(std::move(error)), {}};
}

}  // namespace

Result<std::unique_ptr<CodeLinker>> CodeLinker::create() {
  auto control = llvm::orc::SelfExecutorProcessControl::Create(
      nullptr, std::make_unique<llvm::orc::InPlaceTaskDispatcher>());
  if (!control) return std::unexpected(link_error(control.takeError()));
  std::unique_ptr<CodeLinker> linker(new CodeLinker);
  linker->session_ = std::make_unique<llvm::orc::ExecutionSession>(std::move(*control));
  linker->session_->setErrorReporter([](llvm::Error error) { llvm::consumeError(std::move(error)); });
  linker->layer_ = std::make_unique<llvm::orc::ObjectLinkingLayer>(*linker->session_);
  return linker;
}

CodeLinker::~CodeLinker() {
  if (auto error = session_->endSession()) llvm::consumeError(std::move(error));
}

Result<std::vector<u64>> CodeLinker::link(std::vector<std::unique_ptr<llvm::MemoryBuffer>> objects,
                                          const std::vector<std::string>& symbols) {
  auto& library = session_->createBareJITDylib(fmt::format("code{}", libraries_++));
  for (auto& object : objects)
    if (auto error = layer_->add(library, std::move(object)))
      return std::unexpected(link_error(std::move(error)));
  llvm::orc::SymbolLookupSet wanted;
  std::vector<llvm::orc::SymbolStringPtr> names;
  for (const std::string& s : symbols) {
    names.push_back(session_->intern(s));
    wanted.add(names.back());
  }
  auto found =
      session_->lookup({{&library, llvm::orc::JITDylibLookupFlags::MatchAllSymbols}}, std::move(wanted));
  if (!found) return std::unexpected(link_error(found.takeError()));
  std::vector<u64> addresses;
  for (const auto& name : names) addresses.push_back((*found)[name].getAddress().getValue());
  return addresses;
}

}  // namespace tenon::jit
