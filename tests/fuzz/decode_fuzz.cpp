// Bytes → decode and validate. Beyond not crashing: bodies that are checked later give the same verdict, and
// a module that is valid can be read again by a translator's means, and its debug information for source lines.
#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/debug_lines.h"
#include "engine/module.h"
#include "engine/reader.h"
#include "engine/validate/func_validator.h"

namespace {

using namespace tenon;

void require(bool condition) {
  if (!condition) std::abort();
}

// Steps through each body as the interpreter's and the JIT's translators do.
void translate(const Module& module, const ModuleLimits& limits) {
  for (u32 i = module.imported_functions; i < module.functions.size(); ++i) {
    const Function& f = module.functions[i];
    CodeReader reader(module, f.body, f.offset);
    FuncValidator validator(module, FuncIdx{i}, limits);
    std::vector<LocalRun> runs;
    require(reader.read_locals(runs) && validator.locals(runs));
    Instr instr;
    while (!validator.done()) {
      require(reader.next(instr));
      for (u32 depth = 0; depth < 4 && depth < validator.height(); ++depth) validator.operand(depth);
      require(validator.step(instr));
    }
    require(reader.at_end());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const u8> bytes(data, size);
  DecodeOptions options, lazy;
  lazy.lazy_bodies = true;
  const auto registry = std::make_shared<TypeRegistry>();
  const auto module = decode_module(registry, bytes, nullptr, options);
  if (!module) {
    require(!module.error().message.empty() && module.error().offset.value_or(0) <= size);
    return 0;
  }
  translate(**module, options.limits);
  DebugLines(**module).find(size / 2);
  const auto later = decode_module(registry, bytes, nullptr, lazy);
  require(later.has_value() && (*later)->types == (*module)->types);
  return 0;
}
