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

// Where the registrations of destructors in this plugin end (jit/CMakeLists.txt tells why): nowhere.
extern "C" int __wrap___cxa_atexit(void (*)(void*), void*, void*) { return 0; }

TENON_PLUGIN("jit", tenon::jit::kPlugin)
