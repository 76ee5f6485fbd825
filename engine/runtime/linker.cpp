// Imports by name.
#include "engine/runtime/linker.h"

#include <fmt/format.h>

namespace tenon {

void Linker::define(std::string module, std::string name, Extern value) {
  definitions_.insert_or_assign({std::move(module), std::move(name)}, value);
}

void Linker::define(const HostFuncDesc& desc, void* data) {
  definitions_.insert_or_assign({std::string(desc.module), std::string(desc.name)},
                                HostDefinition{&desc, data});
}

void Linker::define_instance(std::string module, Instance& instance) {
  for (const Export& e : instance.module().exports)
    define(module, std::string(e.name), instance.export_at(e.kind, e.index));
}

bool Linker::alias(std::string_view from_module, std::string_view from_name, std::string module,
                   std::string name) {
  const auto found = definitions_.find(std::pair(from_module, from_name));
  if (found == definitions_.end()) return false;
  const auto definition = found->second;  // the map may move it
  definitions_.insert_or_assign({std::move(module), std::move(name)}, definition);
  return true;
}

Result<Instance*> Linker::instantiate(Store& store, std::shared_ptr<const Module> module) const {
  std::vector<Extern> imports;
  std::vector<HostFunc*> hosts;
  imports.reserve(module->imports.size());
  for (const Import& want : module->imports) {
    const auto found = definitions_.find(std::pair(want.module, want.name));
    if (found == definitions_.end())
      return std::unexpected(Error{ErrorCategory::unlinkable,
                                   fmt::format("unknown import \"{}\" \"{}\": {}", want.module, want.name,
                                               to_string(want.type, module->type_registry())),
                                   {}});
    if (const auto* value = std::get_if<Extern>(&found->second)) {
      imports.push_back(*value);
      continue;
    }
    const auto& host = std::get<HostDefinition>(found->second);
    FuncRef* ref = store.new_host_func(*host.desc, host.data, nullptr, nullptr);
    hosts.push_back(static_cast<HostFunc*>(ref->code));
    imports.push_back(ref);
  }
  return store.instantiate(std::move(module), imports, hosts);
}

}  // namespace tenon
