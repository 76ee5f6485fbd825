// Look-ups in a decoded module by name.
#include "engine/module.h"

#include <fmt/format.h>

#include "engine/native/module_code.h"

namespace tenon {

Module::Module() : code_(std::make_unique<ModuleCode>(*this)) {}
Module::~Module() = default;

const Export* Module::find_export(std::string_view name) const {
  for (const Export& e : exports)
    if (e.name == name) return &e;
  return nullptr;
}

std::string Module::function_name(FuncIdx f) const {
  if (f.value < names.functions.size() && !names.functions[f.value].empty())
    return std::string(names.functions[f.value]);
  for (const Export& e : exports)
    if (e.kind == ExternKind::func && e.index == f.value) return std::string(e.name);
  return fmt::format("func[{}]", f.value);
}

}  // namespace tenon
