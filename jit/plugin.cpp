// What tenon-jit.so exports (engine/runtime/plugin.h, jit_plugin.h).
#include "engine/runtime/plugin.h"
#include "engine/runtime/jit_plugin.h"

#include <llvm/Config/llvm-config.h>

#include "jit/compiler.h"

namespace tenon::jit {
namespace {

const JitPlugin kPlugin{
    .compile = &compile_image,
    .version = [] { return std::string("LLVM " LLVM_VERSION_STRING); },
};

}  // namespace
}  // namespace tenon::jit

TENON_PLUGIN("jit", tenon::jit::kPlugin)
