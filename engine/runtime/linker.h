// Resolves a module's imports by name (what `tenon run` and embedders link against). Instantiates through
// Store.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "engine/runtime/store.h"

namespace tenon {

class Linker {
 public:
  // Later definitions of a name replace earlier ones.
  void define(std::string module, std::string name, Extern value);
  // A host function; each instance that imports it gets its own HostFunc. desc and data outlive the linker's
  // stores.
  void define(const HostFuncDesc& desc, void* data);
  // All exports of an instance under a module name.
  void define_instance(std::string module, Instance& instance);
  // A second name for what is defined now. False when nothing is.
  bool alias(std::string_view from_module, std::string_view from_name, std::string module, std::string name);
  // Error unlinkable: "unknown import" or "incompatible import type" with module, name and types.
  Result<Instance*> instantiate(Store& store, std::shared_ptr<const Module> module) const;

 private:
  struct HostDefinition {
    const HostFuncDesc* desc;
    void* data;
  };
  struct NameLess {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const {
      const std::string_view am = a.first, bm = b.first, an = a.second, bn = b.second;
      return am != bm ? am < bm : an < bn;
    }
  };
  std::map<std::pair<std::string, std::string>, std::variant<Extern, HostDefinition>, NameLess> definitions_;
};

}  // namespace tenon
