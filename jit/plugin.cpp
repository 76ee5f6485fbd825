// What tenon-jit.so exports (engine/runtime/plugin.h, jit_plugin.h).
#include "engine/runtime/plugin.h"

#include <llvm/Config/llvm-config.h>

#include "jit/compiler.h"

namespace tenon::jit {
namespace {

const JitPlugin kPlugin{
    .create_compiler = [](Store& store, const JitPluginOptions& options)
        -> Result<std::unique_ptr<Compiler>> { return create_compiler(store, JitOptions{options}); },
    .version = [] { return std::string("LLVM " LLVM_VERSION_STRING); },
};

}  // namespace
}  // namespace tenon::jit

TENON_PLUGIN("jit", tenon::jit::kPlugin)
